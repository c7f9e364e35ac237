"""What every operator of `OPERATORS` keeps; a new one is covered without a line here."""

import inspect
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn
from torch.func import functional_call

import upzoo.upsampling as upsampling
from upzoo.upsampling import OPERATORS, Upsample

CONFIGS = Path(__file__).parents[3] / "configs" / "upsample"
NAMES = list(OPERATORS)
SCALES = (1, 2, 3, 4, 8)
GUIDE = 5  # channels of the encoder feature that guided operators see

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
every_operator = pytest.mark.parametrize("name", NAMES)


def build(name: str, in_channels: int, out_channels: int, scale: int = 2, **options) -> Upsample:
    """An operator with its default options, the same weights at every call."""
    torch.manual_seed(0)
    if OPERATORS[name].needs_guide:
        options["guide_channels"] = GUIDE
    return OPERATORS[name](in_channels, out_channels, scale, **options)


def allowed_scales(name: str) -> list[int]:
    """The scales that the constructor accepts."""
    accepted = []
    for scale in SCALES:
        try:
            build(name, 2, 2, scale)
        except ValueError:
            continue
        accepted.append(scale)
    return accepted


def extras(operator: Upsample, x: Tensor, size=None, seed: int = 1) -> dict[str, Tensor]:
    """Switches and a guide for `x` enlarged to `size`, where the operator wants them."""
    h, w = size or (operator.scale * x.shape[-2], operator.scale * x.shape[-1])
    # Drawn for the whole map, so that a smaller size sees the same map cropped.
    full = (len(x), GUIDE, operator.scale * x.shape[-2], operator.scale * x.shape[-1])
    generator = torch.Generator().manual_seed(seed)
    found = {}
    if operator.needs_switches:
        encoder = torch.rand(full[0], operator.out_channels, *full[2:], generator=generator)
        found["switches"] = pool(encoder[..., :h, :w], operator.scale)[1]
    if operator.needs_guide:
        guide = torch.randn(full, generator=generator)[..., :h, :w]
        found["guide"] = guide.to(x.dtype)
    if x.is_contiguous(memory_format=torch.channels_last):
        return {k: v.contiguous(memory_format=torch.channels_last) for k, v in found.items()}
    return found


def positional(given: dict[str, Tensor]) -> tuple[Tensor | None, Tensor | None]:
    """Switches and guide, in the order of `forward`."""
    return given.get("switches"), given.get("guide")


def pool(encoder: Tensor, scale: int) -> tuple[Tensor, Tensor]:
    """The max-pooling that matches an enlargement, its maxima and its switches."""
    return F.max_pool2d(encoder, scale, scale, ceil_mode=True, return_indices=True)


def run(operator: Upsample, x: Tensor, size=None) -> Tensor:
    """The operator's output, with whatever it needs besides `x`."""
    return operator(x, size, **extras(operator, x, size))


class EncoderDecoder(nn.Module):
    """The smallest net with an odd size in it: pool with ceil rounding, enlarge, crop to the input.

    Of a net's first stage, what matters for export: `size` is that of a dynamic tensor.
    """

    def __init__(self, operator: Upsample):
        super().__init__()
        self.operator = operator

    def forward(self, x: Tensor) -> Tensor:
        """(B, GUIDE, H, W) -> (B, GUIDE, H, W)."""
        op = self.operator
        if op.needs_switches:
            y, switches = pool(x, op.scale)
            return op(y, x.shape[-2:], switches)
        y = F.max_pool2d(x, op.scale, op.scale, ceil_mode=True)
        return op(y, x.shape[-2:], guide=x) if op.needs_guide else op(y, x.shape[-2:])


# Names, options, arguments


def options(operator: type[Upsample]) -> dict[str, object]:
    """Keyword-only arguments of the constructor and their defaults."""
    parameters = inspect.signature(operator).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def test_every_operator_has_a_config_and_every_config_an_operator():
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == set(OPERATORS)


@every_operator
def test_config_lists_every_option_with_its_default(name):
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    operator = OPERATORS[name]
    assert config.pop("_target_") == f"models.upsampling.{operator.__name__}"
    assert getattr(upsampling, operator.__name__) is operator
    assert config.pop("_partial_") is True
    defaults = options(operator)
    if operator.needs_guide:
        assert defaults.pop("guide_channels") is inspect.Parameter.empty  # the net knows it
    assert config == defaults


@every_operator
def test_first_three_arguments_are_the_same_everywhere(name):
    parameters = list(inspect.signature(OPERATORS[name]).parameters.values())
    assert [p.name for p in parameters[:3]] == ["in_channels", "out_channels", "scale"]
    assert parameters[2].default == 2
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters[3:])


@every_operator
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4, 2), "in_channels=0 must be an integer of at least 1"),
        ((4, -1, 2), "out_channels=-1 must be an integer of at least 1"),
        ((4, 4, 0), "scale=0 must be"),
        ((4, 4, 1.5), "scale=1.5 must be"),
        ((4, 4, True), "scale=True must be"),
    ],
)
def test_refuses_bad_channels_and_scales(name, arguments, message):
    with pytest.raises(ValueError, match=f"^{OPERATORS[name].__name__}: {message}.*$"):
        build(name, *arguments)


@every_operator
def test_takes_any_scale_or_refuses_it_in_one_line(name):
    allowed = allowed_scales(name)
    assert {2, 4, 8} <= set(allowed)  # what the nets ask for
    for scale in set(SCALES) - set(allowed):
        with pytest.raises(ValueError, match=f"^{OPERATORS[name].__name__}: scale={scale} .*$"):
            build(name, 2, 2, scale)


@every_operator
@pytest.mark.parametrize(
    ("option", "value"),
    [("kernel", 0), ("kernel", 2.0), ("kernel", True), ("mode", "cubic"), ("border", "mirror")],
)
def test_refuses_bad_options(name, option, value):
    if option not in options(OPERATORS[name]):
        with pytest.raises(TypeError, match=option):
            build(name, 4, 4, **{option: value})
        return
    with pytest.raises(ValueError, match=rf"^{OPERATORS[name].__name__}: {option}={value!r} .*$"):
        build(name, 4, 4, **{option: value})


# Shapes and sizes


@every_operator
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (4, 1), (5, 2)])
def test_shapes_and_crops(name, shape):
    for scale in allowed_scales(name):
        operator = build(name, 4, 3, scale)
        x = torch.randn(2, 4, *shape)
        before = x.clone()
        full = run(operator, x)
        assert full.shape == (2, 3, scale * shape[0], scale * shape[1])
        assert full.isfinite().all()
        torch.testing.assert_close(x, before, rtol=0, atol=0)
        smallest = [scale * (n - 1) + 1 for n in shape]
        assert run(operator, x, smallest).shape == (2, 3, *smallest)


@every_operator
def test_size_keeps_the_top_left_of_the_whole_map(name):
    for scale in allowed_scales(name):
        operator = build(name, 4, 4, scale)
        x = torch.randn(1, 4, 5, 6)
        size = [4 * scale + 1, 5 * scale + 1]
        given = extras(operator, x, size)
        whole = dict(given)
        spare = (0, scale - 1, 0, scale - 1)
        if operator.needs_guide:
            whole["guide"] = F.pad(given["guide"], spare)
        if operator.needs_switches:  # an index is row · width + column: change the width
            rows, columns = given["switches"] // size[1], given["switches"] % size[1]
            whole["switches"] = rows * 6 * scale + columns
        # A guide ends at `size`: what lies beyond it may tell in the last pixels.
        h, w = (4 * scale - 4, 5 * scale - 4) if operator.needs_guide else size
        expected = operator(x, **whole)[..., :h, :w]
        torch.testing.assert_close(operator(x, size, **given)[..., :h, :w], expected)


@every_operator
@pytest.mark.parametrize("size", [(4, 6), (6, 9), (7, 6), (6, 4)])
def test_refuses_a_size_that_does_not_map_back(name, size):
    operator = build(name, 2, 2)
    given = extras(operator, torch.zeros(1, 2, 3, 3))
    message = r"does not map back: an input of \(3, 3\) at scale 2 gives 5 to 6 where \d was asked"
    with pytest.raises(ValueError, match=f"^{type(operator).__name__}: size .*{message}$"):
        operator(torch.zeros(1, 2, 3, 3), size, **given)


@every_operator
def test_refuses_to_work_without_switches_or_guide(name):
    operator = build(name, 2, 2)
    for needed, what in ((operator.needs_switches, "switches"), (operator.needs_guide, "guide")):
        if needed:
            with pytest.raises(ValueError, match=f"^{type(operator).__name__}: {what} is missing"):
                operator(torch.zeros(1, 2, 3, 3))


# Numbers


@every_operator
def test_residual_adds_the_bilinear_additive_enlargement(name):
    plain = build(name, 6, 3)
    operator = build(name, 6, 3, residual=True)
    assert operator.state_dict().keys() == plain.state_dict().keys()
    x = torch.randn(2, 6, 3, 4)
    enlarged = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    added = torch.stack([enlarged[:, 2 * o] + enlarged[:, 2 * o + 1] for o in range(3)], 1)
    for size in (None, [5, 7]):
        h, w = size or (6, 8)
        expected = run(plain, x, size) + added[..., :h, :w]
        torch.testing.assert_close(run(operator, x, size), expected)


@every_operator
def test_a_constant_stays_constant_where_promised(name):
    for scale in allowed_scales(name):
        operator = build(name, 4, 4, scale).double()
        x = torch.randn(1, 4, 1, 1, dtype=torch.float64).expand(-1, -1, 12, 12)
        inner = run(operator, x)[..., 4 * scale : -4 * scale, 4 * scale : -4 * scale]
        ripple = (inner.amax((-2, -1)) - inner.amin((-2, -1))).max().item()
        if operator.flat or (scale == 1 and not operator.needs_guide):
            assert ripple < 1e-6, scale
        else:
            assert ripple > 1e-2, scale


@every_operator
def test_a_shift_by_one_pixel_shifts_the_output_by_scale(name):
    for scale in allowed_scales(name):
        operator = build(name, 4, 4, scale)
        x = torch.randn(1, 4, 17, 17)
        given = extras(operator, x)
        shifted = {}
        if operator.needs_guide:
            shifted["guide"] = given["guide"].roll((scale, 2 * scale), (-2, -1))
        if operator.needs_switches:
            width = 17 * scale
            moved = given["switches"].roll((1, 2), (-2, -1)) + scale * width + 2 * scale
            shifted["switches"] = moved % (width * width)
        expected = operator(x, **given).roll((scale, 2 * scale), (-2, -1))
        inner = (..., slice(8 * scale, -6 * scale), slice(8 * scale, -6 * scale))
        found = operator(x.roll((1, 2), (-2, -1)), **shifted)
        torch.testing.assert_close(found[inner], expected[inner], rtol=1e-4, atol=1e-5)


@every_operator
def test_a_pixel_lands_around_its_place(name):
    # The energy of the response to one pixel is centred on it. A kernel of 2·scale cannot be where
    # the scale is odd: half a pixel is lost there.
    for scale in allowed_scales(name):
        operator = build(name, 64, 64, scale)
        x = torch.zeros(2, 64, 9, 9)
        x[..., 4, 4] = torch.randn(2, 64)
        energy = run(operator, x).detach().square().sum((0, 1))
        places = torch.arange(9 * scale)
        centre = scale * (4 + 0.5) - 0.5
        for profile in (energy.sum(0), energy.sum(1)):
            found = (profile * places).sum() / profile.sum()
            assert abs(found.item() - centre) < 0.1 * scale + 0.05 + 0.5 * (scale % 2), scale


@every_operator
def test_gradients(name):
    operator = build(name, 3, 2).double()
    x = torch.randn(1, 3, 3, 2, dtype=torch.float64, requires_grad=True)
    given = extras(operator, x, [5, 4])
    names = [key for key, _ in operator.named_parameters()]
    values = [value.detach().clone().requires_grad_() for value in operator.parameters()]

    def enlarge(x: Tensor, *weights: Tensor) -> Tensor:
        return functional_call(operator, dict(zip(names, weights, strict=True)), (x, [5, 4]), given)

    assert torch.autograd.gradcheck(operator, (x, [5, 4], *positional(given)))
    # All weights together, along a random direction: some operators have thousands.
    assert torch.autograd.gradcheck(enlarge, (x, *values), fast_mode=True)


@every_operator
def test_every_parameter_gets_a_gradient(name):
    for scale in allowed_scales(name):
        operator = build(name, 4, 3, scale)
        x = torch.randn(2, 4, 4, 5, requires_grad=True)
        run(operator, x).square().sum().backward()
        for key, value in operator.named_parameters():
            assert value.grad is not None, key
            assert value.grad.isfinite().all(), key
            assert value.grad.abs().sum() > 0, key


# Data types and memory formats


@every_operator
def test_float64_and_bfloat16_agree_with_float32(name):
    operator = build(name, 8, 4)
    x = torch.randn(2, 8, 5, 4)
    expected = run(operator, x, [9, 8])
    double = run(operator.double(), x.double(), [9, 8])
    assert double.dtype is torch.float64
    torch.testing.assert_close(double.float(), expected, rtol=1e-4, atol=1e-5)
    half = run(operator.bfloat16(), x.bfloat16(), [9, 8])
    assert half.dtype is torch.bfloat16
    torch.testing.assert_close(half.float(), expected, rtol=0.05, atol=0.1)


@every_operator
@pytest.mark.parametrize("residual", [False, True])
def test_autocast(name, residual):
    operator = build(name, 8, 4, residual=residual)
    x = torch.randn(2, 8, 5, 4)
    expected = run(operator, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = run(operator, x)
        low = run(operator, x.bfloat16())  # what a convolution before it hands over
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.1)
    torch.testing.assert_close(low.float(), expected, rtol=0.05, atol=0.1)
    found.float().sum().backward() if found.requires_grad else None
    assert all(p.grad is not None and p.grad.dtype is p.dtype for p in operator.parameters())


@every_operator
@pytest.mark.parametrize("channels", [(8, 8), (8, 4), (5, 3), (3, 7)])
@pytest.mark.parametrize("residual", [False, True])
def test_channels_last_is_kept(name, channels, residual):
    operator = build(name, *channels, residual=residual)
    x = torch.randn(2, channels[0], 4, 5)
    expected = run(operator, x)
    assert expected.stride(-1) == 1
    found = run(
        operator.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    )
    assert found.stride(1) == 1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@every_operator
def test_non_contiguous_input(name):
    operator = build(name, 4, 3)
    x = torch.randn(2, 4, 12, 10)[:, :, 1::3, ::2]
    torch.testing.assert_close(run(operator, x), run(operator, x.contiguous()))
    turned = torch.randn(2, 4, 5, 4).mT
    torch.testing.assert_close(run(operator, turned), run(operator, turned.contiguous()))


# State


@every_operator
def test_tensors_are_parameters_or_saved_buffers(name):
    operator = build(name, 4, 3, residual=True)
    for module in operator.modules():
        assert not any(isinstance(value, Tensor) for value in vars(module).values())
    before = {key: value.clone() for key, value in operator.state_dict().items()}
    run(operator, torch.randn(1, 4, 3, 3))
    for key, value in operator.state_dict().items():  # forward changes nothing
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


@every_operator
def test_built_on_meta_and_filled_from_a_state_dict(name):
    for scale in allowed_scales(name):
        operator = build(name, 4, 3, scale)
        with torch.device("meta"):
            empty = build(name, 4, 3, scale)
        x = torch.randn(1, 4, 3, 2)
        given = extras(operator, x)
        on_meta = {key: value.to("meta") for key, value in given.items()}
        assert empty(x.to("meta"), **on_meta).shape == (1, 3, 3 * scale, 2 * scale)
        empty.load_state_dict(operator.state_dict(), assign=True)
        torch.testing.assert_close(empty(x, **given), operator(x, **given), rtol=0, atol=0)


@every_operator
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_cuda)])
def test_deterministic_algorithms(name, device, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    operator = build(name, 6, 4, residual=True)
    data = torch.randn(2, 6, 5, 7)
    given = {key: value.to(device) for key, value in extras(operator, data, [9, 13]).items()}
    operator.to(device)

    def gradients() -> list[Tensor]:
        x = data.to(device).requires_grad_()
        operator.zero_grad()
        y = operator(x, [9, 13], **given)
        y.square().sum().backward()
        return [y.detach(), x.grad, *(p.grad.clone() for p in operator.parameters())]

    torch.use_deterministic_algorithms(True)
    try:
        if device == "cuda" and operator.nondeterministic:
            with pytest.raises(RuntimeError, match=operator.nondeterministic):
                gradients()
            return
        for first, second in zip(gradients(), gradients(), strict=True):
            torch.testing.assert_close(first, second, rtol=0, atol=0)
    finally:
        torch.use_deterministic_algorithms(False)


# Compilers and exporters


@every_operator
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiles_to_one_graph(name, backend):
    torch.compiler.reset()
    operator = build(name, 6, 4, residual=True)
    compiled = torch.compile(operator, fullgraph=True, backend=backend)
    x = torch.randn(2, 6, 4, 5)
    given = extras(operator, x, [7, 9])
    gradients = []
    for function in (operator, compiled):
        operator.zero_grad()
        leaf = x.clone().requires_grad_()
        y = function(leaf, [7, 9], **given)
        y.square().sum().backward()
        gradients.append([y.detach(), leaf.grad, *(p.grad for p in operator.parameters())])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-4, atol=1e-4)


DYNAMIC = {
    "x": {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
}
OTHER_SIZES = [(1, 13, 10), (2, 8, 7), (3, 21, 33)]


@every_operator
def test_exports_with_dynamic_height_and_width(name):
    for scale in [s for s in allowed_scales(name) if s in (2, 3)]:
        net = EncoderDecoder(build(name, GUIDE, GUIDE, scale, residual=True)).eval()
        exported = torch.export.export(net, (torch.randn(2, GUIDE, 9, 14),), dynamic_shapes=DYNAMIC)
        for b, h, w in OTHER_SIZES:
            x = torch.randn(b, GUIDE, h, w)
            torch.testing.assert_close(exported.module()(x), net(x))


@pytest.mark.slow
@every_operator
@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_onnx_agrees_with_onnxruntime(name, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    if OPERATORS[name].no_onnx:
        pytest.skip(OPERATORS[name].no_onnx)
    net = EncoderDecoder(build(name, GUIDE, GUIDE, 2, residual=True)).eval()
    path = tmp_path / "net.onnx"
    torch.onnx.export(
        net,
        (torch.randn(2, GUIDE, 9, 14),),
        path,
        dynamo=True,
        dynamic_shapes=DYNAMIC,
        verbose=False,
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for b, h, w in OTHER_SIZES:
        x = torch.randn(b, GUIDE, h, w)
        (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), net(x), rtol=1e-4, atol=1e-4)
