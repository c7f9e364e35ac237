"""Keep the record of the README's training, and write how it ends into README and training.md.

python train.py model=fcn upsample=bilinear_init
python docs/first_training.py logs/default/fcn8s-bilinear_init-shapes/seed0-…

The minutes are those of the machine: train where nothing else runs.
"""

import argparse
import re
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
from runs import closing, console, costs, folders, records
from runs.records import Record
from studies import archive
from upzoo import checkpoint

ROOT = Path(__file__).parents[1]
KEPT = Path("results/shapes/fcn8s-bilinear_init")
#: What the README shows for the moment at which a run starts.
LATER = "seed0-…"


def last_lines(record: Record) -> list[str]:
    """What the training of this record ends with, but for the time in its folder's name."""
    shape = (3, *record.cost["image_size"])
    decided = {"num_classes": len(record.metrics["test"]["per_class_iou"]), "in_channels": 3}
    net = checkpoint.build(record.config["model"] | decided)
    net = net.to(memory_format=torch.channels_last)  # as train.py does
    return [
        *closing.lines(record, costs.of_upsampling(net, shape)),
        f"model        logs/default/{KEPT.name}-{record.data['name']}/{LATER}/model",
        "TensorBoard  tensorboard --logdir logs, then http://localhost:6006",
    ]


def minutes(record: Record) -> str:
    """How long the training took, as the pages say it."""
    return f"{record.cost['train_seconds'] / 60:.1f}"


def readme(text: str, record: Record) -> str:
    """The README with this record's last lines and time."""
    block = "```text\n" + "".join(f"{line}\n" for line in last_lines(record)) + "```"
    text = re.sub(r"```text\nscore.*?```", lambda _: block, text, flags=re.S)
    return re.sub(r"takes [\d.]+ minutes on two", f"takes {minutes(record)} minutes on two", text)


def row(text: str, record: Record) -> str:
    """`training.md` with this record's row."""
    scores = record.metrics["test"]
    cells = [
        f"{record.data['name']} test",
        f"{100 * scores['miou']:.1f}",
        f"{100 * scores['boundary_f1']:.1f}",
        f"{record.cost['parameters'] / 1e6:.2f} M",
        f"{minutes(record)} min",
    ]
    shown = f"(../{KEPT}/{folders.RECORD}) | {' | '.join(cells)} |"
    return re.sub(rf"\(\.\./{KEPT}/{folders.RECORD}\) \|.*", lambda _: shown, text)


def main() -> None:
    """Keep what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the finished run")
    run = parser.parse_args().run
    archive.keep_run(run, ROOT / KEPT)
    record = records.read(ROOT / KEPT / folders.RECORD)
    for path, written in ((ROOT / "README.md", readme), (ROOT / "docs/training.md", row)):
        path.write_text(written(path.read_text("utf-8"), record), "utf-8")
    print(*last_lines(record), sep="\n")


if __name__ == "__main__":
    with console.user_errors():
        main()
