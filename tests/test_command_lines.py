"""Wrong and odd command lines, as commands: one line each, nothing written, none ignored."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import Commands, Ended
from tests.wrong_lines import BASE, SCRIPTS, Slips, leaves

#: A training of a second.
SMALL = (
    "data.train=8 data.val=4 data.test=4 data.size=[32,32] data.batch_size=4 model.width=4 "
    "trainer.max_epochs=1 trainer.check_val_every_n_epoch=1 artifacts=1 average=0 "
    "callbacks.panels=null callbacks.artifacts=null trainer.log_every_n_steps=1"
)
#: Drawn wrong lines: all of them, and those that are tried each time.
DRAWN, QUICK = 200, 10


@pytest.fixture(scope="module")
def command() -> Commands:
    return Commands()


def refused(ended: Ended, line: list[str]) -> str:
    """The one line; whatever else a command does is a fault."""
    told = f"{shlex.join(line)}: {ended}"
    assert ended.refusal is not None, told
    assert "Traceback" not in ended.out, told
    assert not ended.written, told
    return ended.refusal


def drawn() -> list[list[str]]:
    slips, lines = Slips(0, Path("/nowhere/at/all")), dict[str, list[str]]()
    while len(lines) < DRAWN:
        line = slips.line()
        lines[shlex.join(line)] = line
    return list(lines.values())


def test_wrong_lines_end_with_one_line(command, tmp_path):
    for number, line in enumerate(drawn()[:QUICK]):
        refused(command(tmp_path / str(number), line), line)


@pytest.mark.slow
def test_two_hundred_wrong_lines_end_with_one_line(command, tmp_path):
    ends = {shlex.join(line): command(tmp_path / str(n), line) for n, line in enumerate(drawn())}
    assert len(ends) == DRAWN
    faults = {line: end for line, end in ends.items() if end.refusal is None or end.written}
    assert not faults, "\n".join(f"{line}: {end}" for line, end in faults.items())


def every_leaf() -> Iterator[list[str]]:
    """Each option and group of the scripts as null, a number and a list."""
    for script in SCRIPTS:
        names = dict.fromkeys(leaves(script))
        names |= dict.fromkeys(name.partition(".")[0] for name in names)
        base = {"train": shlex.split(SMALL)}.get(script, BASE[script])
        for name in names:
            for value in ("null", "7", "[1,2]"):
                others = [each for each in base if each.partition("=")[0] != name]
                yield [f"{script}.py", *others, f"{name}={value}"]


@pytest.mark.slow
def test_every_option_as_null_a_number_and_a_list(command, tmp_path):
    """It works, to the end, or is refused in one line that names the option."""
    faults = {}
    for number, line in enumerate(every_leaf()):
        end = command(tmp_path / str(number), line)
        refused = end.refusal is not None and not end.written
        if "Traceback" in end.err + end.out or not (end.status == 0 or refused):
            faults[shlex.join(line)] = end
    assert not faults, "\n".join(f"{line}: {end}" for line, end in faults.items())


#: Command → what it ends with; None where it works. Small trainings stand in for long ones.
TABLE = {
    "train.py epochs=3": r"epochs: .*did you mean trainer\.max_epochs=…\?",
    "train.py --epochs 3": r"--epochs: options here have no dashes: give trainer\.max_epochs=VALUE",
    "train.py seed 3": r"seed: options are given as NAME=VALUE",
    "train.py model=null": r"model=null: a run needs one: classifier, dcgan",
    "train.py model=[fcn,unet]": r"model=\[fcn,unet\]: model= takes a name",
    "train.py model=fcm": r"model=fcm: there is no such model; did you mean 'fcn'\?",
    "train.py upsample=carafee": r"did you mean 'carafe'\?",
    "train.py data=folder": r"data\.root is not set: give the folder of the data, data\.root=PATH",
    "train.py name=../../x": r"name=\.\./\.\./x must be the name of a folder within logs",
    "train.py compile=maybe": r"compile=maybe must be true or false",
    "train.py data.size=64": r"data\.size=64 must be a list of whole numbers",
    "train.py logs=[1,2]": r"logs=\[1, 2\] must be a path; a file of that name is \./",
    "train.py logs=/dev/null/x": r"/dev/null/x.*: Not a directory",
    "train.py logs=/proc/self/x": r"/proc/self/x.*: (No such file|Permission|Read-only|Operation)",
    "train.py run_dir=x": r"run_dir=x: the run sets it itself",
    "train.py trainer.limit_train_batches=0": r"limit_train_batches=0 must be a number of batches",
    "train.py +trainer.overfit_batches=1": r"use data\.overfit=IMAGES",
    "train.py trainer.precision=64-true": r"precision=64-true: weights are kept and scored",
    "train.py trainer.precision=bf16-true": r"precision=bf16-true: weights are kept and scored",
    "train.py model=dcgan 'data.size=[32,32]' trainer.gradient_clip_val=1": (
        r"gradient_clip_val=1: the two optimizers .* use trainer\.gradient_clip_val=null"
    ),
    "train.py model=dcgan 'data.size=[32,32]' trainer.accumulate_grad_batches=2": (
        r"accumulate_grad_batches=2: the two optimizers .* use trainer\.accumulate_grad_batches=1"
    ),
    "train.py trainer.accelerator=abc": r"trainer\.accelerator=abc: give one of auto, cpu",
    "train.py trainer.devices=abc": r"trainer\.devices=abc must be auto or a number",
    "train.py trainer.devices=100000 trainer.accelerator=cpu": (
        r"devices=100000: each is a process here, and there are cores for \d+$"
    ),
    "train.py +trainer.num_nodes=3": r"num_nodes=3: a run is of one node",
    "train.py trainer.accelerator=tpu": r"trainer\.accelerator=tpu: there is none here",
    "train.py data.num_workers=100000": r"num_workers=100000 must be at most 1024",
    "train.py 'data.size=[20000,20000]'": r"size=\[20000, 20000\] is more than 134 million pixels",
    "train.py data.train=1000000000": r"train=1000000000, .* GiB, more than this machine has",
    "train.py model=unet model.depth=40": r"more than half of this machine's memory of \d+ GiB",
    "train.py model=dcgan 'data.size=[32,32]' model.width=9000000": r"more than half of this mach",
    "train.py trainer.gradient_clip_val=-1": r"gradient_clip_val=-1 must be a number of at least 0",
    "train.py model.num_classes=7": r"model\.num_classes=7: the data decide it \(9\)",
    "train.py task.betas=[1,2]": r"task\.betas=\[1, 2\] must be two numbers from 0 to below 1",
    "train.py callbacks.best.monitor=val/abc": r"monitor=val/abc: no validation gives that score",
    "train.py callbacks.best.monitor=val/loss": r"mode=max would keep the worst val/loss",
    "train.py callbacks.best.mode=most": r"callbacks\.best\.mode=most must be max or min",
    "train.py callbacks.panels.every_n_epochs=0": r"every_n_epochs=0 must be an integer",
    "train.py +callbacks.panels.x=1": r"callbacks\.panels\.x: there is no such option",
    "train.py init=7": r"'7' is no checkpoint of the zoo",
    "train.py 'init=[1,2]'": r"init=\[1, 2\] must be",
    "train.py init=x model=null": r"model=null: a run needs one",
    "train.py 'budgets=[1,2]'": r"budgets need task\.schedule=constant, not cosine",
    "train.py seed=0,1": r"seed=0,1: several values: .* -m trains a run with each",
    "train.py 'data.size=[32,32'": r"\[32,32: not readable: close brackets",
    "train.py =3": r"=3: options are given as NAME=VALUE",
    "evaluate.py": r"no net is given: give one of ckpt=RUN",
    "evaluate.py trainer=null ckpt=x": r"trainer=null: evaluate\.py has no such group",
    "evaluate.py ckpt=x audit=y": r"ckpt and audit are given",
    "evaluate.py ckpt=x output=y": r"output= does nothing here",
    "evaluate.py keep=most ckpt=x": r"keep=most must be weights or mean",
    "evaluate.py audit.size=abc audit=timm:x": r"audit\.size=abc must be pixels",
    "evaluate.py pretrained=unet": r"'unet' is no checkpoint of the zoo",
    "evaluate.py list=nothing": r"list=nothing: none of the .* checkpoints has that in its name",
    "evaluate.py list=camvid": None,
    "evaluate.py pretrained=dcgan_transposed_conv.mnist samples=2000000 output=x.png": (
        r"samples=2000000: at most 1,000,000 images are drawn"
    ),
    "evaluate.py pretrained=dcgan_transposed_conv.mnist samples=200000 output=x.png": (
        r"samples=200000: a picture of more than 134 million pixels: draw fewer, or give a folder"
    ),
    "compare.py": r"no folder is given",
    "compare.py group=null": r"group: there is no such option",
    "compare.py runs=null": r"runs=null must be folders of runs",
    "compare.py nowhere": r"nowhere: no such folder",
    "compare.py .": r"no record of a finished run",
}
ALWAYS = tuple(TABLE)[::8]


@pytest.mark.parametrize(
    "line", [pytest.param(t, marks=() if t in ALWAYS else pytest.mark.slow) for t in TABLE]
)
def test_commands_as_people_type_them(command, tmp_path, line):
    ended = command(tmp_path, line)
    if TABLE[line] is None:
        assert (ended.status, ended.err) == (0, ""), ended
    else:
        assert re.search(TABLE[line], refused(ended, [line])), ended
