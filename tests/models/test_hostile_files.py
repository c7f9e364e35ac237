"""Damaged and hostile model files: nothing is executed, no memory taken, one line each."""

import copy
import json
import re

import pytest
import torch

from upzoo import checkpoint, metadata

SPEC = {
    "_target_": "models.fcn.FCN",
    "upsample": {"_target_": "models.upsampling.BilinearInit", "_partial_": True},
    "num_classes": 2,
    "width": 4,
}
METADATA = {
    "model": SPEC,
    "classes": ["a", "b"],
    "mean": [0.5, 0.5, 0.5],
    "std": [0.2, 0.2, 0.2],
    "palette": [[0, 0, 0], [255, 0, 0]],
    "choices": {"model": "fcn8s", "seed": 0},
    "config": {},
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    net = checkpoint.build(SPEC)
    return checkpoint.save(tmp_path_factory.mktemp("saved") / "model", net, METADATA)


def changed(place, value):
    """The metadata with another value at a place such as "model.width"."""
    content = copy.deepcopy(METADATA)
    *groups, name = place.split(".")
    node = content
    for group in groups:
        node = node[group]
    node[name] = value
    return content


def nested(levels):
    content = []
    for _ in range(levels):
        content = [content]
    return content


CASES = [
    ("model.stride", [8], "cannot be built"),
    ("model.width", "wide", "cannot be built"),
    ("model.width", 10**9, "model.width=1000000000 is beyond"),
    ("model.width", 30000, "the weights do not fit"),
    ("model.width", -4, "cannot be built"),
    ("model.width", None, "the weights do not fit"),
    ("model.width", float("inf"), "model.width=inf is beyond"),
    ("model.num_classes", 10**9, "model.num_classes=1000000000 is beyond"),
    ("model.num_classes", 32768, "the weights do not fit"),
    ("model.num_classes", "two", "cannot be built"),
    ("model.num_classes", 3, "the weights do not fit"),
    ("model.upsample", None, "cannot be built"),
    ("model.upsample", "bilinear_init", "cannot be built"),
    ("model.upsample", {"_target_": "os.system"}, "cannot be built"),
    ("model.upsample.scale", 10**6, "model.upsample.scale=1000000 is beyond"),
    ("model._target_", ["models.fcn.FCN"], "is not one of"),
    ("model._target_", "builtins.exec", "is not one of"),
    ("model._target_", "models.upsampling.Interpolate", "cannot be built"),
    ("model.sizes", [1] * 5000, "model.sizes has 5000 values"),
    ("model", "models.fcn.FCN", "it has no `model`"),
    ("mean", None, "mean=None: a list of one number a channel"),
    ("mean", 0.5, "mean=0.5: a list of one number"),
    ("mean", [0.5], "mean has 1 channels and std 3"),
    ("mean", ["a", "b", "c"], "a list of one number"),
    ("mean", [float("nan")] * 3, "a list of one number"),
    ("std", [0.2, 0.0, 0.2], r"must be above 0"),
    ("std", [0.2, -1.0, 0.2], "must be above 0"),
    ("classes", 10**9, "a list of different names"),
    ("classes", ["a", "a"], "a list of different names"),
    ("classes", {"a": 0}, "a list of different names"),
    ("classes", [["a"], ["b"]], "a list of different names"),
    ("palette", [[999, 0, 0], [0, 0, 0]], r"palette has \[999, 0, 0\]"),
    ("palette", [[0, 0, 0]], "2 classes and 1 colours"),
    ("palette", [[0, 0, 0]] * 999, "a list of 1 to 256 colours"),
    ("palette", "voc", "a list of 1 to 256 colours"),
    ("palette", [[0, 0], [1, 1]], r"a colour is \[r, g, b\]"),
    ("choices", ["fcn8s"], "choices is .* not a group"),
    ("choices.seed", "../../../x", "choices.seed=../../../x: a number"),
    ("choices.model", ["fcn8s"], r"choices.model=\['fcn8s'\]: a name"),
    ("config", "text", "config is text, not a group"),
    ("config", nested(60), "nested deeper than 40 levels"),
    ("config", {"x": [0] * 300_000}, "more than 200000 values"),
]


def refused(path):
    with pytest.raises(ValueError, match=r".") as caught:
        checkpoint.load(path)
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    return line


@pytest.mark.parametrize(("place", "value", "message"), CASES)
@pytest.mark.parametrize("kind", ["folder", "ckpt"])
def test_wrong_metadata_are_one_line(saved, tmp_path, place, value, message, kind):
    content = changed(place, value)
    if kind == "folder":
        path = tmp_path / "model"
        path.mkdir()
        (path / "model.safetensors").symlink_to(saved / "model.safetensors")
        (path / "config.json").write_text(json.dumps(content))
    else:
        net = checkpoint.build(SPEC)
        state = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
        path = tmp_path / "last.ckpt"
        torch.save({"state_dict": state, "card": content}, path)
    line = refused(path)
    assert re.search(message, line), line


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)
)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", "", "not a JSON file"),
        ("config.json", "[" * 100_000, "not a JSON file"),
        ("config.json", "null", "it has no `model`"),
        ("config.json", '["model"]', "it has no `model`"),
        ("config.json", "\x00\xff", "not a JSON file"),
        ("config.yaml", f"{BOMB}\nmodel: {{}}", "more than 200000 values"),
        ("config.yaml", "model: &m {upsample: *m}", "nested deeper than|within itself"),
        ("config.yaml", "model: " + "[" * 2000, "not a YAML file"),
        ("config.yaml", "model: {_target_: !!python/name:os.system }", "not a YAML file"),
    ],
)
def test_damaged_texts_are_one_line(saved, tmp_path, name, text, message):
    (tmp_path / "model.safetensors").symlink_to(saved / "model.safetensors")
    (tmp_path / name).write_text(text)
    assert re.search(message, refused(tmp_path))


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": [1, 2], "card": METADATA},
        {"state_dict": {}, "card": METADATA},
        {"state_dict": {3: 4, "net.x": "text"}, "card": METADATA},
        {"state_dict": {"net.score.weight": torch.zeros(1)}, "card": METADATA},
        {"card": METADATA},
        {"state_dict": {}, "card": "text"},
        [1, 2],
        torch.zeros(3),
        "text",
    ],
)
def test_checkpoints_of_other_things_are_one_line(tmp_path, content):
    torch.save(content, tmp_path / "last.ckpt")
    refused(tmp_path / "last.ckpt")


def test_what_is_whole_passes(saved):
    assert checkpoint.load(saved)[1] == METADATA
    assert metadata.normalisation(METADATA) == ([0.5] * 3, [0.2] * 3)
    with pytest.raises(ValueError, match="no mean and std"):
        metadata.normalisation({"model": SPEC})
