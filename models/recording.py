"""Run a net once and write down every call that enlarges a map: whose, which, and with what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils.weak import WeakIdKeyDictionary

from upzoo.routing import FUNCTIONS, arguments, names_of
from upzoo.upsampling import Upsample

#: What enlarges too, and is not served: an operator cannot stand for it.
OTHERS = {
    "conv_transpose1d": "a 1-D layer; operators enlarge pictures",
    "conv_transpose3d": "a 3-D layer; operators enlarge pictures",
    "max_unpool2d": "it puts values back to where a max-pooling took them",
    "repeat_interleave": "enlarging by repetition is no call that can be told from others",
    "grid_sample": "its places are computed by the net",
}
#: Questions that a program asks of a tensor, which use no value of it.
LOOKS = ("__get__", "size", "dim", "numel", "is_floating_point", "stride")
#: Stands for a function in the call of one of our operators, whose own calls are not looked at.
OPERATOR = "operator"
SIDES = (64, 224, 256, 32)  # pixels that are tried where there is no example


@dataclass
class Call:
    """One call site, over all the times that it ran.

    Attributes:
        owner: path of the module whose `forward` calls, or of an operator of ours that runs.
        site: which of that module's calls of enlarging functions it is.
        function: name of the function, or `OPERATOR`.
        given: its arguments at the first run; of an operator of ours, "module".
        runs: input and output of each run.
        conv: arguments of the convolution whose output a pixel shuffle takes at once, with the
            module's path as "holder"; None where there is none.
        fixed: whether its input is made of the net's own tensors alone: a table of positions.
    """

    owner: str
    site: int
    function: str
    given: dict[str, Any]
    runs: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    conv: dict[str, Any] | None = None
    fixed: bool = True

    @property
    def name(self) -> str:
        """As lists show it."""
        return f"{self.owner or 'net'}.{self.function}() #{self.site + 1}"


class Recorder(TorchFunctionMode):
    """Collects the calls of `net` while active; `path` names its modules that run."""

    def __init__(self, net: nn.Module, path: list[str]):
        super().__init__()
        self.ours = {name: m for name, m in net.named_modules() if isinstance(m, Upsample)}
        self._fixed = WeakIdKeyDictionary(dict.fromkeys((*net.parameters(), *net.buffers()), True))
        self.calls: dict[tuple[str, int], Call] = {}
        self.others: dict[tuple[str, str], str] = {}  # (owner, function) -> why it is not served
        self._path = path
        self._counts: list[tuple[int, str, int]] = []  # depth, owner, calls: of running modules
        self._convs: list[dict[str, Any]] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        y = func(*args, **kwargs)
        made_of = _tensors((args, kwargs))
        if made_of and all(x in self._fixed for x in made_of):
            self._fixed.update(dict.fromkeys(_tensors(y), True))
        if name not in LOOKS:
            self._count_uses([*args, *kwargs.values()])
        owner = self._path[-1] if self._path else ""
        if self._within(owner):
            return y
        if name in OTHERS:
            self.others[owner, name] = OTHERS[name]
        if name == "conv2d" and isinstance(y, Tensor):
            order = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
            given = dict(zip(order, args, strict=False)) | kwargs
            self._convs.append(given | {"output": y, "holder": owner, "uses": 0})
        if name in FUNCTIONS:
            self._note(owner, name, arguments(name, args, kwargs), y)
        return y

    def _within(self, owner: str) -> bool:
        """Whether a module is an operator of ours, or a part of one."""
        return any(not name or f"{owner}.".startswith(f"{name}.") for name in self.ours)

    def ran(self, name: str, x: Tensor, y: Tensor) -> None:
        """An operator of ours has enlarged a map."""
        given = {"module": self.ours[name]}
        call = self.calls.setdefault((name, 0), Call(name, 0, OPERATOR, given))
        call.runs.append((x, y))
        call.fixed = call.fixed and x in self._fixed

    def _count_uses(self, given: Sequence[Any]) -> None:
        """Count what takes a convolution's output: a shuffle may not be alone."""
        for conv in self._convs:
            conv["uses"] += any(x is conv["output"] for x in given)

    def _note(self, owner: str, name: str, given: dict[str, Any], y: Tensor) -> None:
        site = self._site(owner)
        call = self.calls.setdefault((owner, site), Call(owner, site, name, given))
        call.runs.append((given["input"], y))
        call.fixed = call.fixed and given["input"] in self._fixed
        if name == "pixel_shuffle":
            found = [c for c in self._convs if c["output"] is given["input"]]
            call.conv = found[0] if found else None

    def _site(self, owner: str) -> int:
        """Number of a call in this run of its module's forward."""
        depth = len(self._path)
        while self._counts and self._counts[-1][0] > depth:
            self._counts.pop()
        if self._counts and self._counts[-1][:2] == (depth, owner):
            number = self._counts[-1][2] + 1
            self._counts[-1] = (depth, owner, number)
            return number
        self._counts.append((depth, owner, 0))
        return 0

    def left(self, owner: str) -> None:
        """A module's forward ended: its next run counts from the first call again."""
        self._counts = [c for c in self._counts if c[1] != owner]


def _tensors(tree: Any) -> list[Tensor]:
    return [x for x in pytree.tree_leaves(tree) if isinstance(x, Tensor)]


def record(net: nn.Module, example: Any = None) -> Recorder:
    """Run a net in evaluation mode, and give what it did.

    Args:
        net: any module; its modes are put back.
        example: a tensor, a tuple of inputs, or a dict of keywords; noise by default.

    Raises:
        ValueError: where it does not run.
    """
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    hooks = []
    try:
        with names_of(net) as path, torch.no_grad():
            recorder = Recorder(net, path)
            for name, module in net.named_modules():

                def leave(module: nn.Module, args: Any, y: Any, name: str = name) -> None:
                    if name in recorder.ours:
                        recorder.ran(name, args[0], y)
                    recorder.left(name)

                hooks.append(module.register_forward_hook(leave))
            _run(net, example, recorder)
        return recorder
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training


def _run(net: nn.Module, example: Any, recorder: Recorder) -> None:
    examples = [example] if example is not None else list(guesses(net))
    if not examples:
        raise ValueError(
            f"{type(net).__name__}: no layer of pictures (Conv2d, ConvTranspose2d) tells what "
            "input it takes: give an example of pictures, which are what operators enlarge"
        )
    refused = ""
    for inputs in examples:
        try:
            with recorder:
                call_net(net, inputs)
        except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as error:
            refused = " ".join(str(error).split())[:200]
            recorder.calls.clear()
            recorder.others.clear()
            recorder._path.clear()
            recorder._counts.clear()
            continue
        return
    raise ValueError(
        f"{type(net).__name__} does not run on its example: {refused}; give one that it takes"
    )


def call_net(net: nn.Module, inputs: Any) -> Any:
    """A net's output for a tensor, a tuple of inputs, or a dict of keywords."""
    if isinstance(inputs, dict):
        return net(**inputs)
    return net(*inputs) if isinstance(inputs, tuple) else net(inputs)


def guesses(net: nn.Module) -> list[Tensor]:
    """Noise that a net of pictures may take."""
    for module in net.modules():
        weight = getattr(module, "weight", None)
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and isinstance(weight, Tensor):
            drawn = torch.Generator().manual_seed(0)
            shapes = [(2, module.in_channels, side, side) for side in SIDES]
            return [torch.rand(s, generator=drawn).to(weight) for s in shapes]
    return []
