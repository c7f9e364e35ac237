"""The study's plan and its runner: what is trained, in which order, and from where it goes on."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import yaml
from hydra.utils import get_class
from omegaconf import OmegaConf

from runs import records
from studies import arguments, pilots, plan, train
from studies.plan import Job, pilot_jobs, study_jobs
from studies.settings import SETTINGS
from tests.comparison.fabricated import write
from tests.conftest import compose_config

JOB = Job("fcn8s_camvid", "transposed", 3e-3, 0, "study/fcn8s_camvid/transposed", ("seed=0",))


def run_of(logs: Path, status: str, max_epochs: int = 16, ckpt: bool = True, **named) -> Path:
    folder = logs / JOB.folder
    config = {"trainer": {"max_epochs": max_epochs}}
    path = write(folder, "transposed_conv", 0, {"miou": 0.5}, status=status, config=config, **named)
    if ckpt:
        (path.parent / "checkpoints").mkdir()
        (path.parent / "checkpoints" / "last.ckpt").touch()
    return path.parent


def one_of_each() -> dict[str, Job]:
    """A job of every variant and check, and a setting's first pilot."""
    jobs = {job.folder: job for job in study_jobs(SETTINGS, {}, [0])}
    return jobs | {name: next(pilot_jobs([name])) for name in SETTINGS if SETTINGS[name].pilot}


@pytest.mark.parametrize("job", one_of_each().values(), ids=one_of_each())
def test_every_job_is_a_config(job):
    cfg = compose_config("train", [*job.overrides, "data.root=x"])
    assert (cfg.name, cfg.seed) == (job.folder, job.seed)
    rates = {OmegaConf.select(cfg, o) for o in SETTINGS[job.setting].rate_options}
    assert rates == {job.lr}
    assert cfg.trainer.precision == "32-true"
    constant = cfg.task.get("schedule", "constant") == "constant"
    assert constant == (cfg.budgets is not None)
    get_class(cfg.upsample._target_)


def test_a_pilot_that_the_plan_has_made_longer_goes_on(tmp_path):
    longer = dataclasses.replace(JOB, overrides=("trainer.max_epochs=32", "budgets=[23,2912]"))
    run = run_of(tmp_path / "logs", "finished")
    runner = train.Runner(tmp_path, tmp_path / "logs", tmp_path / "results")
    assert runner.command(JOB) is None
    command = runner.command(longer)
    assert command is not None
    assert command[-1] == f"ckpt={run / 'checkpoints/last.ckpt'}"
    assert runner.command(dataclasses.replace(longer, overrides=("trainer.max_epochs=16",))) is None


def test_no_two_jobs_share_a_folder_and_a_seed():
    jobs = [*study_jobs(SETTINGS, {}, None), *pilot_jobs(SETTINGS)]
    assert len({(job.folder, job.seed) for job in jobs}) == len(jobs)
    assert not {job.seed for job in pilot_jobs(SETTINGS)} & {0, 1, 2, 3, 4}


def test_a_seed_of_every_variant_comes_before_the_next_and_own_rates_before_common_ones():
    rates = {"fcn8s_camvid": {"transposed": 9e-3}}
    jobs = list(study_jobs(["fcn8s_camvid"], rates, [0, 1]))
    variants = list(SETTINGS["fcn8s_camvid"].variants)
    first, then, checks = jobs[:20], jobs[20:22], jobs[22:]
    assert [(j.seed, j.variant) for j in first] == [(s, v) for s in (0, 1) for v in variants]
    assert {j.lr for j in first if j.variant == "transposed"} == {9e-3}
    assert [(j.folder, j.lr, j.seed) for j in then] == [
        ("study/fcn8s_camvid/transposed-common", 3e-3, seed) for seed in (0, 1)
    ]
    assert {j.folder for j in checks} == {
        "study/fcn8s_camvid/bilinear_fixed-cosine",
        "study/fcn8s_camvid/transposed-cosine",
    }


def test_twins_have_one_rate():
    jobs = list(study_jobs(["fcn8s_camvid"], {"fcn8s_camvid": {"bilinear_fixed": 1e-3}}, [0]))
    rates = {job.folder.rpartition("/")[2]: job.lr for job in jobs}
    assert rates["bilinear_twin"] == rates["bilinear_fixed"] == 1e-3
    assert "bilinear_twin-common" not in rates


def test_a_job_starts_goes_on_or_is_skipped(tmp_path):
    runner = train.Runner(Path("data"), tmp_path, tmp_path / "results")
    begin = runner.command(JOB)
    assert begin[1:] == ["train.py", "seed=0", "data.root=data/camvid", f"logs={tmp_path}"]
    run = run_of(tmp_path, "interrupted", ckpt=False)
    assert runner.command(JOB) == begin
    shutil.rmtree(run)
    run = run_of(tmp_path, "interrupted")
    assert runner.command(JOB) == [*begin, f"ckpt={run / 'checkpoints' / 'last.ckpt'}"]
    run_of(tmp_path, "finished", created="2026-01-02T00:00:00+00:00")
    assert runner.command(JOB) is None


def test_what_has_its_record_in_results_is_finished_though_its_run_is_gone(tmp_path):
    run_of(tmp_path / "results", "finished", ckpt=False)
    runner = train.Runner(tmp_path, tmp_path / "logs", tmp_path / "results")
    assert runner.command(JOB) is None
    runner.epochs = 32  # from its start, since no checkpoint is left
    assert runner.command(JOB)[-2] == "trainer.max_epochs=32"


def test_a_finished_training_is_made_longer(tmp_path):
    run = run_of(tmp_path, "finished", max_epochs=16)
    longer = train.Runner(Path("data"), tmp_path, tmp_path, epochs=64).command(JOB)
    assert longer[-1] == f"ckpt={run / 'checkpoints' / 'last.ckpt'}"
    budgets = "budgets=[23,46,91,182,364,728,1456,2912,5824]"
    assert longer[-3:-1] == ["trainer.max_epochs=64", budgets]
    assert train.Runner(Path("data"), tmp_path, tmp_path, epochs=16).command(JOB) is None
    cosine = dataclasses.replace(JOB, overrides=("seed=0", "budgets=null"))
    anew = train.Runner(Path("data"), tmp_path, tmp_path, epochs=32).command(cosine)
    assert anew[-1] == "trainer.max_epochs=32"
    with pytest.raises(ValueError, match="epochs=48: budgets double, so give 16 times"):
        train.lengthened(JOB, 48)


def test_the_rate_with_the_best_validation_score_is_chosen(tmp_path, capsys):
    for job in pilot_jobs(["fcn8s_camvid"]):
        best = 1e-3 if job.variant == "carafe" else 9e-3
        score = 0.5 - abs(job.lr - best)
        diverged = job.variant == "transposed" and job.lr == 9e-3
        path = write(
            tmp_path / job.folder,
            "x",
            plan.PILOT_SEED,
            {"miou": score},
            split="val",
            status="failed" if diverged else "finished",
        )
        assert records.read(path)
    chosen = pilots.choose_rates(["fcn8s_camvid"], tmp_path / "none", tmp_path)["fcn8s_camvid"]
    assert chosen["carafe"] == 1e-3
    assert chosen["transposed"] == 3e-3
    assert chosen["dysample"] == 9e-3
    with pytest.raises(ValueError, match="this pilot is not finished: run --pilots first"):
        pilots.choose_rates(["fcn8s_camvid"], tmp_path / "empty")


def test_rates_of_some_variants_are_chosen_while_others_pilots_are_missing(tmp_path):
    for job in pilot_jobs(["fcn8s_camvid"]):
        if job.variant == "carafe" or (job.variant == "dysample" and job.lr == 9e-3):
            score = 0.5 - abs(job.lr - 3e-3)
            write(tmp_path / job.folder, "x", plan.PILOT_SEED, {"miou": score}, split="val")
    chosen = pilots.choose_rates(["fcn8s_camvid"], tmp_path, variants=["carafe"])
    assert chosen == {"fcn8s_camvid": {"carafe": 3e-3}}
    with pytest.raises(ValueError, match=r"dysample/lr0\.001: this pilot is not finished"):
        pilots.choose_rates(["fcn8s_camvid"], tmp_path, variants=["carafe", "dysample"])


@pytest.mark.parametrize("named", ["dysampel", "transposed,", "smooth"])
def test_a_variant_that_the_settings_lack_is_refused(named):
    with pytest.raises(ValueError, match=r"--variants .*: there is no variant '\w*': bilinear"):
        arguments.variants(named, ["fcn8s_camvid"])


def test_a_variant_whose_pilots_all_diverged_has_no_rate(tmp_path):
    for job in pilot_jobs(["fcn8s_camvid"]):
        write(
            tmp_path / job.folder, "x", plan.PILOT_SEED, {"miou": 0.1}, split="val", status="failed"
        )
    setting, tried = SETTINGS["fcn8s_camvid"], pilots.read("fcn8s_camvid", tmp_path)
    assert "| `carafe` | diverged | diverged | diverged |" in pilots.section(setting, tried)
    with pytest.raises(ValueError, match="fcn8s_camvid bilinear_fixed: all pilots diverged"):
        pilots.choose_rates(["fcn8s_camvid"], tmp_path)


def test_rates_are_read_back(tmp_path):
    path = tmp_path / "rates.yaml"
    assert plan.read_rates(path) == {}
    path.write_text(yaml.safe_dump({"fcn8s_camvid": {"carafe": 1e-3}}))
    assert plan.read_rates(path) == {"fcn8s_camvid": {"carafe": 1e-3}}


def test_processes_run_and_failures_are_told(tmp_path, monkeypatch, capfd):
    runner = train.Runner(Path("data"), tmp_path, tmp_path / "results")
    monkeypatch.setattr(
        runner, "command", lambda job: ["sh", "-c", f"echo $OMP_NUM_THREADS; exit {job.seed}"]
    )
    jobs = [Job("fcn8s_camvid", "v", 1.0, seed, "study/v", ()) for seed in (0, 3)]
    assert runner.run(jobs, at_once=2) == [jobs[1]]
    assert (tmp_path / "study/v/seed0.log").read_text() == "1\n"
    assert "study/v seed 3 ended with status 3" in capfd.readouterr().err


@pytest.mark.parametrize(("status", "end"), [("finished", "done"), ("interrupted", "stopped")])
def test_only_a_finished_training_is_kept(tmp_path, monkeypatch, capsys, status, end):
    logs, results = tmp_path / "logs", tmp_path / "results"
    run = run_of(logs, status)
    kept = results / run.relative_to(logs) / "record.json"
    kept.parent.mkdir(parents=True)
    kept.write_text("of a shorter training")
    runner = train.Runner(Path("data"), logs, results)
    monkeypatch.setattr(runner, "command", lambda job: ["true"])
    assert runner.run([JOB], at_once=1) == []
    assert f"transposed seed 0: 0 min, {end}" in capsys.readouterr().out
    assert (kept.read_text() == "of a shorter training") == (end == "stopped")
