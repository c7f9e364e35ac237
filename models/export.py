"""A net as a program of dynamic size: torch.export's, or an ONNX file that is checked first."""

import importlib
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
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
#: Pairs of images that a net with switches is tried on at most: where two values of a pooling are
#: nearly equal, rounding decides which is the largest, and its place moves by a pixel.
DRAWS = 4


def to_onnx(
    net: Net,
    path: str | Path,
    in_channels: int = 3,
    metadata: Mapping[str, str] | None = None,
) -> float | None:
    """Write a net as ONNX, whole or not at all.

    Nets that take images take any batch, height and width; generators take noise of any batch.
    The file is tried with onnxruntime, where that is installed, at the traced and at another size;
    a net with switches, which rounding can move, on further images until one pair agrees.

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
    program = _trace(part, _example(net, TRACED, in_channels), net.takes)
    program.model.metadata_props.update(metadata or {})
    with whole(path) as beside:
        program.save(beside, external_data=False)
        for draw in range(DRAWS if _has_switches(part) else 1):
            examples = [_example(net, size, in_channels, draw) for size in (TRACED, OTHER)]
            error = _largest_error(part, beside, examples)
            if error is None or error <= TOLERANCE:
                break
        else:
            raise ValueError(
                f"{path}: not written: onnxruntime's output differs from PyTorch's by {error:.1e} "
                f"of the largest, more than {TOLERANCE:.0e}: another version of either may help"
            )
    return error


def to_program(net: Net, in_channels: int = 3) -> torch.export.ExportedProgram:
    """A net as `torch.export` records it, for images of any batch, height and width.

    Recorded as usual, a program refuses the sides whose coarsest map has one pixel: up to 32 for a
    net of stride 32. Here it takes them too, where PyTorch has `backed_size_oblivious`; `fade` and
    `sapa` need more than one pixel in one of the two directions.

    Args:
        net: in evaluation mode; of a GAN the generator is taken, for noise of any batch.
        in_channels: channels of the images.

    >>> from upzoo import create
    >>> program = to_program(create("fcn8s", num_classes=2, width=4).eval()).module()
    >>> program(torch.ones(1, 3, 5, 40)).shape
    torch.Size([1, 2, 5, 40])
    """
    example = _example(net, TRACED, in_channels)
    with _any_size():
        return torch.export.export(net.deployed, (example,), dynamic_shapes=_dynamic(example))


def _any_size() -> AbstractContextManager[None]:
    """While a program is recorded: sizes of one pixel are sizes like any other."""
    config: Any = importlib.import_module("torch.fx.experimental._config")
    if not hasattr(config, "backed_size_oblivious"):
        return nullcontext()
    patched: AbstractContextManager[None] = config.patch(backed_size_oblivious=True)
    return patched


def _dynamic(example: Tensor) -> tuple[dict[int, Any]]:
    """All axes may have any size but the channels'."""
    return ({axis: torch.export.Dim.DYNAMIC for axis in range(example.ndim) if axis != 1},)


def _example(net: Net, size: tuple[int, int, int], in_channels: int, draw: int = 0) -> Tensor:
    """An input that owes nothing to the global random state."""
    batch, *image = size
    shape = net.input_shape((in_channels, *image))
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(draw))


def _has_switches(net: nn.Module) -> bool:
    return any(isinstance(module, Upsample) and module.needs_switches for module in net.modules())


def _trace(net: nn.Module, example: Tensor, takes: str) -> Any:
    """The exporter's program, dynamic in all but the channels."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ValueError(
            f"export needs {error.name}, which is not installed: pip install onnx onnxscript"
        ) from None
    with warnings.catch_warnings(), _any_size():
        warnings.simplefilter("ignore")  # the exporter's own, about its own code
        try:
            return torch.onnx.export(
                net,
                (example,),
                dynamo=True,
                dynamic_shapes=_dynamic(example),
                input_names=[takes.removesuffix("s")],
                output_names=["output"],
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            cause: BaseException = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            line = (str(cause).splitlines() or [type(cause).__name__])[0]
            raise ValueError(f"{type(net).__name__} cannot go into ONNX: {line}") from error


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
