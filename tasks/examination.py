"""Anybody's net examined for checkerboards: what is printed, and the files that it leaves."""

from pathlib import Path

from omegaconf import DictConfig
from torch import nn
from torchvision.transforms.v2.functional import to_pil_image

from panels.audit import audit_panel
from runs import folders
from tasks.prediction import save_picture
from upzoo.audit import audit, terminal
from upzoo.audit.targets import load_target
from upzoo.upsampling.equalise import equalise_net


def examine_target(cfg: DictConfig) -> None:
    """Examine any net; print, write JSON and a panel, of the corrected net too.

    Args:
        cfg: has audit, equalise, seed and logs, as configs/evaluate.yaml.
    """
    net, example = load_target(cfg.audit)
    reports = {"audit": audit(net, example, seed=cfg.seed)}
    if cfg.equalise:
        reports["equalised"] = audit(equalised(net), example, seed=cfg.seed)
    folder = folders.new_folder(Path(cfg.logs, "audit", type(net).__name__.lower()), cfg.seed)
    for name, report in reports.items():
        terminal.show(report)
        terminal.write(report, folder / f"{name}.json")
        save_picture(to_pil_image(audit_panel(report)), folder / f"{name}.png")
    print(f"findings and panel: {folder}")


def equalised(net: nn.Module) -> nn.Module:
    """The net without DC ripple in its upsampling kernels; says what was changed."""
    corrected, changes = equalise_net(net)
    if not changes:
        raise ValueError(
            "equalise=true: no learned transposed convolution and no pixel shuffle in this net, so "
            "there is nothing to mend: leave it out"
        )
    for c in changes:
        print(f"{c.name}: ripple {c.before:.3g} -> {c.after:.1g}, weights moved by {c.change:.1%}")
    return corrected
