"""The bilinear kernel: exact at the start, borders included, fixed or learned."""

import pytest
import torch
import torch.nn.functional as F

from upzoo.upsampling import BilinearInit
from upzoo.upsampling.bilinear import fastest_form
from upzoo.upsampling.interpolation import bilinear_matrix, bilinear_separable


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5, 8, 32])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("extra", [0, 1, 2, 5])
def test_equals_interpolate_borders_included(scale, dense, extra):
    kernel = 2 * scale - scale % 2 + extra
    operator = BilinearInit(3, 3, scale, dense=dense, kernel=kernel).double()
    x = torch.randn(2, 3, 4, 3, dtype=torch.float64)
    expected = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    torch.testing.assert_close(operator(x), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("scale", "edge"), [(2, 0.75), (4, 0.625), (8, 0.5625)])
def test_zero_border_darkens_the_edges(scale, edge):
    y = BilinearInit(1, 1, scale, border="zero")(torch.ones(1, 1, 5, 5))[0, 0]
    assert y[0, 2 * scale].item() == pytest.approx(edge)
    assert y[-1, -1].item() == pytest.approx(edge**2)
    assert y[2 * scale, 2 * scale].item() == pytest.approx(1)


def test_does_not_mix_channels():
    x = torch.zeros(1, 3, 4, 4)
    x[:, 1] = 1
    for dense in (False, True):
        y = BilinearInit(3, 3, dense=dense, trainable=True)(x).detach()
        torch.testing.assert_close(y, x.repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_is_fixed_unless_asked():
    assert not list(BilinearInit(3, 3).parameters())
    assert [key for key, _ in BilinearInit(3, 3, trainable=True).named_parameters()] == ["weight"]
    assert BilinearInit(3, 3).state_dict().keys() == {"weight"}


def test_refuses_a_kernel_smaller_than_the_filter():
    message = r"^BilinearInit: kernel=3 must be an integer of at least 4: bilinear at scale 2 has 4"
    with pytest.raises(ValueError, match=message):
        BilinearInit(2, 2, kernel=3)


@pytest.mark.parametrize("scale", [1, 2, 3, 8])
@pytest.mark.parametrize("border", ["replicate", "zero"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(1, 1), (4, 3), (1, 6)])
def test_two_products_equal_the_stamps_in_value_and_gradient(scale, border, layout, size):
    operator = BilinearInit(3, 3, scale, border=border).double()
    x = torch.randn(2, 3, *size, dtype=torch.float64).contiguous(memory_format=layout)
    fast, plain = x.clone().requires_grad_(), x.clone().requires_grad_()
    a, b = bilinear_separable(fast, scale, border), operator.stamp(plain)
    torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)
    weights = torch.randn_like(a)
    a.backward(weights)
    b.backward(weights)
    torch.testing.assert_close(fast.grad, plain.grad, rtol=1e-6, atol=1e-7)
    if size != (1, 1):  # a single pixel is both
        assert a.is_contiguous(memory_format=layout)


def test_the_matrix_is_exact_at_any_size():
    # 1 − |position − i| in float32 is off by 1e-4 where positions are in the thousands.
    rows = bilinear_matrix(torch.ones(()), 5000, 3)[-4:, -3:]
    # The last four positions: 4998⅓, 4998⅔, 4999, and 4999⅓ clamped to 4999.
    expected = torch.tensor([[0, 2 / 3, 1 / 3], [0, 1 / 3, 2 / 3], [0, 0, 1], [0, 0, 1]])
    torch.testing.assert_close(rows, expected, rtol=0, atol=1e-7)


def test_a_fixed_kernel_refuses_another_ones_weights():
    learned = BilinearInit(2, 2, trainable=True).state_dict()
    BilinearInit(2, 2).load_state_dict(learned)
    learned["weight"][0, 0, 0, 0] += 0.1
    with pytest.raises(RuntimeError, match="weight is not bilinear, but this kernel is fixed"):
        BilinearInit(2, 2).load_state_dict(learned)
    BilinearInit(2, 2, trainable=True).load_state_dict(learned)


@pytest.mark.parametrize("border", ["replicate", "zero"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("channels", "size", "scale"), [(3, 4, 2), (40, 4, 4), (3, 4, 8), (3, 40, 4)]
)
def test_whichever_form_is_taken_gives_the_same(border, layout, channels, size, scale):
    operator = BilinearInit(channels, channels, scale, border=border)
    x = torch.randn(1, channels, size, size + 1).contiguous(memory_format=layout)
    y = operator(x)
    torch.testing.assert_close(y, operator.stamp(x))
    assert y.is_contiguous(memory_format=layout)


def test_every_form_is_taken_somewhere():
    last = {"memory_format": torch.channels_last}
    small, large = torch.ones(1, 3, 4, 4), torch.ones(1, 3, 40, 40)
    assert fastest_form(small, 8, "replicate") == "products"
    assert fastest_form(small.contiguous(**last), 2, "replicate") == "resize"
    assert fastest_form(small.contiguous(**last), 2, "zero") == "stamps"
    assert fastest_form(small.contiguous(**last), 8, "replicate") == "stamps"
    assert fastest_form(large.contiguous(**last), 8, "replicate") == "stamps"
    assert fastest_form(large.bfloat16().contiguous(**last), 8, "replicate") == "products"
    thin, thick = torch.ones(1, 3, 80, 4), torch.ones(1, 16, 80, 4)
    assert fastest_form(thin.contiguous(**last), 2, "replicate") == "stamps"
    thicker = torch.ones(1, 24, 80, 4)
    assert fastest_form(thick.contiguous(**last), 2, "replicate") == "stamps"
    assert fastest_form(thicker.contiguous(**last), 2, "replicate") == "resize"
    assert fastest_form(thick.contiguous(**last), 3, "replicate") == "stamps"
    with torch.no_grad():  # whose gradient is what interpolation is quick at
        assert fastest_form(thicker.contiguous(**last), 2, "replicate") == "stamps"
        assert fastest_form(thick.bfloat16().contiguous(**last), 2, "replicate") == "resize"


@pytest.mark.parametrize("border", ["replicate", "zero"])
def test_compiled_in_half_precision_it_is_the_same_map_at_any_size(border):
    torch.compiler.reset()
    operator = BilinearInit(3, 3, 4, border=border)
    compiled = torch.compile(operator, backend="aot_eager", fullgraph=True, dynamic=True)
    for size in ((5, 6), (7, 4)):
        x = torch.randn(2, 3, *size).bfloat16().contiguous(memory_format=torch.channels_last)
        x.requires_grad_()
        y = compiled(x)
        y.sum().backward()
        expected = operator.stamp(x.detach().float())
        torch.testing.assert_close(y.float(), expected, rtol=2e-2, atol=2e-2)
        leaf = x.detach().float().requires_grad_()
        operator.stamp(leaf).sum().backward()
        torch.testing.assert_close(x.grad.float(), leaf.grad, rtol=2e-2, atol=2e-2)


def test_scores_are_channels_first_where_both_layouts_take_products():
    x = torch.ones(1, 3, 4, 4)
    fixed, learned = BilinearInit(3, 3, 8), BilinearInit(3, 3, 8, trainable=True)
    assert fixed.scores_channels_first(x.bfloat16())
    assert not fixed.scores_channels_first(x)  # stamps
    assert not learned.scores_channels_first(x.bfloat16())


def test_a_compiler_for_a_cpu_gets_forms_by_channels_and_an_export_what_it_got(monkeypatch):
    x = torch.ones(1, 16, 8, 8)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert fastest_form(x, 8, "replicate") == fastest_form(x, 8, "zero") == "stamps"
    assert fastest_form(x.bfloat16(), 8, "replicate") == "products"
    assert fastest_form(x, 2, "replicate") == "resize"
    assert fastest_form(x[:, :3], 2, "replicate") == "stamps"
    assert fastest_form(x.to("meta"), 2, "replicate") == "resize"
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert fastest_form(x, 2, "replicate") == "resize"
    assert fastest_form(x, 8, "zero") == "products"
