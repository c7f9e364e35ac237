"""What TensorBoard's own HParams backend makes of the rows that we write."""

import pytest
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context
from tensorboard.plugins.hparams.get_experiment import Handler as GetExperiment
from tensorboard.plugins.hparams.list_session_groups import Handler as ListSessionGroups

from comparison import curves, groups, hparams, tensorboard
from comparison.analysis import analyse
from runs import records
from tests.comparison.fabricated import write


class Backend:
    """The plugin over all events below a folder."""

    def __init__(self, logs):
        runs = EventMultiplexer()
        runs.AddRunsFromDirectory(str(logs))
        runs.Reload()
        provider = MultiplexerDataProvider(runs, str(logs))
        self.context = backend_context.Context(TBContext(data_provider=provider))

    def columns(self):
        """Hyperparameters by name, and the metrics' tags in their order."""
        request = api_pb2.GetExperimentRequest()
        found = GetExperiment(RequestContext(), self.context, "", request).run()
        return {i.name: i for i in found.hparam_infos}, [i.name.tag for i in found.metric_infos]

    def rows(self, *columns):
        """Name → hyperparameters and metrics of each row, in the order shown."""
        request = api_pb2.ListSessionGroupsRequest(
            slice_size=100, allowed_statuses=[api_pb2.STATUS_SUCCESS], col_params=columns
        )
        groups = ListSessionGroups(RequestContext(), self.context, "", request).run().session_groups
        return {
            group.name: (
                {k: v.string_value or v.number_value for k, v in group.hparams.items()},
                {value.name.tag: value.value for value in group.metric_values},
            )
            for group in groups
        }


def board(logs, folder):
    study = groups.collect([folder])
    results = [analyse(group, None) for group in study.groups]
    return tensorboard.write(logs, "mine", results, [], {}, {})


@pytest.fixture
def study(tmp_path):
    scores = {"miou": 0.5, "checkerboard_db": 2.0, "fwiou": 0.7, "per_class_iou": {"sky": 0.9}}
    write(tmp_path / "study", "bilinear_init", 0, scores, upsample={"trainable": True})
    write(tmp_path / "study", "carafe", 1, scores | {"miou": 0.6, "response": None})
    write(tmp_path / "study", "carafe", 0, {"fid": 9.0}, model="dcgan", train_seconds=None)
    return tmp_path / "study"


def test_a_row_holds_choices_scores_and_costs(study, tmp_path):
    board(tmp_path / "logs", study)
    rows = Backend(tmp_path / "logs").rows()
    names = ("dcgan-carafe", "fcn8s-bilinear_init trainable=true", "fcn8s-carafe")
    seeds = (0, 0, 1)
    assert set(rows) == {
        f"comparison/mine/runs/{name}-shapes/seed{seed}"
        for name, seed in zip(names, seeds, strict=True)
    }
    chosen, scores = rows["comparison/mine/runs/fcn8s-bilinear_init trainable=true-shapes/seed0"]
    assert chosen == {
        "operator": "bilinear_init",
        "options": "trainable=true",
        "model": "fcn8s",
        "data": "shapes",
        "seed": 0,
    }
    assert scores == {
        "1_test/miou": 0.5,
        "1_test/checkerboard_db": 2.0,
        "9_costs/parameters": 2_500_000,
        "9_costs/parameters_upsampling": 1000,
        "9_costs/flops_forward": 165_000_000,
        "9_costs/train_seconds": 130.0,
        "9_costs/images_per_second": 150.0,
        "9_costs/peak_memory_bytes": 2**30,
    }
    chosen, scores = rows["comparison/mine/runs/dcgan-carafe-shapes/seed0"]
    assert chosen["options"] == "default"
    assert "9_costs/train_seconds" not in scores
    assert scores["1_test/fid"] == 9


def test_columns_and_filters_are_those_of_the_rows(study, tmp_path):
    board(tmp_path / "logs", study)
    chosen, metrics = Backend(tmp_path / "logs").columns()
    assert set(chosen) == {"operator", "options", "model", "data", "seed"}
    found = {value.string_value for value in chosen["operator"].domain_discrete.values}
    assert found == {"bilinear_init", "carafe"}
    assert chosen["seed"].type == api_pb2.DATA_TYPE_FLOAT64
    assert metrics[:3] == [
        "1_test/checkerboard_db",
        "1_test/fid",
        "1_test/miou",
    ], "before costs"
    assert all(tag.startswith("9_costs/") for tag in metrics[3:])


def test_rows_are_sorted_by_a_metric(study, tmp_path):
    board(tmp_path / "logs", study)
    miou = api_pb2.ColParams(metric=api_pb2.MetricName(tag="1_test/miou"), order=api_pb2.ORDER_DESC)
    rows = Backend(tmp_path / "logs").rows(miou)
    assert [scores.get("1_test/miou") for _, scores in rows.values()] == [
        pytest.approx(0.6),
        0.5,
        None,
    ]


def test_written_again_a_row_is_replaced(study, tmp_path):
    path = next(study.glob("fcn8s-carafe*/*/record.json"))
    record = records.read(path)
    hparams.write(tmp_path / "logs" / "row", record)
    record.metrics["test"]["miou"] = 0.25
    hparams.write(tmp_path / "logs" / "row", record)
    (event,) = (tmp_path / "logs" / "row").iterdir()
    assert event.stat().st_size < 1000
    ((_, scores),) = Backend(tmp_path / "logs").rows().values()
    assert scores["1_test/miou"] == 0.25


def test_a_comparison_adds_rows_of_runs_that_have_none_there(study, tmp_path):
    logs = study  # TensorBoard is started above the runs
    path = next(study.glob("fcn8s-carafe*/*/record.json"))
    hparams.write(path.parent, records.read(path))
    for _ in range(2):
        board(logs, study)
        names = set(Backend(logs).rows())
        assert len(names) == 3
        assert str(path.parent.relative_to(logs)) in names
    board(tmp_path / "elsewhere", study)
    assert len(Backend(tmp_path / "elsewhere").rows()) == 3


def test_a_trained_run_writes_its_row(trained):
    rows = Backend(trained.parents[2]).rows()
    name = str(trained.relative_to(trained.parents[2]))
    chosen, scores = rows[name]
    record = records.read(trained / "record.json")
    assert not [other for other in rows if other.startswith(f"{name}/")], "one run, not two"
    assert (chosen["operator"], chosen["options"]) == ("bilinear_init", "default")
    assert scores["1_test/miou"] == pytest.approx(record.metrics["test"]["miou"])
    assert scores["9_costs/parameters"] == record.cost["parameters"]
    logged = curves.scalars(trained, ["test/miou"])["test/miou"]
    assert list(logged.values()) == [pytest.approx(scores["1_test/miou"])], "beside its curves, too"
