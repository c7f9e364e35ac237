"""What a generator draws into files."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from tasks import noise
from upzoo.base import NoiseNet


class Grey(NoiseNet):
    """Images of 2×3 pixels, all of the value of the first number of the noise."""

    latent = 4

    def __init__(self):
        nn.Module.__init__(self)

    def forward(self, z):
        return z[:, :1, None, None].expand(-1, 3, 2, 3)


def drawn(folder):
    found = []
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            found.append(np.asarray(image))
    return found


def test_a_folder_gets_single_images(tmp_path, capsys):
    noise.draw_file(Grey(), 70, None, 5, str(tmp_path / "out"))
    pictures = drawn(tmp_path / "out")
    first = torch.randn(70, 4, generator=torch.Generator().manual_seed(5))[:, 0]
    expected = ((first.clamp(-1, 1) + 1) * 127.5).round()
    assert [int(p[0, 0, 0]) for p in pictures] == expected.int().tolist()
    assert {p.shape for p in pictures} == {(2, 3, 3)}
    assert capsys.readouterr().out == f"70 images drawn: {tmp_path / 'out'}\n"


def test_a_file_gets_all_in_one_and_interpolation_goes_from_noise_to_noise(tmp_path):
    noise.draw_file(Grey(), 3, None, 0, str(tmp_path / "grid.png"))
    with Image.open(tmp_path / "grid.png") as grid:
        width, height = grid.size
    assert width > 3 * height / 2 > 48
    noise.draw_file(Grey(), None, 2, 0, str(tmp_path / "ways"))
    z = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    values = [int(p[0, 0, 0]) for p in drawn(tmp_path / "ways")]
    assert len(values) == 16
    ends = ((z[:, 0].clamp(-1, 1) + 1) * 127.5).round().int().tolist()
    assert [values[i] for i in (0, 7, 8, 15)] == ends


@pytest.mark.parametrize(
    ("net", "counts", "target", "message"),
    [
        (nn.Flatten(), (4, None), None, "samples=4: this net draws nothing from noise"),
        (nn.Flatten(), (None, 2), None, "interpolation=2: this net draws nothing"),
        (Grey(), (4, 2), None, "give one of them"),
        (Grey(), (4, None), "grid.jpg", "output=grid.jpg: a picture is a PNG file"),
    ],
)
def test_refusals(net, counts, target, message):
    with pytest.raises(ValueError, match=message):
        noise.draw_file(net, *counts, 0, target)


def test_interpolation_goes_along_the_circle():
    a, b = torch.eye(3)[:2]
    arc = noise.interpolate(a[None], b[None], 3)
    torch.testing.assert_close(arc[[0, 2]], torch.stack([a, b]))
    torch.testing.assert_close(arc[1], (a + b) / math.sqrt(2))
    start, end = F.normalize(torch.randn(2, 4, 9), dim=-1)
    arcs = noise.interpolate(start, end, 5)
    torch.testing.assert_close(arcs.norm(dim=-1), torch.ones(20))
    torch.testing.assert_close(arcs.view(4, 5, 9)[:, -1], end)
