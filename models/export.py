"""A net as an ONNX file of dynamic size, checked against PyTorch before it gets its name."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from upzoo.atomic import whole
from upzoo.base import Net
from upzoo.upsampling import Upsample

#: How far the file may differ from PyTorch, in units of max(1, largest output).
TOLERANCE = 1e-4
#: (batch, height, width) of the images that a net is traced with, and of others to try the file on.
TRACED, OTHER = (2, 64, 96), (1, 107, 75)


def to_onnx(
    net: Net,
    path: str | Path,
    in_channels: int = 3,
    metadata: Mapping[str, str] | None = None,
) -> float | None:
    """Write a net as ONNX, whole or not at all.

    Nets that take images take any batch, height and width; generators take noise of any batch.
    The file is tried with onnxruntime, where that is installed, at the traced and at another size.

    Args:
        net: in evaluation mode.
        path: the file to make; it replaces one of the same name.
        in_channels: channels of the images.
        metadata: text to keep in the file.

    Returns:
        The largest difference from PyTorch in units of max(1, largest output); None where
        onnxruntime is not installed.

    Raises:
        ValueError: an operator that cannot be exported, missing packages, or a file that differs
            from PyTorch by more than `TOLERANCE`.
    """
    path = Path(path)
    for module in net.modules():
        if isinstance(module, Upsample) and module.no_onnx:
            raise ValueError(f"{type(module).__name__} cannot go into ONNX: {module.no_onnx}")
    part = net.deployed
    traced, other = (_example(net, size, in_channels) for size in (TRACED, OTHER))
    program = _trace(part, traced, net.takes)
    program.model.metadata_props.update(metadata or {})
    with whole(path) as beside:
        program.save(beside, external_data=False)
        error = _largest_error(part, beside, (traced, other))
        if error is not None and not error <= TOLERANCE:
            raise ValueError(
                f"{path}: not written: onnxruntime's output differs from PyTorch's by {error:.1e} "
                f"of the largest, more than {TOLERANCE:.0e}: another version of either may help"
            )
    return error


def _example(net: Net, size: tuple[int, int, int], in_channels: int) -> Tensor:
    """An input that owes nothing to the global random state."""
    batch, *image = size
    shape = net.input_shape((in_channels, *image))
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(0))


def _trace(net: nn.Module, example: Tensor, takes: str) -> Any:
    """The exporter's program, dynamic in all but the channels."""
    any_size = torch.export.Dim.DYNAMIC
    dynamic = {axis: any_size for axis in range(example.ndim) if axis != 1}
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"export needs {error.name}, which is not installed: pip install onnx onnxscript"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its own code
        return torch.onnx.export(
            net,
            (example,),
            dynamo=True,
            dynamic_shapes=(dynamic,),
            input_names=[takes.removesuffix("s")],
            output_names=["output"],
            verbose=False,
        )


@torch.no_grad()
def _largest_error(net: nn.Module, path: Path, examples: Sequence[Tensor]) -> float | None:
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more would wait for each other where cores are busy
    run = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    errors = []
    for x in examples:
        wanted = net(x)
        (found,) = run.run(None, {run.get_inputs()[0].name: x.numpy()})
        difference = (torch.from_numpy(found) - wanted).abs().max()
        errors.append((difference / wanted.abs().max().clamp(min=1)).item())
    return max(errors)
