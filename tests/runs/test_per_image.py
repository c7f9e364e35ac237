import numpy as np
import pytest
import torch

from runs import per_image


def test_round_trip(tmp_path):
    path = tmp_path / per_image.FILE
    figures = [
        {"test": {"hits": torch.tensor([[step, 2], [3, 4]]), "psnr": torch.tensor([0.5, 31.0])}}
        for step in (8, 16)
    ]
    per_image.write(path, [8, 16], figures, {"test": ["a_1", "b"]})
    arrays = per_image.read(path)
    assert arrays["steps"].tolist() == [8, 16]
    assert arrays["test.images"].tolist() == ["a_1", "b"]
    assert arrays["test.hits"].tolist() == [[[8, 2], [3, 4]], [[16, 2], [3, 4]]]
    assert arrays["test.hits"].dtype == np.int32
    assert arrays["test.psnr"].tolist() == [[0.5, 31.0]] * 2
    assert [p.name for p in tmp_path.iterdir()] == [per_image.FILE]


def test_what_is_none_is_refused_in_one_line(tmp_path):
    path = tmp_path / per_image.FILE
    with pytest.raises(FileNotFoundError, match=r"no such file; a run with budgets"):
        per_image.read(path)
    path.write_text("nothing")
    with pytest.raises(ValueError, match="not the figures of images"):
        per_image.read(path)
    np.savez_compressed(path, other=np.ones(2))
    with pytest.raises(ValueError, match="it has no steps"):
        per_image.read(path)
