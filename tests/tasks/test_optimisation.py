"""Steps of the fused optimizer are AdamW's, with gradients clipped in any precision."""

from types import SimpleNamespace

import lightning.pytorch as pl
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from tasks.optimisation import Optimisation
from tasks.segmentation import Segmentation
from upzoo.checkpoint import build

FIXED = {"_target_": "models.upsampling.BilinearInit", "_partial_": True, "trainable": True}
DATA = SimpleNamespace(classes=("a", "b", "c"), ignore_index=255)
NETS = {
    "fcn": {"_target_": "models.fcn.FCN", "width": 4},
    "unet": {"_target_": "models.unet.UNet", "backbone": "plain", "width": 4},
}


def net(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build({**NETS[name], "num_classes": 3, "upsample": FIXED}).train()


def optimizer_of(trained: nn.Module) -> torch.optim.Optimizer:
    trainer = SimpleNamespace(datamodule=SimpleNamespace(train_batches=9), max_steps=-1)
    trainer.max_epochs, trainer.accumulate_grad_batches = 1, 1
    settings = Optimisation(lr=0.01, weight_decay=0.0, warmup=0.0, schedule="constant")
    (optimizer,), _ = settings.configure(trained, trainer)
    return optimizer


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", sorted(NETS))
def test_fused_steps_are_those_of_adamw(name, layout):
    # The fused kernel reads weights, gradients and averages as if they lay alike in memory.
    ours, plain = (net(name).to(memory_format=layout) for _ in range(2))
    fused = optimizer_of(ours)
    reference = torch.optim.AdamW(plain.parameters(), 0.01, weight_decay=0.0, fused=False)
    x = torch.randn(2, 3, 32, 32).contiguous(memory_format=layout)
    mask = torch.randint(0, 3, (2, 32, 32))
    for _ in range(3):
        fused.zero_grad()
        F.cross_entropy(ours(x), mask).backward()
        for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
            b.grad = None if a.grad is None else a.grad.clone()
        fused.step()
        reference.step()
        for a, b in zip(ours.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Lightning's advice on workers and logs
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_gradients_are_clipped_unscaled_before_the_fused_step(precision):
    seen = []

    class Watched(Segmentation):
        def on_before_optimizer_step(self, optimizer):
            self.before = torch.cat([p.grad.flatten() for p in self.net.parameters()])

        def configure_gradient_clipping(self, *args, **kwargs):
            super().configure_gradient_clipping(*args, **kwargs)
            seen.append((self.before, torch.cat([p.grad.flatten() for p in self.parameters()])))

    torch.manual_seed(0)
    conv = nn.Conv2d(3, 3, 1)
    first = [p.detach().clone() for p in conv.parameters()]
    task = Watched(conv, DATA, lr=0.1, weight_decay=0.0, warmup=0.0)
    image, mask = 50 * torch.randn(4, 3, 8, 8), torch.randint(0, 3, (4, 8, 8))
    batches = [{"image": i, "mask": m} for i, m in zip(image, mask, strict=True)]
    trainer = pl.Trainer(
        accelerator="cpu",
        precision=precision,
        gradient_clip_val=0.5,
        max_epochs=1,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(task, DataLoader(batches, 4), DataLoader(batches, 4))
    ((before, after),) = seen
    reference = nn.Conv2d(3, 3, 1)
    reference.load_state_dict(dict(zip(("weight", "bias"), first, strict=True)))
    F.cross_entropy(reference(image), mask).backward()
    true = torch.cat([p.grad.flatten() for p in reference.parameters()])
    assert true.norm() > 1
    torch.testing.assert_close(before, true, rtol=0.02, atol=0.02)  # no scale of a scaler is left
    torch.testing.assert_close(after, before * 0.5 / before.norm())
    # Adam's first step: lr · g / (|g| + ε)
    moved = torch.cat([p.detach().flatten() for p in conv.parameters()]) - torch.cat(
        [p.flatten() for p in first]
    )
    torch.testing.assert_close(moved, -0.1 * after / (after.abs() + 1e-8), rtol=1e-4, atol=1e-5)
