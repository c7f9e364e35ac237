"""Verdicts on published patterns, against what is true of their construction."""

import json

import pytest

from tests.audit import packages
from tests.audit.published import CASES, build
from tests.audit.truths import SURE, VISIBLE, contrast
from tests.conftest import ROOT
from upzoo.audit import audit

VERDICTS = {"grid": "checkerboard", "none": "none", "no map": "unknown"}


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_right(name):
    case = CASES[name]
    net, x = build(name)
    report = audit(net, x)
    periods = {f.period for f in report.findings}
    assert report.verdict == VERDICTS[case.truth], str(report)
    assert periods <= set(case.periods)
    assert all(f.causes for f in report.findings)
    assert report.passes <= 6


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_truth_holds_for_many_inputs(name):
    case = CASES[name]
    found, error = contrast(build(name)[0], case.shape, max(case.periods, default=4))
    if case.truth == "grid":
        assert found - SURE * error > VISIBLE
    else:
        assert found + SURE * error < VISIBLE


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the packages
@pytest.mark.parametrize("name", packages.NETS)
def test_the_verdict_is_right_on_nets_of_packages(name):
    case = packages.NETS[name]
    report = audit(*packages.build(name))
    assert report.verdict == VERDICTS[case.truth], str(report)
    assert {f.period for f in report.findings} <= set(case.periods)
    assert all(f.causes for f in report.findings)
    assert report.passes <= 6


def test_there_are_enough():
    assert len(CASES) >= 40
    assert len(packages.NETS) >= 35
    truths = [case.truth for case in CASES.values()]
    assert min(truths.count("grid"), truths.count("none")) > 15


def test_what_an_audit_costs_is_that_of_the_record():
    record = json.loads((ROOT / "benchmarks/results/audit_cost.json").read_text())
    page = " ".join((ROOT / "docs/artifacts.md").read_text().split())
    assert record["ratio"] <= 8
    assert record["passes"] <= 6
    assert round(record["parameters"] / 1e6) == 31
    said = f"it takes {record['ratio']:.1f} times the processor time of one forward pass"
    assert f"{said}, in {record['passes']} passes" in page
