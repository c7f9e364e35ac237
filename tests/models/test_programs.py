"""Recorded programs of nets: torch.export, tracing, the older ONNX exporter, TensorBoard."""

import io
import warnings

import pytest
import torch
import torch.fx.experimental._config
from torch.utils.tensorboard._pytorch_graph import graph

from tests.models.originals import popular_unet, shaken
from upzoo import conversion, create, export

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
RECORDED = torch.zeros(2, 3, 32, 48)
#: Odd ones, one pixel at the coarsest map in one direction or both, and more than recorded.
SIZES = [(1, 37, 50), (3, 4, 9), (1, 1, 1), (2, 65, 32)]
reassembling = pytest.mark.parametrize("name", ["carafe", "fade", "sapa"])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def unet(name):
    return shaken(create("unet", name, num_classes=3, width=4, depth=3))


@torch.no_grad()
def agrees(program, net, sizes):
    for batch, h, w in sizes:
        x = torch.randn(batch, 3, h, w)
        expected = net(x)
        assert expected.std() > 0
        torch.testing.assert_close(program(x), expected, rtol=1e-4, atol=1e-4)


@reassembling
def test_traced_nets_take_every_size_and_trace_without_warnings(name):
    net = unet(name)
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        program = torch.jit.trace(net, RECORDED, check_trace=False)
    agrees(program, net, SIZES)


@reassembling
def test_the_older_onnx_exporter_takes_them_at_any_size(name):
    onnxruntime = pytest.importorskip("onnxruntime")
    net, file = unet(name), io.BytesIO()
    axes = {"image": {0: "b", 2: "h", 3: "w"}}
    torch.onnx.export(
        net,
        (RECORDED,),
        file,
        dynamo=False,
        input_names=["image"],
        dynamic_axes=axes,
        opset_version=18,
    )
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    agrees(lambda x: torch.from_numpy(session.run(None, {"image": x.numpy()})[0]), net, SIZES)


@reassembling
def test_tensorboard_draws_their_graph(name):
    drawn, _ = graph(unet(name), (RECORDED,))
    assert any("upsamples" in node.name for node in drawn.node)


@pytest.mark.skipif(
    not hasattr(torch.fx.experimental._config, "backed_size_oblivious"), reason="an older PyTorch"
)
@pytest.mark.parametrize("name", ["carafe", "fade", "max_unpool"])
def test_exported_programs_take_maps_of_one_pixel(name):
    net = unet(name)
    sizes = [size for size in SIZES if name != "fade" or size != (1, 1, 1)]
    agrees(export.to_program(net).module(), net, sizes)


def test_of_a_gan_the_generator_is_exported():
    net = create("dcgan", size=[28, 28], in_channels=1, width=4, latent=6)
    program = export.to_program(net, 1).module()
    for batch in (1, 3):
        z = torch.randn(batch, 6)
        torch.testing.assert_close(program(z), net(z), rtol=1e-4, atol=1e-4)


def test_a_unet_that_pads_is_exported_with_its_rounding():
    original = shaken(popular_unet(poolings=2))
    net, _ = conversion.load(original.state_dict())
    agrees(export.to_program(net).module(), original, [(1, 37, 50), (2, 6, 4), (1, 47, 31)])
