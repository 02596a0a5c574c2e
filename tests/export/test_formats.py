"""A format is whole: protocol, validator, loss report, page, example. A new one fails here until it has all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb.export import base
from kb.export.base import SetFormat, TrialFormat
from kb.export.model import Context, TrialRecord
from tests.export.excerpts import EXCERPTS, excerpt, page, write_example

SECTIONS = ("## Who reads it", "## How to load it", "## What is lost", "## Example")


@pytest.fixture(params=base.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_it_says_what_it_is(name: str) -> None:
    made = base.load(name)
    assert isinstance(made, TrialFormat) != isinstance(made, SetFormat)
    assert made.name == name
    assert made.title
    assert made.reader
    assert made.version


def test_every_criterion_has_its_line_in_the_loss_report(
    name: str, record: TrialRecord, context: Context
) -> None:
    made = base.load(name)
    losses = list(
        made.render(record, context).losses if isinstance(made, TrialFormat) else made.losses(record, context)
    )
    told = [(loss.section, loss.path) for loss in losses if loss.section != "registry"]
    assert told == [(criterion.section, criterion.path) for criterion in record.criteria]
    assert all(loss.reasons for loss in losses if loss.outcome != "whole")
    assert all(
        {each.code for each in loss.reasons} <= {"unread"} for loss in losses if loss.outcome == "whole"
    )


def test_an_unread_demand_is_always_in_the_report_and_whole_only_where_unread_leaves_are_written(
    name: str, record: TrialRecord, context: Context
) -> None:
    made = base.load(name)
    losses = (
        made.render(record, context).losses if isinstance(made, TrialFormat) else made.losses(record, context)
    )
    (loss,) = [each for each in losses if each.path == "5"]
    if name in ("jsonl", "parquet"):  # both write the expression itself, with its unread leaves
        assert loss.outcome == "whole"
    else:
        assert loss.outcome != "whole"
    assert "unread" in [reason.code for reason in loss.reasons]


def test_its_validator_takes_its_own_output_and_rejects_rubbish(name: str, tmp_path: Path) -> None:
    made = base.load(name)
    folder = write_example(name, tmp_path)
    if isinstance(made, TrialFormat):
        (path,) = [
            each for each in folder.iterdir() if each.name.startswith("ctgov-") and ".loss." not in each.name
        ]
        assert made.validate(path.read_text("utf-8")) == []
        assert made.validate("rubbish\n") != []
    else:
        assert isinstance(made, SetFormat)
        assert made.validate_folder(folder) == []
        text = {
            "kgx": "edges.jsonl",
            "neo4j": "edges.csv",
            "graphml": "graph.graphml",
            "parquet": "trial.parquet",
        }
        path = folder / text[name]
        if name == "parquet":
            path.write_bytes(b"rubbish")
        else:
            mark = '"object": "concept:plt' if name == "kgx" else "concept:plt"
            path.write_text(path.read_text("utf-8").replace(mark, f"{mark}-gone", 1), "utf-8")
        assert made.validate_folder(folder) != []


def test_its_page_says_what_a_reader_needs(name: str) -> None:
    text = page(name).read_text("utf-8")
    for section in SECTIONS:
        assert section in text, f"{page(name).name} has no section {section}"
    assert f"--format {name}" in text


def test_the_example_on_its_page_is_what_it_writes(name: str, tmp_path: Path) -> None:
    assert name in EXCERPTS, f"tests/export/excerpts.py has no example of {name}"
    assert f"\n{excerpt(name, tmp_path)}\n" in page(name).read_text("utf-8")
