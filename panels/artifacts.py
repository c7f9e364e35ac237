"""Pictures of a net's checkerboards: its audit, spectra, phases, overlaps and a step."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from panels.audit import audit_panel
from panels.spectra import overlap_panel, phase_panel, spectrum_panel, step_panel
from upzoo.audit import AuditReport
from upzoo.metrics.checkerboard.phases import grid_maps
from upzoo.metrics.checkerboard.power import power_spectrum
from upzoo.upsampling import Upsample

STEP = 8  # input pixels to either side of the edge


@torch.no_grad()
def artifact_panels(
    net: nn.Module,
    report: AuditReport,
    pictures: Mapping[str, Tensor],
    periods: Sequence[int],
) -> dict[str, Tensor]:
    """Every panel that applies, by its name, (3, h, w) uint8 each.

    Args:
        net: whose upsampling operators are shown.
        report: its audit.
        pictures: what it makes and, where there is such a thing, real images: (B, C, H, W).
        periods: of the grids that are looked for.
    """
    panels = {"audit": audit_panel(report)}
    shown = {_title(name, pictures): images for name, images in pictures.items()}
    if periods:
        # one by one, to need the memory of one
        spectra = {k: torch.cat([power_spectrum(x) for x in v.split(1)]) for k, v in shown.items()}
        whole = {name: power.mean(0) for name, power in spectra.items()}
        title = f"spectrum, mean of {len(next(iter(shown.values())))} pictures"
        panels["spectrum"] = spectrum_panel(whole, periods, title)
        panels["phases"] = phase_panel(
            _phases(shown, periods),
            "mean of each phase",
            "in % of the pictures' standard deviation; no checkerboard is white everywhere",
            least=1.0,
        )
    overlaps = {
        f"{layer.name} {layer.geometry()}": _outer(layer.overlap)
        for layer in report.layers
        if layer.up and layer.overlap is not None and len(layer.overlap) == 2
    }
    if overlaps:
        panels["overlap"] = overlap_panel(dict(list(overlaps.items())[:4]))
    curves = _steps(net)
    if curves:
        panels["step"] = step_panel(curves)
    return panels


def _phases(pictures: Mapping[str, Tensor], periods: Sequence[int]) -> dict[str, Tensor]:
    """The additive grid of each period, of the channel in which it is strongest, in per cent."""
    found = {}
    for name, images in pictures.items():
        spread = images.float().std().clamp_min(1e-12)
        for period in periods[:2]:
            maps = 100 * grid_maps(images, period).mean(0) / spread  # (C, p, p)
            found[f"{name}, period {period}"] = maps[maps.flatten(1).var(1).argmax()]
    return found


def _title(name: str, pictures: Mapping[str, Tensor]) -> str:
    """What is shown: of what the net makes, only logits have no real counterpart."""
    if name == "real":
        return "real images"
    return "made by the net" if "real" in pictures else "logits"


def _outer(lines: Sequence[Sequence[int]]) -> Tensor:
    rows, columns = (torch.tensor(line) for line in lines)
    return rows[:, None] * columns


def _steps(net: nn.Module) -> dict[str, Tensor]:
    """What each operator makes of an edge in all its channels, where it responds most.

    Rows of all phases, (scale, W), in units of the higher plateau.
    """
    found = {}
    for name, module in net.named_modules():
        if not isinstance(module, Upsample) or module.needs_switches or module.needs_guide:
            continue
        weight = next(iter([*module.parameters(), *module.buffers()]), torch.zeros(()))
        x = weight.new_zeros(1, module.in_channels, 2 * STEP, 2 * STEP, dtype=torch.float32)
        x[..., STEP:] = 1
        y = module(x)[0]
        middle = STEP // 2 * module.scale  # far from the borders
        rows = y[:, middle * 2 : middle * 2 + module.scale]  # (C, scale, W)
        quarter = 3 * y.shape[-1] // 4
        plateau = rows[..., quarter : quarter + module.scale].mean((1, 2))
        channel = plateau.abs().argmax()
        if plateau[channel] != 0:
            found[name] = (rows[channel] / plateau[channel]).cpu()
    return dict(list(found.items())[:4])
