"""What of the study is shipped: its first seed by a name that says what is unusual."""

import pytest

from studies import cost, measure, ship, train, variants
from tests.studies.test_page import found  # noqa: F401


def test_every_variant_has_a_name_of_its_own():
    def name(experiment, model, data, options):
        upsample = options[0].removeprefix("upsample=")
        choices = {"model": model, "data": data, "upsample": upsample}
        return ship.name_of(experiment, choices, options)

    names = {
        variant: name("study/espcn_t91", "espcn", "t91x3", options)
        for variant, options in variants.OPERATORS.items()
    }
    assert len(set(names.values())) == len(names)
    assert names["bilinear_dense"] == "espcn_bilinear_init_trainable_dense_study.t91x3"
    assert names["transposed_kernel3"] == "espcn_transposed_conv_kernel3_study.t91x3"
    assert names["resize_bilinear"] == "espcn_resize_conv_modebilinear_study.t91x3"
    dense = variants.OPERATORS["transposed"]
    scratch = name("study/unet_scratch_camvid", "unet", "camvid", dense)
    assert scratch == "unet_transposed_conv_scratch_study.camvid"
    assert name("study/gan_mnist", "dcgan", "mnist", dense).startswith("dcgan_transposed_conv_")


def test_a_shipped_nets_interval_is_over_all_seeds(found):  # noqa: F811
    interval = ship.over_seeds(found, "transposed")
    assert interval is not None
    assert (interval["count"], interval["score"], interval["split"]) == (3, "psnr", "set5")
    assert interval["mean"] == pytest.approx(32.9)
    assert interval["half"] == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        (ship, ["--logs", "absent"]),
        (train, ["absent", "--dry-run"]),
        (cost, ["absent"]),
        (measure, [".", "--logs", "absent"]),
    ],
)
def test_a_folder_that_is_not_there_is_an_error(module, arguments, monkeypatch):
    monkeypatch.setattr("sys.argv", ["it", *arguments])
    with pytest.raises(FileNotFoundError, match="absent: no such folder; give the folder"):
        module.main()
