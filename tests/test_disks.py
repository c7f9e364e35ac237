"""Real disks that are read-only or full: one line, nothing half-written. Mounts need root."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import ROOT, SMALL

#: What is written to {disk}; {trained} is a finished run's folder, {logs} a study of such.
COMMANDS = {
    "train": f"train.py {shlex.join(SMALL)} logs={{disk}}/logs",
    "predict": "evaluate.py ckpt={trained} input={pictures} output={disk}/masks overlay=true",
    "predict one": "evaluate.py ckpt={trained} input={pictures}/0.png output={disk}/mask.png",
    "correct": "evaluate.py audit={trained}/model equalise=true output={disk}/net",
    "swap": "evaluate.py audit={trained}/model swap=dysample output={disk}/net",
    "audit": "evaluate.py audit={trained}/model logs={disk}/audits",
    "export": "evaluate.py ckpt={trained} export={disk}/net.onnx",
    "samples": "evaluate.py pretrained=dcgan_transposed_conv.mnist samples=4 output={disk}/4.png",
    "compare": "compare.py {disk}/logs",
}
#: Lines that are no error.
PROGRESS = ("note: ", "auditing ")


def mounts() -> bool:
    """Whether this process may mount a file system of its own."""
    command = ["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def on_disk(kind: str, disk: Path, fill: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a script while a folder is a disk of its own, which holds what `fill` has in logs/.

    The last lines of its output name the disk's files.
    """
    place, content = shlex.quote(str(disk)), shlex.quote(str(fill))
    closed = {
        "read-only": f"mount -o remount,ro {place}",
        "full": f"dd if=/dev/zero of={place}/rest bs=4k 2>/dev/null",
    }[kind]
    script = [
        f"mount -t tmpfs -o size=64m none {place}",
        f"cp -r {content} {place}/logs",
        closed,
        f"{shlex.quote(sys.executable)} {command}",
        f"status=$?; echo FILES; cd {place}; find . -type f; exit $status",
    ]
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", "\n".join(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
@pytest.mark.skipif(not mounts(), reason="may not mount a file system")
@pytest.mark.parametrize(
    ("kind", "reason"),
    [("read-only", "Read-only file system"), ("full", "No space left on device")],
)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_without_room_or_right_is_one_line(name, kind, reason, trained, tmp_path):
    pictures, disk, fill = (tmp_path / each for each in ("pictures", "disk", "fill"))
    for folder in (pictures, disk):
        folder.mkdir()
    shutil.copytree(trained, fill / "run")
    for number in range(3):
        Image.new("RGB", (40, 40), (number, 90, 200)).save(pictures / f"{number}.png")
    places = {"disk": disk, "trained": trained, "pictures": pictures}
    command = COMMANDS[name].format(**{key: shlex.quote(str(v)) for key, v in places.items()})
    ended = on_disk(kind, disk, fill, command)
    assert ended.returncode == 2, ended
    said = [line for line in ended.stderr.splitlines() if not line.startswith(PROGRESS)]
    assert len(said) == 1, ended.stderr
    assert said[0].startswith("error: ")
    assert reason in said[0]
    before = {f"./logs/{path.relative_to(fill)}" for path in fill.rglob("*") if path.is_file()}
    files = ended.stdout.partition("FILES\n")[2].splitlines()
    assert set(files) - before <= {"./rest"}
