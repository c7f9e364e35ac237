import pytest
import torch
import torch.nn.functional as F

from upzoo.upsampling.sapa import Sapa


def layer_norm(v, layer):
    centred = v - v.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + layer.eps).sqrt()
    return scaled * layer.weight + layer.bias


def plain(operator, x, guide):
    """The paper's definition, a pixel at a time (Lu et al. 2022, section 4)."""
    x = operator.project(x)
    (B, C, H, W), s, k = x.shape, operator.scale, operator.kernel_up
    feature, e = x.permute(0, 2, 3, 1), guide.permute(0, 2, 3, 1)
    normed, e = layer_norm(feature, operator.norm), layer_norm(e, operator.norm_guide)
    key = F.pad(operator.key(normed), [0, 0] + [k // 2] * 4)
    value = F.pad(feature, [0, 0] + [k // 2] * 4)
    rows = []
    for i in range(s * H):
        for j in range(s * W):
            h, w = i // s, j // s
            query = operator.query(e[:, i, j])
            if operator.gated:
                gate = operator.gate(normed[:, h, w]).sigmoid()
                query = gate * query + (1 - gate) * operator.query_input(feature[:, h, w])
            keys = key[:, h : h + k, w : w + k].flatten(1, 2)
            weight = (keys @ query.unsqueeze(-1)).softmax(1)  # (B, k², 1)
            rows.append((weight * value[:, h : h + k, w : w + k].flatten(1, 2)).sum(1))
    return torch.stack(rows, -1).view(B, C, s * H, s * W)


def stirred(*args, **options):
    """An operator with strong opinions: at its start all weights are about alike."""
    operator = Sapa(*args, **options).double()
    for name, parameter in operator.named_parameters():
        if not name.startswith("project"):
            torch.nn.init.normal_(parameter)
    return operator


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize(("channels", "scale"), [((4, 4, 4), 2), ((4, 3, 5), 3)])
def test_against_the_papers_definition(channels, scale, gated):
    operator = stirred(*channels[:2], scale, guide_channels=channels[2], embedding=3, gated=gated)
    x = torch.randn(2, channels[0], 3, 2, dtype=torch.float64, requires_grad=True)
    guide = torch.randn(2, channels[2], 3 * scale, 2 * scale, dtype=torch.float64)
    guide.requires_grad_()
    found, expected = operator(x, guide=guide), plain(operator, x, guide)
    torch.testing.assert_close(found, expected)
    inputs = [x, guide, *operator.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
    )


def test_a_pixel_joins_the_neighbours_that_it_resembles():
    # Two regions; the guide is the same edge at the large size, one pixel further right.
    operator = Sapa(2, 2, guide_channels=2, embedding=2, kernel_up=3)
    with torch.no_grad():
        operator.query.weight.copy_(20 * torch.eye(2))
        operator.key.weight.copy_(20 * torch.eye(2))
    sides = torch.tensor([1.0, -1.0])
    x = torch.where(torch.arange(6) < 3, 1.0, -1.0) * sides.view(1, 2, 1, 1).expand(1, 2, 6, 6)
    edge = torch.where(torch.arange(12) < 7, 1.0, -1.0)
    guide = edge * sides.view(1, 2, 1, 1).expand(1, 2, 12, 12)
    inner = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(operator(x, guide=guide)[inner], guide[inner])


def test_gradients():
    operator = stirred(2, 2, guide_channels=3, kernel_up=3, embedding=2, gated=True)
    names, values = zip(*operator.named_parameters(), strict=True)
    x = torch.randn(1, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    guide = torch.randn(1, 3, 3, 4, dtype=torch.float64, requires_grad=True)

    def enlarge(x, guide, *weights):
        state = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(operator, state, (x, (3, 4)), {"guide": guide})

    assert torch.autograd.gradcheck(enlarge, (x, guide, *values))


def test_refusals():
    with pytest.raises(ValueError, match=r"^Sapa: embedding=0 must be an integer of at least 1$"):
        Sapa(4, 4, guide_channels=4, embedding=0)
    with pytest.raises(ValueError, match=r"^Sapa: kernel=6 must be an odd integer .*$"):
        Sapa(4, 4, guide_channels=4, kernel_up=6)
    with pytest.raises(ValueError, match=r"^Sapa: guide is missing: .*$"):
        Sapa(4, 4, guide_channels=4)(torch.zeros(1, 4, 2, 2))
    with pytest.raises(ValueError, match=r"^Sapa: guide of shape \(1, 3, 4, 4\) must be .*$"):
        Sapa(4, 4, guide_channels=4)(torch.zeros(1, 4, 2, 2), guide=torch.zeros(1, 3, 4, 4))
