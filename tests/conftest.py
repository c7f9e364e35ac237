"""Run the scripts in this process, on a data set of a few small drawn scenes."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

ROOT = Path(__file__).resolve().parent.parent
if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores; so do the commands they run
    os.environ["OMP_NUM_THREADS"] = "1"

#: Small enough for a whole run in about a second.
SMALL = (
    "data.size=[32,32]",
    "data.train=12",
    "data.val=4",
    "data.test=4",
    "data.batch_size=4",
    "data.eval_batch_size=4",
    "model.width=4",
    "trainer.max_epochs=2",
    "trainer.check_val_every_n_epoch=1",
    "average=0",
    "trainer.log_every_n_steps=1",
    "callbacks.panels.images=2",
    "keep_checkpoints=true",
)


def compose_config(name: str, overrides: list[str]) -> DictConfig:
    """What Hydra hands to a script for these command-line arguments."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        cfg = compose(name, overrides, return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        return compose(name, overrides)


@pytest.fixture(scope="session")
def train_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Trains, on the small data unless told otherwise; gives the run's folder."""
    import train

    def run(*overrides: str, small: bool = True, logs: Path | None = None) -> Path:
        logs = logs or tmp_path_factory.mktemp("logs")
        arguments = [*(SMALL if small else ()), f"logs={logs}", *overrides]
        cfg = compose_config("train", arguments)
        train.train(cfg)
        return Path(cfg.run_dir)

    return run


@pytest.fixture(scope="session")
def trained(train_run: Callable[..., Path]) -> Path:
    """The folder of one finished run."""
    return train_run()


@pytest.fixture(autouse=True)
def _own_numbers() -> None:
    """A test draws the same numbers alone as after others, on whichever worker it runs."""
    import numpy as np
    import torch  # here, after the number of threads has been set

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_hydra() -> Iterator[None]:
    yield
    GlobalHydra.instance().clear()
