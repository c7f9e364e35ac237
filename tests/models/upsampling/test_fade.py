import pytest
import torch
import torch.nn.functional as F

from upzoo.upsampling.fade import Fade


def plain(operator, x, guide):
    """The paper's steps; the guide's half by strided convolutions, a phase at a time (scale 2)."""
    x = operator.project(x)
    (B, C, H, W), k = x.shape, operator.kernel_up
    weight, bias = operator.encode.weight, operator.encode.bias
    mine = F.conv2d(operator.compress(x), weight, bias, padding=1)
    theirs = F.pad(operator.compress_guide(guide), [1, 1, 1, 1])
    aligned = operator.align(guide)
    gate = operator.gate(x).sigmoid()
    padded = F.pad(x, [k // 2] * 4)
    y = torch.empty(B, C, 2 * H, 2 * W, dtype=x.dtype)
    for i in range(2):
        for j in range(2):
            shifted = theirs[..., i : i + 2 * H + 1, j : j + 2 * W + 1]
            kernels = (mine + F.conv2d(shifted, weight, bias, stride=2)).softmax(1)
            total = torch.zeros_like(x)
            for t in range(k * k):
                neighbour = padded[..., t // k : t // k + H, t % k : t % k + W]
                total = total + kernels[:, t : t + 1] * neighbour
            y[..., i::2, j::2] = gate * aligned[..., i::2, j::2] + (1 - gate) * total
    return y


@pytest.mark.parametrize("channels", [(4, 4, 4), (4, 3, 5)])
def test_against_the_papers_steps(channels):
    operator = Fade(*channels[:2], guide_channels=channels[2], compressed=6).double()
    x = torch.randn(2, channels[0], 3, 4, dtype=torch.float64, requires_grad=True)
    guide = torch.randn(2, channels[2], 6, 8, dtype=torch.float64, requires_grad=True)
    found, expected = operator(x, guide=guide), plain(operator, x, guide)
    torch.testing.assert_close(found, expected)
    inputs = [x, guide, *operator.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
    )


def test_the_gate_chooses_between_guide_and_input():
    operator = Fade(3, 3, guide_channels=3)
    x, guide = torch.ones(1, 3, 6, 6), torch.randn(1, 3, 12, 12)
    torch.nn.init.zeros_(operator.gate.weight)
    torch.nn.init.constant_(operator.gate.bias, 50.0)
    torch.testing.assert_close(operator(x, guide=guide), guide)
    torch.nn.init.constant_(operator.gate.bias, -50.0)
    inner = operator(x, guide=guide)[..., 4:-4, 4:-4]  # weights sum to 1
    torch.testing.assert_close(inner, torch.ones(1, 3, 4, 4))


def test_a_cropped_guide_goes_on_as_its_last_row_and_column():
    operator = Fade(3, 3, guide_channels=2)
    x, guide = torch.randn(1, 3, 4, 3), torch.randn(1, 2, 7, 5)
    whole = operator(x, guide=F.pad(guide, [0, 1, 0, 1], mode="replicate"))
    torch.testing.assert_close(operator(x, (7, 5), guide=guide), whole[..., :7, :5])


def test_gradients():
    operator = Fade(2, 2, guide_channels=3, kernel_up=3, compressed=2).double()
    names, values = zip(*operator.named_parameters(), strict=True)
    x = torch.randn(1, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    guide = torch.randn(1, 3, 3, 4, dtype=torch.float64, requires_grad=True)

    def enlarge(x, guide, *weights):
        state = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(operator, state, (x, (3, 4)), {"guide": guide})

    assert torch.autograd.gradcheck(enlarge, (x, guide, *values))


@pytest.mark.parametrize("shape", [(1, 3, 8, 6), (1, 2, 7, 6), (2, 2, 8, 6), (2, 8, 6)])
def test_refuses_a_guide_of_another_shape(shape):
    operator = Fade(3, 3, guide_channels=2)
    message = r"must be \(1, 2, 8, 6\): the input's batch, guide_channels and the output's size"
    with pytest.raises(ValueError, match=f"^Fade: guide of shape .* {message}$"):
        operator(torch.zeros(1, 3, 4, 3), guide=torch.zeros(shape))


def test_refuses_a_missing_guide():
    with pytest.raises(ValueError, match=r"^Fade: guide is missing: .*$"):
        Fade(3, 3, guide_channels=2)(torch.zeros(1, 3, 4, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guide_channels": 0}, "guide_channels=0 must be an integer of at least 1"),
        ({"guide_channels": 2, "kernel_up": 2}, "kernel=2 must be an odd integer of at least 3"),
        ({"guide_channels": 2, "compressed": 1.5}, "compressed=1.5 must be an integer"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=f"^Fade: {message}.*$"):
        Fade(4, 4, **options)
