"""Tables and figures of `docs/artifacts.md`, from what `benchmarks.artifacts` measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.artifacts_images import GRIDS
from benchmarks.artifacts_plot import draw, find
from comparison.pages import inserted, table

PAGE = Path("docs/artifacts.md")
FIGURES = Path("docs/figures")
Results = Mapping[str, Any]

#: what others had measured on such images: profile, peak excess, phase mean, phase-variance ratio
BEFORE = {
    "nothing": ("0.15", "−0.02", ".0004", "1.004"),
    "checker 0.01 σ": ("0.15", "4.0", ".0099", "1.004"),
    "checker 0.1 σ": ("0.15", "22.1", ".099", "1.004"),
    "columns 0.1 σ": ("1.62", "18.9", ".099", "1.004"),
    "random-sign 8×8 checker 0.1 σ": ("0.15", "7.9", ".0004", "1.004"),
    "gain ripple 5 %": ("0.15", "5.3", ".0004", "1.26"),
    "gain ripple 20 %": ("0.44", "13.3", ".0004", "1.95"),
    "noise on one phase 0.1 σ": ("0.15", "0.04", ".0004", "1.040"),
    "white noise 0.1 σ, no grid": ("0.15", "0.03", ".0004", "1.004"),
    "blur, no grid": ("33.2", "−7.8", "0", "1.001"),
}
#: measure -> its column
COLUMNS = {
    "peak_excess_db": "peak excess",
    "mean_excess_db": "mean excess",
    "phase_mean": "phase mean",
    "phase_variance_ratio": "phase-variance ratio",
    "profile_distance_db": "radial profile",
}


def number(value: float, digits: int) -> str:
    """A number with a real minus sign; beyond a thousand it is infinite for the reader."""
    if value > 1000:
        return "∞"
    value = round(value, digits) + 0.0  # no negative zero
    return f"{value:.{digits}f}".replace("-", "−")


def sensitivity_table(results: Results) -> str:
    """Each pattern on 1/f images, beside the figures known before."""
    rows = []
    for row in results["sensitivity"]:
        profile, peak, mean, ratio = BEFORE.get(row["injected"], ("–",) * 4)
        rows.append(
            (
                row["injected"].replace("grid", "pattern"),
                f"{number(row['profile_db'], 2)} ({profile})",
                f"{number(row['peak_excess_db'], 1)} ({peak})",
                f"{number(row['phase_mean'], 4).removeprefix('0')} ({mean})",
                f"{number(row['phase_variance_ratio'], 3)} ({ratio})",
                number(row["sharpness_db"], 1),
            )
        )
    head = (
        "injected",
        "radial profile, dB",
        "peak excess, dB",
        "phase mean",
        "phase-variance ratio",
        "sharpness, dB",
    )
    return table(head, rows)


def amplitude(value: float | None, results: Results) -> str:
    """The smallest amplitude found, in per cent of full scale."""
    if value is None:
        return "–"
    sign = "≤ " if value <= results["amplitudes"][0] else ""
    return f"{sign}{100 * value:.2g}"


def smallest_table(results: Results, source: str, images: int) -> str:
    """The smallest amplitude each measure finds, a row for each grid and period."""
    rows = []
    for row in results[source]:
        if row["images"] == images:
            cells = (amplitude(row[name]["smallest"], results) for name in COLUMNS)
            rows.append((f"{row['grid']}, period {row['period']}", *cells))
    return table((f"{images} images, % of full scale", *COLUMNS.values()), rows)


def counts_table(results: Results) -> str:
    """The smallest amplitude that the best measure finds, by number of images, period 2."""
    images = sorted({row["images"] for row in results["photos"]})
    rows = []
    for grid in GRIDS:
        cells = []
        for count in images:
            row = find(results["photos"], grid, 2, count)
            found = {name: row[name]["smallest"] for name in COLUMNS}
            best = min((v, n) for n, v in found.items() if v is not None)
            cells.append(f"{amplitude(best[0], results)} ({COLUMNS[best[1]]})")
        rows.append((grid, *cells))
    return table(("period 2, %", *(f"{n} images" if n > 1 else "1 image" for n in images)), rows)


def alarms_table(results: Results, source: str) -> str:
    """What is said of images without a pattern: median, and share of trials called."""
    rows = []
    for row in results["false_alarms"][source]:
        cells = []
        for name in ("peak_excess_db", "phase_mean", "phase_variance_ratio"):
            digits = {"peak_excess_db": 1, "phase_mean": 4, "phase_variance_ratio": 2}[name]
            # the period that says most
            worst = max(row["periods"].values(), key=lambda found, name=name: found[name]["median"])
            text = number(worst[name]["median"], digits)
            cells.append(f"{text} ({worst[name]['called']:.0%})")
        called = max(found["peak_excess_db"]["grid"] for found in row["periods"].values())
        cells += [f"{called:.0%}", number(row["sharpness_db"], 1)]
        rows.append((row["change"], *cells))
    head = (
        f"40 {'photographs' if source == 'photos' else 'drawn scenes'}",
        "peak excess, dB",
        "phase mean",
        "phase-variance ratio",
        "called a checkerboard",
        "sharpness, dB",
    )
    return table(head, rows)


def claim_line(results: Results) -> str:
    """The excess of a checker of half a per cent."""
    row = find(results["photos"], "checker", 2, 40)
    excess = row["median_db"][list(results["amplitudes"]).index(0.005)]
    return (
        f"A checkerboard of 0.5 % of full scale on 40 photographs stands {excess:.1f} dB above "
        f"clean ones (median of trials). Without a pattern, 1 % of trials reach "
        f"{row['peak_excess_db']['threshold']:.1f} dB."
    )


def cost_line(results: Results) -> str:
    """Time of the suite and where it was measured."""
    cost, machine = results["cost"], results["machine"]
    one, two = (cost["threads"][key] for key in ("1", "2"))
    return (
        f"All measures of {cost['images']} colour images of {cost['size']}×{cost['size']} pixels, "
        f"interval and thresholds included, take {two['wall']:.2f} s on two cores and "
        f"{one['wall']:.2f} s on one (medians; {one['cpu']:.2f} s of processor time), on "
        f"{machine['cpu']}, torch {results['versions']['torch']}. The calibration took "
        f"{results['cpu_seconds'] / 60:.1f} minutes of one core."
    )


def parts(results: Results) -> dict[str, str]:
    """Every generated part of the page, by its marker."""
    return {
        "claim": claim_line(results),
        "sensitivity": sensitivity_table(results),
        "smallest": smallest_table(results, "photos", 40),
        "smallest drawn": smallest_table(results, "drawn", 40),
        "counts": counts_table(results),
        "alarms": alarms_table(results, "photos"),
        "alarms drawn": alarms_table(results, "drawn"),
        "cost": cost_line(results),
    }


def write(results: Results) -> None:
    """Bring the page and its figures up to date."""
    PAGE.write_text(inserted(PAGE.read_text(), parts(results)))
    files = draw(results, FIGURES)
    print(f"written: {PAGE}, {', '.join(map(str, files))}")
