"""What CONTRIBUTING.md says of adding a thing is enough: one of each, in a copy of the project."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow

OPERATOR = '''
"""Enlargement by repeating pixels."""

from torch import Tensor

from upzoo.upsampling.base import Upsample, projection
from upzoo.upsampling.interpolation import resize


class Hold(Upsample):
    """Every pixel as a block of scale × scale (Nobody 2026).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        scale: integer enlargement.
        residual: add the bilinear-additive enlargement (see `Upsample`).
    """

    flat = True

    def __init__(
        self, in_channels: int, out_channels: int, scale: int = 2, *, residual: bool = False
    ):
        super().__init__(in_channels, out_channels, scale, residual=residual)
        self.project = projection(in_channels, out_channels)

    def enlarge(self, x: Tensor) -> Tensor:
        """The whole map, (B, out_channels, scale·H, scale·W)."""
        return resize(self.project(x), self.scale, "nearest")
'''

MODEL = '''
"""The smallest net that has an operator."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from upzoo.base import Net
from upzoo.fitting import refuse_needs


class TwoStep(Net):
    """Down by a convolution, up by the operator.

    Args:
        upsample: builds an operator from (in_channels, out_channels, scale).
        num_classes: channels of the output.
        in_channels: channels of the image.
        width: channels between.

    Raises:
        ValueError: for an operator that needs an encoder.
    """

    def __init__(
        self,
        upsample: Callable[[int, int, int], nn.Module],
        num_classes: int,
        in_channels: int = 3,
        width: int = 8,
    ):
        super().__init__()
        refuse_needs(upsample, "TwoStep", no_switches="it has no pooling", no_guide="no skips")
        self.down = nn.Conv2d(in_channels, width, 3, stride=2, padding=1)
        self.head = nn.Conv2d(width, num_classes, 1)
        self.upsamples = nn.ModuleList([upsample(width, width, 2)])

    def forward(self, x: Tensor) -> Tensor:
        """Scores, (B, num_classes, H, W)."""
        size: Sequence[int] = x.shape[-2:]
        return self.head(self.upsamples[0](self.down(x).relu(), size))
'''

DATA = '''
"""Squares: a brighter square on noise."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from data.options import MaskedLoading
from data.segmentation import SegmentationData


class Noise(Dataset[tuple[Tensor, Tensor]]):
    """Image `index` of a split, from its own seed."""

    def __init__(self, first: int, length: int) -> None:
        self.first, self.length = first, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < self.length:
            raise IndexError(f"image {index} of {self.length}")
        generator = torch.Generator().manual_seed(self.first + index)
        image = torch.randint(0, 128, (3, 32, 32), generator=generator, dtype=torch.uint8)
        image[:, 8:24, 8:24] += 127
        return image, self.mask(index)

    def mask(self, index: int) -> Tensor:
        """The square."""
        mask = torch.zeros(32, 32, dtype=torch.uint8)
        mask[8:24, 8:24] = 1
        return mask

    def identity(self) -> object:
        """All that the images follow from."""
        return self.first, self.length


class Squares(SegmentationData):
    """Squares on noise."""

    name = "squares"
    classes = ("ground", "square")
    palette = ((0, 0, 0), (255, 255, 255))
    licence = "MIT: drawn"
    test_split = "test"
    defaults = MaskedLoading(size=(32, 32), batch_size=4, eval_batch_size=4)

    def raw(self, split: str) -> Noise:
        """The images of `split`."""
        return Noise(*{"train": (0, 12), "val": (100, 4), "test": (200, 4)}[split])
'''

TASK = '''
"""Segmentation with the focal loss."""

from typing import Any

from torch import Tensor

from tasks.segmentation import Segmentation


class Focal(Segmentation):
    """Cross-entropy that counts easy pixels less (Lin et al. 2017).

    Args:
        net: see `Segmentation`, as what follows.
        data: -
        gamma: power of the weight.
        options: of `Segmentation`.
    """

    def __init__(self, net: Any, data: Any, *, gamma: float = 2.0, **options: Any):
        super().__init__(net, data, **options)
        self.gamma = gamma

    def loss(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Of a batch."""
        entropy = super().loss(logits, mask)
        return (1 - (-entropy).exp()) ** self.gamma * entropy
'''

SMALL = (
    "debug=fast",
    "trainer.max_epochs=1",
    "data.size=[32,32]",
    "artifacts=4",
    "callbacks.panels.images=2",
    "callbacks.artifacts.images=2",
)
SCENES = ("data.train=8", "data.val=4", "data.test=4")


class Copy:
    """The project's files in a folder of their own."""

    def __init__(self, root):
        self.root = root

    def write(self, path, text):
        (self.root / path).write_text(text.lstrip("\n"), encoding="utf-8")

    def replace(self, path, old, new):
        text = (self.root / path).read_text(encoding="utf-8")
        assert text.count(old) == 1, (path, old)
        self.write(path, text.replace(old, new))

    def python(self, *arguments):
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": ""},
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def train(self, *options):
        self.python("train.py", *SMALL, *options, "logs=logs")
        record = max((self.root / "logs").rglob("record.json"), key=lambda p: p.stat().st_mtime)
        return json.loads(record.read_text())

    def test(self, *arguments):
        return self.python("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)


@pytest.fixture
def copy(tmp_path):
    left_out = shutil.ignore_patterns(".*", "__pycache__", "logs", "build", "*.safetensors")
    shutil.copytree(ROOT, tmp_path / "project", ignore=left_out)
    return Copy(tmp_path / "project")


def test_an_operator_in_three_edits(copy):
    copy.write("models/upsampling/hold.py", OPERATOR)
    copy.replace(
        "models/upsampling/__init__.py",
        '    "transposed_conv": TransposedConv,\n',
        '    "transposed_conv": TransposedConv,\n    "hold": Hold,\n',
    )
    copy.replace(  # the line's import
        "models/upsampling/__init__.py",
        "from upzoo.upsampling.fade import Fade\n",
        "from upzoo.upsampling.fade import Fade\nfrom upzoo.upsampling.hold import Hold\n",
    )
    copy.write(
        "configs/upsample/hold.yaml",
        "# Every pixel repeated.\n_target_: models.upsampling.Hold\n_partial_: true\n"
        "residual: false # true: add the bilinear-additive enlargement\n",
    )
    assert "hold" in copy.python("-c", "import upzoo; print(upzoo.list_operators())")
    assert copy.train("upsample=hold", *SCENES)["choices"]["upsample"] == "hold"
    copy.train("upsample=bilinear_init", *SCENES)
    assert "hold" in copy.python("compare.py", "logs/debug", "out=comparison")
    assert list((copy.root / "comparison").rglob("*.png"))

    record = copy.root / "benchmarks/results/operators.json"
    before = json.loads(record.read_text())
    quick = ("--quick", "--only", "hold", "--out", str(record))
    assert "| `hold` |" in copy.python("-m", "benchmarks.operators", *quick)
    after = json.loads(record.read_text())
    assert [r for r in after["operators"] if r["operator"] != "hold"] == before["operators"]
    copy.python("-m", "benchmarks.operators", "--report")
    page = (copy.root / "docs/operators.md").read_text()
    assert "| `hold` | Every pixel as a block of scale × scale | – | Nobody 2026 |" in page
    record.write_text(json.dumps(before))  # as before it was measured
    copy.python("-m", "benchmarks.operators", "--report")
    copy.test(
        "tests/models/upsampling/test_contract.py",
        "tests/models/test_contract.py",
        "-k",
        "Hold or hold or options or config",
    )
    copy.test("tests/benchmarks/test_report.py", "tests/benchmarks/test_handwritten.py")
    copy.test(
        "tests/test_readme.py::test_every_operator_that_was_measured_is_in_the_table",
        "tests/comparison",
    )


def test_a_model_in_three_edits(copy):
    copy.write("models/twostep.py", MODEL)
    copy.replace(
        "models/architectures.py",
        '    "unet": Architecture(',
        '    "twostep": Architecture(TwoStep, "bilinear_init"),\n    "unet": Architecture(',
    )
    copy.replace(
        "models/architectures.py",
        "from upzoo.unet import UNet\n",
        "from upzoo.twostep import TwoStep\nfrom upzoo.unet import UNet\n",
    )
    copy.write(
        "configs/model/twostep.yaml",
        "# Down and up.\n_target_: models.twostep.TwoStep\n_convert_: all\n\n"
        "upsample: ${upsample}\nnum_classes: null # filled from the data\n"
        "in_channels: null # filled from the data\n\nwidth: 8\n",
    )
    code = "import upzoo; print(upzoo.create('twostep', 'carafe', num_classes=3).label)"
    assert copy.python("-c", code).strip() == "twostep"
    code = "import hubconf; print(hubconf.twostep(num_classes=3).label)"
    assert copy.python("-c", code).strip() == "twostep"
    record = copy.train("model=twostep", "upsample=dysample", *SCENES)
    assert record["choices"]["model"] == "twostep"
    run = next((copy.root / "logs").rglob("record.json")).parent
    copy.python("-c", f"import upzoo; assert upzoo.load({str(run)!r}).label == 'twostep'")
    copy.test("tests/models/test_contract.py", "-k", "twostep")
    copy.test("tests/test_configs.py", "tests/test_hub.py", "-k", "model or lists")


def test_data_in_two_edits(copy):
    copy.write("data/squares.py", DATA)
    copy.write(
        "configs/data/squares.yaml",
        "# Squares on noise.\n_target_: data.squares.Squares\n_convert_: all\n"
        "size: [32, 32]\nbatch_size: 4\neval_batch_size: 4\nnum_workers: 0\nseed: ${seed}\n",
    )
    record = copy.train("data=squares")
    assert record["data"]["name"] == "squares"
    assert record["metrics"]["test"]["per_class_iou"].keys() == {"ground", "square"}


def test_a_task_in_three_edits(copy):
    copy.write("tasks/focal.py", TASK)
    task = (copy.root / "configs/task/segmentation.yaml").read_text()
    task = task.replace("tasks.segmentation.Segmentation", "tasks.focal.Focal")
    copy.write("configs/task/focal.yaml", task + "gamma: 2.0 # power of the weight\n")
    shutil.copy(
        copy.root / "configs/callbacks/segmentation.yaml",
        copy.root / "configs/callbacks/focal.yaml",
    )
    record = copy.train("task=focal", "task.gamma=1.5", *SCENES)
    assert record["config"]["task"]["gamma"] == 1.5
    assert "miou" in record["metrics"]["test"]
    copy.test("tests/test_configs.py", "-k", "focal")
