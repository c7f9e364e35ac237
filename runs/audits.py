"""`evaluate.py audit=…`: audit any net, print the report, and leave it with a panel in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runs import folders

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from upzoo.audit import AuditReport


def named(cfg: DictConfig) -> str | None:
    """The net to audit: of `audit=NET` or `audit.net=NET`."""
    return cfg.audit["net"] if isinstance(cfg.audit, Mapping) else cfg.audit


def spelled_out(arguments: Sequence[str]) -> list[str]:
    """Command line arguments with `audit=NET` as `audit.net=NET`, so that options may follow.

    >>> spelled_out(["audit=timm:resnet18", "audit.size=64"])
    ['audit.net=timm:resnet18', 'audit.size=64']
    """
    return [f"audit.net={a[6:]}" if a.startswith("audit=") else a for a in arguments]


def audit_command(cfg: DictConfig) -> AuditReport:
    """Audit the net that is named, and its corrected copy where `equalise` asks for one."""
    from torchvision.transforms.v2.functional import to_pil_image

    from panels.audit import audit_panel
    from upzoo.audit.command import audit_target
    from upzoo.audit.terminal import show, write

    options: Mapping[str, Any] = cfg.audit if isinstance(cfg.audit, Mapping) else {}
    spec = named(cfg)
    assert spec is not None
    names = ("size", "example", "output", "weights")
    given: dict[str, Any] = {name: options.get(name) for name in names}
    given |= {"images": cfg.input, "arguments": list(options.get("args") or ()), "seed": cfg.seed}
    reports = {"audit": audit_target(spec, **given)}
    if cfg.equalise:
        reports["equalised"] = audit_target(spec, **given, change=equalised)
    folder = folders.new_folder(Path(cfg.logs, "audit", reports["audit"].net.lower()), cfg.seed)
    for name, report in reports.items():
        show(report, tables=bool(options.get("tables")))
        write(report, folder / f"{name}.json")
    titles = ["before", "after"] if cfg.equalise else None
    panel = audit_panel(*reports.values(), titles=titles)
    to_pil_image(panel).save(folder / "audit.png")
    print(f"report and panel: {folder}")
    return reports["audit"]


def equalised(net: Any) -> Any:
    """The net without DC ripple in its upsampling kernels; says what was changed.

    Raises:
        ValueError: for a net without a layer that can be corrected.
    """
    from upzoo.upsampling.equalise import equalise_net

    mended, changes = equalise_net(net)
    if not changes:
        raise ValueError(
            "equalise=true: no learned transposed convolution and no pixel shuffle in this net, so "
            "there is nothing to mend: leave it out"
        )
    for c in changes:
        print(f"{c.name}: ripple {c.before:.3g} -> {c.after:.1g}, weights moved by {c.change:.1%}")
    return mended
