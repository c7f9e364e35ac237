"""The study's conclusions and page say what fabricated records say, by hand, and no more."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from runs import records
from studies import across, conclusions, evidence, figures, literature, page, section
from studies.conclusions import advice, last_doublings, ranks, verdicts
from studies.evidence import Evidence, Trained
from studies.setting import Hypothesis
from studies.settings import SETTINGS
from tests.comparison.fabricated import write

BUDGETS = [100, 200, 400]
#: Variant → PSNR of the mean seed at each budget. `transposed` starts last and ends first.
MEANS = {
    "pixel_shuffle": [31.0, 32.0, 32.5],
    "transposed": [30.0, 32.0, 32.9],
    "bilinear_fixed": [31.2, 31.8, 31.9],
    "bilinear_twin": [31.2, 31.8, 31.93],
}
#: What seeds add; with it a little that differs by variant, so that there is an error.
SEEDS = {0: -0.1, 1: 0.0, 2: 0.1}
ERRORS = {"pixel_shuffle": [1, -1, 0], "transposed": [-1, 0, 1], "bilinear_fixed": [0, 1, -1]}


def score(variant: str, seed: int, place: int) -> float:
    error = 0.002 * ERRORS.get(variant, [0, 0, 0])[seed]
    return MEANS[variant][place] + SEEDS[seed] + error


@pytest.fixture
def found(tmp_path) -> Evidence:
    """ESPCN ×3 with four of its variants, three of its seeds and three budgets."""
    own = {variant: {seed: trained(tmp_path, variant, seed) for seed in SEEDS} for variant in MEANS}
    return Evidence("espcn_x3", own)


def trained(folder: Path, variant: str, seed: int) -> Trained:
    path = write(folder / variant, "x", seed, {}, split="set5", train_seconds=1800.0)
    budgets = [
        {
            "step": step,
            "seconds": 1.0,
            "metrics": {"set5": {"psnr": score(variant, seed, place)}},
        }
        for place, step in enumerate(BUDGETS)
    ]
    record = dataclasses.replace(
        records.read(path), budgets=budgets, metrics={"set5": budgets[-1]["metrics"]["set5"]}
    )
    records.write(path, record)
    centred = np.array([-4.0, 1.0, 3.0])  # what images add to the mean
    images = {
        "steps": np.array(BUDGETS),
        "set5.psnr": np.array([centred + score(variant, seed, i) for i in range(3)]),
    }
    np.savez(path.parent / "per_image.npz", **images)
    return Trained(seed, 0.004, record, path.parent)


COSTS = {"pixel_shuffle": (1.0, 5.0), "transposed": (2.0, 5.0), "bilinear_fixed": (1.0, 0.0)}


def plain(text: str) -> str:
    """With ordinary spaces around ±."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_scores_are_by_variant_seed_and_budget(found):
    assert found.budgets == BUDGETS
    assert found.seeds == [0, 1, 2]
    assert found.scores(200)["pixel_shuffle"][1] == pytest.approx(31.998)
    assert found.hours == pytest.approx(12 * 0.5)
    assert not found.finished
    assert "dysample" in found.missing


def test_draws_are_paired_over_images(found):
    alone = found.draws("transposed", 400)
    assert alone.std() > 1  # of three images
    gap = alone - found.draws("bilinear_fixed", 400)
    assert gap.mean() == pytest.approx(1.0, abs=0.01)
    assert gap.std() < 0.01


def test_advice_is_the_cheapest_that_is_near_the_best_whatever_seed_is_left_out(found):
    early, end = (advice(found, step, COSTS) for step in (100, 400))
    assert (early.variant, early.near_best) == ("bilinear_fixed", ["bilinear_fixed"])
    assert (end.variant, end.near_best) == ("transposed", ["transposed"])
    assert advice(found, 200, COSTS).variant == "pixel_shuffle"  # as good as transposed, cheaper


def test_convergence_is_the_last_gain_against_the_interval(found):
    ends = last_doublings(found)
    assert ends["transposed"].gain == pytest.approx(0.9)
    assert not ends["transposed"].converged
    # t(0.975, 2) · 0.1 / √3 = 0.248 and more: seeds differ by 0.1
    assert ends["bilinear_fixed"].gain == pytest.approx(0.1)
    assert ends["bilinear_fixed"].half == pytest.approx(0.248, abs=0.01)
    assert ends["bilinear_fixed"].converged


def test_what_turns_is_named_with_the_budgets(found):
    turned = {(r.early, r.late): (r.step, r.later, r.equal) for r in conclusions.reversals(found)}
    assert turned == {
        ("pixel_shuffle", "transposed"): (100, 400, False),
        ("bilinear_fixed", "transposed"): (100, 400, False),
        ("bilinear_fixed", "pixel_shuffle"): (100, 400, False),
    }
    assert ranks(found)["transposed"] == [3, 2, 1] or ranks(found)["transposed"] == [3, 1, 1]
    crossed = {frozenset(each[:2]) for each in conclusions.crossings(found)}
    assert frozenset(("bilinear_fixed", "transposed")) in crossed


def test_hypotheses_are_one_family(found):
    equal, better = verdicts(found)
    assert equal.hypothesis.kind == "equivalent"
    assert (equal.holds, equal.against) == (False, False)  # 0.4 dB apart
    assert equal.difference == pytest.approx(-0.4)
    assert better.holds
    assert better.difference == pytest.approx(0.6)
    assert better.p < 0.01


def test_where_lower_is_better_everything_turns(found, monkeypatch, tmp_path):
    setting = dataclasses.replace(
        evidence.SETTINGS["espcn_x3"], primary="swd", figures=(), hypotheses=CLAIMS
    )
    monkeypatch.setitem(evidence.SETTINGS, "espcn_x3", setting)
    for run in (run for runs in found.own.values() for run in runs.values()):
        for metrics in (run.record.metrics, *(b["metrics"] for b in run.record.budgets)):
            metrics["set5"]["swd"] = 100 - metrics["set5"]["psnr"]
    assert [ranks(found)[v][-1] for v in ("transposed", "bilinear_fixed")] == [1, 3]
    assert advice(found, 400, COSTS).near_best == ["transposed"]
    assert last_doublings(found)["transposed"].gain == pytest.approx(0.9)
    turned = {(each.early, each.late) for each in conclusions.reversals(found)}
    assert ("bilinear_fixed", "transposed") in turned
    better, worse = verdicts(found)
    assert (better.holds, better.against) == (True, False)
    assert (worse.holds, worse.against) == (False, True)
    assert better.difference == pytest.approx(-1.0)
    for run in (run for runs in found.own.values() for run in runs.values()):
        (run.folder / "per_image.npz").unlink()  # a score of all images together has none
        vars(run).pop("images", None)
    # Seeds alone: the paired t-interval, of 1.0 ± 0.002 · (1, 1, −2) by seed.
    half = 4.302653 * np.std([1, 1, -2], ddof=1) * 0.002 / 3**0.5
    low, high = found.difference("transposed", "bilinear_fixed", 400)
    assert (low, high) == pytest.approx((-1 - half, -1 + half), abs=1e-5)
    figures.draw(found, tmp_path / "figure.png")


CLAIMS = (
    Hypothesis("1", "", "transposed", "bilinear_fixed", "better"),
    Hypothesis("2", "", "bilinear_fixed", "pixel_shuffle", "better"),
)


def test_the_noise_floor_is_the_twins(found):
    floor = conclusions.floor(found, 400)
    assert floor.means == pytest.approx(0.03)
    assert "bilinear_twin" not in conclusions.without_twins(found.scores(400))


def test_the_page_says_what_is_not_finished_and_what_is(found, tmp_path):
    text = plain(page.page([found], {"espcn_x3": COSTS}, tmp_path))
    assert "| ESPCN ×3 (T91, Set5) | 13 × 5 | 4 × 3 (12 trainings) | 400 | 6.0 |" in text
    assert "**Not finished: 3 of 5 seeds.**" in text
    assert "* 400 steps: take **`transposed`**" in text
    row = next(line for line in text.splitlines() if line.startswith("| **`transposed`**"))
    assert row.split(" | ")[1:3] == ["0.004", "32.90 ± 0.25"]
    assert "`transposed` (+0.900 dB)" in text
    assert "the means of two trainings of one function differ by 0.030 dB" in text
    assert "](figures/" not in text
    (tmp_path / "study-espcn_x3.png").touch()
    assert "](figures/study-espcn_x3.png)" in page.page([found], {}, tmp_path)


def test_one_seed_is_scores_alone(found):
    alone = Evidence("espcn_x3", {v: {0: runs[0]} for v, runs in found.own.items()})
    text = "\n".join(section.section(alone, {}, Path("nowhere")))
    assert "**Not finished: 1 of 5 seeds.**" in text
    assert "32.80" in text
    for word in ("±", "Bold", "differ", "claim", "take"):
        assert word not in text


def test_the_readmes_answer_is_of_finished_settings_alone(found, tmp_path):
    lines = page.overview([found], {"espcn_x3": COSTS})
    assert "not known yet" in lines[0]
    assert "ESPCN ×3" in lines[0]
    assert not any(line.startswith("|") for line in lines)
    path = tmp_path / "page.md"
    path.write_text("a\n<!-- begin study -->\nreplaced\n<!-- end study -->\nb")
    text = page.with_study(path, lines)
    assert text == "\n".join(
        ["a", "<!-- begin study -->", "", *lines, "", "<!-- end study -->", "b"]
    )


def test_the_readme_tells_what_the_seeds_of_an_unfinished_setting_say(found, monkeypatch):
    few = dataclasses.replace(SETTINGS["espcn_x3"], variants=tuple(MEANS))
    monkeypatch.setitem(SETTINGS, "espcn_x3", few)
    first, _, open_, *_ = page.overview([found], {"espcn_x3": COSTS})
    assert first.startswith(f"* {few.title}, {BUDGETS[-1]:,} steps, 3 of 5 seeds so far: not dist")
    assert "`transposed`" in first
    assert "take" not in first
    assert few.title in open_


def test_the_readme_has_a_row_of_a_finished_setting(found, monkeypatch):
    small = dataclasses.replace(SETTINGS["espcn_x3"], variants=tuple(MEANS), seeds=(0, 1, 2))
    monkeypatch.setitem(SETTINGS, "espcn_x3", small)
    head, rule, row, _, legend, *_ = page.overview([found], {"espcn_x3": COSTS})
    assert head.count("|") == rule.count("|") == row.count("|")
    title, steps, take, near, finds, gaining = row.strip("| ").split(" | ")
    assert (title, steps, take, near) == (small.title, "400", "**`transposed`**", "`transposed`")
    assert finds.endswith(" dB")
    assert gaining == "2 of 3"  # the A/A pair's second is no variant of its own
    assert "leaving out one seed" in legend
    assert "| – |" in page.answers([found], {})[2]


def test_a_page_about_one_data_set_has_its_settings_in_short(found):
    lines = [plain(line) for line in page.of_data("super_resolution", [found], {"espcn_x3": COSTS})]
    assert lines[0] == "### ESPCN ×3 (T91, Set5)"
    assert any(line.startswith("| **`transposed`** | 0.004 | 32.90 ±") for line in lines)
    assert "Nothing is known yet of ESPCN ×2 (T91, Set5), ESPCN ×4 (T91, Set5)" in lines[-3]
    assert "ESPCN" not in "".join(page.of_data("camvid", [found], {}))


def test_settings_of_one_data_set_are_compared_in_one_table(found):
    other = dataclasses.replace(found, name="espcn_x2")
    assert across.table([found]) == []
    lines = [plain(line) for line in across.table([found, other])]
    assert "lie at most 0.40 dB (ESPCN ×3) and 0.40 dB (ESPCN ×2) from" in lines[0]
    assert "have none, at most 0.60 dB (ESPCN ×3) and 0.60 dB (ESPCN ×2)." in lines[0]
    assert lines[2].startswith("PSNR, dB on set5 less that of `pixel_shuffle`")
    assert "| less `pixel_shuffle` | ESPCN ×3 | ESPCN ×2 |" in lines
    # 32.9 and 31.9 against 32.5; errors of a few thousandths
    assert "| `transposed` | **+0.40 ± 0.01** | **+0.40 ± 0.01** |" in lines
    assert "| `bilinear_fixed` | **−0.60 ± 0.01** | **−0.60 ± 0.01** |" in lines
    assert not any("twin" in line for line in lines)


def test_records_are_read_where_the_plan_puts_them(tmp_path, found):
    for variant, runs in found.own.items():
        for run in runs.values():
            target = (
                tmp_path / "results" / "study" / "espcn_x3" / variant / "espcn-x" / run.folder.name
            )
            target.parent.mkdir(parents=True, exist_ok=True)
            run.folder.rename(target)
    read = evidence.read("espcn_x3", tmp_path / "results", {})
    assert read.scores(400) == found.scores(400)
    other = next(iter((tmp_path / "results").rglob("record.json")))
    record = records.read(other)
    records.write(
        other, dataclasses.replace(record, machine=record.machine | {"precision": "bf16"})
    )
    with pytest.raises(ValueError, match="differ in precision"):
        evidence.read("espcn_x3", tmp_path / "results", {})


def test_what_papers_say_is_about_variants_and_scores_of_the_plan(found):
    for each in literature.statements():
        for setting in each.settings:
            assert {each.first, each.second} <= set(evidence.SETTINGS[setting].variants)
    table = "\n".join(literature.section({"espcn_x3": found}))
    assert "**−0.40 [" in table  # sub-pixel less transposed, at the end
    assert "Nothing was trained that tells of: SegNet" in table


def test_the_figure_has_a_line_a_variant(found, tmp_path):
    path = figures.draw(found, tmp_path / "figure.png")
    assert path.stat().st_size > 10_000
    assert figures.shown(found) == ["pixel_shuffle", "transposed", "bilinear_fixed"]
    looks = [
        tuple(map(str, figures.look(v).values())) for v in evidence.SETTINGS["espcn_x3"].variants
    ]
    assert len(set(looks)) == len(looks)


def test_a_check_stands_beside_the_study_s_own_trainings_of_its_seeds(found, tmp_path):
    other = {seed: trained(tmp_path / "check", "bilinear_fixed", seed) for seed in (0, 1)}
    checked = dataclasses.replace(found, checks={"no_icnr": {"pixel_shuffle": other}})
    rows = [plain(line) for line in section.checks(checked) if line.startswith("|")]
    assert rows[2].startswith("| `pixel_shuffle`, no_icnr | 31.85 ± 0.65 |")
    assert rows[3].startswith("| `pixel_shuffle` | 32.45 ± 0.61 |")
    assert section.checks(found) == []
