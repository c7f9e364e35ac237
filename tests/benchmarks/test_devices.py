"""A GPU is asked for by name, waited for by its clock, and named in its record and on the page."""

import json
import sys

import pytest
import torch

from benchmarks import devices, gpu_report, memory, models, operators, step
from benchmarks.devices import CPU

GPU = torch.device("cuda", 0)


@pytest.mark.parametrize("benchmark", [models, operators, step])
def test_without_a_gpu_it_ends_in_one_line(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["benchmark", "--device", "cuda"])
    with pytest.raises(SystemExit) as ended:
        benchmark.main()
    assert ended.value.code != 0
    assert "--device cuda: torch finds no NVIDIA GPU here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("Tesla T4", "t4"),
        ("NVIDIA GeForce RTX 4090", "4090"),
        ("Quadro", "quadro"),
    ],
)
def test_a_gpu_names_its_record(name, label):
    assert devices.label({"gpu": name}, GPU) == label


def test_a_processor_names_its_record_by_its_features():
    machine = {"gpu": "NVIDIA H100", "amx_bf16": True, "avx512_bf16": True}
    assert devices.label(machine) == "amx_bf16_avx512_bf16"


def test_the_clock_of_a_gpu_waits_for_it(monkeypatch):
    log = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: log.append("waited"))
    monkeypatch.setattr(devices.time, "perf_counter", lambda: log.append("read") or 1.0)
    assert devices.synchronised() == 1.0
    assert log == ["waited", "read"]


def test_how_is_timed():
    assert devices.timed(CPU, warmup=2, clock=max) == {"warmup": 2, "clock": max}
    assert devices.timed(CPU, 3.0, least=0.1) == {"least": 0.1, "budget": 3.0}
    found = devices.timed(GPU, warmup=2, least=0.001, budget=0.6)
    assert found["clock"] is devices.synchronised
    assert found["least"] >= 0.01  # hundreds of launches
    assert found["warmup"] > 2
    assert found["budget"] == 0.6


def test_batches_are_larger_on_a_gpu():
    assert devices.batch((2, 3, 8, 8), CPU) == (2, 3, 8, 8)
    assert devices.batch((2, 3, 8, 8), GPU) == (2 * devices.TIMES, 3, 8, 8)


def test_the_record_says_what_float32_is(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert devices.arithmetic(CPU) == {}
    said = devices.arithmetic(GPU)["float32"]  # torch's defaults
    assert said == "TF32 in convolutions, float32 in matrix products"


def test_memory_of_a_gpu_is_the_most_above_what_was_held(monkeypatch):
    log = []
    held = {"memory_allocated": 100, "max_memory_allocated": 170}
    for name in ("synchronize", "reset_peak_memory_stats", *held):
        monkeypatch.setattr(torch.cuda, name, lambda n=name: log.append(n) or held.get(n))
    assert memory.peak_bytes(lambda: log.append("call"), GPU) == 70
    assert log.index("reset_peak_memory_stats") < log.index("call")
    assert log[log.index("call") + 1] == "synchronize"


# What is told of a GPU


ABOUT = {
    "device": "cuda",
    "float32": "TF32 in convolutions, float32 in matrix products",
    "machine": {"gpu": "NVIDIA H100 80GB HBM3"},
    "versions": {"torch": "2.11"},
}


def keep(folder, name, record):
    (folder / name).write_text(json.dumps(record))


def test_nothing_is_told_without_a_record_of_a_gpu(tmp_path):
    keep(tmp_path, "models_plain.json", {"machine": {"gpu": None}})
    assert gpu_report.operators(tmp_path) == ""
    assert gpu_report.training(models.tables, tmp_path) == ""


def test_operators_are_told_with_what_is_slower(tmp_path):
    rows = [
        {
            "operator": operator,
            "setting": "64→64 ×2, 8×128×128",
            "dtype": dtype,
            "pass": part,
            "times_faster": {rival: {"median": speed}},
            "peak_bytes": {"ours": 50, rival: 100},
        }
        for operator, rival, speed in (("carafe", "by hand", 3.0), ("sapa", "reference", 0.5))
        for dtype in gpu_report.DTYPES
        for part in gpu_report.PASSES
    ]
    roof = {"float32": 5e13, "bfloat16": 7e14, "copy": 2.5e12}
    keep(tmp_path, "operators_h100.json", {**ABOUT, "operators": rows, "roofline": roof})
    told = gpu_report.operators(tmp_path)
    assert told.startswith("### On an NVIDIA H100 80GB HBM3\n\nTorch 2.11")
    assert "50 TFLOP/s in fp32, 700 in bf16, 2500 GB/s" in told
    assert "| `carafe` | 3.00× | 3.00× | 3.00× | 3.00× | 0.50 | 0.50 |" in told
    slower = told.split("Slower at any size: ")[1]
    assert slower.count(";") == 3
    assert slower.startswith("`sapa` (its reference) 64→64 ×2, 8×128×128, fp32 forward 0.50×")


def test_nets_and_steps_are_told(tmp_path):
    speed = {"median": 1.2, "low": 1.1, "high": 1.3, "level": 0.75}
    side = {name: {"our_speed_over_it": speed} for name in ("ours", "plain PyTorch")}
    compared = {"unet": dict.fromkeys(models.PARTS, side)}
    record = {**ABOUT, "precision": "bf16-mixed", "comparisons": compared}
    keep(tmp_path, "models_h100.json", record | {"bf16_over_float32": {"a net": speed}})
    over = {"step": {"median": 1.5}, "loss": {"median": 0.1}}
    nets = {"a net": {"over_convolutions": over}}
    keep(tmp_path, "step_h100.json", {**ABOUT, "precision": "32-true", "nets": nets})
    told = gpu_report.training(models.tables, tmp_path)
    assert "hold the median with at least 75%" in told
    assert "kernels" not in told
    assert "| U-Net of 31 M | plain PyTorch | 1.20× (1.10 to 1.30) |" in told
    assert "| a net | 1.20× (1.10 to 1.30) | yes |" in told
    assert "| a net, 32-true | 1.50 | – | – | 0.10 |" in told


def test_how_long_a_gpu_itself_works_is_told_of_each_side():
    speed = {"median": 1.2, "low": 1.1, "high": 1.3, "level": 0.95}
    seconds = {"ours": 2.0, "peer": 3.0, "ours, compiled": 1.0, "peer, compiled": 4.0}
    sides = {n: {"our_speed_over_it": speed, "kernel_seconds": s} for n, s in seconds.items()}
    record = {"comparisons": {"unet": dict.fromkeys(models.PARTS, sides)}, "precision": "32-true"}
    head, _, *rows = models.tables(record | {"bf16_over_float32": {}})["peers"].splitlines()
    assert head.endswith("| kernels, training | kernels, inference |")
    assert [row.split(" | ")[-1] for row in rows] == ["1.50× |", "4.00× |"]


@pytest.mark.filterwarnings("ignore:CUDA is not available")
def test_a_gpu_that_does_nothing_takes_no_seconds(monkeypatch):
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    calls = []
    assert devices.kernel_seconds(lambda: calls.append(torch.ones(3) + 1), calls=4) == 0
    assert len(calls) == 4
