"""What is read, what is left out, and which runs are one variant."""

import json
import shutil

import pytest

from comparison import groups
from comparison.analysis import analyse, contrast, find_baseline, pareto
from runs.options import labels, options_of
from tests.comparison.fabricated import write
from upzoo.metrics.catalogue import SCORES


def scores(miou, **others):
    return {"miou": miou, **others}


def variants(study):
    return {
        variant.label: sorted(variant.runs) for group in study.groups for variant in group.variants
    }


def reasons(study):
    return {each.path.parent.name + "/" + each.path.name: each.reason for each in study.left_out}


def test_runs_of_one_operator_are_an_variant_and_models_and_data_make_groups(tmp_path):
    for seed in (1, 0):
        write(tmp_path, "carafe", seed, scores(0.5))
    write(tmp_path, "carafe", 0, scores(0.6), model="unet")
    write(tmp_path, "carafe", 0, scores(0.7), data="camvid")
    study = groups.collect([tmp_path])
    assert [(g.model, g.data) for g in study.groups] == [
        ("fcn8s", "camvid"),
        ("fcn8s", "shapes"),
        ("unet", "shapes"),
    ]
    assert study.groups[1].variants[0].values("miou") == {0: 0.5, 1: 0.5}
    assert study.groups[1].title == "fcn8s on shapes, test"
    assert study.left_out == []


def test_what_cannot_be_averaged_is_named_and_left_out(tmp_path):
    good = write(tmp_path, "carafe", 0, scores(0.5))
    write(tmp_path, "carafe", 1, {}, status="failed")
    write(tmp_path, "carafe", 2, {}, status="running")
    broken = write(tmp_path, "carafe", 3, scores(0.9))
    broken.write_text(broken.read_text()[:200])
    foreign = write(tmp_path, "carafe", 4, scores(0.9))
    foreign.write_text(json.dumps(json.loads(foreign.read_text()) | {"schema_version": 99}))
    write(tmp_path, "carafe", 5, {"miou": None})
    write(tmp_path, "carafe", 6, scores(0.9), fingerprint="beef")
    write(tmp_path, "carafe", 7, scores(0.9), command="python evaluate.py ckpt=x")
    shutil.copytree(good.parent, tmp_path / "again" / "seed0-20260101-000000")
    (tmp_path / "x" / "seed8-20260101-000000").mkdir(parents=True)
    write(tmp_path, "dysample", 0, scores(0.5))

    study = groups.collect([tmp_path])
    assert variants(study) == {"carafe": [0], "dysample": [0]}
    stamp = "-20260101-000000"
    found = reasons(study)
    assert found.pop(f"seed0{stamp}/record.json").startswith("seed 0 was run again later")
    assert found.pop(f"seed1{stamp}/record.json") == "its status is 'failed'"
    assert found.pop(f"seed2{stamp}/record.json") == "its status is 'running'"
    assert found.pop(f"seed3{stamp}/record.json").startswith("broken: not a JSON record")
    assert "schema_version=99 is not 1" in found.pop(f"seed4{stamp}/record.json")
    assert found.pop(f"seed5{stamp}/record.json") == "has no scores on 'test'"
    assert "beef; the others on test of data f00d" in found.pop(f"seed6{stamp}/record.json")
    assert "evaluation" in found.pop(f"seed7{stamp}/record.json")
    assert found.pop(f"x/seed8{stamp}") == "has no record.json"
    assert found == {}


def test_the_newest_of_two_runs_of_a_seed_counts(tmp_path):
    write(tmp_path, "carafe", 0, scores(0.9), created="2026-01-02T00:00:00+00:00")
    old = write(tmp_path, "carafe", 0, scores(0.1), created="2026-01-01T00:00:00+00:00")
    study = groups.collect([tmp_path, tmp_path / "fcn8s-carafe-shapes"])
    assert study.groups[0].variants[0].values("miou") == {0: 0.9}
    assert [each.path for each in study.left_out] == [old]


def test_folders_without_a_finished_run_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        groups.collect([tmp_path / "nowhere"])
    with pytest.raises(ValueError, match=r"no record of a finished run; python train\.py"):
        groups.collect([tmp_path])
    write(tmp_path, "carafe", 0, {}, status="failed")
    with pytest.raises(ValueError, match=r"finished run, .*its status is 'failed'"):
        groups.collect([tmp_path])
    with pytest.raises(ValueError, match="no folder is given"):
        groups.collect([])


def test_options_make_variants_and_name_them(tmp_path):
    usual = {"kernel": None, "residual": False}
    for seed in (0, 1):
        write(tmp_path, "transposed_conv", seed, scores(0.5), upsample=usual)
        write(tmp_path / "3", "transposed_conv", seed, scores(0.5), upsample=usual | {"kernel": 3})
    for name in ("interpolate", "resize_conv"):
        write(tmp_path, name, 0, scores(0.5), config={"task": {"lr": 0.1}, "seed": 0})
    odd = {"task": {"lr": 0.2}, "logs": "elsewhere", "callbacks": {"panels": {"images": 3}}}
    write(tmp_path / "odd", "interpolate", 0, scores(0.5), config=odd)
    study = groups.collect([tmp_path])
    assert set(variants(study)) == {
        "transposed_conv",
        "transposed_conv kernel=3",
        "interpolate task.lr=0.1",
        "interpolate task.lr=0.2",
        "resize_conv task.lr=0.1",
    }


def test_labels_stay_short_and_different():
    many = [{f"task.{k}": str(v) for k in "abcde"} for v in (1, 2)]
    keys = [("carafe", frozenset(options.items())) for options in many]
    assert labels(keys) == ["carafe task.a=1 task.b=1 +3", "carafe task.a=2 task.b=2 +3"]
    same = [{"task.a": "1", "task.b": "1", "task.c": "1", "task.d": d} for d in "12"]
    keys = [("x", frozenset(o.items())) for o in (*same, dict.fromkeys(same[0], "9"))]
    assert len(set(labels(keys))) == 3


def test_what_changes_no_result_is_no_option():
    config = {
        "seed": 1,
        "name": "a",
        "logs": "b",
        "data": {"root": "/x", "seed": 1, "drawing_seed": 2, "size": [3, 4]},
        "callbacks": {"best": {"monitor": "val/fid", "filename": "best"}},
        "model": {"upsample": {"kernel": 3}, "width": 8},
        "upsample": {"_target_": "a.B", "_partial_": True, "kernel": 3},
    }
    assert options_of(config) == {
        "data.drawing_seed": "2",
        "data.size": "[3, 4]",
        "callbacks.best.monitor": '"val/fid"',
        "model.width": "8",
        "upsample._target_": '"a.B"',
        "upsample.kernel": "3",
    }


def test_the_baseline_is_a_label_or_the_only_variant_of_an_operator(tmp_path):
    for trainable in (False, True):
        upsample = {"trainable": trainable}
        write(tmp_path / str(trainable), "bilinear_init", 0, scores(0.5), upsample=upsample)
    write(tmp_path, "carafe", 0, scores(0.5), upsample={"kernel_up": 7})
    group = groups.collect([tmp_path]).groups[0]
    assert find_baseline(group, "bilinear_init").label == "bilinear_init", "the default is the name"
    learned = "bilinear_init trainable=true"
    assert find_baseline(group, learned).label == learned
    assert find_baseline(group, "carafe").label == "carafe kernel_up=7"
    assert find_baseline(group, "sapa") is None
    assert find_baseline(group, None) is None


def test_differences_are_paired_by_seed(tmp_path):
    for seed, (a, b) in enumerate(zip((0.10, 0.20, 0.30), (0.13, 0.22, 0.31), strict=True)):
        write(tmp_path, "bilinear_init", seed, scores(a), upsample={"trainable": False})
        write(tmp_path, "carafe", seed, scores(b))
    write(tmp_path, "carafe", 9, scores(0.9))
    result = analyse(groups.collect([tmp_path]).groups[0], "bilinear_init")
    assert result.estimates["miou"]["carafe"].n == 4
    found = result.contrasts["miou"]["carafe"]
    assert found.difference.n == 3
    assert found.difference.mean == pytest.approx(0.02)
    assert found.p == found.p_holm == pytest.approx(0.0741799, rel=1e-5)  # t = 2·√3, 2 degrees
    assert found.verdict == "not significant"
    assert found.needed == 5  # for d = 2: 4 pairs have power 0.70, and 5 have 0.90
    assert result.notes == ["bilinear_init lacks seed 9."]


def test_a_score_lower_of_which_is_better_is_judged_so(tmp_path):
    for seed in range(3):
        write(tmp_path, "bilinear_init", seed, {"fid": 10 + seed, "sharpness_db": seed})
        write(tmp_path, "carafe", seed, {"fid": 7 + 1.01 * seed, "sharpness_db": 1.01 * seed - 3})
        write(tmp_path, "dysample", seed, {"fid": 10 + seed, "sharpness_db": seed})
    group = groups.collect([tmp_path]).groups[0]
    base, others = group.variants[0], group.variants[1:]
    fid, sharp = contrast(base, others, "fid"), contrast(base, others, "sharpness_db")
    assert fid["carafe"].verdict == "better"
    assert sharp["carafe"].verdict == "lower", "neither side of sharpness is the better one"
    assert fid["dysample"].verdict == "the same"
    assert analyse(group, None).group.variants[0].label == "carafe", "the best is first"


def test_options_besides_the_operator_are_pointed_out(tmp_path):
    write(tmp_path, "bilinear_init", 0, scores(0.5), config={"trainer": {"max_epochs": 10}})
    write(tmp_path, "carafe", 0, scores(0.6), config={"trainer": {"max_epochs": 20}})
    write(tmp_path, "dysample", 0, scores(0.6), config={"trainer": {"max_epochs": 10}})
    result = analyse(groups.collect([tmp_path]).groups[0], "bilinear_init")
    assert result.notes == [
        "carafe trainer.max_epochs=20 and bilinear_init differ in more than the operator: "
        "trainer.max_epochs=20, not 10."
    ]


def test_pareto_by_brute_force():
    import random

    draw = random.Random(0)
    for _ in range(50):
        points = [(draw.randrange(5), draw.randrange(5)) for _ in range(8)]
        beaten = {
            i
            for i, (a, b) in enumerate(points)
            for c, d in points
            if (c > a and d >= b) or (c >= a and d > b)
        }
        assert pareto(points) == [i for i in range(8) if i not in beaten]


def test_the_front_weighs_quality_against_artifacts(tmp_path):
    found = {"carafe": (0.6, 3.0), "dysample": (0.5, 1.0), "sapa": (0.5, 2.0)}
    for name, (miou, grid) in found.items():
        write(tmp_path, name, 0, scores(miou, checkerboard_db=grid, ripple=0.1))
    result = analyse(groups.collect([tmp_path]).groups[0], None)
    assert (result.quality, result.artifact) == ("miou", "checkerboard_db")
    assert result.pareto_front == ["carafe", "dysample"]


def test_numbers_are_written_with_their_unit_and_a_true_minus():
    assert SCORES["miou"].text(-0.0123) == "−1.2"
    assert SCORES["checkerboard_db"].text(-0.01) == "0.0"
    assert SCORES["parameters"].text(2_512_345) == "2,512.3"
