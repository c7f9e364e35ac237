"""Refuse, before the first step, a net that batch normalisation cannot train."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from upzoo.base import input_shape


def refuse_single_values(net: nn.Module, data: Any) -> None:
    """Refuse a net whose batch normalisation meets one value per channel in training.

    Its variance is then 0 and its output its bias, whatever the image. PyTorch raises at the first
    such step; this says it before, with what would work.

    Args:
        net: as it is trained.
        data: the data module: `loading.batch_size` and `size` decide.

    Raises:
        ValueError: batches of one image that become 1×1 maps.
    """
    if data.loading.batch_size > 1:
        return
    shape = (data.in_channels, *data.size)
    found = single_values(net, shape)
    if not found:
        return
    height, width = (2 * side for side in data.size)
    larger = f" or data.size=[{height},{width}]"
    try:
        works = not single_values(net, (data.in_channels, height, width))
    except (ValueError, RuntimeError):  # a net of one size
        works = False
    raise ValueError(
        f"data.batch_size=1 with data.size=[{data.size[0]},{data.size[1]}]: the batch "
        f"normalisation {found[0]} meets one value per channel, a 1×1 map of one image, and cannot "
        f"be trained: use data.batch_size=2{larger if works else ''}"
    )


@torch.no_grad()
def single_values(net: nn.Module, image_shape: Sequence[int]) -> list[str]:
    """Names of the batch normalisations that see a 1×1 map of one image of this shape."""
    found: list[str] = []
    hooks = []
    for name, module in net.named_modules():
        if isinstance(module, _BatchNorm):

            def note(_: nn.Module, inputs: tuple[Tensor], name: str = name) -> None:
                if inputs[0][:, 0].numel() == 1:
                    found.append(name)

            hooks.append(module.register_forward_pre_hook(note))
    training, device = net.training, next(net.parameters()).device
    shape = input_shape(net, image_shape)
    try:
        net.eval()(torch.zeros(1, *shape, device=device))
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return found
