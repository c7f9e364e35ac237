"""Sweeps: how they count, what they skip, what they say."""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from omegaconf import OmegaConf

from runs import finished, folders, records, sweeps
from tests.conftest import ROOT, compose_config

START = {"time": 100.0, "jobs": 4}


def job(time, status="finished", **more):
    return {"time": time, "status": status, "overrides": ["seed=0"], **more}


def test_progress_counts_and_estimates():
    assert sweeps.progress([START, job(160.0)]) == "sweep: 1 of 4 done, about 3 min left"
    skipped = [START, job(101.0, "skipped"), job(141.0, "failed")]
    assert sweeps.progress(skipped) == "sweep: 2 of 4 done, 1 of them failed, about 82 s left"
    assert sweeps.progress([START, job(101.0, "skipped")]) == "sweep: 1 of 4 done"
    all_done = [START, *[job(100.0 + i) for i in range(4)]]
    assert sweeps.progress(all_done) == "sweep: 4 of 4 done"


def write(folder, config, status):
    record = records.new(
        command="python train.py",
        choices={"model": "m", "upsample": "u", "data": "d", "seed": config["seed"], "name": "n"},
        config=config,
        data={"name": "d", "fingerprint": None, "licence": None, "split": "test"},
        status=status,
    )
    records.write(folder / folders.RECORD, record)


def test_only_a_finished_run_of_the_same_config_is_skipped(tmp_path):
    config = {"seed": 1, "model": {"width": 4}, "trainer": {"max_epochs": 5}, "logs": "here"}
    assert sweeps.finished_run(tmp_path, config) is None
    write(tmp_path / "m-u-d" / "seed1-a", config, "failed")
    write(tmp_path / "m-u-d" / "seed1-b", config | {"model": {"width": 8}}, "finished")
    (tmp_path / "m-u-d" / "seed1-c").mkdir()
    (tmp_path / "m-u-d" / "seed1-c" / folders.RECORD).write_text("{")
    assert sweeps.finished_run(tmp_path, config) is None
    write(tmp_path / "m-u-d" / "seed1-d", config | {"logs": "there"}, "finished")
    assert sweeps.finished_run(tmp_path, config) == tmp_path / "m-u-d" / "seed1-d"
    assert sweeps.finished_run(tmp_path, config | {"seed": 2}) is None
    assert sweeps.finished_run(tmp_path, config | {"trainer": {"max_epochs": 9}}) is None


def test_lines_added_at_the_same_time_stay_whole(tmp_path):
    path, long = tmp_path / sweeps.FILE, "x" * 20_000
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda job: sweeps._add(path, {"job": job, "error": long}), range(200)))
    lines = sweeps._lines(path)
    assert sorted(line["job"] for line in lines) == list(range(200))
    assert {line["error"] for line in lines} == {long}
    with path.open("a") as file:
        file.write('{"time": 1')  # a job is at it
    assert len(sweeps._lines(path)) == 200


def test_sweeps_that_fill_one_folder_count_their_own_jobs(tmp_path, monkeypatch):
    path = tmp_path / sweeps.FILE
    for sweep, jobs in (("a", 2), ("b", 3)):
        monkeypatch.setenv(sweeps.SWEEP, sweep)
        sweeps._add(path, {"jobs": jobs})
    sweeps._add(path, {"status": "finished"})
    assert sweeps.progress(sweeps._lines(path)).startswith("sweep: 1 of 3 done")
    monkeypatch.setenv(sweeps.SWEEP, "a")
    assert sweeps.progress(sweeps._lines(path)) == "sweep: 0 of 2 done"


def test_the_command_of_a_run_repeats_it_alone():
    compose_config("train", ["seed=3", "data.size=[8,8]", "hydra.sweep.subdir=x"])
    assert sweeps.command() == "python train.py seed=3 'data.size=[8,8]'"


def test_a_sweep_trains_exactly_the_runs_that_were_deleted(tmp_path):
    cfg, trained = compose_config("train", [f"logs={tmp_path}", "name=n"]), []
    folder = tmp_path / "n"

    def train(cfg):
        trained.append(cfg.seed)
        run = folder / "m-u-d" / f"seed{cfg.seed}-{len(trained)}"
        write(run, OmegaConf.to_container(cfg, resolve=True), "finished")

    def sweep():
        trained.clear()
        folder.mkdir(exist_ok=True)
        (folder / sweeps.FILE).write_text(json.dumps({"time": 0.0, "jobs": 6}) + "\n")
        for seed in range(6):
            sweeps.run_job(OmegaConf.merge(cfg, {"seed": seed}), train)
        return list(trained)

    assert sweep() == [0, 1, 2, 3, 4, 5]
    for seed in (1, 4):
        (run,) = folder.rglob(f"seed{seed}-*")
        shutil.rmtree(run)
    assert sweep() == [1, 4]
    assert sweep() == []


def line(overrides, run, configs):
    return {"overrides": overrides, "status": "finished", "run": run, "configs": configs}


def test_a_job_is_known_as_finished_by_its_line_and_its_run(tmp_path):
    now, jobs = finished.digest(), [[f"seed={seed}", "name=n"] for seed in range(6)]
    for name, status in (("a/0", "finished"), ("a/1", "finished"), ("a/2", "failed")):
        write(tmp_path / name, {"seed": 0}, status)
    (tmp_path / "a" / "3").mkdir()
    (tmp_path / "a" / "3" / folders.RECORD).write_text("{")
    lines = [
        {"jobs": 6},
        line(jobs[0], "a/0", now),
        line(jobs[1], "a/1", "of other files"),
        line(jobs[2], "a/2", now),
        line(jobs[3], "a/3", now),
        line(jobs[4], "a/4", now),  # whose run is gone
        {"overrides": jobs[5], "status": "skipped"},
    ]
    left, done = finished.split(jobs, tmp_path, lines)
    assert (left, done) == (jobs[1:], {tuple(jobs[0]): tmp_path / "a/0"})
    moved = ["logs=elsewhere", *jobs[0]]
    assert finished.split([moved], tmp_path, lines) == ([], {tuple(moved): tmp_path / "a/0"})
    other = [[*jobs[0], more] for more in ("init=RUN", "data.size=${oc.env:SIZE}", "model.width=3")]
    lines += [line(job, "a/0", now) for job in other]
    assert finished.split(other, tmp_path, lines)[0] == other[:2]


def test_a_note_moves_with_the_folder_of_the_sweep(tmp_path):
    noted = finished.note(tmp_path / "n", tmp_path / "n" / "m-u-d" / "seed0-a", "digest")
    assert noted == {"run": "m-u-d/seed0-a", "configs": "digest"}


def test_the_digest_is_of_every_config_file(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.setattr(finished, "ROOT", tmp_path)
    before = finished.digest()
    assert before == finished.digest()
    path = tmp_path / "configs" / "upsample" / "carafe.yaml"
    text = path.read_text()
    path.write_text(text + " ")
    assert finished.digest() != before
    path.write_text(text)
    assert finished.digest() == before
    path.rename(path.with_name("other.yaml"))
    assert finished.digest() != before


def test_submitit_is_given_one_job_at_least(tmp_path):
    path, job = tmp_path / sweeps.FILE, ["seed=0"]
    write(tmp_path / "a", {"seed": 0}, "finished")
    sweeps._add(path, {"jobs": 1})
    sweeps._add(path, line(job, "a", finished.digest()))
    for target, left in (("x.BasicLauncher", []), ("submitit.SlurmLauncher", [job])):
        launcher = OmegaConf.create({"_target_": target})
        assert sweeps.skip_finished([job], path, launcher) == left
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    assert [each.get("status") for each in lines] == [None, "finished", "skipped"]


def test_a_sweep_goes_on_after_a_failure_and_skips_what_is_done(tmp_path):
    def sweep(upsample):
        arguments = (
            "-m debug=fast artifacts=0 callbacks.artifacts=null model.width=2 data.size=[32,32] "
            "data.train=8 data.val=4 data.test=4 trainer.max_epochs=1"
        )
        command = [sys.executable, "train.py", *arguments.split(), f"logs={tmp_path}"]
        return subprocess.run(
            [*command, f"upsample={upsample}"], cwd=ROOT, capture_output=True, text=True
        )

    first = sweep("interpolate,max_unpool")
    assert first.returncode == 1
    assert "sweep ended: 1 finished, 1 failed" in first.stdout
    assert "upsample=max_unpool: FCN does not take MaxUnpool" in first.stderr
    assert "Traceback" not in first.stderr
    folders = sorted(tmp_path.rglob("seed0-*"))

    second = sweep("glob(inter*)")
    assert second.returncode == 0, second.stderr
    assert "skipped what is finished; sweep: 1 of 1 done" in second.stdout
    assert "sweep ended: 1 skipped" in second.stdout
    assert sorted(tmp_path.rglob("seed0-*")) == folders
    lines = [*map(json.loads, (tmp_path / "debug" / sweeps.FILE).read_text().splitlines())]
    assert [line.get("jobs") for line in lines] == [2, None, None, 1, None]
    assert len({line["sweep"] for line in lines}) == 2
    (run,) = folders
    assert lines[1]["run"] == str(run.relative_to(tmp_path / "debug"))
    assert all("run" not in line for line in (lines[2], lines[4]))  # the first line tells it

    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    tmp_path = moved
    third = sweep("interpolate,max_unpool")
    assert third.returncode == 1
    assert "skipped what is finished; sweep: 1 of 2 done" in third.stdout
    assert "sweep ended: 1 skipped, 1 failed" in third.stdout
