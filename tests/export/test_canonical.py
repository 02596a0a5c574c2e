"""Canonical JSON Lines: the contract, the round trip, the frozen example."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import jsonschema
import pytest

from kb.export.canonical import SCHEMA_VERSION, Canonical, dump, read_records, record_to_json, schema
from kb.export.errors import NotCanonical
from kb.export.model import Context, TrialRecord
from kb.review import Review
from nlp import model

ROOT = Path(__file__).resolve().parents[2]


def text_of(record: TrialRecord, context: Context) -> str:
    return Canonical().head(context) + Canonical().render(record, context).text


def test_schema_is_a_valid_2020_12_schema() -> None:
    assert schema()["$schema"].endswith("2020-12/schema")
    jsonschema.Draft202012Validator.check_schema(schema())


def test_schema_in_docs_is_the_one_that_is_used() -> None:
    stored = json.loads((ROOT / f"docs/schema/canonical-{SCHEMA_VERSION}.json").read_text("utf-8"))
    assert stored == schema()


def test_every_object_of_the_schema_is_closed() -> None:
    def objects(node: object) -> list[dict[str, object]]:
        if isinstance(node, dict):
            here = (
                [node]
                if ("required" in node and "additionalProperties" in node) or "properties" in node
                else []
            )
            return [each for each in here if "$defs" not in each] + [
                x for v in node.values() for x in objects(v)
            ]
        return [x for v in node for x in objects(v)] if isinstance(node, list) else []

    closed = [each for each in objects(schema()["$defs"]) if each.get("type") == "object"]
    assert len(closed) > 10
    assert all(each["additionalProperties"] is False for each in closed)


def test_schema_knows_the_words_of_the_model() -> None:
    item = schema()["$defs"]["item"]["properties"]
    assert set(item) == {each.name for each in fields(model.Item)}
    assert set(item["comparator"]["enum"]) == set(model.COMPARATORS)
    assert set(item["relative_to"]["enum"]) == {*model.RELATIVE_TO, None}
    assert set(item["entity_type"]["enum"]) == set(model.ENTITY_TYPES)


def test_a_record_comes_back_as_it_was(record: TrialRecord, context: Context) -> None:
    assert list(read_records(text_of(record, context).splitlines())) == [record]


def test_reviews_come_back(record: TrialRecord, context: Context) -> None:
    review = Review(
        "R. Eader", "2026-11-01T10:00:00Z", "ab", "k1", "corrected", "the line", corrected={"low": 60}
    )
    reviewed = replace(record, reviews=(review,))
    assert list(read_records(text_of(reviewed, context).splitlines())) == [reviewed]


def test_every_criterion_is_whole(record: TrialRecord, context: Context) -> None:
    losses = Canonical().render(record, context).losses
    assert [loss.outcome for loss in losses] == ["whole"] * len(record.criteria)


def test_validate_accepts_what_it_writes(record: TrialRecord, context: Context) -> None:
    assert Canonical().validate(text_of(record, context)) == []


@pytest.mark.parametrize("change", ["unknown key", "bad comparator", "bad expression", "missing key"])
def test_validate_rejects(change: str, record: TrialRecord, context: Context) -> None:
    row = record_to_json(record)
    if change == "unknown key":
        row["items"][0]["colour"] = "red"
    elif change == "bad comparator":
        row["items"][0]["comparator"] = "≥"
    elif change == "bad expression":
        row["criteria"][0]["expression"] = {"all": [], "any": []}
    else:
        del row["trial"]["title"]
    problems = Canonical().validate(Canonical().head(context) + dump(row))
    assert len(problems) == 1
    assert "line 2" in problems[0]


def test_another_major_version_is_refused(context: Context) -> None:
    head = Canonical().head(context).replace(f'"{SCHEMA_VERSION}"', '"2.0"')
    with pytest.raises(NotCanonical, match=r"schema version 2\.0"):
        list(read_records([head]))


def test_a_file_without_header_is_refused(record: TrialRecord) -> None:
    with pytest.raises(NotCanonical, match="before the header"):
        list(read_records([dump(record_to_json(record))]))


def test_a_line_that_is_no_json_says_which(context: Context) -> None:
    with pytest.raises(NotCanonical, match="line 2: not JSON"):
        list(read_records([Canonical().head(context), "{oops"]))


def test_frozen_example_does_not_change_silently(record: TrialRecord, context: Context) -> None:
    """If this fails, the format changed: raise SCHEMA_VERSION, then write the example anew and read the difference."""
    path = Path(__file__).parent / "examples" / f"canonical-{SCHEMA_VERSION}.jsonl"
    assert text_of(record, context) == path.read_text("utf-8")
