"""The README of a shipped checkpoint, written from its config and the record of its run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from upzoo.metadata import segments
from upzoo.metrics import catalogue

if TYPE_CHECKING:
    from runs.records import Record
    from upzoo.base import Net

FILE = "README.md"
#: Begins the paragraph below the scores.
SHIPPED = "Of the rounded weights, as shipped."

TEXT = """\
# {name}

{what}: {parameters:,} parameters, {size}.
Weights are kept in float16, biases and batch statistics in float32; it loads as float32.

{usage}

    import upzoo
    net = upzoo.load("{name}")

{interface}

## Scores

{scores}

{shipped}

## Training

    {command}

Seed {seed}{time}{machine}; {commit}.
All options of model, data and task are in `config.json`.

## Licence

Data: {data}, {licence}.
The weights are offered under the same terms.
"""


def write(name: str, net: Net, metadata: Mapping[str, Any], record: Record) -> str:
    """The text, in Markdown.

    Args:
        name: of the checkpoint.
        net: as shipped.
        metadata: of its file; `metrics` are those of the shipped weights.
        record: of the run.
    """
    choices, seconds = metadata["choices"], record.cost["train_seconds"]
    state = net.state_dict().values()
    operator = metadata["model"]["upsample"]
    options = {k: v for k, v in operator.items() if not k.startswith("_")}
    chosen = ", ".join(f"{k}={v}" for k, v in options.items() if v not in (None, False))
    machine = record.machine.get("gpu") or record.machine.get("cpu")
    return TEXT.format(
        name=name,
        what=f"{choices['model']} with `{choices['upsample']}`"
        + (f" ({chosen})" if chosen else "")
        + f", trained on {choices['data']}",
        parameters=sum(p.numel() for p in net.parameters()),
        size=size_text(sum(t.numel() * t.element_size() for t in state)),
        usage=_usage(name, net, metadata),
        interface=_interface(net, metadata),
        scores=scores_table(metadata["metrics"]),
        shipped=_shipped(metadata),
        command=metadata["command"],
        seed=choices["seed"],
        time=f", {seconds / 60:.0f} min" if seconds else "",
        machine=f" on {machine}" if machine else "",
        commit=_commit(record.commit),
        data=record.data["name"],
        licence=record.data["licence"],
    )


def scores_table(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """Every single score as a Markdown table: a row a score, a column a split."""
    numbers = [catalogue.numbers(catalogue.current(scores)) for scores in metrics.values()]
    lines = [f"| | {' | '.join(metrics)} |", "|---|" + "---|" * len(metrics)]
    for name in catalogue.ordered(name for each in numbers for name in each):
        if (score := catalogue.find(name)).kind == "diagnostic":
            continue
        cells = (score.text(each.get(name)) for each in numbers)
        lines.append(f"| {score.heading} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _usage(name: str, net: Net, metadata: Mapping[str, Any]) -> str:
    use = f"    python evaluate.py pretrained={name}"
    if net.takes == "noise":
        first = f"{use} samples=64 output=grid.png"
    elif segments(metadata):
        first = f"{use} input=photo.jpg output=mask.png overlay=true"
    elif net.scale > 1:
        first = f"{use} input=photo.png output=large.png  # ×{net.scale}, in colour"
    else:
        first = f"{use} input=photo.jpg output=rebuilt.png"
    place = " root=PATH" if "root" in metadata["config"]["data"] else ""
    split = "" if net.scale > 1 else f" split={metadata['data']['split']}"  # of all test sets
    again = f"{use}{place}{split}  # reproduces these scores"
    return "\n".join([first, again, f"{use} export=model.onnx"])


def _interface(net: Any, metadata: Mapping[str, Any]) -> str:
    if net.takes == "noise":
        return f"Input: normal noise (B, {net.latent}); output: images in [-1, 1]."
    normalised = f"in [0, 1], normalised by mean {metadata['mean']} and std {metadata['std']}"
    if segments(metadata):
        return (
            f"Input: images (B, {len(metadata['mean'])}, H, W) {normalised}; output: the scores of "
            f"{', '.join(map(str, metadata['classes']))}, before the softmax."
        )
    if net.scale > 1:
        luma = metadata.get("color") == "y"
        what = "luma, Y / 255 of BT.601," if luma else "images"
        return (
            f"Input: {what} (B, {len(metadata['mean'])}, H, W) {normalised}; output: the same, "
            f"{net.scale} times larger."
        )
    return (
        f"Input: images (B, {len(metadata['mean'])}, H, W) {normalised}; output: the same, rebuilt."
    )


def size_text(count: int) -> str:
    """Of weights, in MB, or in kB where there are few.

    >>> size_text(3_210_000), size_text(45_530)
    ('3.2 MB', '46 kB')
    """
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"


def _commit(commit: Mapping[str, Any] | None) -> str:
    if commit is None:
        return "not from a git repository"
    return f"commit {commit['sha'][:12]}" + (" and changes" if commit["dirty"] else "")


def with_interval(text: str, metadata: Mapping[str, Any]) -> str:
    """A card with what its metadata now say of the uncertainty of its scores."""
    return re.sub(
        f"^{re.escape(SHIPPED)}.*?(?=\n\n)", lambda _: _shipped(metadata), text, flags=re.M | re.S
    )


def _shipped(metadata: Mapping[str, Any]) -> str:
    lines = [f"{SHIPPED} `{metadata['data']['split']}` is the split that the list shows."]
    if metadata.get("seeds"):
        lines.append(over_seeds(metadata["seeds"]))
    else:
        lines.append("One seed was trained: there is no interval over seeds.")
    if metadata.get("images"):
        lines.append(over_images(metadata["images"]))
    return "\n".join(lines)


def over_seeds(seeds: Mapping[str, Any]) -> str:
    """What a variant scores over all its seeds, of which the shipped one was not chosen.

    >>> over_seeds({"count": 5, "score": "miou", "split": "test", "mean": 0.542, "half": 0.005})
    'Over the 5 seeds of its training: Mean IoU, % 54.2 ± 0.5 on test (95 % interval of the mean).'
    """
    score = catalogue.find(seeds["score"])
    value = f"{score.text(seeds['mean'])} ± {score.text(seeds['half'])}"
    about = f"Over the {seeds['count']} seeds of its training: {score.heading} {value}"
    return f"{about} on {seeds['split']} (95 % interval of the mean)."


def over_images(images: Mapping[str, Any]) -> str:
    """Between which values the score would be on other images like those of the split.

    >>> found = {"count": 233, "score": "miou", "split": "test", "low": 0.531, "high": 0.56}
    >>> over_images(found)
    'Over the 233 images of test, drawn anew (bootstrap): Mean IoU, % 53.1 to 56.0 (95 %).'
    """
    score = catalogue.find(images["score"])
    ends = f"{score.text(images['low'])} to {score.text(images['high'])}"
    about = f"Over the {images['count']} images of {images['split']}, drawn anew (bootstrap)"
    return f"{about}: {score.heading} {ends} (95 %)."
