"""Sweeps whose jobs run beside each other, in processes of this machine."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from runs import records, sweeps
from tests.conftest import ROOT

TINY = [
    "debug=fast",
    "artifacts=0",
    "callbacks.artifacts=null",
    "callbacks.panels=null",
    "model.width=2",
    "data.size=[32,32]",
    "data.train=8",
    "data.val=4",
    "data.test=4",
    "trainer.max_epochs=1",
]


def start(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "train.py", *arguments]
    environment = dict(os.environ)
    if path is not None:
        environment["PATH"] = f"{path}:{environment['PATH']}"
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "package"), [("joblib", "joblib"), ("submitit_local", "submitit")]
)
def test_jobs_are_counted_kept_reported_and_skipped(tmp_path: Path, launcher: str, package: str):
    pytest.importorskip(f"hydra_plugins.hydra_{package}_launcher")
    both = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []

    def sweep(upsample: str) -> subprocess.CompletedProcess[str]:
        own = [f"logs={tmp_path}", f"upsample={upsample}", f"hydra/launcher={launcher}", *both]
        return start("-m", *TINY, *own)

    first = sweep("interpolate,max_unpool")
    assert first.returncode == 1, first.stderr
    folder = tmp_path / "debug"
    told = [path.read_text() for path in folder.glob(".submitit/*/*.out")]
    assert any("sweep: 1 of 2 done" in text for text in (first.stdout, *told))
    assert "sweep ended: 1 finished, 1 failed" in first.stdout
    assert "upsample=max_unpool: FCN does not take MaxUnpool" in first.stderr
    assert "Traceback" not in first.stderr

    (run,) = folder.rglob("seed0-*")
    record = records.read(run / "record.json")
    assert record.status == "finished"
    single = ["python", "train.py", *TINY, f"logs={tmp_path}", "upsample=interpolate"]
    assert shlex.split(record.command) == single
    left = {sweeps.FILE, "multirun.yaml", run.parent.name}
    left |= {".submitit"} if package == "submitit" else set()
    assert {p.name for p in folder.iterdir()} == left
    assert {p.name for p in tmp_path.iterdir()} == {"debug"}

    second = sweep("interpolate")
    assert second.returncode == 0, second.stderr
    assert "sweep ended: 1 skipped" in second.stdout
    assert list(folder.rglob("seed0-*")) == [run]
    lines = [*map(json.loads, (folder / sweeps.FILE).read_text().splitlines())]
    begun, *jobs = (line for line in lines if line["sweep"] == lines[-1]["sweep"])
    assert (begun["jobs"], [job["status"] for job in jobs]) == (1, ["skipped"])
    assert len({line["sweep"] for line in lines}) == 2


@pytest.mark.slow
def test_what_slurm_is_handed_and_how_its_refusal_is_told(tmp_path: Path):
    """A stand-in for sbatch keeps the script and refuses it."""
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    for name, line in (
        ("srun", "exit 0"),
        (
            "sbatch",
            f'cp "$1" {tmp_path}/script; echo "sbatch: error: invalid partition" >&2; exit 1',
        ),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    options = (
        "partition=gpu gres=gpu:1 cpus_per_task=8 mem_gb=32 timeout_min=240 array_parallelism=2 "
        "max_num_timeout=3 setup=['module load cuda']"
    )
    given = [f"hydra.launcher.{option}" for option in options.split(" ", 7)]
    given.append("+hydra.launcher.additional_parameters.mail-type=FAIL")
    own = [f"logs={tmp_path / 'logs'}", "name=study", "hydra/launcher=submitit_slurm"]
    done = start("-m", "seed=0,1,2", *own, *given, path=tmp_path)
    assert done.returncode == 2
    said = "sbatch: error: invalid partition"  # by itself, then by us
    assert done.stderr.splitlines() == [said, f"error: the cluster refused the jobs: {said}"]
    script = (tmp_path / "script").read_text().splitlines()
    logs = tmp_path / "logs" / "study" / ".submitit"
    expected = (
        "--partition=gpu --gres=gpu:1 --cpus-per-task=8 --mem=32GB --time=240 --array=0-2%2 "
        f"--signal=USR2@120 --ntasks-per-node=1 --nodes=1 --mail-type=FAIL "
        f"--output={logs}/%A_%a/%A_%a_0_log.out"
    )
    assert {f"#SBATCH {option}" for option in expected.split()} <= set(script)
    assert script[-1].startswith("srun ")
    assert "module load cuda" in script


def test_an_unknown_launcher_is_refused_in_one_line():
    done = start("-m", "seed=0,1", "hydra/launcher=loky")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: hydra/launcher=loky: there is no such launcher "
        "(there are: basic, joblib, submitit_local, submitit_slurm)\n"
    )


def test_a_launcher_that_is_not_installed_or_has_no_cluster_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sweeps, "find_spec", lambda module: module)
    sweeps.check_launcher(["-m", "seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"])
    with pytest.raises(ValueError, match=r"submitit_slurm: there is no srun on this machine"):
        sweeps.check_launcher(["hydra/launcher=submitit_slurm"])
    monkeypatch.setattr(sweeps, "find_spec", lambda module: None)
    sweeps.check_launcher(["hydra/launcher=basic", "model=fcn"])
    for name, extra in (("joblib", "joblib"), ("submitit_local", "submitit")):
        with pytest.raises(ValueError, match=rf'{name} needs .*pip install "\.\[{extra}\]"'):
            sweeps.check_launcher([f"hydra/launcher={name}"])
