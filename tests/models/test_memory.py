"""A net that the memory cannot hold is refused before its weights are touched."""

import pytest
import torch
from torch import nn

from upzoo import checkpoint, memory

UNET = {"_target_": "models.unet.UNet", "num_classes": 3, "in_channels": 3, "depth": 3}
UNET["upsample"] = {"_target_": "models.upsampling.BilinearInit", "_partial_": True}


def weights(net):
    return sum(tensor.nbytes for tensor in net.parameters())


@pytest.mark.parametrize(("share", "fits"), [(2.1, True), (1.9, False)])
def test_weights_may_take_half_of_the_memory(monkeypatch, share, fits):
    needed = weights(checkpoint.build(UNET | {"width": 8}))
    monkeypatch.setattr(memory, "physical_memory", lambda: int(share * needed))
    if fits:
        assert weights(checkpoint.build(UNET | {"width": 8})) == needed
    else:
        with pytest.raises(ValueError, match="more than half of this machine's memory of 0 GiB"):
            checkpoint.build(UNET | {"width": 8})


@pytest.mark.parametrize("sides", [2**27, 2**31])  # more than any system has, or can count
def test_what_the_system_refuses_is_refused_alike(monkeypatch, sides):
    monkeypatch.setattr(memory, "physical_memory", lambda: None)
    wrong = pytest.raises(ValueError, match="half of this machine's memory: make it")
    with wrong, memory.WithinMemory():
        nn.Linear(sides, sides)


def test_other_faults_stay_what_they_are():
    with pytest.raises(RuntimeError, match="negative dimension"), memory.WithinMemory():
        torch.empty(-1)
