"""`evaluate.py audit=…`: audit any net, print the report, and leave it with a panel in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runs import folders
from upzoo.atomic import whole

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from torch import nn

    from upzoo.audit import AuditReport


def named(cfg: DictConfig) -> str | None:
    """The net to audit: of `audit=NET` or `audit.net=NET`.

    Raises:
        ValueError: for a swap without one.
    """
    spec = cfg.audit["net"] if isinstance(cfg.audit, Mapping) else cfg.audit
    if spec is None and cfg.swap is not None:
        raise ValueError(f"swap={cfg.swap} goes with audit=NET; train.py trains with upsample=")
    if spec is None and cfg.distil is not None:
        raise ValueError(f"distil={cfg.distil} goes with audit=NET and equalise=true or swap=")
    return spec


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """Command line arguments with `audit=NET` as `audit.net=NET`, so that options may follow.

    >>> spelled_out(["audit=timm:resnet18", "audit.size=64"])
    ['audit.net=timm:resnet18', 'audit.size=64']
    """
    return [f"audit.net={a[6:]}" if a.startswith("audit=") else a for a in arguments]


def audit_command(cfg: DictConfig) -> AuditReport:
    """Audit the net that is named, and its copy that `equalise` or `swap` asks for."""
    from torchvision.transforms.v2.functional import to_pil_image

    from panels.audit import audit_panel
    from upzoo.audit.changes import choose_change, written
    from upzoo.audit.named import TITLES, audit_both
    from upzoo.audit.terminal import say, show, write

    options: Mapping[str, Any] = cfg.audit if isinstance(cfg.audit, Mapping) else {}
    spec = named(cfg)
    assert spec is not None
    if cfg.output is not None:
        check_output(cfg, spec)
    names = ("size", "example", "output", "weights")
    given: dict[str, Any] = {name: options.get(name) for name in names}
    given |= {"images": cfg.input, "arguments": list(options.get("args") or ()), "seed": cfg.seed}
    change = choose_change(cfg.equalise, cfg.swap, cfg.keep, cfg.where, cfg.distil)
    before, after = audit_both(spec, change, **given)
    reports = {"audit": before.report} | ({} if after is None else {"changed": after.report})
    folder = folders.new_folder(Path(cfg.logs, "audit", before.report.net.lower()), cfg.seed)
    for name, report in reports.items():
        write(report, folder / f"{name}.json")
    show(before.report, tables=bool(options.get("tables")), advice=after is None)
    if after is not None:
        say(after.said)
        show(after.report, tables=bool(options.get("tables")), advice=False)
        if cfg.output is not None and after.recipe is not None:
            say(written(cfg.output, after))
        elif cfg.output is not None:
            write_corrected(cfg.output, after.net, spec)
    shown = None if after is None else (before.shown, after.shown)
    panel = audit_panel(
        *reports.values(), titles=TITLES if after is not None else None, shown=shown
    )
    with whole(folder / "audit.png") as beside:
        to_pil_image(panel).save(beside, "PNG")
    print(f"report and panel: {folder}")
    return before.report


def check_output(cfg: DictConfig, spec: str) -> None:
    """Refuse, before any work, an `output=` that could not be written.

    Raises:
        ValueError: without a correction, for a name that is taken, or a folder for others' nets.
    """
    from upzoo.saving import SUFFIXES, check_target

    if not cfg.equalise and cfg.swap is None:
        raise ValueError(
            f"output={cfg.output}: an audit writes weights only with equalise=true or "
            "swap=OPERATOR; its report goes to logs="
        )
    ours = is_ours(spec) or cfg.swap is not None
    if Path(cfg.output).suffix in SUFFIXES or not ours:
        check_target(cfg.output)
    elif Path(cfg.output).exists():
        raise ValueError(f"output={cfg.output} exists: give the name of a new folder")


def is_ours(spec: str) -> bool:
    """Whether a name is a shipped net's, or the path of a run or of a model's folder."""
    from upzoo import zoo

    return spec in zoo.entries() or Path(spec).is_dir() or Path(spec).suffix == ".ckpt"


def write_corrected(
    target: str, net: nn.Module, spec: str | None = None, card: Mapping[str, Any] | None = None
) -> None:
    """Write weights: as a state dict by a file's suffix, else as a model's folder.

    Args:
        target: file or folder.
        net: with the weights.
        spec: what the net was named by, where there is no card.
        card: the metadata of the net.
    """
    from upzoo import checkpoint, zoo
    from upzoo.saving import SUFFIXES, save_state

    if Path(target).suffix in SUFFIXES:
        print(f"weights: {save_state(target, net)}")
        return
    if card is None:
        assert spec is not None
        card = zoo.read(spec)[1]
    written = checkpoint.save(target, net, {**card, "corrected": True})
    print(f"model: {written}\nto train it further: python train.py init={written}")


def equalised(net: nn.Module, keep: str = "weights") -> nn.Module:
    """A net of ours without DC ripple in its upsampling kernels; says what was changed.

    Raises:
        ValueError: for a net without a layer that can be corrected.
    """
    from upzoo.upsampling.equalise import change_line, equalise_net

    fixed, changes = equalise_net(net, keep=keep)
    if all(c.skipped is not None for c in changes):
        raise ValueError(
            "equalise=true: no learned transposed convolution and no pixel shuffle in this net, so "
            "there is nothing to correct: leave it out"
        )
    print(*map(change_line, changes), sep="\n")
    return fixed


def only_written(cfg: DictConfig, net: nn.Module, card: Mapping[str, Any]) -> bool:
    """Write a corrected net where `output=` is for nothing else, and say whether it was."""
    others = (cfg.samples, cfg.input, cfg.export, cfg.convert)
    if cfg.output is None or any(value is not None for value in others):
        return False
    if Path(cfg.output).exists():
        raise ValueError(f"output={cfg.output} exists: give the name of a new folder")
    write_corrected(cfg.output, net, card=card)
    return True
