"""On a GPU pictures are measured where they are, to the CPU's figures."""

import pytest
import torch

from upzoo.metrics.checkerboard import CheckerboardScores
from upzoo.metrics.checkerboard.terms import measured

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU of NVIDIA's")


@GPU
@pytest.mark.parametrize("compared", [True, False])
def test_terms_are_those_of_the_cpu(compared):
    images = torch.randn(3, 5, 90, 120, generator=torch.Generator().manual_seed(0))
    expected = measured(images, (2, 4, 8), compared)
    found = measured(images.cuda(), (2, 4, 8), compared)
    for name, values in expected.items():
        assert found[name].is_cuda
        torch.testing.assert_close(
            found[name].cpu(), values, rtol=1e-4, atol=1e-6, equal_nan=True, msg=name
        )


@GPU
def test_scores_on_the_cpu_take_pictures_of_a_gpu():
    noise = torch.randn(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    scores = [CheckerboardScores((2, 4)) for _ in range(2)]
    for score, images in zip(scores, (noise, noise.cuda()), strict=True):
        score.update(images[:4], real=True)
        score.update(images[4:], real=False)
    here, there = (score.compute() for score in scores)
    assert there == pytest.approx(here, rel=1e-3, abs=1e-4, nan_ok=True)
