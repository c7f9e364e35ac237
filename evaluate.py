"""Score a trained net, apply it to images of your own, draw with it, or examine any net.

python evaluate.py ckpt=logs/default/fcn8s-bilinear_init-shapes/seed0-…
python evaluate.py ckpt=… input=photo.jpg output=mask.png
"""

import json
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig, OmegaConf

from runs import audits, console

if TYPE_CHECKING:
    from torch import nn

#: Where a net may come from, with what to give.
SOURCES = {
    "ckpt": "RUN",
    "foreign": "WEIGHTS.pth",
    "audit": "torchvision:fcn_resnet50",
    "pretrained": "NAME",
}


@hydra.main(version_base="1.3", config_path="configs", config_name="evaluate")
def main(cfg: DictConfig) -> None:
    """Predict or score with one checkpoint."""
    with console.user_errors():
        use(cfg)


def use(cfg: DictConfig) -> None:
    """Rebuild the net, then apply, draw, export or score; or examine anybody's."""
    if cfg.list is not False:
        show_list(cfg.list)
        return
    sources = {key: cfg[key] for key in SOURCES} | {"audit": audits.named(cfg)}
    given = [key for key, value in sources.items() if value is not None]
    if len(given) != 1:
        what = f"{' and '.join(given)} are given" if given else "no net is given"
        raise ValueError(f"{what}: give one of {', '.join(f'{k}={v}' for k, v in SOURCES.items())}")
    if sources["audit"] is not None:
        audits.audit_command(cfg)
        return
    net, card = load(cfg)
    if cfg.equalise:
        net = audits.equalised(net)
    if cfg.samples is not None:
        sample(cfg, net)
    elif cfg.input is not None:
        predict(cfg, net, card)
    elif cfg.export is not None:
        export(cfg, net, card)
    elif cfg.foreign is not None:
        convert(cfg, net, card)
    else:
        evaluate(cfg, net, card)


def load(cfg: DictConfig) -> tuple["nn.Module", dict[str, Any]]:
    """The net and its card."""
    from upzoo import checkpoint, zoo
    from upzoo import conversion as foreign

    if cfg.foreign is not None:
        return foreign.load(cfg.foreign, cfg.layout)
    if cfg.pretrained is not None:
        return checkpoint.load(zoo.find(cfg.pretrained))
    return checkpoint.load(cfg.ckpt)


def show_list(wanted: bool | str) -> None:
    """Print the shipped checkpoints, or those that have a word in their names."""
    from rich.console import Console

    from release import listing
    from upzoo import zoo

    listed = zoo.entries()
    if wanted is not True:
        found = {name: entry for name, entry in listed.items() if str(wanted) in name}
        if not found:
            known = sorted({e[key] for e in listed.values() for key in ("model", "data")})
            raise ValueError(
                f"list={wanted}: none of the {len(listed)} checkpoints has that in its name: give "
                f"true, an operator, or one of {', '.join(known)}"
            )
        listed = found
    for table in listing.tables(listed):
        Console().print(table)
    print(f"{len(listed)} checkpoints: python evaluate.py pretrained=NAME")


def export(cfg: DictConfig, net: "nn.Module", card: dict[str, Any]) -> None:
    """Write the net as ONNX, with what its card says of images and classes."""
    from upzoo.export import to_onnx

    if Path(cfg.export).suffix != ".onnx":
        raise ValueError(f"export={cfg.export}: give a name ending in .onnx")
    told = {k: json.dumps(card[k]) for k in ("classes", "mean", "std", "data") if k in card}
    error = to_onnx(net, cfg.export, len(card["mean"]), told)
    checked = f"{error:.0e} off PyTorch" if error is not None else "unchecked: no onnxruntime here"
    print(f"ONNX file with dynamic size written ({checked}): {cfg.export}")


def convert(cfg: DictConfig, net: "nn.Module", card: dict[str, Any]) -> None:
    """Write a released net as a model file of ours."""
    from upzoo import checkpoint

    if cfg.output is None:
        raise ValueError(
            f"foreign={cfg.foreign} is {card['foreign']['layout']}: give input=IMAGE to apply it, "
            "or output=FOLDER to write it as a model file"
        )
    if Path(cfg.output).exists():
        raise ValueError(f"output={cfg.output} exists: give the name of a new folder")
    print(f"{card['foreign']['layout']} written: {checkpoint.save(cfg.output, net, card)}")


def evaluate(cfg: DictConfig, net: "nn.Module", card: dict[str, Any]) -> None:
    """Score the net on a split; print, write the record and a panel."""
    from runs import costs, records, tables
    from runs import folders as runs
    from tasks.scoring import measure_artifacts, quiet, score

    quiet()
    if "config" not in card:
        raise ValueError(
            "this net was not trained here and its file says of no data to score it on: "
            "give input=IMAGE to apply it"
        )
    stored = OmegaConf.create(card["config"])
    if cfg.artifacts is None:
        cfg.artifacts = stored.get("artifacts", 200)
    if cfg.root is not None:
        stored.data.root = cfg.root
    data = hydra.utils.instantiate(cfg.get("data") or stored.data)
    classes = getattr(data, "classes", ())
    if "classes" in card and len(classes) != len(card["classes"]):
        raise ValueError(
            f"the net tells {len(card['classes'])} classes apart, {data.name} has "
            f"{len(classes)}: choose data with the same classes"
        )
    split = cfg.split or data.test_split
    splits = [split] if cfg.split else dict.fromkeys((split, *data.test_splits))
    shape = data.prepared(split)[0]["image"].shape
    unweighted = {"class_weights": None} if "class_weights" in stored.task else {}
    options = OmegaConf.merge(stored.task, unweighted)
    task = hydra.utils.instantiate(options, net=net, data=data).eval()

    started = time.perf_counter()
    record = records.new(
        command=shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]]),
        choices=card["choices"] | {"data": data.name},
        config=card["config"],
        data={
            "name": data.name,
            "fingerprint": data.fingerprint(),
            "licence": data.licence,
            "split": split,
        },
        cost=costs.of_net(net, shape),
        status="finished",
    )
    record.metrics, _ = score(cfg.trainer, task, data, splits)
    record.metrics[split] |= measure_artifacts(cfg, task, data, split)
    seconds = time.perf_counter() - started
    chosen = (record.choices[k] for k in ("model", "upsample", "data"))
    arm = "-".join(str(choice) for choice in chosen if choice is not None)
    folder = runs.new_folder(Path(cfg.logs, "evaluate", arm), card["choices"]["seed"])
    record.cost["peak_memory_bytes"] = costs.peak_memory()
    records.write(folder / runs.RECORD, record)
    save_panel(folder / f"{split}.png", task, data, split, cfg.images)
    tables.show(record)
    print(f"scored in {seconds:.0f} s; record and panel: {folder}")


def save_panel(path: Path, task: Any, data: Any, split: str, count: int) -> None:
    """Write a picture of the first images of a split with what the net makes of them."""
    from torchvision.transforms.v2.functional import to_pil_image

    from tasks.pictures import picture

    dataset = data.prepared(split)
    panel = picture(task, [dataset[i] for i in range(min(count, len(dataset)))], data)
    if panel is not None:
        to_pil_image(panel).save(path)


def predict(cfg: DictConfig, net: "nn.Module", card: dict[str, Any]) -> None:
    """Apply the net to a user's own images at their own size: masks, or rebuilt images."""
    from tasks import prediction

    if hasattr(net, "latent"):
        raise ValueError("this net draws from noise, not from images: give samples=64 output=PNG")
    if getattr(net, "label", None) == "classifier":
        raise ValueError("this net classifies whole images and makes none: leave input out")
    kind = "mask" if "palette" in card else "reconstruction"
    write = prediction.segment_file if kind == "mask" else prediction.rebuild_file
    pairs = prediction.plan(cfg.input, cfg.output, kind)
    for source, target in pairs:
        write(net, card, source, target)
    where = pairs[0][1] if len(pairs) == 1 else pairs[0][1].parent
    print(f"{len(pairs)} {kind}{'s' if len(pairs) > 1 else ''} written: {where}")


def sample(cfg: DictConfig, net: "nn.Module") -> None:
    """Draw images with a generator and write them as one picture."""
    from torchvision.transforms.v2.functional import to_pil_image

    from panels.samples import sample_grid
    from tasks import prediction

    if not hasattr(net, "latent"):
        raise ValueError(f"samples={cfg.samples}: this net draws nothing from noise: give input=")
    target = Path(cfg.output or "samples.png")
    if target.suffix.lower() != ".png":
        raise ValueError(f"output={target}: the picture is a PNG file, give a name ending in .png")
    images = prediction.draw_samples(net, cfg.samples, cfg.seed)
    columns = min(8, len(images))
    prediction.save_picture(to_pil_image(sample_grid(images, columns)), target)
    print(f"{len(images)} images drawn: {target}")


if __name__ == "__main__":
    sys.argv[1:] = audits.spelled_out(sys.argv[1:])
    with console.user_errors():
        main()
