"""What of the study is shipped: its first seed by a name that says what is unusual."""

import pytest

from studies import ship, variants
from tests.studies.test_page import found  # noqa: F401


def test_every_variant_has_a_name_of_its_own():
    choices = {"model": "espcn", "data": "t91x3"}
    names = {
        variant: ship.name_of(choices | {"upsample": options[0].removeprefix("upsample=")}, options)
        for variant, options in variants.OPERATORS.items()
    }
    assert len(set(names.values())) == len(names)
    assert names["bilinear_dense"] == "espcn_bilinear_init_trainable_dense_study.t91x3"
    assert names["transposed_kernel3"] == "espcn_transposed_conv_kernel3_study.t91x3"
    assert names["resize_bilinear"] == "espcn_resize_conv_modebilinear_study.t91x3"


def test_a_shipped_nets_interval_is_over_all_seeds(found):  # noqa: F811
    interval = ship.over_seeds(found, "transposed")
    assert interval is not None
    assert (interval["count"], interval["score"], interval["split"]) == (3, "psnr", "set5")
    assert interval["mean"] == pytest.approx(32.9)
    assert interval["half"] == pytest.approx(0.25, abs=0.01)
