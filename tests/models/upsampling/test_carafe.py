import pytest
import torch
import torch.nn.functional as F

from upzoo.upsampling.carafe import Carafe


def plain(operator, x):
    """The paper's steps, a pixel at a time (Wang et al. 2019, equations 2 to 4)."""
    x = operator.project(x)
    (B, C, H, W), s, k = x.shape, operator.scale, operator.kernel_up
    compressed = F.conv2d(x, operator.compress.weight, operator.compress.bias)
    pad = operator.encode.weight.shape[-1] // 2
    code = F.conv2d(compressed, operator.encode.weight, operator.encode.bias, padding=pad)
    code = code.view(B, k * k, s, s, H, W)
    padded = F.pad(x, [k // 2] * 4)
    rows = []
    for i in range(s * H):
        for j in range(s * W):
            weight = code[:, :, i % s, j % s, i // s, j // s].softmax(1).view(B, 1, k, k)
            patch = padded[:, :, i // s : i // s + k, j // s : j // s + k]
            rows.append((weight * patch).sum((-2, -1)))
    return torch.stack(rows, -1).view(B, C, s * H, s * W)


@pytest.mark.parametrize(
    ("channels", "scale", "options"),
    [
        ((3, 3), 2, {}),
        ((4, 3), 3, {"kernel_up": 3, "compressed": 2}),
        ((2, 2), 2, {"kernel_encoder": 5}),
    ],
)
def test_against_the_papers_steps(channels, scale, options):
    operator = Carafe(*channels, scale, **options).double()
    torch.nn.init.normal_(operator.encode.weight)  # its start is nearly uniform
    x = torch.randn(2, channels[0], 4, 3, dtype=torch.float64, requires_grad=True)
    found, expected = operator(x), plain(operator, x)
    torch.testing.assert_close(found, expected)
    inputs = [x, *operator.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
    )


def test_gradients():
    operator = Carafe(2, 2, kernel_up=3, compressed=2).double()
    names, values = zip(*operator.named_parameters(), strict=True)
    x = torch.randn(1, 2, 3, 2, dtype=torch.float64, requires_grad=True)

    def enlarge(x, *weights):
        return torch.func.functional_call(operator, dict(zip(names, weights, strict=True)), (x,))

    assert torch.autograd.gradcheck(enlarge, (x, *values))


def test_starts_as_the_mean_of_the_neighbourhood():
    x = torch.randn(1, 4, 6, 6)
    mean = F.avg_pool2d(x, 5, 1, padding=2).repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(Carafe(4, 4)(x), mean, rtol=0.02, atol=0.02)


def test_border_counts_as_zeros():
    # At the start a corner sees 9 of its 25 neighbours.
    y = Carafe(1, 1)(torch.ones(1, 1, 8, 8))
    torch.testing.assert_close(y[0, 0, 0, 0].item(), 9 / 25, rtol=0.01, atol=0)
    torch.testing.assert_close(y[..., 4:-4, 4:-4], torch.ones(1, 1, 8, 8))


def test_parameters_of_the_official_module():
    # mmcv's CARAFEPack(channels=256, scale_factor=2): 64·256 + 64 and 100·64·9 + 100
    count = sum(p.numel() for p in Carafe(256, 256).parameters())
    assert count == 16_448 + 57_700


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_up": 4}, "kernel=4 must be an odd integer of at least 3"),
        ({"kernel_up": 1}, "kernel=1 must be an odd integer of at least 3"),
        ({"kernel_encoder": 2}, "kernel=2 must be an odd integer of at least 1"),
        ({"compressed": 0}, "compressed=0 must be an integer of at least 1"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=f"^Carafe: {message}.*$"):
        Carafe(4, 4, **options)
