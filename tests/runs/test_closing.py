"""What a run ends with: score, checkerboard and cost in words, or one line in a sweep."""

from pathlib import Path

from runs import closing, records


def example():
    record = records.new(
        command="python train.py",
        choices={"model": "fcn", "upsample": "carafe", "data": "d", "seed": 1, "name": "n"},
        config={},
        data={"name": "camvid", "fingerprint": None, "licence": None, "split": "test"},
        cost={"parameters": 2000, "parameters_upsampling": 50, "flops_forward": 40_000_000},
    )
    record.cost["train_seconds"] = 12.4
    words = "pictures: checkerboard at period 2, 14.6 dB above its surroundings"
    record.metrics = {
        "val": {"miou": 0.1},
        "test": {"miou": 0.4567, "boundary_f1": 0.5, "checkerboard_db": 14.6},
    }
    record.metrics["test"]["artifacts_in_words"] = words
    return record


def test_score_checkerboard_and_cost_are_said():
    lines = closing.lines(example(), 2_000_000)
    assert lines == [
        "score        Mean IoU 45.7 %, Boundary F1 50.0 % on test of camvid",
        "checkerboard visible (14.6 dB). pictures: checkerboard at period 2, 14.6 dB",
        "             above its surroundings",
        "upsampling   carafe has 50 of 2,000 parameters (2.5 %) and 2.0 of 40.0 MFLOPs of",
        "             a forward pass (5.0 %)",
    ]


def test_no_checkerboard_is_said_once():
    scores = {"checkerboard_db": -8.39}
    pictures = "pictures: no checkerboard: -8.4 dB at period 8"
    clean = f"{pictures}. Constant: no checkerboard on a constant: flat"
    shown = closing.checkerboard(scores | {"artifacts_in_words": clean})
    assert shown == "none (−8.4 dB) in its outputs, none on a constant image"
    other = f"{pictures}. Constant: checkerboard at period 2"
    shown = closing.checkerboard(scores | {"artifacts_in_words": other})
    assert shown == f"none (−8.4 dB). {other.replace('-', '−')}"


def test_a_run_of_a_sweep_is_one_line():
    line = closing.one_line(example(), Path("logs/n/fcn-carafe-camvid/seed1-x"))
    assert line == (
        "fcn-carafe-camvid seed 1: Mean IoU 45.7 %, Boundary F1 50.0 %, "
        "checkerboard visible (14.6 dB), 12 s"
    )


def test_without_scores_nothing_is_said():
    record = example()
    record.metrics = {}
    assert closing.lines(record) == []
