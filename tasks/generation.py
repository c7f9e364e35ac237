"""Adversarial training of a generator, scored against real images."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torchmetrics.utilities.distributed import gather_all_tensors

from data.pixels import denormalise
from panels.samples import sample_grid
from runs import folders
from tasks.adversarial import LOSSES, frozen, r1, untracked
from tasks.base import MADE, Batch, Made, Samples, Task, gradient_figures
from tasks.collapse import CollapseWatch, diversity
from tasks.diffaugment import augmented, check_policy
from tasks.optimisation import LossNotFiniteError, check_betas, check_choice, unscaled_first
from tasks.pictures import COLUMNS, draw
from upzoo.audit import AuditReport, audit
from upzoo.base import NoiseNet
from upzoo.counts import check_counts
from upzoo.dcgan import DCGAN
from upzoo.digits import load_features
from upzoo.metrics.generation import GenerationScores, inception_features

#: Features in which generated images are compared with real ones, by the name in configs.
FEATURES: dict[str, Callable[[], nn.Module]] = {
    "mnist_classifier": load_features,
    "inception": inception_features,
}
#: Instead of a name: those that the data have.
AUTO = "auto"
#: Images of the fixed noise that is drawn again and again.
FIXED = 64


class Generation(Task):
    """Train a generator against its discriminator.

    Each iteration is a step of the discriminator on a batch of real and of generated images, then
    `generator_steps` of the generator with the same noise. `iteration` counts them: it is the step
    of all that is logged, since Lightning's `global_step` counts every optimiser's.

    Processes that train together (`trainer=ddp`) share one draw of noise, see `_share`: together
    they take the steps of one process on all their images, and score the images of all.

    Args:
        net: has `generator`, noise (B, latent) -> images in [-1, 1], and `discriminator`, images
            -> logits (B,), and is the generator when called.
        data: the data to train on; its `mean` and `std` are used.
        generator_lr: Adam's learning rate, above 0.
        discriminator_lr: the same for the discriminator.
        betas: Adam's two decay rates.
        loss: a key of `tasks.adversarial.LOSSES`.
        generator_steps: of the generator for each of the discriminator.
        r1_gamma: weight γ of the penalty γ/2·E‖∇D(x)‖² on real images; 0 is none.
        r1_every: iterations from one penalty to the next, which is weighted as much higher
            (Karras et al. 2020, "lazy regularisation").
        diffaugment: how the images that the discriminator learns from are augmented, keys of
            `tasks.diffaugment.POLICY`, real and generated ones alike, for few images; none by
            default. Every process draws its own.
        features: a key of `FEATURES`; None leaves the sliced Wasserstein distance.
        card: plain data to store in every checkpoint, so that it can be rebuilt from itself.

    Raises:
        ValueError: for options out of their range.
    """

    takes = "noise"
    takes_turns = True
    mean: Tensor
    std: Tensor
    fixed_z: Tensor

    def __init__(
        self,
        net: NoiseNet,
        data: Any,
        *,
        generator_lr: float = 2e-4,
        discriminator_lr: float = 2e-4,
        betas: Sequence[float] = (0.5, 0.999),
        loss: str = "non_saturating",
        generator_steps: int = 1,
        r1_gamma: float = 0.0,
        r1_every: int = 16,
        diffaugment: Sequence[str] = (),
        features: str | None = None,
        card: Mapping[str, Any] | None = None,
    ):
        super().__init__(net, card)
        self.automatic_optimization = not self.takes_turns
        for name, rate in (("generator_lr", generator_lr), ("discriminator_lr", discriminator_lr)):
            if not rate > 0:
                raise ValueError(f"task.{name}={rate!r} must be a number above 0")
        check_counts("task.", generator_steps=generator_steps, r1_every=r1_every)
        check_betas(betas)
        if r1_gamma < 0:
            raise ValueError(f"task.r1_gamma={r1_gamma!r} must be a number of at least 0")
        check_choice("loss", loss, tuple(LOSSES))
        if features is not None:
            check_choice("features", features, tuple(FEATURES))
        self.lrs = (discriminator_lr, generator_lr)
        self.betas = (betas[0], betas[1])
        self.losses = LOSSES[loss]
        self.generator_steps = generator_steps
        self.r1_gamma = r1_gamma
        self.r1_every = r1_every
        self.policy = check_policy(diffaugment)
        #: Iterations done.
        self.iteration = 0
        self.watch = CollapseWatch()
        self.scores = GenerationScores(FEATURES[features]() if features else None)
        self.register_buffer("mean", torch.tensor(data.mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(data.std).view(-1, 1, 1), persistent=False)
        noise = torch.randn(FIXED, net.latent, generator=torch.Generator().manual_seed(0))
        self.register_buffer("fixed_z", noise, persistent=False)

    @staticmethod
    def outputs(data: Any) -> int:
        """Channels that the net must give: the image's."""
        return data.in_channels

    @classmethod
    def fill(cls, options: Any, data: Any) -> None:
        """Put the features that the data have in place of "auto", if their classifier is here."""
        if options.get("features") != AUTO:
            return
        options.features = named = getattr(data, "features", None)
        try:
            FEATURES.get(named, bool)()
        except (ConnectionError, ValueError) as error:
            if folders.shared() is None:  # the first of the run's processes speaks
                print(f"no Fréchet distance: {error}")
            options.features = None

    def forward(self, z: Tensor) -> Tensor:
        """Noise (B, latent) -> images (B, C, H, W) in [-1, 1], as the net is now."""
        return self.net(z)

    def real_images(self, batch: Batch) -> Tensor:
        """The batch's images in [-1, 1]."""
        images = denormalise(batch["image"], self.mean, self.std) * 2 - 1
        return images.clamp(-1, 1).contiguous(memory_format=torch.channels_last)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One iteration; stops the run where a loss is no longer finite."""
        real = self.real_images(batch)
        z = self._share(len(real))
        fake = self.net.generator(z)  # with its graph, which the generator's first step goes on
        values = self._discriminator_step(real, fake.detach())
        values |= self._generator_step(fake)
        for _ in range(self.generator_steps - 1):
            self._generator_step(self.net.generator(z))
        self.iteration += 1
        if self.iteration % self.trainer.log_every_n_steps == 0:
            self._log_step(values, z)

    def _share(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Noise (count, latent) of this process: its rows of one draw for all processes.

        The first takes rows 0, P, 2P … of P processes, as of the images, and so on.

        Args:
            count: rows that each process needs.
            generator: in the same state on all; by default the first process's own draws for all.
        """
        processes = self.trainer.world_size
        device = self.device if generator is None else None
        z = torch.randn(count * processes, self.net.latent, generator=generator, device=device)
        if processes > 1 and generator is None:
            torch.distributed.broadcast(z, 0)
        return z[self.global_rank :: processes].to(self.device)

    def _discriminator_step(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        optimizer, _ = self.optimizers()
        penalised = self.r1_gamma > 0 and self.iteration % self.r1_every == 0
        if penalised:  # not compiled: the penalty is differentiated twice
            seen = augmented(real.requires_grad_(), self.policy)
            real_logits = self.net.discriminator.forward(seen).float()
        else:
            real_logits = self.net.discriminator(augmented(real, self.policy)).float()
        fake_logits = self.net.discriminator(augmented(fake, self.policy)).float()
        loss, _ = self.losses(real_logits, fake_logits)
        total = loss
        if penalised:
            total = loss + self.r1_gamma / 2 * self.r1_every * r1(real_logits, real)
        self._step(optimizer, total)
        return {"loss_d": loss.detach(), "d_real": real_logits.detach().sigmoid().mean()}

    def _generator_step(self, fake: Tensor) -> dict[str, Tensor]:
        _, optimizer = self.optimizers()
        with frozen(self.net.discriminator):
            logits = self.net.discriminator(augmented(fake, self.policy)).float()
        _, loss = self.losses(logits, logits)
        self._step(optimizer, loss)
        return {"loss_g": loss.detach(), "d_fake": logits.detach().sigmoid().mean()}

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        # another process's gradients reach the first, which then says so, at the next step
        if self.global_rank == 0 and not loss.isfinite():
            raise LossNotFiniteError(
                f"a loss became {loss.item()} at iteration {self.iteration}, "
                f"epoch {self.current_epoch}"
            )
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    @torch.no_grad()
    def _log_step(self, values: dict[str, Tensor], z: Tensor) -> None:
        with untracked(self.net):
            again = self.net.discriminator(self.net.generator(z)).float()
        values["d_fake_after"] = again.sigmoid().mean()
        for name, part in (("g", self.net.generator), ("d", self.net.discriminator)):
            gradients = [p.grad for p in part.parameters() if p.grad is not None]
            values[f"grad_norm_{name}"] = nn.utils.get_total_norm(gradients)
        if self.global_rank == 0:  # which speaks for all
            self.watch.see_loss(values["loss_d"].item(), self.iteration)
        values["collapsed"] = torch.tensor(float(self.watch.collapsed))
        shown = ("loss_d", "loss_g")
        for name, value in values.items():
            self.log(f"train/{name}", value, prog_bar=name in shown)
        self._log_at_iteration()

    def _log_at_iteration(self) -> None:
        """Make our own counter the step of what is logged with it (Lightning reads "step")."""
        self.log("step", float(self.iteration))

    def on_train_epoch_end(self) -> None:
        """Put what callbacks log of an epoch at our own counter too."""
        self._log_at_iteration()

    def on_validation_epoch_start(self) -> None:
        """Forget earlier images, and draw the same noise as ever."""
        self.scores.reset()
        self._noise = torch.Generator().manual_seed(0)

    on_test_epoch_start = on_validation_epoch_start

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Made]:
        """Add a batch of real images, and as many generated ones, to the scores.

        Hands both on.
        """
        real = self.real_images(batch)
        fake = self(self._share(len(real), self._noise)).float()
        for images, is_real in ((real, True), (fake, False)):
            self.scores.update((images + 1) / 2, real=is_real)
        if batch_idx == 0:
            self.first = (fake, real)
        return {MADE: (fake, real)}

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        """Log the scores of the whole validation set."""
        self._log_scores("val")
        speaks = self.global_rank == 0 and not self.trainer.sanity_checking
        if self.trainer.state.fn == "fit" and speaks:
            self.watch.see_diversity(self.results["diversity"], self.iteration)

    def on_test_epoch_end(self) -> None:
        """Log the scores of the whole test set."""
        self._log_scores("test")

    def score_names(self) -> tuple[str, ...]:
        """Distances of all levels together, and of features where there are some."""
        compared = ("precision", "recall", "fid", "kid") if self.scores.has_features else ()
        return ("swd", "diversity", *compared)

    def _log_scores(self, split: str) -> None:
        self.results = {name: value.item() for name, value in self.scores.compute().items()}
        self.results["diversity"] = self._diversity()
        for name, value in self.results.items():
            self.log(f"{split}/{name}", value, prog_bar=name in ("swd", "fid"))
        self._log_at_iteration()

    def _diversity(self) -> float:
        """Of the first batch, of all processes together; 1 where that is a single image."""
        together = self.trainer.world_size > 1
        fake, real = (torch.cat(gather_all_tensors(x)) if together else x for x in self.first)
        return diversity(fake, real) if len(real) > 1 else 1.0

    def configure_optimizers(self) -> list[Optimizer]:
        """Adam for the discriminator, then for the generator."""
        nets = (self.net.discriminator, self.net.generator)
        parameters = [[p for p in net.parameters() if p.requires_grad] for net in nets]
        return [
            unscaled_first(Adam(each, lr=lr, betas=self.betas, fused=True))
            for each, lr in zip(parameters, self.lrs, strict=True)
        ]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let every checkpoint carry the config that rebuilds it, and our counters."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["generation"] = {"iteration": self.iteration, "watch": self.watch.state_dict()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting from a checkpoint."""
        self.iteration = checkpoint["generation"]["iteration"]
        self.watch.load_state_dict(checkpoint["generation"]["watch"])

    def steps_done(self, trainer: pl.Trainer) -> int:
        """Iterations so far: Lightning's own count is of two optimizers."""
        return self.iteration

    def made(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Images from noise that their number decides, and as many real ones."""
        real = self.real_images(batch)
        generator = torch.Generator().manual_seed(len(real))
        z = torch.randn(len(real), self.net.latent, generator=generator)
        return self(z.to(self.device)).float(), real

    def examine(self, images: Tensor) -> tuple[AuditReport, Mapping[int, Any]]:
        """The audit of the generator, and the gradients that its discriminator gives."""
        report = audit(self.net, self.fixed_z[: len(images)])
        if not isinstance(self.net, DCGAN):  # a shipped generator
            return report, {}
        real = self.real_images({"image": images})
        return report, gradient_figures(self.net.discriminator, real, (2, 4))

    def picture(self, samples: Samples, data: Any) -> Tensor:
        """What the fixed noise has become."""
        return sample_grid(draw(self, self.fixed_z), COLUMNS)
