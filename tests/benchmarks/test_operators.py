import json
import sys

import pytest
import torch

from benchmarks import operators, peers, report
from benchmarks.operators import DTYPES, Effort, Setting, compare, operator_rows, peer_rows
from upzoo.upsampling import OPERATORS

TINY = Setting(4, 4, 2, 1, 4, 4)
EFFORT = Effort(3, 0.0, 0.0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_an_operator(dtype):
    rows = operator_rows("carafe", TINY, dtype, EFFORT)
    assert [row["pass"] for row in rows] == ["forward", "training"]
    for row in rows:
        assert row["operator"] == "carafe"
        assert row["setting"] == "4→4 ×2, 1×4×4"
        assert row["seconds"].keys() == row["peak_bytes"].keys() == {"ours", "by hand", "reference"}
        assert row["times_faster"].keys() == {"by hand", "reference"}
        assert row["flops"] > 0
        for spread in (*row["seconds"].values(), *row["times_faster"].values()):
            assert 0 < spread["min"] <= spread["median"] <= spread["max"]
    weights = sum(p.numel() for p in OPERATORS["carafe"](4, 4).parameters())
    assert rows[0]["bytes"] == (4 * 16 + 4 * 64 + weights) * dtype.itemsize


def test_what_leaves_its_map_channels_first_is_timed_with_a_convolution_too():
    for row in operator_rows("dysample", TINY, torch.float32, EFFORT):
        then = row["then_convolution"]
        assert then["seconds"].keys() == {"ours", "by hand"}
        assert then["times_faster"].keys() == {"by hand"}
        assert then["times_faster"]["by hand"]["median"] > 0
    for row in operator_rows("resize_conv", TINY, torch.float32, EFFORT):
        assert "then_convolution" not in row


def test_training_takes_the_memory_of_gradients():
    forward, training = operator_rows("interpolate", TINY, torch.float32, EFFORT)
    output, gradient = 4 * 8 * 8 * 4, 4 * 4 * 4 * 4
    assert forward["peak_bytes"]["ours"] == output
    assert training["peak_bytes"]["ours"] >= output + gradient


def test_training_leaves_no_gradient_behind():
    conv, x = torch.nn.Conv2d(4, 4, 1), TINY.input(torch.float32)
    compare({"ours": conv}, x, [conv], EFFORT)
    assert x.grad is None
    assert conv.weight.grad is None


def test_quick_run_writes_what_the_report_reads(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(operators, "QUICK", (TINY,))
    monkeypatch.setattr(peers, "installed", lambda library: False)
    out = tmp_path / "found.json"
    argv = ["operators", "--quick", "--only", "interpolate", "resize_conv", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", argv)
    operators.main()
    results = json.loads(out.read_text())
    assert {row["operator"] for row in results["operators"]} == {"interpolate", "resize_conv"}
    assert results["machine"]["cores"] >= 1
    assert results["roofline"].keys() == {"float32", "bfloat16", "copy"}
    assert results["peers"] == []
    table = report.speed_table(results, "float32")
    assert "| `resize_conv` |" in table
    assert table in capsys.readouterr().out


def measured(name, seconds):
    row = {"operator": name, "setting": "a", "dtype": "b", "seconds": seconds}
    return {
        "machine": {"cpu": "A"},
        "versions": {"torch": "1"},
        "setting": {"threads": 2},
        "roofline": {"copy": seconds},
        "operators": [row],
        "peers": [],
    }


def test_one_operator_is_merged_into_the_record():
    record = measured("carafe", 1) | {"peers": ["kept"]}
    record["operators"] += measured("sapa", 2)["operators"]
    found = operators.merged(record, measured("carafe", 3))
    assert [(row["operator"], row["seconds"]) for row in found["operators"]] == [
        ("carafe", 3),
        ("sapa", 2),
    ]
    assert found["roofline"] == {"copy": 1}
    assert found["peers"] == ["kept"]
    other = measured("interpolate", 4) | {"machine": {"cpu": "B"}}
    found = operators.merged(found, other)
    assert [row["operator"] for row in found["operators"]] == ["interpolate", "carafe", "sapa"]
    assert found["operators"][0]["elsewhere"] == {
        key: other[key] for key in ("machine", "versions", "setting", "roofline")
    }
    assert found["machine"] == {"cpu": "A"}


def test_missing_peers_are_left_out_in_a_line(monkeypatch, capsys):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda library: None)
    assert peer_rows(TINY, torch.float32, EFFORT) == []
    assert capsys.readouterr().out.count("is not installed: left out") == 2


@pytest.mark.filterwarnings("ignore")  # the peers' own
@pytest.mark.parametrize("channels", [(4, 4), (6, 4)])
def test_peers_and_ours_have_one_shape(channels):
    pytest.importorskip("monai")
    pytest.importorskip("segmentation_models_pytorch")
    x = torch.randn(2, channels[0], 3, 5)
    for theirs, ours, peer, block in peers.pairs(*channels):
        assert peer(x).shape == block(x).shape == (2, channels[1], 6, 10), (theirs, ours)
        if "deconvgroup" not in theirs:
            sizes = [
                sorted(p.numel() for p in m.parameters() if p.dim() == 4) for m in (peer, block)
            ]
            assert sizes[0] == sizes[1], (theirs, ours)


def test_content_aware_operators_meet_their_reference_at_scale_32(monkeypatch):
    rows = []
    monkeypatch.setattr(operators, "roofline", lambda *_: {})
    monkeypatch.setattr(operators, "operator_rows", lambda *given: rows.append(given[:2]) or [])
    names = ["interpolate", "carafe", "fade", "sapa"]
    largest = operators.LARGEST
    operators.measure((operators.SETTINGS[3], largest), names, EFFORT, 8)
    assert operators.SETTINGS[3].scale == largest.scale == 32
    whole = [(name, operators.SETTINGS[3]) for name in ("interpolate", "carafe")]
    small = [(name, largest) for name in ("carafe", "fade", "sapa")]
    assert rows == [*whole, *whole, *small, *small]  # in two precisions each
    for name in operators.CONTENT_AWARE:
        operator = operators.build(name, largest.in_channels, largest.out_channels, largest.scale)
        assert "reference" in operators.rivals(name, operator, largest.input(torch.float32))


def test_what_is_measured_is_kept_setting_by_setting(monkeypatch, tmp_path):
    def fails(name, setting, *rest):
        if setting.scale == 32:
            raise RuntimeError("no memory")
        return [setting.scale]

    monkeypatch.setattr(operators, "roofline", lambda *_: {})
    monkeypatch.setattr(operators, "operator_rows", fails)
    out = tmp_path / "operators.json"
    with pytest.raises(RuntimeError, match="no memory"):
        operators.measure(operators.SETTINGS[2:4], ["interpolate"], EFFORT, 8, out=out)
    assert json.loads(out.read_text())["operators"] == [8, 8]  # in two precisions


def test_rivals_are_modules_as_ours_are():
    conv, x = torch.nn.Conv2d(4, 4, 1), TINY.input(torch.float32)
    side = operators.ByHand(lambda op, x, given: op(x) + given["guide"], conv, {"guide": 2.0})
    torch.testing.assert_close(side(x), conv(x) + 2)


def test_a_rival_without_a_kernel_is_left_out_in_a_line(capsys):
    def none(x):
        raise RuntimeError("no kernel for this type\nand a trace")

    x, conv = TINY.input(torch.float32), torch.nn.Conv2d(4, 4, 1)
    assert operators.runs(conv, x, conv)
    assert not operators.runs(none, x, conv)
    assert capsys.readouterr().out == "left out, Conv2d's rival: no kernel for this type\n"
