"""The best seed of each variant, and the name that it is shipped by."""

from comparison import groups
from comparison.analysis import analyse
from release import best
from tests.comparison.fabricated import write


def variants(folder):
    result = analyse(groups.collect([folder]).groups[0], None)
    return result, {variant.label: variant for variant in result.group.variants}


def test_the_best_seed_is_one_with_weights(tmp_path):
    for seed, (fid, kept) in enumerate([(9.0, True), (3.0, False), (5.0, True)]):
        path = write(
            tmp_path, "carafe", seed, {"fid": fid}, model="dcgan", data="mnist", checkpoint="model"
        )
        if kept:
            (path.parent / "model").mkdir()
    _, found = variants(tmp_path)
    run = best.best_run(found["carafe"], "fid")
    assert run is not None
    assert run.seed == 2


def test_without_weights_there_is_no_best(tmp_path):
    write(tmp_path, "carafe", 0, {"fid": 1.0})
    _, found = variants(tmp_path)
    assert best.best_run(found["carafe"], "fid") is None


def test_names_say_what_is_unusual(tmp_path):
    write(tmp_path, "bilinear_init", 0, {"miou": 0.5}, upsample={"trainable": False})
    write(
        tmp_path, "bilinear_init", 0, {"miou": 0.6}, upsample={"trainable": True},
        created="2026-01-02T00:00:00+00:00",
    )  # fmt: skip
    write(tmp_path, "transposed_conv", 0, {"miou": 0.4}, upsample={"kernel": 3, "residual": True})
    result, found = variants(tmp_path)
    assert {best.name_of(result, variant) for variant in found.values()} == {
        "fcn8s_bilinear_init.shapes",
        "fcn8s_bilinear_init_trainable.shapes",
        "fcn8s_transposed_conv_kernel3_residual.shapes",
    }
