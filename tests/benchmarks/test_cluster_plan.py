"""The simulated plan of a cluster, against schedules done by hand."""

from types import SimpleNamespace

import pytest

from benchmarks.cluster_plan import (
    BEGIN,
    END,
    PAGE,
    Measured,
    beside_the_steps,
    durations,
    schedule,
)


def test_a_free_worker_takes_the_next_job():
    # worker 1: 4 and 2, worker 2: 1, 2 and 3
    assert schedule([[4, 1, 2, 3, 2]], workers=2) == (6, 0.0)
    # in the order of the plan, not the longest first: 1 | 1 and 5
    assert schedule([[1, 1, 5]], workers=2) == (6, pytest.approx(5 / 12))
    assert schedule([[3, 2, 1]], workers=1) == (6, 0.0)
    assert schedule([[3, 2, 1]], workers=100) == (3, pytest.approx(1 - 6 / 300))


def test_the_study_waits_for_its_pilots():
    assert schedule([[2, 1], [3, 3]], workers=2) == (5, pytest.approx(0.1))
    assert schedule([[], [3]], workers=2) == (3, 0.5)
    assert schedule([[]], workers=2) == (0, 0.0)


def test_a_job_has_its_own_seconds_or_those_of_its_other_seeds_or_none():
    found = {("a", 0): Measured(0, 10.0), ("a", 1): Measured(0, 20.0)}
    jobs = [
        SimpleNamespace(folder=folder, seed=seed) for folder, seed in (("a", 1), ("a", 2), ("b", 0))
    ]
    assert [seconds for _, seconds in durations(jobs, found)] == [20.0, 15.0, None]


def test_starts_tell_what_a_training_takes_beside_its_steps():
    # two workers, a training of 8 s of steps every 10 s on each
    found = {(f"study/x/v{job % 2}", job): Measured(10.0 * (job // 2), 8.0) for job in range(22)}
    assert beside_the_steps(found, "x") == pytest.approx(0.25)
    assert beside_the_steps(found, "y") is None
    later = {("study/x/later", seed): Measured(1e6 + seed, 1.0) for seed in range(9)}
    assert beside_the_steps(found | later, "x") == pytest.approx(0.25)  # what a pause parts
    longer = {key: each._replace(lengthened=key[1] == 5) for key, each in found.items()}
    assert beside_the_steps(longer, "x") is None


def test_the_page_has_a_place_for_it():
    text = PAGE.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
    assert "| 512 |" in text.partition(BEGIN)[2].partition(END)[0]
