"""Flat CSV: one row a leaf, CTKB's columns, and what it cannot say."""

from __future__ import annotations

import csv
import io

import pytest

from kb.export.flat import COLUMNS, CTKB_COLUMNS, Flat, window_days
from kb.export.model import Context, TrialRecord
from nlp.model import Window
from tests.export.bench import Bench


@pytest.fixture
def rows(record: TrialRecord, context: Context) -> list[dict[str, str]]:
    text = Flat().head(context) + Flat().render(record, context).text
    assert Flat().validate(text) == []
    return list(csv.DictReader(io.StringIO(text)))


def test_ctkb_columns_come_first() -> None:
    assert COLUMNS[: len(CTKB_COLUMNS)] == CTKB_COLUMNS
    assert CTKB_COLUMNS[0] == "nctid"
    assert {"min", "max", "operate", "times", "unit"} <= set(CTKB_COLUMNS)


def test_every_leaf_has_a_row(rows: list[dict[str, str]]) -> None:
    assert [row["leaf"] for row in rows].count("item") == 9
    assert [row["leaf"] for row in rows].count("fact") == 2
    assert [row["leaf"] for row in rows].count("unread") == 1


def test_a_multiple_of_uln(rows: list[dict[str, str]]) -> None:
    (row,) = [row for row in rows if row["conceptId"] == "scr"]
    assert (row["max"], row["times"], row["unit"], row["operate"]) == ("1.5", "ULN", "", "<=")


def test_window_in_days(rows: list[dict[str, str]]) -> None:
    (row,) = [row for row in rows if row["conceptId"] == "plt"]
    assert (row["beforedays"], row["afterdays"]) == ("28", "")


def test_exclusion_and_negation(rows: list[dict[str, str]]) -> None:
    (row,) = [row for row in rows if row["conceptId"] == "qtc"]
    assert (row["include"], row["neg"], row["min"]) == ("0", "0", "480")


def test_offsets_point_into_the_criterion(rows: list[dict[str, str]]) -> None:
    for row in rows:
        if row["leaf"] == "item":
            part = row["criterion_text"][int(row["startIndex"]) : int(row["endIndex"])]
            assert part == row["numericSourceText"]


def test_losses_name_logic_and_unread(record: TrialRecord, context: Context) -> None:
    losses = {loss.path: loss for loss in Flat().render(record, context).losses}
    assert len(losses) == len(record.criteria)
    assert losses["2"].outcome == "whole"
    assert [reason.code for reason in losses["3"].reasons] == ["logic"]
    assert [reason.code for reason in losses["5"].reasons] == ["unread"]
    assert losses["6"].outcome == "whole"


def test_an_item_outside_the_expressions_is_kept(bench: Bench, context: Context) -> None:
    bench.leaf("plt", "every 3 months", role="monitoring", kind="temporal", comparator="within")
    bench.criterion(bench.least("hgb", 80, "g/L"))
    text = Flat().render(bench.record(), context).text
    assert "monitoring" in text


def test_validate_names_a_broken_row(context: Context) -> None:
    assert Flat().validate(Flat().head(context) + "a,b\n") == ["row 2 has another number of columns"]
    assert Flat().validate("x\n") != []


@pytest.mark.parametrize(
    ("window", "days"),
    [
        (Window(2, "wk", "before", "screening"), (14, None)),
        (Window(6, "mo", "within", None), (180, None)),
        (Window(1, "a", "after", "infusion"), (None, 365)),
        (Window(5, "{half-life}", "before", None), (None, None)),
        (None, (None, None)),
    ],
)
def test_window_days(window: Window | None, days: tuple[float | None, float | None], bench: Bench) -> None:
    bench.leaf("plt", "x", window=window)
    assert window_days(bench.items[0]) == days
