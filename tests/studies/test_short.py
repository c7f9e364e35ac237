"""The page of short trainings and README's lines say what the records say, by hand, and no more."""

import pytest
from scipy import stats

from studies import short as study
from tests.comparison.fabricated import write


@pytest.fixture
def logs(tmp_path):
    """Three seeds on CamVid; bilinear interpolation twice on drawn data, once with weights."""
    for seed in range(3):
        street = {"data": "camvid", "split": "val", "train_seconds": 60.0 + seed}
        miou = 0.40 + seed / 100
        write(tmp_path, "bilinear_init", seed, {"miou": miou, "checkerboard_db": 1.0}, **street)
        write(tmp_path, "carafe", seed, {"miou": 0.60, "gradient_ratio": 9.0}, **street)
        # behind by 2, 3 and 4 points
        write(tmp_path, "transposed_conv", seed, {"miou": 0.38}, **street)
        write(
            tmp_path,
            "bilinear_init",
            seed,
            {"psnr": 20.0, "checkerboard_db": 0.5},
            model="deconvnet",
        )
        write(tmp_path, "interpolate", seed, {"psnr": 20.0 + seed}, model="deconvnet")
        mixing = {"model": "deconvnet", "parameters_upsampling": 7}
        write(tmp_path, "bilinear_additive", seed, {"psnr": 21.0}, **mixing)
    return tmp_path


@pytest.fixture
def settings(logs):
    settings, left_out = study.read(logs)
    assert not left_out
    assert [each.title for each in settings] == [
        "FCN-8s on camvid, val",
        "DeconvNet on shapes, test",
    ]
    return settings


def half(spread):
    """Half the 95 % interval of three values with this standard deviation."""
    return stats.t.ppf(0.975, 2) * spread / 3**0.5


def test_a_setting_is_a_table_with_differences_to_the_baseline(settings):
    sheet = study.table(settings[0])
    assert sheet.header[:4] == ["operator", "seeds", "↑ Mean IoU, %", "difference"]
    assert [row[0] for row in sheet.rows] == ["carafe", "bilinear_init", "transposed_conv"]
    interval = f"{half(1):.1f}"
    assert [row[2] for row in sheet.rows] == ["60.0", f"41.0 ± {interval}", "38.0"]
    assert [row[3] for row in sheet.rows] == [
        f"+19.0 ± {interval}",
        "baseline",
        f"−3.0 ± {interval}",
    ]


def test_logits_have_no_decibels_and_nothing_a_gradient_ratio(settings):
    streets, pictures = (study.table(each).header for each in settings)
    assert "↓ Checkerboard, dB" not in streets
    assert "↓ Checkerboard, dB" in pictures
    assert not any("radient" in title for title in streets + pictures)


def test_equal_functions_are_one_row_and_their_difference_is_told(settings, tmp_path):
    rows = {row[0]: row[1:4] for row in study.table(settings[1]).rows}
    assert set(rows) == {"bilinear_init = interpolate", "bilinear_additive"}  # which has weights
    assert rows["bilinear_init = interpolate"] == ["3", "20.00", "baseline"]
    text = study.page(settings, [], tmp_path)
    assert "`bilinear_init` and `interpolate` compute the same function." in text
    assert "they differ by up to 2.00 in PSNR, dB." in text
    assert "18 trainings" in text
    assert "3 of them repeat others" in text


def test_the_page_links_the_pictures_that_exist(settings, tmp_path):
    assert "](figures/" not in study.page(settings, [], tmp_path)
    (tmp_path / "study-fcn8s-camvid-pictures.png").touch()
    assert "](figures/study-fcn8s-camvid-pictures.png)" in study.page(settings, [], tmp_path)


def test_the_readmes_lines_tell_the_lead_over_random_starts(settings):
    lines = study.overview(settings)
    assert "median of 61 s on one core" in lines[0]
    assert "3 seeds" in lines[0]
    assert "| `bilinear_init` − | FCN-8s on camvid, val |" in lines
    assert f"| `transposed_conv` | +3.0 ± {half(1):.1f} |" in lines
    assert "| `pixel_shuffle` | – |" in lines
