"""Each command of README, CONTRIBUTING and docs runs, small, or is named with why it does not.

Python blocks are run by `test_docs.py`, the page on checkerboards by `test_checkerboard_page.py`.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.commands import Commands, Ended
from tests.conftest import ROOT, SMALL
from tests.data.test_mnist import write_mnist

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = r"(?:python3?|upzoo|pip|tensorboard|mkdocs|sbatch|ruff|pytest|eval)"
#: A line of a block, or code within a sentence, that begins as a command does.
LINE = re.compile(rf"^ {{0,8}}({PROGRAMS} .+)$", re.M)
INLINE = re.compile(rf"(?<!`)`({PROGRAMS} [^`]+)`(?!`)")
#: Pattern of a command → why no test here runs it.
NOT_RUN = {
    r"pip install|^python3 -m venv": "tests/test_wheel.py and .ci/run install the project",
    r"^tensorboard ": "tests/comparison/test_tensorboard_page.py opens it",
    r"submitit_slurm|^sbatch": "needs SLURM",
    r"download=true|weights=IMAGENET|DEFAULT|torchvision:|data\.tests=": "needs a download",
    r"^python -m benchmarks\.": "measures for minutes; tests/benchmarks runs its parts",
    r"^python -m (studies|release)\.": "writes into the repository; tests/studies, tests/release",
    r"^python -m runs\.help|^python docs/": "writes pages; tests compare them",
    r"^(ruff|pytest|mkdocs) ": "is what runs the tests",
    r"^eval ": "sets up a shell",
    r"pretrained=mnist_classifier": "needs the 60,000 digits of MNIST",
    r"upsample=mine": "tests/test_extending.py adds it",
    r"upzoo audit mynets:|--correct$": "tests/test_checkerboard_page.py runs it",
    r"trainer=ddp": "tests/test_ddp.py starts several processes",
    r" … |=NAME|NAME |=RUN_|\|": "stands for other lines",
    r"benchmarks\.|resnet50\.pth": "tests/models/test_backbone_files.py has the file",
    r"logs/study/espcn_x3": "needs the study's logs",
    r"audit=NAME|ckpt=last$": "tests/test_train.py resumes",
}  # fmt: skip
#: What a training is given besides, so that it lasts a second.
QUICK = [
    "trainer.max_epochs=1",
    "trainer.check_val_every_n_epoch=1",
    "trainer.limit_train_batches=1",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "artifacts=2",
    "average=0",
    "compile=false",
]
#: A sweep of all operators takes a minute.
SECONDS = 600
SHAPES = [word for word in SMALL if word.startswith("data.")]


def commands() -> dict[str, str]:
    """Command → the page that has it first."""
    found: dict[str, str] = {}
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for line in [*LINE.findall(text), *INLINE.findall(text)]:
            found.setdefault(re.sub(r"\s+# .*", "", " ".join(line.split())), path.name)
    return found


def reason(line: str) -> str | None:
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, line)), None)


ALL = commands()
RUN = {line: page for line, page in ALL.items() if reason(line) is None}


def test_the_pages_hold_as_many_commands_as_a_plain_search_finds():
    """Whatever follows the name of a script in a page is part of a command that was found."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        told = re.findall(r"\b(?:train|evaluate|compare)\.py (?=[\w'-]+[=. ])[^\n`#]+", text)
        for words in told:
            start = " ".join(words.split())
            assert any(start in line for line in ALL), f"{path.name}: {start}"


def test_every_reason_is_of_some_command():
    for pattern in NOT_RUN:
        assert any(re.search(pattern, line) for line in ALL), pattern
    assert len(RUN) > 50


class Place:
    """A folder with data of every kind that the commands name, and what earlier ones trained."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.command = folder, Commands()
        self.trained: dict[str, str] = {}
        random = np.random.default_rng(0)
        for index in range(10):
            self.image(f"mydata/images/{index}.jpg", random, (64, 48))
            mask = (np.arange(64) // 24)[None].repeat(48, 0).astype(np.uint8)
            self.save(f"mydata/masks/{index}.png", mask)
        for index in range(60):
            self.image(f"photos/{index}.png", random, (64, 64))
        for split in ("train", "val", "test"):
            for index in range(2):
                self.image(f"camvid/{split}/{index}.png", random, (64, 48))
                self.save(f"camvid/{split}annot/{index}.png", mask)
        for name, count in {"T91": 14, "Set5": 2, "Set14": 2}.items():
            for index in range(count):
                self.image(f"super_resolution/{name}/{index}.png", random, (72, 72))
        for name in ("photo.jpg", "photo.png"):
            self.image(name, random, (64, 48))
        write_mnist(folder / "digits", train=200, test=60)
        self.weights()
        (folder / "mypackage").mkdir()
        (folder / "mypackage/nets.py").write_text(
            "from torch import nn\n\n\ndef build():\n    return nn.Conv2d(3, 2, 3, padding=1)\n"
        )
        (folder / "upzoo_command.py").write_text(
            "import sys\nsys.path.insert(0, '.')\n"
            "from upzoo.audit import command\nsys.exit(command.main())\n"
        )

    def image(self, name: str, random: Any, size: tuple[int, int]) -> None:
        width, height = size
        small = random.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
        self.save(name, np.asarray(Image.fromarray(small).resize(size)))

    def save(self, name: str, pixels: np.ndarray) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)

    def weights(self) -> None:
        """Of other projects' nets."""
        from tests.models import originals

        torch.manual_seed(0)
        torch.save(originals.popular_unet().state_dict(), self.folder / "weights.pth")
        torch.save(originals.ReleasedFCN(8).state_dict(), self.folder / "fcn8s.pth")

    def run_of(self, line: str) -> str:
        """The run that a line's RUN stands for."""
        generator = re.search(r"samples=|interpolation=", line)
        kernels = "equalise=" in line  # to be corrected
        name = "gan" if generator else "camvid" if "data=camvid" in line else "seg"
        return self.trained["study" if kernels else name]

    def root_of(self, line: str) -> str:
        """The folder that a line's PATH stands for."""
        kinds = {
            "data=images": "photos", "data=folder": "mydata", "camvid": "camvid",
            "mnist": "digits", "t91": "super_resolution",
        }  # fmt: skip
        return next(folder for word, folder in kinds.items() if word in line)

    def arguments(self, line: str) -> list[str]:
        """A line's own words, with what its placeholders stand for and what keeps it short."""
        words = shlex.split(line)
        program, words = words[0], words[1:]
        if program == "upzoo":
            return [str(self.folder / "upzoo_command.py"), *words]
        script, *words = words
        text = " ".join(words)
        if "RUN" in text:
            words = [word.replace("RUN", self.run_of(line)) for word in words]
        if "PATH" in text:
            there = self.root_of(line)
            words = [re.sub("PATH(/TO/A/FOLDER)?$", there, word) for word in words]
        words = ["seed=0,1" if word == "seed=0,1,2" else word for word in words]
        if script == "train.py" and "--help" not in words and "--cfg" not in words:
            words += [*QUICK, *self.smaller(text)]
        return [script, *words]

    def smaller(self, text: str) -> list[str]:
        """Options that make the data and the net of a training small."""
        if "debug=" in text:
            return []
        if not re.search(r"data=|experiment=(?!deconvnet_shapes)", text):
            return SHAPES
        small = ["data.batch_size=2"]
        if "mnist" in text:
            small.append("data.val=20")
        if "init=" not in text and not re.search("t91|mnist|images", text):
            small.append("data.size=[32,32]")
        return small

    def __call__(self, line: str) -> Ended:
        for name in (".out", ".err"):
            (self.folder / name).unlink(missing_ok=True)
        words = self.arguments(line)
        if "launcher=joblib" in line:  # whose workers would keep a forked process from its end
            command = [sys.executable, str(ROOT / words[0]), *words[1:]]
            ran = subprocess.run(
                command, cwd=self.folder, capture_output=True, text=True, timeout=SECONDS
            )
            return Ended(ran.returncode, ran.stdout, ran.stderr, [])
        return self.command(self.folder, words, SECONDS)

    def train(self, line: str) -> None:
        ended = self(line)
        assert ended.status == 0, (line, ended)
        name = re.search(r"name=(\w+)", line)[1]
        self.trained[name] = max((self.folder / "logs" / name).glob("*/seed*")).as_posix()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = Place(tmp_path_factory.mktemp("reader"))
    for line in (
        "python train.py name=seg",
        "python train.py name=camvid data=camvid data.root=PATH",
        "python train.py name=gan model=dcgan data=mnist data.root=PATH",
        "python train.py name=study",
        "python train.py name=study upsample=transposed_conv",
        "python train.py name=mine",
        "python train.py name=mine upsample=transposed_conv",
    ):
        made.train(line)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("line", RUN)
def test_it_runs(place, line):
    ended = place(line)
    known = (0, 1) if "audit" in line else (0,)  # 1: a checkerboard, or nobody can tell
    assert ended.status in known, ended.err[-3000:] or ended.out[-3000:]
    assert "Traceback" not in ended.err + ended.out
