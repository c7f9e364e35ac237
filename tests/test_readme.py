"""The README's figures are those of the committed records, and its commands exist."""

import re

import pytest

from models.upsampling import OPERATORS
from reporting import records
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
ROWS = re.findall(r"^\| \[(.+?)\]\((results/.+?/record\.json)\) \|(.+)\|$", README, re.M)


def test_there_are_results():
    assert len(ROWS) >= 4


@pytest.mark.parametrize(("name", "path", "cells"), ROWS, ids=[row[1] for row in ROWS])
def test_results_are_those_of_the_records(name, path, cells):
    record = records.read(ROOT / path)
    scores = record.metrics[record.data["split"]]
    shown = [cell.strip() for cell in cells.split("|")]
    assert shown == [
        f"{record.data['name']} {record.data['split']}",
        f"{100 * scores['miou']:.1f}",
        f"{100 * scores['boundary_f1']:.1f}",
        f"{record.cost['parameters'] / 1e6:.2f} M",
        f"{record.cost['train_seconds'] / 60:.1f} min",
    ]
    assert name == f"{record.choices['model']}, {record.choices['upsample']}"
    assert record.status == "finished"


def test_every_operator_is_in_the_table():
    named = set(re.findall(r"`(\w+)`", README))
    assert set(OPERATORS) <= named
