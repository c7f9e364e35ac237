"""ONNX files: they agree with PyTorch at any size, or are not written."""

import json
from typing import Any

import numpy as np
import pytest
import torch

import evaluate
import upzoo
from tests.conftest import compose_config
from upzoo import checkpoint, export
from upzoo.architectures import ARCHITECTURES
from upzoo.upsampling import OPERATORS
from upzoo.upsampling.resize import Interpolate

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter's own


def session(path):
    onnxruntime = pytest.importorskip("onnxruntime")
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def output(run, x):
    (y,) = run.run(None, {run.get_inputs()[0].name: x.numpy()})
    return torch.from_numpy(np.asarray(y))


def use(*overrides):
    evaluate.use(compose_config("evaluate", list(overrides)))


def test_a_trained_net_is_exported_with_dynamic_size_and_its_card(trained, tmp_path, capsys):
    path = tmp_path / "deep" / "model.onnx"
    use(f"ckpt={trained}", f"export={path}")
    assert str(path) in capsys.readouterr().out
    assert [p.name for p in path.parent.iterdir()] == ["model.onnx"]
    net, card = checkpoint.load(trained)
    run = session(path)
    (given,) = run.get_inputs()
    assert given.name == "image"
    assert given.shape[1] == 3
    assert all(isinstance(given.shape[axis], str) for axis in (0, 2, 3))
    for b, h, w in ((1, 32, 32), (3, 45, 70), (2, 8, 9)):
        x = torch.randn(b, 3, h, w)
        torch.testing.assert_close(output(run, x), net(x), rtol=1e-4, atol=1e-4)
    kept = run.get_modelmeta().custom_metadata_map
    assert json.loads(kept["classes"]) == card["classes"]
    assert json.loads(kept["mean"]) == card["mean"]


def test_of_a_gan_the_generator_is_exported_with_dynamic_batch(tmp_path):
    torch.manual_seed(0)
    net = upzoo.create("dcgan", "pixel_shuffle", size=[28, 28], in_channels=1, width=4, latent=6)
    error = export.to_onnx(net, tmp_path / "g.onnx", 1)
    assert error is None or error < 1e-4
    run = session(tmp_path / "g.onnx")
    assert run.get_inputs()[0].name == "noise"
    for batch in (1, 5):
        z = torch.randn(batch, 6)
        torch.testing.assert_close(output(run, z), net(z), rtol=1e-4, atol=1e-4)


def test_a_mirrored_border_is_exported_for_images_smaller_than_it(tmp_path):
    torch.manual_seed(0)
    net = upzoo.create("espcn", "pixel_shuffle", in_channels=1, scale=3, widths=[4], skip=True)
    assert export.to_onnx(net, tmp_path / "x3.onnx", 1) < export.TOLERANCE
    run = session(tmp_path / "x3.onnx")
    for b, h, w in ((1, 1, 2), (2, 3, 5), (1, 24, 17)):
        x = torch.randn(b, 1, h, w)
        torch.testing.assert_close(output(run, x), net(x), rtol=1e-4, atol=1e-4)


def test_what_the_exporter_does_not_know_is_one_line(tmp_path):
    net = fcn()
    net.head = torch.nn.Identity()
    net.forward = lambda x: torch.special.bessel_j0(x)
    with pytest.raises(ValueError, match=r"FCN cannot go into ONNX: .*bessel_j0") as caught:
        export.to_onnx(net, tmp_path / "model.onnx")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


class Program:
    """Stands where the exporter's program would."""

    def __init__(self):
        self.model = self
        self.metadata_props = {}

    def save(self, path, external_data):
        path.write_bytes(b"half")
        self.broken()

    def broken(self):
        pass


def fcn():
    return upzoo.create("fcn8s", "interpolate", num_classes=2, width=4)


def test_a_file_that_differs_is_not_written(tmp_path, monkeypatch):
    (tmp_path / "model.onnx").write_bytes(b"old")
    monkeypatch.setattr(export, "_trace", lambda net, example, takes: Program())
    for error in (0.3, float("nan")):
        monkeypatch.setattr(export, "_largest_error", lambda net, path, examples, e=error: e)
        with pytest.raises(ValueError, match="not written: onnxruntime's output differs"):
            export.to_onnx(fcn(), tmp_path / "model.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_bytes() == b"old"


def test_a_net_with_switches_is_tried_on_further_images(tmp_path, monkeypatch):
    """Rounding decides which of two nearly equal values of a pooling is the largest."""
    seen = []

    def errors(net, path, examples):
        seen.append(examples[0])
        return 0.02 if len(seen) < 3 else 1e-6

    monkeypatch.setattr(export, "_trace", lambda net, example, takes: Program())
    monkeypatch.setattr(export, "_largest_error", errors)
    net = upzoo.create("deconvnet", "max_unpool", num_classes=2, width=4)
    assert export.to_onnx(net, tmp_path / "model.onnx") == 1e-6
    assert len(seen) == 3
    assert not torch.equal(seen[0], seen[1])
    seen.clear()
    with pytest.raises(ValueError, match=r"PyTorch's by 2\.0e-02"):
        export.to_onnx(fcn(), tmp_path / "model.onnx")
    assert len(seen) == 1


def test_a_broken_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(self):
        raise OSError("disk full")

    monkeypatch.setattr(export, "_trace", lambda net, example, takes: Program())
    monkeypatch.setattr(Program, "broken", fail)
    with pytest.raises(OSError, match="disk full"):
        export.to_onnx(fcn(), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_without_onnxruntime_the_file_is_written_unchecked(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_trace", lambda net, example, takes: Program())
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    assert export.to_onnx(fcn(), tmp_path / "model.onnx") is None
    assert (tmp_path / "model.onnx").read_bytes() == b"half"


def test_refusals(tmp_path, monkeypatch, trained):
    with pytest.raises(ValueError, match=r"give a name ending in .onnx"):
        use(f"ckpt={trained}", "export=model.pt")
    with monkeypatch.context() as patch:
        patch.setattr(Interpolate, "no_onnx", "it looks into the future")
        with pytest.raises(ValueError, match="Interpolate cannot go into ONNX: it looks into"):
            export.to_onnx(fcn(), tmp_path / "model.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(ValueError, match="export needs onnxscript, which is not installed"):
        export.to_onnx(fcn(), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("name", OPERATORS)
def test_every_net_and_operator(arch, name, tmp_path):
    enlarging = {"in_channels": 3, "scale": 2, "skip": True}
    options: dict[str, Any] = {
        "dcgan": {"width": 4, "size": [32, 32]},
        "dilated_fcn": {"num_classes": 3},
        "espcn": {"widths": [4]} | enlarging,
        "fsrcnn": {"width": 4} | enlarging,
        "srresnet": {"width": 4, "blocks": 1} | enlarging,
        "edsr": {"width": 4, "blocks": 1} | enlarging,
    }.get(arch, {"width": 4, "num_classes": 3})
    operator = OPERATORS[name]
    if operator.no_onnx:
        pytest.skip(operator.no_onnx)
    try:
        net = upzoo.create(arch, name, **options)
    except ValueError:
        assert operator.needs_switches or operator.needs_guide
        return
    for parameter in net.parameters():
        if not parameter.any():  # FCN's scores start at zero
            torch.nn.init.normal_(parameter)
    assert export.to_onnx(net, tmp_path / "model.onnx") < export.TOLERANCE
