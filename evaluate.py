"""Score a trained net, apply it to images of your own, draw with it, or examine any net.

python evaluate.py ckpt=logs/default/fcn8s-bilinear_init-shapes/seed0-…
python evaluate.py ckpt=… input=photo.jpg output=mask.png
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig

from runs import arguments, audits, checks, console, help, imports

if TYPE_CHECKING:
    from torch import nn

#: Where a net may come from, with what to give.
SOURCES = {
    "ckpt": "RUN",
    "convert": "WEIGHTS.pth",
    "audit": "torchvision:fcn_resnet50",
    "pretrained": "NAME",
}
#: Older names of options, which say the same.
OLDER = {"foreign": "convert", "layout": "format"}


@hydra.main(version_base="1.3", config_path="configs", config_name="evaluate")
def main(cfg: DictConfig) -> None:
    """Predict or score with one checkpoint."""
    with console.user_errors():
        use(cfg)


def use(cfg: DictConfig) -> None:
    """Rebuild the net, then apply, draw, export or score; or examine anybody's."""
    with imports.without_collecting(), imports.without_triton():
        checks.check_evaluation(cfg)
    if cfg.list is not False:
        show_list(cfg.list)
        return
    for older, name in OLDER.items():
        if cfg[older] is not None and cfg[name] is not None:
            raise ValueError(f"{older}={cfg[older]} is {name}= by its older name: give one of them")
        cfg[name] = cfg[name] if cfg[older] is None else cfg[older]
    sources = {key: cfg[key] for key in SOURCES} | {"audit": audits.named(cfg)}
    given = [key for key, value in sources.items() if value is not None]
    if len(given) != 1:
        what = f"{' and '.join(given)} are given" if given else "no net is given"
        raise ValueError(f"{what}: give one of {', '.join(f'{k}={v}' for k, v in SOURCES.items())}")
    if sources["audit"] is not None:
        audits.audit_command(cfg)
        return
    with imports.without_collecting(), imports.without_triton():
        net, card = load(cfg)
    if cfg.equalise:
        net = audits.equalised(net, cfg.keep)
        if audits.only_written(cfg, net, card):
            return
    with imports.without_collecting(), imports.without_triton():
        from tasks import noise, prediction

    if cfg.samples is not None or cfg.interpolation is not None:
        noise.draw_file(net, cfg.samples, cfg.interpolation, cfg.seed, cfg.output)
    elif cfg.input is not None:
        options = {key: cfg[key] for key in ("overlay", "self_ensemble")}
        prediction.predict_files(net, card, cfg.input, cfg.output, **options)
    elif cfg.export is not None or cfg.convert is not None:
        write(cfg, net, card)
    else:
        print(f"scoring {cfg.pretrained or cfg.ckpt} …", flush=True)
        with imports.without_collecting(), imports.without_triton():
            from tasks import evaluation  # imports Lightning, which takes seconds and 130 MB

        evaluation.evaluate(cfg, net, card)


def load(cfg: DictConfig) -> tuple["nn.Module", dict[str, Any]]:
    """The net, and what its checkpoint carries."""
    from upzoo import zoo

    if cfg.convert is not None:
        from upzoo import conversion

        net, card = conversion.load(cfg.convert, cfg.format)
        print(*conversion.notes(card), sep="\n")
        return net, card
    if cfg.pretrained is not None:
        return zoo.read(cfg.pretrained)
    return zoo.read(Path(cfg.ckpt))


def write(cfg: DictConfig, net: "nn.Module", card: dict[str, Any]) -> None:
    """Write the net as ONNX, or as a model file of ours."""
    from release import export

    if cfg.export is not None:
        export.export(net, card, cfg.export)
    else:
        export.convert(net, card, cfg.convert, cfg.output)


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


if __name__ == "__main__":
    with console.user_errors():
        help.show_if_asked("evaluate", sys.argv[1:])
        sys.argv[1:] = arguments.prepared(audits.spelled_out(sys.argv[1:]), "evaluate")
        main()
