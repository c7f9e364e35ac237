"""When a generator has stopped learning: it cannot fool, or it paints one picture only."""

from collections.abc import Mapping

import torch
from torch import Tensor

#: A discriminator's loss below it leaves the generator next to nothing to learn from …
BEATEN = 0.01
#: … when so many looks in a row found it there.
PATIENCE = 20
#: Generated images this much less varied than real ones are one picture …
MONOTONOUS = 0.1
#: … when so many validations in a row found them so: at its start every generator is monotonous.
VALIDATIONS = 2


class CollapseWatch:
    """Say once, in one line, that training has collapsed; `collapsed` says whether it still has."""

    def __init__(self) -> None:
        self.beaten = 0
        self.monotonous = 0
        self._said: set[str] = set()

    @property
    def collapsed(self) -> bool:
        """Whether the last looks found either fault."""
        return self.beaten >= PATIENCE or self.monotonous >= VALIDATIONS

    def see_loss(self, loss: float, iteration: int) -> None:
        """Look at the discriminator's loss."""
        self.beaten = self.beaten + 1 if loss < BEATEN else 0
        if self.beaten >= PATIENCE:
            self._say(
                iteration,
                f"the discriminator's loss stayed below {BEATEN} for {PATIENCE} logged steps",
                "a lower task.discriminator_lr or task.r1_gamma=1 may help",
            )

    def see_diversity(self, diversity: float, iteration: int) -> None:
        """Look at how varied generated images are beside real ones."""
        self.monotonous = self.monotonous + 1 if diversity < MONOTONOUS else 0
        if self.monotonous >= VALIDATIONS:
            self._say(
                iteration,
                f"generated images differ by {diversity:.3f} of what real ones do",
                "another seed, a lower task.generator_lr or task.r1_gamma=1 may help",
            )

    def _say(self, iteration: int, fault: str, remedy: str) -> None:
        if remedy not in self._said:
            self._said.add(remedy)
            print(f"training has collapsed at iteration {iteration}: {fault}; {remedy}", flush=True)

    def state_dict(self) -> dict[str, int]:
        """What a resumed run goes on from."""
        return {"beaten": self.beaten, "monotonous": self.monotonous}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from a checkpoint."""
        self.beaten, self.monotonous = state["beaten"], state["monotonous"]


def diversity(fake: Tensor, real: Tensor) -> float:
    """Mean distance between two generated images, over that between two real ones.

    Args:
        fake: (B, C, H, W), at least two.
        real: (B', C, H, W), at least two.
    """
    spread = [torch.pdist(images.flatten(1).float()).mean() for images in (fake, real)]
    return (spread[0] / spread[1].clamp_min(1e-12)).item()
