"""Wrong command lines, and nets that misbehave: one clear line each, and a status that says so."""

import shlex
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import ROOT
from upzoo.audit import command

NETS = """
import sys
import torch
from torch import nn

class Own(Exception):
    pass

class Raises(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.conv, self.error = nn.Conv2d(3, 3, 3), error
    def forward(self, x):
        raise self.error

class NoForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)

class Identity(nn.Module):
    def forward(self, x):
        return x

class Gives(NoForward):
    def __init__(self, value):
        super().__init__()
        self.value = value
    def forward(self, x):
        return self.value

class Once(NoForward):
    runs = 0
    def forward(self, x):
        self.runs += 1
        if self.runs > 1:
            raise Own("only once")
        return self.conv(x)

def good():
    steps = nn.Upsample(scale_factor=2), nn.Conv2d(4, 3, 3, padding=1)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), *steps)

def up():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ConvTranspose2d(4, 3, 3, 2, 1, 1))
    with torch.no_grad():
        net[1].weight.mul_(torch.linspace(0.2, 2, 4).view(-1, 1, 1, 1))
    return net

def needs(width): return good()
def raises(): raise RuntimeError("no weights\\nhere")
def raises_own(): raise Own
def raises_key(): return {}["weights"]
def leaves(): sys.exit(3)
def number(): return 3
def triple(): return 1, 2, 3
def pair_of_text(): return good(), "photo.jpg"
def pair_of_keyword(): return good(), {"nope": torch.ones(1, 3, 8, 8)}
def fails(): return Raises(RuntimeError("a\\nb"))
def fails_own(): return Raises(Own("mine"))
def fails_bare(): return Raises(StopIteration())
def fails_file(): return Raises(FileNotFoundError(2, "No such file", "cache.bin"))
def exits(): return Raises(SystemExit(5))
def once(): return Once()
def no_forward(): return NoForward()
def identity(): return Identity()
def nothing(): return Gives(None)
def not_a_number(): return Gives(torch.full((1, 3, 64, 64), torch.nan))
def lazy(): return nn.Sequential(nn.LazyConv2d(3, 3))
def five(): return nn.Conv2d(5, 3, 3)
def interrupted(): raise KeyboardInterrupt
five_channels = 5
"""

#: Command line -> what its one line says.
REFUSED = {
    # the net
    "nets:nope": "nets has no function 'nope'",
    "nets:needs": "nets:needs needs width: name a function without arguments",
    "nets:five_channels": "nets:five_channels is int, no function",
    "nets:number": "nets:number gave int: it must return a module",
    "nets:triple": "nets:triple gave tuple: it must return a module",
    "nets:Own": "nets:Own gave Own: it must return a module",
    "nope:build": "there is no module 'nope' to import from here",
    "nets": "nets: neither a path, nor a name of the zoo",
    "nets:": "nets:: write nets:function",
    ":build": ":build: write package.module:build",
    "nets.py:good": "nets.py:good: write nets:good",
    "./nets.py": "./nets.py is code: name the function in it, nets:FUNCTION",
    "text.txt": "text.txt: not a checkpoint of weights and plain data",
    "folder": "folder: no model file here",
    "none/x.ckpt": "none/x.ckpt: neither a path",
    "unet_transposed_conv.shape": "did you mean 'unet_transposed_conv.shapes'?",
    "torchvision:nope": "torchvision has no model 'nope'",
    "torchvision:": "torchvision:: write torchvision:function",
    "bad.pt2": "bad.pt2: no exported program that this torch can load",
    "bad.ts": "bad.ts: no TorchScript that this torch can load",
    "bad.ckpt": "bad.ckpt: not a checkpoint of weights and plain data",
    # its code
    "syntax:build": "syntax:build raises SyntaxError: invalid syntax (syntax.py, line 1)",
    "imports:build": "ModuleNotFoundError: No module named 'not_there' (imports.py, line 1)",
    "leaves:build": "leaves:build raises SystemExit: no GPU (leaves.py, line 2)",
    "fails:build": "fails:build raises ZeroDivisionError: division by zero (fails.py, line 1)",
    "nets:raises": "nets:raises raises RuntimeError: no weights (nets.py, line",
    "nets:raises_own": "nets:raises_own raises Own (nets.py, line",
    "nets:raises_key": "nets:raises_key raises KeyError: 'weights' (nets.py, line",
    "nets:leaves": "nets:leaves raises SystemExit: 3 (nets.py, line",
    # its forward
    "nets:fails": "(1, 3, 256, 256): RuntimeError: a; give an example that suits it",
    "nets:fails_own": "the first of 8 guesses (1, 3, 256, 256): Own: mine; give",
    "nets:fails_bare": "(1, 3, 256, 256): StopIteration; give",
    "nets:fails_file": "FileNotFoundError: [Errno 2] No such file: 'cache.bin'; give",
    "nets:exits": "(1, 3, 256, 256): SystemExit: 5; give",
    "nets:no_forward": "NoForward has no forward()",
    "nets:identity": "Identity: no layer tells what input it takes",
    "nets:lazy": "0.weight is not initialised",
    "nets:pair_of_text": "example='photo.jpg' holds no tensor",
    "nets:pair_of_keyword": "got an unexpected keyword argument 'nope'",
    # options
    "nets:good --size 0": "size=0: give pixels, 224, HxW, or CxHxW",
    "nets:good --size abc": "size=abc: give pixels",
    "nets:good --size -3": "size=-3: give pixels",
    "nets:good --size 3x": "size=3x: give pixels",
    "nets:good --size 1x2x3x4": "size=1x2x3x4: Sequential takes no input of that many axes",
    "nets:good --size 5x64x64": "expected input[1, 5, 64, 64] to have 3 channels",
    "nets:good --size 32 --map nope": "output='nope': the net gives no such output",
    "nets:good --size 32 --args x=abc": "args=x=abc: give a number, true, false, none, or a shape",
    "nets:good --size 32 --args =3": "args==3: '' is no name of an input",
    "nets:good --size 32 --args 3": "takes 2 positional arguments but 3 were given",
    "nets:good --size 32 --seed -1": "Seed must be between 0 and",
    # files
    "nets:good --weights none.pth": "weights=none.pth: there is no such file",
    "nets:good --weights folder": "weights=folder: there is no such file",
    "nets:good --weights DEFAULT": "weights=DEFAULT: nets:good ships none",
    "nets:good --weights other.pth": "weights=other.pth: 0 of the net's 4 tensors are in it",
    "nets:good --weights list.pth": "weights=list.pth: it holds list, no state dict",
    "nets:good --weights whole.pth": "weights=whole.pth: no file of tensors",
    "nets:good --weights empty.pth": "weights=empty.pth: no file of tensors",
    "nets:good --weights bad.safetensors": "weights=bad.safetensors: no file of tensors",
    "nets:good --size 32 --input none": "none: there is no such picture or folder",
    "nets:good --size 32 --input broken": "broken/a.png: no picture that can be read",
    "nets:good --size 32 --input cut.png": "cut.png: no picture that can be read",
    "nets:good --size 32 --input folder": "folder: no pictures in it",
    "nets:five --size 32 --input good.png": "no pictures of one or three channels",
    "nets:good --example text.txt": "text.txt: no picture that can be read",
    "nets:good --example good.png --size 0": "size=0: give pixels",
    "nets:good --json folder": "--json folder is a folder",
    "nets:good --figure none/a.png": "figure=none/a.png: there is no folder none",
    "nets:good --figure a.xyz": "figure=a.xyz: a figure is written as .png",
    # changes
    "nets:up --output a.pth": "--output a.pth is for a changed net",
    "nets:up --correct --output taken.pth": "output=taken.pth exists: give a new name",
    "nets:up --correct --output folder": "output=folder: a state dict is written as",
    "nets:up --correct --output none/a.pth": "output=none/a.pth: there is no folder none",
    "nets:up --swap resize_conv --output folder": "output=folder exists: give the name of a new",
    "nets:up --swap resize_con": "operator='resize_con': did you mean 'resize_conv'?",
    "nets:up --size 32 --swap max_unpool": "operator='max_unpool' needs switches",
    "nets:up --size 32 --swap resize_conv --where a.*": "nothing could be replaced by resize_conv",
    "nets:up --swap resize_conv --correct": "correct and swap are two changes",
    "nets:up --distil folder": "distil=folder wins back what a change cost",
    "nets:up --size 32 --correct --distil broken": "broken/a.png: no picture that can be read",
    "nets:good --size 32 --correct": "no kernel of this net can be corrected",
}
#: Command line -> why nobody can tell.
UNKNOWN = {
    "nets:once": "the net refuses a constant",
    "nets:nothing": "the output is no map",
    "nets:not_a_number": "the output holds nan or infinite values",
    "nets:good --size 1": "the output is too small",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with code, pictures and files, most of them broken."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "nets.py").write_text(NETS)
    (folder / "syntax.py").write_text("def build(:\n")
    (folder / "imports.py").write_text("import not_there\n")
    (folder / "leaves.py").write_text("import sys\nsys.exit('no GPU')\n")
    (folder / "fails.py").write_text("1 / 0\n")
    for name in ("text.txt", "taken.pth", "bad.safetensors", "bad.pt2", "bad.ts", "bad.ckpt"):
        (folder / name).write_text("text")
    (folder / "empty.pth").write_bytes(b"")
    (folder / "folder").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken/a.png").write_bytes(b"\x89PNG\r\n\x1a\n..")
    picture = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(picture).save(folder / "good.png")
    (folder / "cut.png").write_bytes((folder / "good.png").read_bytes()[:1000])
    torch.save({"a": torch.ones(2)}, folder / "other.pth")
    torch.save([1, 2], folder / "list.pth")
    torch.save(torch.nn.Conv2d(1, 1, 1), folder / "whole.pth")
    return folder


@pytest.fixture
def run(project, monkeypatch, capsys):
    """Run a command line in the folder: its status, and what it printed."""
    monkeypatch.chdir(project)
    monkeypatch.setattr(sys, "path", sys.path.copy())

    def call(line):
        before = set(sys.modules)
        try:
            with pytest.raises(SystemExit) as ended:
                command.main(["audit", *shlex.split(line)])
        finally:
            for name in set(sys.modules) - before:
                if str(getattr(sys.modules[name], "__file__", "")).startswith(str(project)):
                    del sys.modules[name]
        said = capsys.readouterr()
        told = [text for text in said.err.splitlines() if not text.startswith("auditing ")]
        return ended.value.code, said.out, told

    return call


@pytest.mark.parametrize("line", REFUSED)
def test_one_line_and_a_status(line, run):
    status, out, told = run(line)
    assert status == 2
    assert out == ""
    assert len(told) == 1, told
    assert told[0].startswith("error: ")
    assert REFUSED[line] in told[0]


@pytest.mark.parametrize("line", UNKNOWN)
def test_nobody_can_tell(line, run):
    status, out, told = run(line)
    assert (status, told) == (1, [])
    assert f"Cannot tell: {UNKNOWN[line]}" in " ".join(out.split())


def test_an_interrupt_is_no_traceback(run):
    assert run("nets:interrupted") == (130, "", ["error: interrupted"])


def test_options_that_are_none(run):
    for line in ("nets:up --keep nope", "nets:up --seed abc", "nets:up --nope", ""):
        status, out, told = run(line)
        assert (status, out) == (2, "")
        assert told[0].startswith("usage: ")


@pytest.mark.parametrize("line", ["nets:leaves", "nets:good --size 0"])
def test_as_a_command_of_its_own(line, project):
    start = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); import upzoo.audit.command as c; c.main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", start, "audit", *shlex.split(line)],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: ")
    assert len(ended.stderr.splitlines()) == 1
