"""The nets of other projects, stated once more in a few lines under their own names."""

from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn


class ReleasedFCN(nn.Module):
    """FCN-32s, -16s or -8s on BGR images from which the mean colour is subtracted."""

    def __init__(self, stride, width=1, classes=3, factors=(1.0, 1.0)):
        super().__init__()
        self.stride, self.factors = stride, factors
        widths, inputs = [m * width for m in (1, 2, 4, 8, 8)], 3
        for stage, (n, repeat) in enumerate(zip(widths, (2, 2, 3, 3, 3), strict=True), 1):
            for i in range(1, repeat + 1):
                padding = 100 if stage == i == 1 else 1
                self.add_module(f"conv{stage}_{i}", nn.Conv2d(inputs, n, 3, padding=padding))
                inputs = n
        self.fc6 = nn.Conv2d(inputs, 64 * width, 7)
        self.fc7 = nn.Conv2d(64 * width, 64 * width, 1)
        self.score_fr = nn.Conv2d(64 * width, classes, 1)
        up = partial(nn.ConvTranspose2d, classes, classes, bias=False)
        if stride == 32:
            self.upscore = up(64, stride=32)
            return
        self.score_pool4 = nn.Conv2d(widths[3], classes, 1)
        self.upscore2 = up(4, stride=2)
        if stride == 16:
            self.upscore16 = up(32, stride=16)
            return
        self.score_pool3 = nn.Conv2d(widths[2], classes, 1)
        self.upscore_pool4 = up(4, stride=2)
        self.upscore8 = up(16, stride=8)

    def forward(self, x):
        def cut(y, offset, like):
            return y[:, :, offset : offset + like.shape[2], offset : offset + like.shape[3]]

        h, pools = x, []
        for stage, repeat in enumerate((2, 2, 3, 3, 3), 1):
            for i in range(1, repeat + 1):
                h = getattr(self, f"conv{stage}_{i}")(h).relu()
            pools.append(h := F.max_pool2d(h, 2, ceil_mode=True))
        h = self.score_fr(self.fc7(self.fc6(h).relu()).relu())
        if self.stride == 32:
            return cut(self.upscore(h), 19, x)
        h = self.upscore2(h)
        h = h + cut(self.score_pool4(pools[3] * self.factors[0]), 5, h)
        if self.stride == 16:
            return cut(self.upscore16(h), 27, x)
        h = self.upscore_pool4(h)
        h = h + cut(self.score_pool3(pools[2] * self.factors[1]), 9, h)
        return cut(self.upscore8(h), 31, x)


class FeaturesFCN(nn.Module):
    """FCN-8s, -16s or -32s on pieces of torchvision's VGG-16, scores and factors as at once."""

    def __init__(self, stride, width=1, classes=3):
        super().__init__()
        self.stride = stride
        layers, inputs = [], 3
        for stage, (n, repeat) in enumerate(zip((1, 2, 4, 8, 8), (2, 2, 3, 3, 3), strict=True)):
            for i in range(repeat):
                padding = 100 if stage == i == 0 else 1
                layers += [nn.Conv2d(inputs, n * width, 3, padding=padding), nn.ReLU()]
                inputs = n * width
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        ends = {32: [31], 16: [24, 31], 8: [17, 24, 31]}[stride]
        self.parts = [f"features{6 - i}" for i in range(len(ends), 0, -1)]
        for name, a, b in zip(self.parts, [0, *ends], ends, strict=False):
            self.add_module(name, nn.Sequential(*layers[a:b]))
        fc = 64 * width
        fc6, fc7, score = nn.Conv2d(inputs, fc, 7), nn.Conv2d(fc, fc, 1), nn.Conv2d(fc, classes, 1)
        drop = nn.Dropout()
        self.score_fr = nn.Sequential(fc6, nn.ReLU(), drop, fc7, nn.ReLU(), drop, score)
        up = partial(nn.ConvTranspose2d, classes, classes, bias=False)
        if stride == 32:
            self.upscore = up(64, stride=32)
            return
        self.score_pool4, self.upscore2 = nn.Conv2d(8 * width, classes, 1), up(4, stride=2)
        if stride == 16:
            self.upscore16 = up(32, stride=16)
            return
        self.score_pool3, self.upscore_pool4 = nn.Conv2d(4 * width, classes, 1), up(4, stride=2)
        self.upscore8 = up(16, stride=8)

    def forward(self, x):
        def cut(y, offset, like):
            return y[:, :, offset : offset + like.shape[2], offset : offset + like.shape[3]]

        pools = [x]
        for part in self.parts:
            pools.append(getattr(self, part)(pools[-1]))
        h = pools[-1]
        h = self.score_fr(h)
        if self.stride == 32:
            return cut(self.upscore(h), 19, x)
        h = self.upscore2(h)
        h = h + cut(self.score_pool4(0.01 * pools[-2]), 5, h)
        if self.stride == 16:
            return cut(self.upscore16(h), 27, x)
        h = self.upscore_pool4(h)
        h = h + cut(self.score_pool3(0.0001 * pools[-3]), 9, h)
        return cut(self.upscore8(h), 31, x)


class Named(nn.Module):
    """A module whose parts have the dotted names given."""

    def __init__(self, parts):
        super().__init__()
        for name, part in parts.items():
            *path, last = name.split(".")
            here = self
            for word in path:
                if word not in here._modules:
                    here.add_module(word, nn.Module())
                here = here._modules[word]
            here.add_module(last, part)


class NamedUNet(Named):
    """A U-Net of floor poolings and centred padding, its layers under anybody's names.

    Args:
        level, step: the names of convolution and norm i = 0, 1 of level or step n, from 0.
        up: the name of what enlarges in step n.
        head: of what scores.
        widths: of the levels.
        kind: "transposed", "bilinear", or "projected": bilinear and a 1×1 convolution.
    """

    def __init__(
        self,
        level,
        step,
        up,
        head,
        widths,
        kind="transposed",
        bias=False,
        enlarged_first=False,
        channels=3,
        classes=4,
        keep=False,
    ):
        parts, deep, last = {}, len(widths), widths[0]
        self_names = {"levels": [level(n) for n in range(deep)]}
        self_names["steps"] = [step(n) for n in range(deep - 1)]
        for n, names in enumerate(self_names["levels"]):
            inputs = [channels if n == 0 else widths[n - 1], widths[n]]
            for (conv, norm), a in zip(names, inputs, strict=True):
                parts[conv] = nn.Conv2d(a, widths[n], 3, padding=1, bias=bias)
                parts[norm] = nn.BatchNorm2d(widths[n])
        below = widths[-1]
        for n, names in enumerate(self_names["steps"]):
            skip = widths[deep - 2 - n]
            enlarged = below if keep or kind == "bilinear" else skip
            if kind == "transposed":
                parts[up(n)] = nn.ConvTranspose2d(below, enlarged, 2, stride=2)
            elif kind == "projected":
                parts[up(n)] = nn.Conv2d(below, enlarged, 1)
            middle = (skip + enlarged) // 2 if kind == "bilinear" else skip
            below = max(skip // 2, last) if kind == "bilinear" and n < deep - 2 else skip
            for (conv, norm), a, b in zip(
                names, [skip + enlarged, middle], [middle, below], strict=True
            ):
                parts[conv] = nn.Conv2d(a, b, 3, padding=1, bias=bias)
                parts[norm] = nn.BatchNorm2d(b)
        parts[head] = nn.Conv2d(below, classes, 1)
        super().__init__(parts)
        self.names, self.up, self.head = self_names, up, head
        self.kind, self.enlarged_first = kind, enlarged_first

    def _pair(self, names, x):
        for conv, norm in names:
            x = self.get_submodule(norm)(self.get_submodule(conv)(x)).relu()
        return x

    def forward(self, x):
        skips = [self._pair(self.names["levels"][0], x)]
        for names in self.names["levels"][1:]:
            skips.append(self._pair(names, F.max_pool2d(skips[-1], 2)))
        y = skips.pop()
        for n, names in enumerate(self.names["steps"]):
            if self.kind != "transposed":
                y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True)
            if self.kind != "bilinear":
                y = self.get_submodule(self.up(n))(y)
            skip = skips.pop()
            dy, dx = skip.shape[2] - y.shape[2], skip.shape[3] - y.shape[3]
            y = F.pad(y, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
            y = self._pair(names, torch.cat([y, skip] if self.enlarged_first else [skip, y], 1))
        return self.get_submodule(self.head)(y)


def _twice(prefix):
    return [(f"{prefix}.0", f"{prefix}.1"), (f"{prefix}.3", f"{prefix}.4")]


def popular_unet(bilinear=False, bias=False, width=3, poolings=4, old=False, **options):
    """inc.double_conv … outc.conv, or as it was in 2018: inc.conv.conv … outc.conv."""
    block, pooled, inc = (
        ("conv", "mpconv", "inc.conv") if old else ("double_conv", "maxpool_conv", "inc")
    )
    widths = [width << i for i in range(poolings + 1)]
    if bilinear or options.get("keep"):
        widths[-1] //= 2
    return NamedUNet(
        lambda n: _twice(f"down{n}.{pooled}.1.{block}" if n else f"{inc}.{block}"),
        lambda n: _twice(f"up{n + 1}.conv.{block}"),
        lambda n: f"up{n + 1}.up",
        "outc.conv",
        widths,
        "bilinear" if bilinear else "transposed",
        bias,
        **options,
    )


def lightning_unet(bilinear=False, poolings=4, width=3, **options):
    """layers.0.net … layers.1.net.1.net … layers.5.conv.net … layers.9."""
    return NamedUNet(
        lambda n: _twice(f"layers.{n}.net.1.net" if n else "layers.0.net"),
        lambda n: _twice(f"layers.{poolings + 1 + n}.conv.net"),
        lambda n: f"layers.{poolings + 1 + n}.upsample{'.1' if bilinear else ''}",
        f"layers.{2 * poolings + 1}",
        [width << i for i in range(poolings + 1)],
        "projected" if bilinear else "transposed",
        **options,
    )


def brain_unet(width=4, classes=1):
    """encoder1.enc1conv1 … bottleneck … decoder1.dec1norm2, conv: torch.hub's, sigmoid left out."""

    def pair(block, prefix):
        return [(f"{block}.{prefix}conv{i}", f"{block}.{prefix}norm{i}") for i in (1, 2)]

    return NamedUNet(
        lambda n: (
            pair(f"encoder{n + 1}", f"enc{n + 1}") if n < 4 else pair("bottleneck", "bottleneck")
        ),
        lambda n: pair(f"decoder{4 - n}", f"dec{4 - n}"),
        lambda n: f"upconv{4 - n}",
        "conv",
        [width << i for i in range(5)],
        enlarged_first=True,
        classes=classes,
    )


class SegmentationModelsUNet(nn.Module):
    """encoder.conv1 … decoder.blocks.0.conv1.0 … segmentation_head.0 on a torchvision ResNet."""

    def __init__(self, encoder="resnet18", widths=(16, 12, 8, 6, 4), classes=3, kernel=3):
        super().__init__()
        from torchvision.models import get_model

        self.encoder = get_model(encoder, weights=None)
        last = self.encoder.fc.in_features
        del self.encoder.fc, self.encoder.avgpool
        skips, below, blocks = [last // 2, last // 4, last // 8, 64, 0], last, []
        for skip, width in zip(skips, widths, strict=True):
            pairs = {}
            for name, inputs in (("conv1", below + skip), ("conv2", width)):
                conv = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
                pairs[name] = nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU())
            blocks.append(Named(pairs))
            below = width
        self.decoder = Named({"blocks": nn.ModuleList(blocks)})
        head = nn.Conv2d(below, classes, kernel, padding=kernel // 2)
        self.segmentation_head = nn.Sequential(head, nn.Identity(), nn.Identity())

    def forward(self, x):
        e = self.encoder
        features = [e.bn1(e.conv1(x)).relu()]
        features.append(e.layer1(e.maxpool(features[0])))
        for layer in (e.layer2, e.layer3, e.layer4):
            features.append(layer(features[-1]))
        y = features.pop()
        for block in self.decoder.blocks:
            y = F.interpolate(y, scale_factor=2, mode="nearest")
            if features:
                y = torch.cat([y, features.pop()], 1)
            y = block.conv2(block.conv1(y))
        return self.segmentation_head(y)


class NamedDCGAN(Named):
    """One net of a DCGAN, its convolutions and norms under anybody's names, in order."""

    def __init__(self, convs, norms, generator, width, channels, latent=7, bias=False):
        widths = [width << i for i in range(len(convs) - 1)]
        widths = [latent, *widths[::-1], channels] if generator else [channels, *widths, 1]
        kind = nn.ConvTranspose2d if generator else nn.Conv2d
        # Where the map is 4×4, a kernel of 4 makes it or sees all of it.
        single = 0 if generator else len(convs) - 1
        parts = {}
        for i, (conv, (a, b)) in enumerate(zip(convs, pairwise(widths), strict=True)):
            stride, padding = (1, 0) if i == single else (2, 1)
            parts[conv] = kind(a, b, 4, stride, padding, bias=bias)
            if norms[i]:
                parts[norms[i]] = nn.BatchNorm2d(b)
        super().__init__(parts)
        self.convs, self.norms, self.generator = convs, norms, generator

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = self.get_submodule(conv)(x)
            if norm:
                x = self.get_submodule(norm)(x)
            if conv != self.convs[-1]:
                x = x.relu() if self.generator else F.leaky_relu(x, 0.2)
        return x.tanh() if self.generator else x.sigmoid().flatten()


#: Patterns of the names of convolution and norm in generator and discriminator, and biases.
DCGANS = {
    "example": (("main.{0}", "main.{1}"), ("main.{0}", "main.{1}"), False),
    "bolts": (("gen.{0}.0", "gen.{0}.1"), ("disc.{0}.0", "disc.{0}.1"), False),
    "tconv": (("tconv{0}", "bn{0}"), ("conv{0}", "bn{0}"), False),
    "deconv": (("deconv{0}", "deconv{0}_bn"), ("conv{0}", "conv{0}_bn"), True),
}


def dcgan(project, steps, generator, width=3, **options):
    """A net of this project; the example's numbers count all layers of its `Sequential`."""
    *both, bias = DCGANS[project]
    conv, norm = both[0 if generator else 1]
    first = 1 if project in ("tconv", "deconv") else 0
    numbers = [first + i for i in range(steps + 1)]
    if project == "example":
        numbers = [3 * i if generator or i == 0 else 3 * i - 1 for i in range(steps + 1)]
    normed = range(steps) if generator else range(1, steps)
    return NamedDCGAN(
        [conv.format(n) for n in numbers],
        [norm.format(n, n + 1) if i in normed else None for i, n in enumerate(numbers)],
        generator,
        width,
        **{"channels": 3 if generator else 1, "bias": bias} | options,
    )


def torchvision_net(name):
    """fcn_resnet50 or fcn_resnet101 of five classes."""
    from torchvision.models import segmentation

    make = getattr(segmentation, name)
    return make(weights=None, weights_backbone=None, num_classes=5, aux_loss=True)


def shaken(net):
    """The net in evaluation mode, with weights that keep the signal alive: every tensor counts."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                # An output pixel sums k² taps of each input channel, k² / stride² if transposed.
                stride = module.stride[0] if isinstance(module, nn.ConvTranspose2d) else 1
                taps = module.in_channels * (module.kernel_size[0] / stride) ** 2
                module.weight.normal_(0, (2 / taps) ** 0.5)
            if getattr(module, "bias", None) is not None:
                module.bias.normal_(0, 0.3)
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 1.5)
    return net.eval()
