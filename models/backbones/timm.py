"""timm's nets as encoders."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upzoo.backbones import packages
from upzoo.backbones.base import Backbone, refuse_width, unknown
from upzoo.counts import check_counts


class Timm(Backbone):
    """Any net of timm that gives feature maps, by its name there.

    Nets round sizes in their own ways. So the image is padded with zeros (the mean colour) at the
    bottom and the right to a multiple of the largest stride, and features are cropped to ⌈n/s⌉.

    Args:
        in_channels: channels of the image; timm adapts its first layer, a pretrained one too.
        weights: timm's tag, such as "a1_in1k", "DEFAULT" for the tag that timm prefers, or
            "package" for those of a package of the registry (`upzoo.backbones.packages`).
        width: must be None, the widths are timm's.
        name: timm's name of the net.
        depth: how many feature maps, the finest first; what only the others need is left out. None
            takes all.

    Raises:
        ValueError: for a missing timm, an unknown name or tag, a net without feature maps, a width,
            a depth that the net does not have.
    """

    net: Any
    name: str

    def __init__(
        self,
        in_channels: int = 3,
        weights: str | None = None,
        width: int | None = None,
        *,
        name: str,
        depth: int | None = None,
    ):
        super().__init__(in_channels, weights, width)
        backbone = f"timm/{name}"
        refuse_width(backbone, width)
        try:
            import timm
        except ModuleNotFoundError:
            raise ValueError(
                f"backbone={backbone!r} needs timm, which is not installed: pip install timm"
            ) from None
        self.name = name
        models = timm.list_models()
        if name not in models:
            raise unknown(f"backbone={backbone!r}", name, models, "timm.list_models() has them all")
        packaged = weights == packages.WORD
        tags = [tag.partition(".")[2] for tag in timm.list_pretrained(f"{name}.*")]
        known = ["DEFAULT", *tags] if tags else []
        if weights is not None and not packaged and weights not in known:
            raise unknown(f"weights={weights!r} of {backbone}", weights, known)
        tagged = name if packaged or weights in (None, "DEFAULT") else f"{name}.{weights}"
        fetched = weights is not None and not packaged
        if depth is not None:
            check_counts(depth=depth)
        options: dict[str, Any] = {} if depth is None else {"out_indices": tuple(range(depth))}
        try:
            self.net = timm.create_model(
                tagged, pretrained=fetched, features_only=True, in_chans=in_channels, **options
            )
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"backbone={backbone!r} gives no feature maps: {reason}") from None
        except (AssertionError, IndexError):
            raise ValueError(
                f"backbone={backbone!r} has fewer feature maps than depth={depth}"
            ) from None
        info = self.net.feature_info
        self._leave_out_deeper(info.module_name()[-1])
        self.channels = dict(zip(info.reduction(), info.channels(), strict=True))
        self.channels_come_last = getattr(self.net, "output_fmt", None) == "NHWC"
        if packaged:
            self._take_package(in_channels)

    def _leave_out_deeper(self, last: str) -> None:
        """Drop the stages behind the last that is used, "blocks.4", where timm keeps them."""
        stages, _, index = last.rpartition(".")
        kept = getattr(self.net, stages, None) if index.isdigit() else None
        if isinstance(kept, nn.Sequential | nn.ModuleList):
            setattr(self.net, stages, kept[: int(index) + 1])

    def _take_package(self, in_channels: int) -> None:
        import timm

        if in_channels != 3:
            raise ValueError(
                f"weights={packages.WORD} are of images with 3 channels, in_channels={in_channels}"
            )
        state = self.translate(packages.load(self.name, timm.create_model(self.name)))
        own = self.state_dict()
        self.load_state_dict({key: state[key] for key in own})

    def translate(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors of timm's whole net by the names here, where stages are `stages_0`."""
        own = {key.removeprefix("net.").replace(".", "_"): key for key in self.state_dict()}
        return {own.get(key.replace(".", "_"), key): value for key, value in state.items()}

    def unused_names(self) -> set[str]:
        """Names of timm's whole net: its last layers are in no feature map."""
        import timm

        with torch.device("meta"):
            return set(timm.create_model(self.name).state_dict())

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """(B, in_channels, H, W) -> features at the net's own strides."""
        h, w = x.shape[-2:]
        multiple = max(self.channels)
        outputs = self.net(F.pad(x, (0, -w % multiple, 0, -h % multiple)))
        if self.channels_come_last:
            outputs = [y.permute(0, 3, 1, 2) for y in outputs]
        # ⌈n/s⌉ = −⌊−n/s⌋
        return {
            s: y[..., : -(-h // s), : -(-w // s)]
            for s, y in zip(self.net.feature_info.reduction(), outputs, strict=True)
        }
