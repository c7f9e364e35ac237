import json
import re
from pathlib import Path

import pytest

from benchmarks import plot, report
from benchmarks.facts import build
from comparison.pages import inserted
from upzoo.upsampling import OPERATORS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / report.PAGE


def row(operator="resize_conv", dtype="float32", part="training", ours=1.0, rival=2.0):
    spread = {"median": ours, "min": ours / 2, "max": ours * 2}
    other = {"median": rival, "min": rival, "max": rival}
    faster = rival / ours
    return {
        "operator": operator,
        "setting": report.COMMON,
        "dtype": dtype,
        "flops": 30,
        "bytes": 8,
        "pass": part,
        "seconds": {"ours": spread, "by hand": other},
        "times_faster": {"by hand": {"median": faster, "min": faster, "max": faster}},
        "peak_bytes": {"ours": 50, "by hand": 100},
    }


def results(*rows):
    return {
        "roofline": {"float32": 100.0, "bfloat16": 200.0, "copy": 10.0},
        "operators": list(rows),
        "peers": [],
    }


def test_numbers_have_three_digits():
    assert [report.count(n) for n in (0, 512, 2080, 32768, 147456, 1048576)] == [
        "0", "512", "2.08k", "32.8k", "147k", "1.05M"
    ]  # fmt: skip
    assert [report.milliseconds(s) for s in (0.0001234, 0.0123, 0.1234)] == ["0.123", "12.3", "123"]


def test_roofline_is_the_slower_of_arithmetic_and_bytes():
    assert report.roofline_share(results(), row()) == "80%"  # 8 bytes at 10 a second
    assert report.roofline_share(results(), {**row(), "bytes": 1}) == "30%"


@pytest.mark.parametrize(
    ("rival", "reached"), [(1.6, "yes"), (1.4, r"\*\*no\*\*")]
)  # fp32 wants 1.5
def test_targets_say_what_was_reached(rival, reached):
    table = report.targets_table(results(row(rival=rival)))
    lines = [line for line in table.splitlines() if "resize_conv" in line]
    assert len(lines) == 1
    assert re.search(rf"\| {rival:.2f}× .*\| 0.50 \| 0.6 \| {reached} \|$", lines[0])


def test_too_much_memory_misses_the_target():
    found = row(rival=1.6)
    found["peak_bytes"]["ours"] = 61
    assert "**no**" in report.targets_table(results(found))


def test_what_a_convolution_follows_has_a_row_for_each_setting():
    assert report.followed_table(results(row())) == "Not in this record yet."
    ours = {"median": 1.25, "min": 1.0, "max": 1.5}
    then = {"seconds": {}, "times_faster": {"by hand": ours}}
    found = {**row(ours=0.002, rival=0.0015), "then_convolution": then}
    lines = report.followed_table(results(found)).splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith("| `resize_conv` | by hand | 64→64 ×2, 8×32×32 | ")
    assert "| 1.25× (0.75×) |" in lines[-1]


def test_speed_table():
    table = report.speed_table(results(row(ours=0.002, rival=0.003)), "float32")
    assert table.splitlines()[-1] == "| `resize_conv` | 2.00 (1.50×) |"


def test_rows_of_another_machine_are_marked_and_have_their_own_roofline():
    found = {
        **results(row(), row(operator="carafe", ours=0.002)),
        "machine": {"cpu": "A", "amx_bf16": True},
        "versions": {"torch": "1"},
        "setting": {"threads": 2},
    }
    slower = {"float32": 10.0, "bfloat16": 20.0, "copy": 1.0}
    other = {key: found[key] for key in ("versions", "setting")}
    other |= {"machine": {"cpu": "B", "amx_bf16": False}, "roofline": slower}
    found["operators"][1]["elsewhere"] = other
    assert "| `carafe` | 2.00 † (1000.00×) |" in report.speed_table(found, "float32")
    first, second = report.machine_line(found).split("\n\n")
    assert first.startswith("Measured on A, 2 threads, with AMX")
    assert second.startswith("† `carafe`: B, 2 threads, without AMX")
    assert report.roofline_share(found, {**row(ours=10.0), "elsewhere": other}) == "80%"


def test_an_operator_that_was_not_measured_has_dashes():
    lines = report.facts_table(results(row(), row(part="forward"))).splitlines()
    carafe, resize = ([x for x in lines if f"`{n}`" in x][-1] for n in ("carafe", "resize_conv"))
    assert carafe.endswith("| – | – | – |")
    assert "80%" in resize


def test_plot(tmp_path):
    rows = [row(dtype=dtype) for dtype in report.DTYPES]
    plot.draw(results(*rows), report.COMMON, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


# The committed page


def test_page_holds_what_the_generator_makes():
    found = json.loads((ROOT / "benchmarks/results/operators.json").read_text())
    page = PAGE.read_text()
    assert inserted(page, report.parts(found)) == page


def formulas():
    """Operator -> its formula of parameters and the values given beside it."""
    section = PAGE.read_text().split("## What they compute")[1].split("##")[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 6 and cells[1].startswith("`"):
            yield cells[1].strip("`"), cells[3]


def test_page_has_a_row_and_a_paragraph_for_every_operator():
    """A paragraph for all that were measured: one that was just added has none yet."""
    assert [name for name, _ in formulas()] == list(OPERATORS)
    prose = PAGE.read_text().split("## Transposed convolutions")[1]
    found = json.loads((ROOT / "benchmarks/results/operators.json").read_text())
    assert all(f"**`{row['operator']}`**" in prose for row in found["operators"])


@pytest.mark.parametrize("channels", [(12, 8), (8, 8)])
def test_formulas_count_parameters(channels):
    inputs, outputs = channels
    for name, text in formulas():
        if text == "–":
            continue
        formula, _, given = text.partition(", ")
        values = {"inp": inputs, "out": outputs, "guide": outputs, "s": 2}
        values["P"] = inputs * outputs if inputs != outputs else 0
        for key, value in re.findall(r"(\w) = (\w+)", given):
            values[key] = int(value.replace("2s", "4"))
        code = re.sub(r"\bin\b", "inp", formula.replace(" (fixed)", ""))
        code = code.replace("·", "*").replace("²", "**2")
        counted = sum(p.numel() for p in build(name, inputs, outputs, 2).parameters())
        assert eval(code, {}, values) == counted, name


def test_options_named_on_the_page_exist():
    configs = {path.stem: path.read_text() for path in (ROOT / "configs/upsample").glob("*.yaml")}
    options = set(re.findall(r"upsample\.(\w+)=", PAGE.read_text()))
    assert {"kernel", "residual", "mode", "order"} <= options
    for option in options:
        if option != "OPTION":
            assert any(f"\n{option}:" in text for text in configs.values()), option
