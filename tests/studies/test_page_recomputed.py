"""Every number of the study's page, recomputed from the records' JSON by other means.

Nothing of studies/ and comparison/ is used but the plan's names: tables are parsed from the page,
the additive model is statsmodels' least squares, intervals and tests are scipy's and statsmodels'.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from itertools import combinations

import numpy as np
import pytest
import statsmodels.api as sm
import yaml
from scipy import optimize, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from studies.settings import SETTINGS
from studies.variants import TWINS
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
NUMBER = re.compile(r"[−+-]?\d[\d,]*(?:\.\d+)?")
#: Scores by the heading of their column, and what they are multiplied by there.
COLUMNS = {
    "PSNR, dB": ("psnr", 1),
    "SSIM": ("ssim", 1),
    "Checkerboard, dB": ("checkerboard_db", 1),
    "Sharpness, dB": ("sharpness_db", 1),
    "Shift equivariance, dB": ("shift_equivariance", 1),
    "Mean IoU, %": ("miou", 100),
    "Fréchet distance": ("fid", 1),
    "Sliced Wasserstein, ×10³": ("swd", 1),
    "Precision, %": ("precision", 100),
    "Recall, %": ("recall", 100),
    "Boundary F1, %": ("boundary_f1", 100),
    "Boundary IoU, %": ("boundary_iou", 100),
    "Shift consistency, %": ("shift_consistency", 100),
}
TRAINED = [name for name in SETTINGS if SETTINGS[name].title in SECTIONS]


class Records:
    """The finished trainings of a setting, straight from their files."""

    def __init__(self, name: str) -> None:
        self.setting = SETTINGS[name]
        self.runs: dict[str, dict[int, dict]] = defaultdict(dict)
        for path in sorted((ROOT / "results" / "study" / name).rglob("record.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            variant = path.relative_to(ROOT / "results" / "study" / name).parts[0]
            if record["status"] == "finished":
                if self.setting.figures:
                    with np.load(path.with_name("per_image.npz")) as images:
                        record["images"] = dict(images)
                self.runs[variant][record["choices"]["seed"]] = record
        self.own = {v: self.runs[v] for v in self.setting.variants if v in self.runs}
        self.seeds = sorted(set.intersection(*(set(runs) for runs in self.own.values())))
        every = [
            {budget["step"] for budget in record["budgets"]}
            for runs in self.own.values()
            for record in runs.values()
        ]
        self.budgets = sorted(set.intersection(*every))
        planned = len(self.setting.variants), len(self.setting.seeds)
        self.finished = (len(self.own), len(self.seeds)) == planned
        self.compared = [variant for variant in self.own if variant not in TWINS]
        primary = (self.setting.split, self.setting.primary)
        self.values = {v: self.at(v, *primary, self.budgets[-1]) for v in self.own}
        self.sign = {"fid": -1, "swd": -1}.get(self.setting.primary, 1)  # of what is better

    def at(self, variant: str, split: str, score: str, step: int) -> np.ndarray:
        """By seed."""
        return np.array([self.score(self.runs[variant][s], split, score, step) for s in self.seeds])

    def score(self, record: dict, split: str, score: str, step: int) -> float:
        """At a budget; at the last one the record itself has more scores."""
        if step == max(budget["step"] for budget in record["budgets"]):
            return record["metrics"][split][score]
        (found,) = (b for b in record["budgets"] if b["step"] == step)
        return found["metrics"][split][score]

    def error(self, step: int | None = None) -> tuple[float, float, int]:
        """Residual deviation of variant + seed by least squares, its freedom, seeds."""
        split, score = self.setting.split, self.setting.primary
        y = np.array([self.at(v, split, score, step or self.budgets[-1]) for v in self.compared])
        variants, seeds = np.indices(y.shape)
        design = np.hstack(
            (np.eye(len(y))[variants.ravel()], np.eye(y.shape[1])[seeds.ravel()][:, 1:])
        )
        fit = sm.OLS(y.ravel(), design).fit()
        return math.sqrt(fit.scale), fit.df_resid, y.shape[1]

    def tukey_half(self, step: int | None = None) -> float:
        """Half of a simultaneous interval."""
        error, df, n = self.error(step)
        return stats.studentized_range.ppf(0.95, len(self.compared), df) * error / math.sqrt(n)


def says(shown: str, value: float) -> bool:
    """Whether a number as shown is this value, rounded."""
    text = shown.replace("−", "-").replace("+", "").replace(",", "")
    decimals = len(text.partition(".")[2])
    return abs(float(text) - value) <= 0.5 * 10**-decimals + 1e-9


def half(values: np.ndarray) -> float:
    """Half of the 95 % t-interval of a mean."""
    low, high = DescrStatsW(values).tconfint_mean()
    return (high - low) / 2


def tables(body: str) -> list[list[list[str]]]:
    """Every table of a section: rows of cells, the heads first."""
    found = re.findall(r"(?:^\|.+\|\n)+", body, re.M)
    return [
        [[cell.strip() for cell in row[1:-1].split("|")] for row in text.splitlines()]
        for text in found
    ]


def label(cell: str) -> str:
    """The variant that a row is of; "variant-check" for a check."""
    name, check = re.search(r"`(\w+)`(?:, (\w+))?", cell).groups()
    return name if check is None else f"{name}-{check}"


@pytest.fixture(scope="module", params=TRAINED)
def records(request) -> Records:
    return Records(request.param)


@pytest.fixture
def several(records) -> Records:
    """Those of which the page concludes anything."""
    if len(records.seeds) < 2:
        pytest.skip("one seed is no sample")
    return records


def body(records: Records) -> str:
    return SECTIONS[records.setting.title]


def test_the_page_has_every_setting_with_records():
    folders = {path.name for path in (ROOT / "results" / "study").iterdir() if path.is_dir()}
    assert set(TRAINED) <= folders


def test_of_one_seed_nothing_is_concluded(records):
    alone = len(records.seeds) < 2
    for words in ("distinguishable from the best", "pairs differ", "±"):
        assert (words in body(records)) != alone


def test_scores_of_tables(records):
    checked = 0
    for heads, _, *rows in tables(body(records)):
        columns = [re.fullmatch(r"(?:[↑↓] )?(.+), (\w+)", head) for head in heads]
        for row in rows:
            if not row[0].lstrip("*").startswith("`"):
                continue
            runs = records.runs[label(row[0])]
            for column, cell in zip(columns, row, strict=True):
                if column is None or column[1] not in COLUMNS:
                    continue
                score, scale = COLUMNS[column[1]]
                found = [
                    records.score(runs[s], column[2], score, records.budgets[-1])
                    for s in records.seeds
                    if s in runs
                ]
                values = scale * np.array(found)
                mean, *rest = NUMBER.findall(cell)
                assert says(mean, values.mean()), (row[0], column[0])
                assert not rest or says(rest[0], half(values)), (row[0], column[0])
                checked += 1
    assert checked >= 3 * len(records.own)


def test_rates_steps_and_parameters(records):
    heads, _, *rows = next(t for t in tables(body(records)) if "rate" in t[0])
    path = ROOT / "results" / "study" / key(records) / "cost.json"
    costs = json.loads(path.read_text())["variants"] if path.exists() else {}
    assert ("step, ms" in heads) == bool(costs)
    for row in rows:
        cells = dict(zip(heads, row, strict=True))
        variant = label(cells["variant"])
        record = records.own[variant][records.seeds[0]]
        task = record["config"]["task"]
        assert float(cells["rate"]) == task.get("lr", task.get("generator_lr"))
        assert says(
            cells["parameters of upsampling, k"], record["cost"]["parameters_upsampling"] / 1e3
        )
        if variant in costs:
            assert says(cells["step, ms"], 1e3 * costs[variant]["step_seconds"])


def key(records: Records) -> str:
    (name,) = (name for name, setting in SETTINGS.items() if setting is records.setting)
    return name


def test_what_was_trained(records):
    row = next(
        row for row in tables(SECTIONS["What was trained"])[0] if row[0] == records.setting.title
    )
    runs = [record for runs in records.runs.values() for record in runs.values()]
    done = f"{len(records.own)} × {len(records.seeds)} ({len(runs)} trainings)"
    assert row[2] == done
    assert row[3] == f"{records.budgets[-1]:,}"
    assert says(row[4], sum(r["cost"]["train_seconds"] for r in runs) / 3600)


def test_pairs_and_equivalences(several):
    records = several
    text = body(records)
    pairs = list(combinations(records.compared, 2))
    gaps = {(a, b): records.values[b] - records.values[a] for a, b in pairs}
    threshold = records.tukey_half()
    differing = [pair for pair in pairs if abs(gaps[pair].mean()) > threshold]
    floor = max(
        (abs((records.values[t] - records.values[o]).mean()) for t, o in TWINS.items()
         if t in records.own and o in records.own),
        default=0.0,
    )  # fmt: skip
    least = max(records.setting.act, floor)
    worth = [pair for pair in differing if abs(gaps[pair].mean()) > least]
    p = [
        max(
            stats.ttest_1samp(gap, -records.setting.margin, alternative="greater").pvalue,
            stats.ttest_1samp(gap, records.setting.margin, alternative="less").pvalue,
        )
        for gap in gaps.values()
    ]
    equal = int(multipletests(p, 0.05, "holm")[0].sum())
    expected = f"{len(differing)} of {len(pairs)} pairs differ, {len(worth)} by enough to act on"
    assert expected in text
    assert f"; {f'{equal} are' if equal else 'none is'} equivalent within" in text


def test_the_detectable_difference(several):
    records = several
    (shown,) = re.findall(r"The design finds a difference of ([\d.]+)", body(records))
    error, df, n = records.error()
    threshold = stats.studentized_range.ppf(0.95, len(records.compared), df) / math.sqrt(2)
    shift = optimize.brentq(lambda x: stats.nct.sf(threshold, df, x) - 0.8, 0, 99)
    scale = 100 if records.setting.primary == "miou" else 1
    assert says(shown, scale * shift * error * math.sqrt(2 / n))


def test_what_is_not_distinguishable_from_the_best(several):
    records = several
    text = body(records)
    for step in (
        records.budgets[0],
        records.budgets[len(records.budgets) // 2],
        records.budgets[-1],
    ):
        split, score = records.setting.split, records.setting.primary
        means = {
            v: records.sign * records.at(v, split, score, step).mean() for v in records.compared
        }
        best, threshold = max(means.values()), records.tukey_half(step)
        near = {v for v, value in means.items() if best - value <= threshold}
        (line,) = re.findall(
            rf"^\* {step:,} steps: .*not distinguishable from the best: (.+)\.$", text, re.M
        )
        assert set(re.findall(r"`(\w+)`", line)) == near


def test_own_variances(several):
    records = several
    means = {v: records.sign * records.values[v].mean() for v in records.compared}
    best = max(means, key=lambda v: means[v])
    n, near = len(records.seeds), {best}
    for other in records.compared:
        parts = [records.values[v].var(ddof=1) / n for v in (best, other)]
        if other == best or sum(parts) == 0:
            continue
        df = sum(parts) ** 2 / sum(part**2 / (n - 1) for part in parts)
        q = (means[best] - means[other]) / math.sqrt(sum(parts) / 2)
        if stats.studentized_range.sf(q, len(means), df) > 0.05:
            near.add(other)
    (line,) = re.findall(r"Games and Howell's intervals\), not .+ best: (.+)\.", body(records))
    assert set(re.findall(r"`(\w+)`", line)) == near


def test_noise_floor_and_convergence(several):
    records = several
    text, scale = body(records), 100 if records.setting.primary == "miou" else 1
    for twin, other in TWINS.items():
        if twin in records.own and other in records.own:
            gaps = records.values[twin] - records.values[other]
            (shown,) = re.findall(
                r"function differ by (\d+\.\d+)(?: \S+)?, single seeds by up to (\d+\.\d+)", text
            )
            assert says(shown[0], scale * abs(gaps.mean()))
            assert says(shown[1], scale * abs(gaps).max())
    rising = {}
    split, score = records.setting.split, records.setting.primary
    for variant in records.compared:
        before = records.at(variant, split, score, records.budgets[-2])
        gain = records.sign * (records.values[variant] - before).mean()
        if gain > half(records.values[variant]):
            rising[variant] = scale * gain
    (line,) = re.findall(r"^\* (Not converged.+|The last doubling.+)$", text, re.M)
    sign = r"\+" if records.sign > 0 else "−"
    shown = dict(re.findall(rf"`(\w+)` \({sign}([\d.]+)[ )]", line))
    assert set(shown) == set(rising)
    assert all(says(shown[variant], gain) for variant, gain in rising.items())


def test_checkerboards_of_pictures(several):
    records = several
    text, seen = body(records), {}
    if (records.setting.split, "checkerboard_db") not in records.setting.secondary:
        assert "real pictures" not in text
        return
    for variant in records.own:
        args = variant, records.setting.split, "checkerboard_db", records.budgets[-1]
        if count := int((records.at(*args) >= 6).sum()):
            seen[variant] = str(count)
    assert ("No seed's pictures have a checkerboard of 6 dB" in text) == (not seen)
    lines = re.findall(r"^\* A checkerboard of at least 6 dB .+$", text, re.M)
    assert dict(re.findall(r"`(\w+)` \((\d+) of ", "".join(lines))) == seen


def test_learning_rates_are_the_best_of_the_pilots(records):
    text, setting = body(records), records.setting
    found = [t for t in tables(text) if re.fullmatch(r"[\d.]+", t[0][1])]
    assert len(found) == (setting.pilot is not None)
    assert ("Learning rates are those of " in text) == (setting.rates_of is not None)
    if not found:
        return
    ((heads, _, *rows),) = found
    assert [float(rate) for rate in heads[1:]] == sorted(setting.pilot.rates)
    scale = 100 if setting.pilot.metric == "miou" else 1
    sign = -1 if setting.pilot.metric in ("fid", "swd") else 1
    edges = defaultdict(set)
    for variant, *cells in rows:
        folder = ROOT / "results" / "pilots" / key(records) / variant.strip("`")
        scores = []
        for rate, cell in zip(heads[1:], cells, strict=True):
            (path,) = (folder / f"lr{rate}").rglob("record.json")
            record = json.loads(path.read_text(encoding="utf-8"))
            assert record["choices"]["seed"] == 100
            scores.append(sign * record["metrics"]["val"][setting.pilot.metric])
            assert says(cell.strip("*"), scale * sign * scores[-1])
        best = int(np.argmax(scores))
        assert [cell.startswith("**") for cell in cells] == [i == best for i in range(len(cells))]
        task = records.own[variant.strip("`")][records.seeds[0]]["config"]["task"]
        assert float(heads[1 + best]) == task.get("lr", task.get("generator_lr"))
        for place, words in ((0, "lowest"), (len(cells) - 1, "highest")):
            if best == place:
                edges[words].add(variant.strip("`"))
    line = "".join(re.findall(r"^Chosen at the edge.*$", text, re.M))
    shown = dict(re.findall(r"the (lowest|highest) for ([^;]+?)[;.]", line))
    assert {words: set(re.findall(r"`(\w+)`", those)) for words, those in shown.items()} == edges


def test_scores_are_those_of_the_figures_of_their_images(records):
    """PSNR is the mean of the images', or that of all images' squared error."""
    if records.setting.figures != ("psnr",):
        return
    split = records.setting.split
    for runs in records.own.values():
        for record in runs.values():
            steps = list(record["images"]["steps"])
            for budget in record["budgets"]:
                each = record["images"][f"{split}.psnr"][steps.index(budget["step"])].astype(float)
                errors = 10 ** (-each / 10)
                found = -10 * np.log10(errors.mean()) if records.setting.pooled else each.mean()
                assert budget["metrics"][split]["psnr"] == pytest.approx(found, abs=1e-3)


def test_the_readmes_row(records):
    """It is that of the page, which the tests above recompute."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| {re.escape(records.setting.title)} \| .*$", readme, re.M)
    assert (row is not None) == records.finished
    if row is None:
        return
    _, steps, take, near, finds, gaining = row[0].strip("| ").split(" | ")
    text = SECTIONS[records.setting.title]
    assert steps == f"{records.budgets[-1]:,}"
    advice = re.findall(rf"^\* {steps} steps: (.*)\.$", text, re.M)[0]
    assert advice.endswith(f" not distinguishable from the best: {near}")
    assert advice.startswith("the cheapest depends" if take == "–" else f"take {take}, ")
    found = re.search(r"finds a difference of (\S+(?: \S+)?) in 80", text)
    rising = re.search(r"^\* Not converged.*$", text, re.M)
    count = rising[0].count("`") // 2 if rising else 0
    assert found is not None
    assert (finds, gaining) == (found[1], f"{count} of {len(records.compared)}")


def test_hypotheses(several):
    records = several
    found = [t for t in tables(body(records)) if t[0][1:2] == ["claim"]]
    rows = [row for table in found for row in table[2:]]
    tested = []
    for claim in records.setting.hypotheses:
        if not {claim.first, claim.second} <= set(records.own):
            continue
        for place in claim.budgets:
            step = records.budgets[place]
            args = records.setting.split, claim.score or records.setting.primary, step
            gaps = records.at(claim.first, *args) - records.at(claim.second, *args)
            if claim.kind == "equivalent":
                margin = records.setting.margin
                low = stats.ttest_1samp(gaps, -margin, alternative="greater").pvalue
                high = stats.ttest_1samp(gaps, margin, alternative="less").pvalue
                p = max(low, high)
            else:
                p = stats.ttest_1samp(gaps, 0).pvalue
            score = claim.score or records.setting.primary
            worse = score in ("fid", "swd", "checkerboard_db")
            gain = gaps.mean() * (-1 if worse else 1)
            tested.append((step, gaps.mean(), p, claim.kind == "equivalent" or gain > 0))
    assert len(rows) == len(tested)
    if not tested:
        return
    corrected = multipletests([p for *_, p, _ in tested], method="holm")[1]
    scale = 100 if records.setting.primary == "miou" else 1
    for row, (step, gap, _, agrees), p in zip(rows, tested, corrected, strict=True):
        assert row[2] == f"{step:,}"
        assert says(row[3], scale * gap)
        assert row[4] == "< 0.001" if p < 0.001 else says(row[4], p)
        outcome = "supported" if agrees else "refuted"
        assert row[5] == (outcome if p < 0.05 else "not supported")


def test_scores_by_test_drive(records):
    found = [t for t in tables(body(records)) if "frames)" in t[0][1]]
    if not records.setting.parts:
        assert not found
        return
    ((heads, _, *rows),) = found
    for variant, *cells in rows:
        run = records.runs[label(variant)]
        for head, cell in zip(heads[1:], cells, strict=False):
            part = re.match(r"(\w+), .*\((\d+) frames\)", head)
            if part is None:
                continue
            scores = []
            for seed in records.seeds:
                images = run[seed]["images"]
                here = np.char.startswith(images["test.images"], part[1])
                assert here.sum() == int(part[2])
                place = list(images["steps"]).index(records.budgets[-1])
                hits, truth, predicted = (
                    images[f"test.{n}"][place][here].sum(0, dtype=np.int64)
                    for n in ("hits", "truth", "predicted")
                )
                union = truth + predicted - hits
                scores.append(100 * (hits[union > 0] / union[union > 0]).mean())
            mean, *rest = NUMBER.findall(cell)
            assert says(mean, np.mean(scores)), (variant, head)
            assert not rest or says(rest[0], half(np.array(scores)))
    assert {label(row[0]) for row in rows} == set(records.own)


def test_intervals_over_seeds_and_images(records):
    """By a plain loop over draws of its own: bounds agree as far as chance lets them."""
    found = [t for t in tables(body(records)) if t[0][-1].startswith("less ")]
    if not records.setting.parts or len(records.seeds) < 3:
        assert not found
        return
    ((_, _, *rows),) = found
    random = np.random.default_rng(12)
    draws = [
        (
            random.integers(len(records.seeds), size=len(records.seeds)),
            random.integers(233, size=233),
        )
        for _ in range(400)
    ]
    reference = two_way(records, "bilinear_fixed", draws)
    for row in rows:
        if label(row[0]) == "bilinear_fixed":
            continue
        low, high = (float(x.replace("−", "-")) for x in NUMBER.findall(row[-1]))
        expected = np.quantile(two_way(records, label(row[0]), draws) - reference, [0.025, 0.975])
        assert np.abs(expected - [low, high]).max() < 0.1 + 0.25 * (high - low), row


def two_way(records: Records, variant: str, draws: list) -> np.ndarray:
    """Mean IoU in %, over drawn seeds of drawn images, for each draw."""
    counts = []
    for seed in records.seeds:
        images = records.runs[variant][seed]["images"]
        place = list(images["steps"]).index(records.budgets[-1])
        counts.append([images[f"test.{n}"][place] for n in ("hits", "truth", "predicted")])
    stacked = np.array(counts, dtype=np.int64)  # (seeds, 3, images, classes)
    made = []
    for seeds, images in draws:
        hits, truth, predicted = stacked[:, :, images].sum(2).transpose(1, 0, 2)
        made.append(100 * np.nanmean(hits / (truth + predicted - hits), axis=1)[seeds].mean())
    return np.array(made)


def test_what_the_grid_changes(records):
    found = [t for t in tables(body(records)) if t[0][1].startswith("labels flipped")]
    measured = (
        "periodic" in next(iter(records.own.values()))[records.seeds[0]]["metrics"]["test"]
        if (records.setting.split == "test")
        else False
    )
    assert bool(found) == measured
    if not measured:
        return
    ((heads, _, *rows),) = found
    names = {"labels flipped, %": "labels_flipped", "mean IoU gained, points": "miou_without_grid"}
    reach = {}
    for variant, *cells in rows:
        runs = [records.runs[label(variant)][seed] for seed in records.seeds]
        for head, cell in zip(heads[1:], cells, strict=True):
            words, periods = head.rsplit(", ", 1)
            for period, shown in zip(NUMBER.findall(periods), NUMBER.findall(cell), strict=True):
                values = [r["metrics"]["test"]["periodic"][period][names[words]] for r in runs]
                assert says(shown, 100 * np.mean(values)), (variant, head)
                own = period == NUMBER.search(periods)[0]  # in brackets: a period no step has
                if names[words] == "miou_without_grid" and own:
                    reach[label(variant), period] = 100 * (
                        abs(np.mean(values)) + half(np.array(values))
                    )
    told = re.search(
        r"is (not )?supported: of all 95 % intervals over seeds that of `(\w+)` at period (\d+) "
        r"reaches furthest from 0, to (\d+\.\d+)",
        body(records),
    )
    compared = {key: value for key, value in reach.items() if key[0] not in TWINS}
    assert told is not None
    assert (told[2], told[3]) == max(compared, key=compared.__getitem__)
    assert says(told[4], compared[told[2], told[3]])
    assert (told[1] is None) == (max(compared.values()) < 0.1)


def test_the_table_over_the_settings_of_super_resolution():
    page = (ROOT / "docs" / "super_resolution.md").read_text(encoding="utf-8")
    heads, _, *rows = next(t for t in tables(page) if t[0][0].startswith("less "))
    reference = re.search(r"`(\w+)`", heads[0])[1]
    for head, *cells in zip(heads, *rows, strict=True):
        found = [n for n in TRAINED if SETTINGS[n].title.partition(" (")[0] == head]
        if not found:
            continue  # the column of names
        records = Records(found[0])
        for row, cell in zip(rows, cells, strict=True):
            gap = records.values[label(row[0])].mean() - records.values[reference].mean()
            shown, width = NUMBER.findall(cell)
            assert says(shown, gap)
            assert says(width, records.tukey_half())
            assert cell.startswith("**") == (abs(gap) > records.tukey_half())


def test_differences_beside_the_literature():
    (table,) = tables(SECTIONS["What it meets of the literature"])
    for (statement, records), row in zip(_told(), table[2:], strict=True):
        assert row[2].endswith(records.setting.title)
        split, score = records.setting.split, statement["score"]
        y = np.array([records.at(v, split, score, records.budgets[-1]) for v in records.compared])
        fitted = y.mean(0) + y.mean(1, keepdims=True) - y.mean()
        df = (len(y) - 1) * (y.shape[1] - 1)
        error = math.sqrt(((y - fitted) ** 2).sum() / df)
        half_width = stats.studentized_range.ppf(0.95, len(y), df) * error / math.sqrt(y.shape[1])
        first, second = (y[records.compared.index(statement[k])] for k in ("first", "second"))
        scale = 100 if score in ("miou", "boundary_f1", "boundary_iou") else 1
        gap = (first - second).mean()
        for shown, value in zip(
            NUMBER.findall(row[5]), (gap, gap - half_width, gap + half_width), strict=True
        ):
            assert says(shown, scale * value)


def _told() -> list[tuple[dict, Records]]:
    """Each statement with the settings that have seeds enough for it."""
    path = ROOT / "studies" / "literature.yaml"
    told = [
        (statement, Records(setting))
        for statement in yaml.safe_load(path.read_text(encoding="utf-8"))
        for setting in statement["settings"]
        if setting in TRAINED
    ]
    return [(statement, records) for statement, records in told if len(records.seeds) > 1]
