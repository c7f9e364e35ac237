"""State dicts for others' projects: whole, new, and loaded as any other."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from upzoo.saving import check_target, save_state


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 3, 3)
        self.second = nn.Conv2d(3, 3, 3)
        self.second.weight = self.first.weight
        self.norm = nn.BatchNorm2d(3)


@pytest.mark.parametrize("name", ["net.safetensors", "net.pth", "net.pt"])
def test_it_loads_again(name, tmp_path):
    net = Tied().to(memory_format=torch.channels_last)
    path = save_state(tmp_path / name, net)
    state = load_file(path) if path.suffix == ".safetensors" else torch.load(path)
    assert state.keys() == net.state_dict().keys()
    other = Tied()
    other.load_state_dict(state)
    assert torch.equal(other.second.weight, net.first.weight)
    assert other.second.weight is other.first.weight
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_what_is_refused(tmp_path):
    (tmp_path / "there.pth").touch()
    for path, why in (
        (tmp_path / "net.ckpt", "a state dict is written as .safetensors, .pth, .pt"),
        (tmp_path / "there.pth", "exists: give a new name"),
        (tmp_path / "nowhere" / "net.pth", "there is no folder"),
    ):
        with pytest.raises(ValueError, match=why):
            check_target(path)


def test_nothing_half_written_stays(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("upzoo.saving.save_file", full)
    with pytest.raises(OSError, match="no space"):
        save_state(tmp_path / "net.safetensors", nn.Conv2d(1, 1, 1))
    assert not (tmp_path / "net.safetensors").exists()
