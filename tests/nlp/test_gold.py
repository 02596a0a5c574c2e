"""The project's own gold: every kind of hard text has its score, and no score may fall unsaid."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from benchmarks.accuracy import digest, fallen
from nlp.pipeline import build
from tests.nlp.gold import phenomena

ROWS = phenomena.rows()
FLOOR = json.loads(phenomena.FLOOR.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def values() -> dict[str, float]:
    extractor = build()
    return phenomena.figures([phenomena.judge(row, extractor) for row in ROWS])


def test_the_floor_was_pinned_on_these_criteria() -> None:
    said = "the gold changed: python tests/nlp/gold/phenomena.py --pin --allow-lower REASON"
    assert FLOOR["gold"] == {phenomena.GOLD.name: digest(phenomena.GOLD)}, said


@pytest.mark.parametrize("number", phenomena.PHENOMENA)
def test_no_kind_of_text_is_read_worse_than_pinned(number: int, values: dict[str, float]) -> None:
    pinned = {name: value for name, value in FLOOR["figures"].items() if name.startswith(f"{number}/")}
    assert pinned
    assert fallen(pinned, values) == {}


def test_there_are_enough_criteria_of_every_kind() -> None:
    counts = Counter(number for row in ROWS for number in row["phenomena"])
    assert len(ROWS) >= 150
    assert set(counts) == set(phenomena.PHENOMENA)
    assert min(counts.values()) >= 4


def test_names_and_texts_are_unique() -> None:
    for key in ("id", "text"):
        assert Counter(row[key] for row in ROWS).most_common(1)[0][1] == 1


def test_every_criterion_says_something_to_hold() -> None:
    concepts = build().vocabulary.concepts
    for row in ROWS:
        assert "items" in row or row.get("expression"), row["id"]
        for item in row.get("items", ()):
            assert item.get("concept") is None or item["concept"] in concepts, row["id"]


@pytest.mark.parametrize(
    ("row", "right"),
    [
        ({"items": [{"concept": "alt", "comparator": "<=", "high": 3.0}], "expression": {"item": 1}}, True),
        (
            {
                "items": [{"concept": "alt", "comparator": "<=", "high": 3.0}],
                "expression": {"not": {"item": 1}},
            },
            False,
        ),
        ({"items": [{"concept": "alt", "comparator": "<=", "high": 3.0}], "expression": {"all": []}}, False),
    ],
)
def test_the_judge_tells_right_from_wrong_expressions(row: phenomena.Row, right: bool) -> None:
    row = {"id": "x", "phenomena": [1], "section": "inclusion", "text": "ALT <= 3 x ULN", **row}
    assert phenomena.judge(row, build()).expression is right


@pytest.mark.parametrize(
    "item",
    [
        {"concept": "ast", "comparator": "<=", "high": 3.0},
        {"concept": "alt", "comparator": "<", "high": 3.0},
        {"concept": "alt", "comparator": "<=", "high": 4.0},
        {"concept": "alt", "comparator": "<=", "high": 3.0, "relative_to": "LLN"},
        {"concept": "alt", "comparator": "<=", "high": 3.0, "role": "definition"},
        {"concept": "alt", "comparator": "<=", "high": 3.0, "flags": ["lost_comparator"]},
    ],
)
def test_the_judge_sees_a_wrong_item(item: dict[str, object]) -> None:
    row = {"id": "x", "phenomena": [1], "section": "inclusion", "text": "ALT <= 3 x ULN", "items": [item]}
    assert phenomena.judge(row, build()).right == 0
