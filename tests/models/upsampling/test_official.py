"""The authors' own operators, stated once more under their names: their checkpoints load here."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.models.originals import Named
from upzoo.upsampling import OPERATORS


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def nearest(x):
    return F.interpolate(x, scale_factor=2)


def neighbours(x, k):
    """(B, C, k², 2H, 2W): around the source of every pixel, zeros beyond the border."""
    B, C, H, W = x.shape
    return nearest(F.unfold(x, k, padding=k // 2).view(B, -1, H, W)).view(B, C, k * k, 2 * H, 2 * W)


def reassembled(x, weight, k):
    return (neighbours(x, k) * weight.softmax(1).unsqueeze(1)).sum(2)


class OfficialDySample(Named):
    def __init__(self, channels, scale=2, groups=4, dyscope=False):
        made = 2 * groups * scale**2
        super().__init__(
            {"offset": nn.Conv2d(channels, made, 1)}
            | ({"scope": nn.Conv2d(channels, made, 1, bias=False)} if dyscope else {})
        )
        self.scale, self.groups = scale, groups
        steps = (torch.arange(scale) - (scale - 1) / 2) / scale
        x = steps.repeat(scale).repeat(groups)
        y = steps.repeat_interleave(scale).repeat(groups)
        self.register_buffer("init_pos", torch.cat([x, y]).view(1, -1, 1, 1))

    def forward(self, x):
        B, _, H, W = x.shape
        offset = self.offset(x)
        offset = offset * self.scope(x).sigmoid() / 2 if hasattr(self, "scope") else offset / 4
        offset = (offset + self.init_pos).view(B, 2, -1, H, W)
        at = torch.stack(torch.meshgrid(torch.arange(W), torch.arange(H), indexing="xy")) + 0.5
        at = 2 * (offset + at[None, :, None]) / torch.tensor([W, H]).view(1, 2, 1, 1, 1) - 1
        at = F.pixel_shuffle(at.reshape(B, -1, H, W), self.scale)
        at = at.view(B, 2, self.groups, *at.shape[-2:]).permute(0, 2, 3, 4, 1).flatten(0, 1)
        y = F.grid_sample(
            x.reshape(B * self.groups, -1, H, W), at, padding_mode="border", align_corners=False
        )
        return y.view(B, -1, *y.shape[-2:])


class OfficialCarafe(Named):
    def __init__(self, channels, kernel=5, compressed=64):
        super().__init__(
            {
                "channel_compressor": nn.Conv2d(channels, compressed, 1),
                "content_encoder": nn.Conv2d(compressed, 4 * kernel**2, kernel - 2, padding=1),
            }
        )
        self.kernel = kernel

    def forward(self, x):
        mask = F.pixel_shuffle(self.content_encoder(self.channel_compressor(x)), 2)
        return reassembled(x, mask, self.kernel)


class OfficialFade(Named):
    def __init__(self, guide, channels, embedding=64):
        super().__init__(
            {
                "gate_generator.conv": nn.Conv2d(channels, 1, 1),
                "ker_generator.compressor_en": nn.Conv2d(guide, embedding, 1),
                "ker_generator.compressor_de": nn.Conv2d(channels, embedding, 1, bias=False),
                "ker_generator.content_encoder": nn.Conv2d(embedding, 25, 3, padding=1),
            }
        )

    def forward(self, x, guide):
        k = self.ker_generator
        weight = k.content_encoder(k.compressor_en(guide)) + nearest(
            k.content_encoder(k.compressor_de(x))
        )
        gate = nearest(self.gate_generator.conv(x)).sigmoid()
        return gate * guide + (1 - gate) * reassembled(x, weight, 5)

    def high_to_low(self):
        """The same weights as the form FADE_H2L names them."""
        theirs = {
            "ker_generator.compressor_en": "kernel_generator.conv1_en",
            "ker_generator.compressor_de": "kernel_generator.conv1_de",
            "ker_generator.content_encoder.weight": "kernel_generator.conv2_kernels",
            "ker_generator.content_encoder.bias": "kernel_generator.conv2_bias",
        }
        state = {}
        for key, value in self.state_dict().items():
            old = next((name for name in theirs if key.startswith(name)), None)
            state[key if old is None else key.replace(old, theirs[old])] = value
        return state


class OfficialSapa(Named):
    def __init__(self, guide, channels, gated=False, embedding=64):
        linear = {"k": nn.Linear(channels, embedding)}
        if gated:
            linear |= {"qy": nn.Linear(guide, embedding), "qx": nn.Linear(channels, embedding)}
            linear["gate"] = nn.Linear(channels, 1)
        else:
            linear["q"] = nn.Linear(guide, embedding)
        super().__init__({"norm_y": nn.LayerNorm(guide), "norm_x": nn.LayerNorm(channels)} | linear)
        self.gated = gated

    def forward(self, x, guide):
        def last(t):
            return t.permute(0, 2, 3, 1)

        y, plain = self.norm_y(last(guide)), last(x)
        if self.gated:
            gate = last(nearest(self.gate(self.norm_x(plain)).permute(0, 3, 1, 2))).sigmoid()
            q = gate * self.qy(y) + (1 - gate) * self.qx(last(nearest(x)))
        else:
            q = self.q(y)
        key = self.k(self.norm_x(plain)).permute(0, 3, 1, 2)
        similarity = (neighbours(key, 5) * q.permute(0, 3, 1, 2).unsqueeze(2)).sum(1)
        return reassembled(x, similarity, 5)


def stirred(net):
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.2)
    return net


def loaded(name, original, *channels, state=None, **options):
    """Our operator in a net, from a checkpoint of a net that holds the original."""
    ours = nn.ModuleDict({"up": OPERATORS[name](*channels, **options)})
    state = original.state_dict() if state is None else state
    ours.load_state_dict({f"up.{key}": value for key, value in state.items()})
    return ours["up"]


@pytest.mark.parametrize(
    ("scale", "groups", "dyscope"), [(2, 4, False), (2, 4, True), (3, 2, True)]
)
@torch.no_grad()
def test_dysample(scale, groups, dyscope):
    original = stirred(OfficialDySample(8, scale, groups, dyscope))
    ours = loaded("dysample", original, 8, 8, scale, groups=groups, dyscope=dyscope)
    x = torch.randn(2, 8, 5, 7)
    torch.testing.assert_close(ours(x), original(x), rtol=1e-4, atol=1e-4)


def test_dysample_of_other_groups_is_refused():
    with pytest.raises(
        ValueError, match=r"up.init_pos has 32 values, and 16 fit groups=2 and scal"
    ):
        loaded("dysample", OfficialDySample(8), 8, 8, groups=2)


@torch.no_grad()
def test_carafe():
    original = stirred(OfficialCarafe(6))
    x = torch.randn(2, 6, 5, 4)
    torch.testing.assert_close(
        loaded("carafe", original, 6, 6)(x), original(x), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("form", ["low to high", "high to low"])
@torch.no_grad()
def test_fade(form):
    original = stirred(OfficialFade(6, 6))
    state = original.high_to_low() if form == "high to low" else None
    ours = loaded("fade", original, 6, 6, guide_channels=6, state=state)
    x, guide = torch.randn(2, 6, 5, 4), torch.randn(2, 6, 10, 8)
    torch.testing.assert_close(ours(x, guide=guide), original(x, guide), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("gated", [False, True])
@torch.no_grad()
def test_sapa(gated):
    original = stirred(OfficialSapa(5, 6, gated))
    ours = loaded("sapa", original, 6, 6, guide_channels=5, gated=gated)
    x, guide = torch.randn(2, 6, 5, 4), torch.randn(2, 5, 10, 8)
    torch.testing.assert_close(ours(x, guide=guide), original(x, guide), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["carafe", "dysample", "fade", "sapa"])
def test_what_fits_no_name_is_still_refused(name):
    options = {"guide_channels": 4} if name in ("fade", "sapa") else {}
    operator = OPERATORS[name](4, 4, **options)
    with pytest.raises(RuntimeError, match="Unexpected key"):
        operator.load_state_dict(operator.state_dict() | {"other.weight": torch.ones(1)})
    operator.load_state_dict(operator.state_dict())  # ours, as ever
