import json

import pytest

from benchmarks import timing
from benchmarks.timing import in_turn, interval, ratio, spread, write


class Clock:
    """A clock that only moves when a side runs."""

    def __init__(self):
        self.now, self.log = 0.0, []

    def side(self, name, seconds):
        def run():
            self.log.append(name)
            self.now += seconds

        return run


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    return clock


def test_sides_run_in_turn_after_a_warm_up(clock):
    seconds = in_turn({"a": clock.side("a", 1), "b": clock.side("b", 2)}, rounds=3, warmup=2)
    assert "".join(clock.log) == "aabb" + 3 * "ab"
    assert seconds == {"a": [1, 1, 1], "b": [2, 2, 2]}


def test_a_quick_side_is_called_until_it_takes_long_enough(clock):
    sides = {"quick": clock.side("q", 0.25), "slow": clock.side("s", 2)}
    seconds = in_turn(sides, rounds=2, least=1)
    assert "".join(clock.log) == "qs" + 2 * "qqqqs"
    assert seconds == {"quick": [0.25, 0.25], "slow": [2, 2]}


@pytest.mark.parametrize(("budget", "rounds"), [(100, 7), (16, 5), (4, 3), (0, 3)])
def test_a_budget_cuts_rounds_but_leaves_three(clock, budget, rounds):
    sides = {"a": clock.side("a", 1), "b": clock.side("b", 2)}
    assert len(in_turn(sides, rounds=7, budget=budget)["a"]) == rounds


def test_a_budget_never_adds_rounds(clock):
    assert len(in_turn({"a": clock.side("a", 1)}, rounds=2, budget=1)["a"]) == 2


def test_ratio_is_taken_round_by_round():
    assert ratio([2, 9, 4], [1, 3, 4]) == {"median": 2, "min": 1, "max": 3}
    assert spread([3.0, 1.0, 2.0]) == {"median": 2, "min": 1, "max": 3}


def test_results_name_their_machine(tmp_path):
    path = tmp_path / "new" / "results.json"
    write(path, {"answer": 42})
    found = json.loads(path.read_text())
    assert found["answer"] == 42
    assert found["machine"]["cores"] >= 1
    assert found["versions"]["torch"]


@pytest.mark.parametrize(
    ("n", "low", "high", "level"),
    # Conover, Practical Nonparametric Statistics, binomial table at p = ½
    [(5, 1, 5, 0.9375), (6, 1, 6, 0.96875), (9, 2, 8, 0.9609375), (15, 4, 12, 0.96484375)],
)
def test_interval_of_a_median(n, low, high, level):
    values = [float((7 * i) % n + 1) if n % 7 else float(i + 1) for i in range(n)]
    assert sorted(values) == [float(i + 1) for i in range(n)]
    assert interval(values) == {"low": low, "high": high, "level": level}
