import io
import math

from rich.console import Console

from runs import records, tables

NAMES = ["sky", "a class whose name is far too long to be printed in full anywhere"]


def printed(renderable, **options):
    console = Console(file=io.StringIO(), width=80, **options)
    console.print(renderable)
    return console.file.getvalue()


def example():
    record = records.new(
        command="python train.py model=fcn upsample=bilinear_init data=camvid " + "a.b=c " * 20,
        choices={"model": "fcn", "upsample": "bilinear_init", "data": "d", "seed": 1, "name": "n"},
        config={},
        data={"name": "camvid", "fingerprint": None, "licence": None, "split": "test"},
        cost={"parameters": 1234567, "parameters_upsampling": 89, "image_size": [360, 480]},
    )
    record.metrics = {
        "val": {"miou": 0.5, "loss": 3.0},
        "test": {
            "miou": 0.4567,
            "boundary_f1": math.nan,
            "per_class_iou": {NAMES[0]: 0.915, NAMES[1]: None},
            "per_class_f1": {NAMES[0]: 0.25, NAMES[1]: 0.75},
        },
    }
    return record


def row(text, start):
    return next(line.split() for line in text.splitlines() if line.strip().startswith(start))


def test_scores_are_percentages_by_split():
    text = printed(tables.scores_table(example().metrics))
    assert row(text, "Mean IoU") == ["Mean", "IoU,", "%", "50.0", "45.7"]
    assert row(text, "Boundary F1") == ["Boundary", "F1,", "%", "–", "–"]
    assert "Global accuracy" not in text, "nothing was said of it"
    assert row(text, "Loss") == ["Loss", "3.0000", "–"]
    assert "IoU, sky" not in text


def test_classes_have_a_row_each():
    text = printed(tables.classes_table(example().metrics["test"]))
    assert row(text, "sky") == ["sky", "91.5", "25.0", "━" * 18]
    assert row(text, "a class")[-2:] == ["–", "75.0"]
    assert tables.classes_table({"miou": 0.5}) is None


def test_a_record_fits_80_columns_plain():
    console = Console(file=io.StringIO(), width=80)
    tables.show(example(), console)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text, "no colours where the output is no terminal"
    assert "1,234,567, 89 of them in upsampling" in text
    assert "360×480" in text
    assert "Classes, test" in text


def test_a_record_without_scores_is_shown_too():
    record = example()
    record.metrics = {}
    console = Console(file=io.StringIO(), width=80)
    tables.show(record, console)
    assert "running" in console.file.getvalue()
    assert "Scores" not in console.file.getvalue()


def test_a_terminal_gets_colour():
    text = printed(
        tables.scores_table(example().metrics), force_terminal=True, color_system="standard"
    )
    assert "\x1b[1m" in text


def test_scores_have_their_unit_and_decimals():
    scores = {"psnr": 21.456, "precision": 0.735, "checkerboard_db": -0.04, "sharpness_db": -1.26}
    text = printed(tables.scores_table({"val": scores, "test": {"psnr": None}}))
    assert row(text, "PSNR, dB") == ["PSNR,", "dB", "21.46", "–"]
    assert row(text, "Precision, %") == ["Precision,", "%", "73.5", "–"]
    assert row(text, "Checkerboard, dB") == ["Checkerboard,", "dB", "0.0", "–"]
    assert row(text, "Sharpness, dB") == ["Sharpness,", "dB", "−1.3", "–"]
    assert "SSIM" not in text, "nothing was said of it"
    assert tables.scores_table({"val": {"per_class_iou": {"sky": 0.5}}}) is None


def test_scores_that_the_catalogue_lacks_are_shown_as_recorded():
    text = printed(tables.scores_table({"test": {"dice": 0.8123456, "set5": {"psnr": 30.0}}}))
    assert row(text, "dice") == ["dice", "0.8123"]
    assert row(text, "PSNR of set5, dB")[-1] == "30.00"
    text = printed(tables.classes_table({"per_class_dice": {"sky": 0.8123456}}))
    assert row(text, "sky")[:2] == ["sky", "0.8123"]
