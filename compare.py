"""Compare the operators of many runs: means and intervals over seeds, paired tests, figures.

python compare.py logs/study baseline=bilinear_init
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig
from rich.console import Console

from comparison import files, groups, tables
from comparison.analysis import Result, analyse
from runs import arguments, checks, console, help
from upzoo.atomic import whole

#: What Hydra takes itself: an option, or key=value with a dotted key.
OVERRIDE = re.compile(r"-|[+~]{0,2}[A-Za-z_][\w.]*=|~[A-Za-z_][\w.]*$")


@hydra.main(version_base="1.3", config_path="configs", config_name="compare")
def main(cfg: DictConfig) -> None:
    """Compare what lies in some folders."""
    with console.user_errors():
        compare(cfg)


def compare(cfg: DictConfig) -> None:
    """Read the records, print the tables, write files, figures and TensorBoard's run."""
    checks.check_comparison(cfg)
    study = groups.collect(cfg.runs)
    results = [analyse(group, cfg.baseline) for group in study.groups]
    check_baseline(cfg.baseline, results)
    first = Path(cfg.runs[0])
    out = Path(cfg.out or (first.parent if first.is_file() else first) / "comparison")
    out.mkdir(parents=True, exist_ok=True)
    figures: dict[str, list[Path]] = {}
    learning = {}
    if cfg.figures:
        from comparison import curves, pictures
        from comparison.figures import draw

        learning = {r.group.name: curves.read(r) for r in results}
        for result in results:
            name = result.group.name
            sheets = pictures.write(result.group, cfg.pictures, out / "figures")
            figures[name] = sheets + draw(result, learning[name], out / "figures")
    names = {name: [p.relative_to(out).as_posix() for p in ps] for name, ps in figures.items()}
    texts = {
        "comparison.md": files.markdown(results, study.left_out, names),
        "comparison.csv": files.csv_text(results),
        "comparison.json": files.json_text(results, study.left_out),
    }
    for name, text in texts.items():
        with whole(out / name) as beside:
            beside.write_text(text, encoding="utf-8")
    tables.show(results, study.left_out, Console())
    runs = sum(len(variant.runs) for result in results for variant in result.group.variants)
    print(f"{runs} runs compared, {len(study.left_out)} left out: {out}")
    if cfg.logs is not None:
        from comparison import tensorboard

        name = study_name(cfg.runs)
        folder = tensorboard.write(Path(cfg.logs), name, results, study.left_out, figures, learning)
        print(*tensorboard.where_to_look(folder, Path(cfg.logs)), sep="\n")


def study_name(runs: Sequence[str]) -> str:
    """What a comparison is called: by the folders that it reads.

    >>> study_name(["logs/study", "results/more"])
    'study+more'
    """
    folders = (path.parent if path.is_file() else path for path in map(Path, runs))
    return "+".join(dict.fromkeys(folder.resolve().name for folder in folders))


def check_baseline(baseline: str | None, results: Sequence[Result]) -> None:
    """Refuse a baseline that no group has; say so where nobody chose it."""
    if baseline is None or any(result.baseline is not None for result in results):
        return
    labels = sorted({variant.label for result in results for variant in result.group.variants})
    choices = ", ".join(map(repr, labels))
    if "baseline" not in checks.given_options():
        print(f"no differences: no variant is {baseline}; give baseline= one of {choices}")
        return
    raise ValueError(
        f"baseline={baseline} names no variant, or several: give one of {choices}, or "
        "baseline=null for no differences"
    )


def folders_to_runs(arguments: Sequence[str]) -> list[str]:
    """Turn the arguments that are no `key=value`, and `runs=FOLDER`, into `runs=[…]`.

    >>> folders_to_runs(["logs/a", "baseline=carafe", "logs/b"])
    ['runs=["logs/a","logs/b"]', 'baseline=carafe']
    """
    folders, others = [], []
    for previous, argument in zip(["", *arguments], arguments, strict=False):
        of_option = previous.startswith("-")  # as `job` of --cfg job
        folder = argument.removeprefix("runs=")
        if folder != argument and folder not in ("", "null") and folder[0] not in "['\"":
            folders.append(folder)
        elif of_option or OVERRIDE.match(argument):
            others.append(argument)
        else:
            folders.append(argument)
    if not folders:
        return others
    quoted = (folder.replace("\\", "\\\\").replace('"', '\\"') for folder in folders)
    return ["runs=[" + ",".join(f'"{folder}"' for folder in quoted) + "]", *others]


if __name__ == "__main__":
    with console.user_errors():
        help.show_if_asked("compare", sys.argv[1:])
        sys.argv[1:] = arguments.prepared(folders_to_runs(sys.argv[1:]), "compare")
        main()
