"""What an export reads from the knowledge base is what was stored."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb.errors import TrialNotFound
from kb.export import source
from kb.export.canonical import Canonical, read_records
from kb.export.model import Context, Options, Review, TrialRecord
from kb.store import Store


def test_a_stored_record_comes_back_as_it_was(db: Path, record: TrialRecord) -> None:
    with Store.open(db) as store:
        assert list(source.records(store, source.select(store, ["NCT99000001"]))) == [record]


def test_export_then_import_gives_what_is_stored(db: Path, context: Context) -> None:
    with Store.open(db) as store:
        stored = list(source.records(store, source.select(store, None)))
    made = Canonical()
    lines = [made.head(context), *(made.render(each, context).text for each in stored)]
    assert list(read_records(lines)) == stored


def test_all_trials_sorted_by_id(db: Path) -> None:
    with Store.open(db) as store:
        found = source.records(store, source.select(store, None))
        assert [each.id for each in found] == ["NCT99000001", "NCT99000002", "NCT99000003"]


def test_selection_is_sorted_and_each_trial_once(db: Path) -> None:
    with Store.open(db) as store:
        chosen = source.select(store, ["NCT99000003", "nct99000001", "NCT99000003"])
        assert [store.trial(version).source_id for version in chosen] == ["NCT99000001", "NCT99000003"]


def test_unknown_trial_is_named(db: Path) -> None:
    with Store.open(db) as store, pytest.raises(TrialNotFound, match="NCT00000001"):
        source.select(store, ["NCT00000001"])


def test_context_knows_registry_time_and_that_it_is_synthetic(db: Path) -> None:
    with Store.open(db) as store:
        made = source.context(store, source.select(store, None), None, "0.1.0", Options())
    assert made.sources == ("ctgov",)
    assert made.data_timestamp == "2026-11-20T09:00:05"
    assert made.synthetic
    assert made.concepts["plt"].loinc[0] == "777-3"


def test_reviews_of_its_lines_travel_with_a_trial(db: Path) -> None:
    with Store.open(db, "write") as store, store.transaction() as connection:
        line = connection.execute("SELECT hash FROM line ORDER BY id LIMIT 1").fetchone()[0]
        connection.execute(
            "INSERT INTO review(reviewer, reviewed_at, line_hash, item_key, verdict)"
            " VALUES ('R. Eader', '2026-11-01T10:00:00Z', ?, 'k', 'correct')",
            (line,),
        )
    with Store.open(db) as store:
        first, second, _ = source.records(store, source.select(store, None))
    assert first.reviews == (Review("R. Eader", "2026-11-01T10:00:00Z", line, "k", "correct"),)
    assert second.reviews == ()


def test_a_snapshot_ends_without_a_trace(db: Path) -> None:
    with Store.open(db) as store:
        with source.snapshot(store.connection):
            assert store.connection.in_transaction
        assert not store.connection.in_transaction
