"""What `pip` makes of the project: a library that needs neither the repository nor its folder."""

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.slow

USE = """
import upzoo
print(upzoo.list_operators())
net = upzoo.create('unet', 'dysample', num_classes=3)
assert upzoo.metrics.mean_iou and upzoo.upsampling.OPERATORS and upzoo.audit
"""


def run(*command, cwd=ROOT, **environment):
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The committed and the new files, so that building leaves nothing in the repository."""
    folder = tmp_path_factory.mktemp("source")
    listed = run("git", "ls-files", "-co", "--exclude-standard", "-z").split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file() and not name.endswith(".safetensors"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation")
    run(*pip, "-w", folder, source)
    (path,) = folder.glob("upzoo-*.whl")
    return path


def environment(folder):
    """A virtual environment that sees the dependencies of this one, and nothing of ours."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    site = next((folder / "lib").glob("python*/site-packages"))
    others = [path for path in sys.path if path.endswith("site-packages")]
    # without the .pth files of those folders, such as an editable install's
    (site / "dependencies.pth").write_text("\n".join(others) + "\n")
    return python, site


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The interpreter of an environment with the wheel in it."""
    python, site = environment(tmp_path_factory.mktemp("installed"))
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site, wheel)
    return python


def test_the_wheel_holds_the_library_the_manifest_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    library = {
        f"upzoo/{prefix}{path.relative_to(ROOT / room).as_posix()}"
        for room, prefix in (("models", ""), ("metrics", "metrics/"), ("audit", "audit/"))
        for path in (ROOT / room).rglob("*.py")
    }
    own = {name for name in names if ".dist-info/" not in name}
    assert own == library | {"upzoo/py.typed", "upzoo/checkpoints/manifest.json"}
    content = zipfile.ZipFile(wheel).read("upzoo/checkpoints/manifest.json")
    assert json.loads(content) == json.loads((ROOT / "checkpoints/manifest.json").read_text())


def test_it_works_in_an_empty_folder(installed, tmp_path):
    out = run(installed, "-c", USE, cwd=tmp_path)
    assert "'dysample'" in out
    where = run(installed, "-c", "import upzoo; print(upzoo.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parents[1])
    assert not list(tmp_path.iterdir())


def test_a_project_with_rooms_of_the_same_names_imports_it(installed, tmp_path):
    for room in ("models", "metrics", "data", "audit"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text(f"OWN = {room!r}\n")
    own = "import models, metrics, data, audit\nassert models.OWN == 'models'\n"
    run(installed, "-c", own + USE + own, cwd=tmp_path)


def test_every_shipped_checkpoint_loads_from_it(installed, tmp_path):
    code = (
        "import upzoo\n"
        "names = upzoo.list_models()\n"
        "assert names and not any(upzoo.load(name).training for name in names)\n"
        "print(len(names))\n"
    )
    (tmp_path / "checkpoints").symlink_to(ROOT / "checkpoints")
    out = run(installed, "-c", code, cwd="/", UPZOO_DATA=str(tmp_path))
    assert int(out) == len(list((ROOT / "checkpoints").glob("*/config.json")))


def test_an_editable_install_works_from_outside(source, tmp_path):
    python, site = environment(tmp_path / "env")
    pip = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation")
    run(*pip, "--target", site, "--editable", source)
    (tmp_path / "empty").mkdir()
    run(python, "-c", USE, cwd=tmp_path / "empty")
    where = run(python, "-c", "import upzoo; print(upzoo.__file__)", cwd=tmp_path / "empty")
    assert Path(where.strip()) == source / "models" / "__init__.py"
    run(python, "train.py", "--help", cwd=source)
