"""Verdicts on published patterns, against what is true of their construction."""

import json

import pytest
import torch

from tests.audit import packages
from tests.audit.published import CASES, build
from tests.conftest import ROOT
from upzoo.audit import audit

#: Nets with constants or positions of their own, whose output is no mean of inputs alone.
PLACED = (
    "stylegan2",
    "stylegan2-box",
    "stylegan2-wrong-filter",
    "mae",
    "mae-8",
    "mae-flat-patches",
)
VERDICTS = {"grid": "checkerboard", "none": "none", "no map": "unknown"}


def of_many_inputs(net, case, count=48):
    """How far the phases of a line differ over many inputs, in standard errors of their means.

    No code of the audit's: second differences along the last axis, so that no drift counts, are
    averaged by phase over the output's middle, rows of other phases and channels kept apart.
    """
    generator = torch.Generator().manual_seed(3)
    period = max(case.periods, default=2)
    samples = []
    with torch.no_grad():
        for _ in range(count):
            x = torch.randn(case.shape, generator=generator)
            y = net(x if len(case.shape) == 2 else 0.7 + 0.3 * x).double()
            y = y.movedim(-1, 1) if case.shape[-1] == 3 else y  # (B, H, W, C)
            y = y.flatten(0, 1) if case.shape[1:3] == (3, 3) else y  # (B, T, C, H, W)
            y = y.diff(n=2, dim=-1)
            y = y[..., ::period, :] if y.ndim > 3 else y  # rows of one phase
            first, cells = y.shape[-1] // 4, max(y.shape[-1] // 2 // period, 1)
            y = y.narrow(-1, first, cells * period).unflatten(-1, (cells, period))
            samples.append(y.movedim(1, -1).flatten(0, -3).mean(0))  # (period, C)
    means = torch.stack(samples)
    means = means - means.mean(1, keepdim=True)
    error = means.std(0) / count**0.5 + 1e-7 * means.abs().max()
    return (means.mean(0).abs() / error).max().item()


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
    if name in PLACED:
        pytest.skip("what differs from place to place is no matter of chance")
    net, _ = build(name)
    sigmas = of_many_inputs(net, case)
    assert sigmas > 8 if case.truth == "grid" else sigmas < 8


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
