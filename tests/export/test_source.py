"""What an export reads from the knowledge base is what was stored."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from kb.concepts import ConceptRow, load_concepts
from kb.digest import content_digest
from kb.errors import TrialNotFound
from kb.export import source
from kb.export.base import load
from kb.export.canonical import Canonical, read_records
from kb.export.model import Context, Options, TrialRecord
from kb.export.write import export
from kb.lines import line_hash
from kb.review import Review, make_review, put_review
from kb.store import Store
from nlp.model import Extraction
from tests.export.bench import make_context


def test_a_stored_record_comes_back_as_it_was(db: Path, record: TrialRecord) -> None:
    with Store.open(db) as store:
        assert list(source.records(store, source.select(store, ["NCT99000001"]))) == [record]


def test_export_then_import_gives_what_is_stored(db: Path, context: Context) -> None:
    with Store.open(db) as store:
        stored = list(source.records(store, source.select(store, None)))
    made = Canonical()
    lines = [made.head(context), *(made.render(each, context).text for each in stored)]
    assert list(read_records(lines)) == stored


def test_import_of_an_export_has_the_same_content_digest(db: Path, context: Context, tmp_path: Path) -> None:
    made = Canonical()
    with Store.open(db) as store:
        stored = source.records(store, source.select(store, None))
        lines = [made.head(context), *(made.render(each, context).text for each in stored)]
        concepts = list(load_concepts(store.connection).values())
    fill_from(tmp_path / "fresh.db", concepts, list(read_records(lines)))
    assert content_digest(tmp_path / "fresh.db") == content_digest(db)


def fill_from(path: Path, concepts: list[ConceptRow], records: list[TrialRecord]) -> None:
    """A knowledge base of imported records alone."""
    with Store.open(path, "write") as store:
        store.set_vocabulary(records[0].vocabulary, concepts)
        for each in records:
            extraction = Extraction(each.items, each.criteria, each.vocabulary)
            store.put(each.trial, extraction, data_timestamp=each.data_timestamp)


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


def test_a_review_is_applied_and_travels_with_the_trials_of_its_line(db: Path) -> None:
    with Store.open(db, "write") as store:
        _, second, third = source.records(store, source.select(store, None))
        digest = line_hash(second.criteria[0].text)
        key = store.connection.execute(
            "SELECT item_key FROM threshold h JOIN line_reading r ON r.id = h.reading_id JOIN line l ON l.id = r.line_id"
            " WHERE l.hash = ?", (digest,),
        ).fetchone()[0]  # fmt: skip
        text = second.criteria[0].text
        review = Review(
            "R. Eader", "2026-11-01T10:00:00Z", digest, key, "corrected", text, corrected={"low": 60.0}
        )
        put_review(store.connection, review)
        found = list(source.records(store, source.select(store, None)))
    assert [each.items[0].low for each in found[1:]] == [60, 75]
    # the first trial has the same line, so the review is about it as well
    assert found[0].reviews == found[1].reviews == (review,)
    assert found[2].reviews == ()
    assert found[2] == third


@pytest.mark.parametrize(
    "name", ["jsonl", "csv", "circe", "fhir", "fhir-group", "kgx", "graphml", "neo4j", "parquet"]
)
def test_every_format_says_what_a_reviewer_decided(name: str, db: Path, tmp_path: Path) -> None:
    with Store.open(db, "write") as store:
        version = store.version_id("NCT99000001")
        extraction = store.extraction(version)
        made = make_review(
            extraction.criteria[0], extraction.items[0], "corrected", "R. Eader", "", {"low": 60.0}
        )
        with store.transaction() as connection:
            put_review(connection, made)
        context = make_context()
        chosen = [version]
        export(load(name), source.records(store, chosen), tmp_path / "out", context, source=(store, chosen))
    files = [path for path in (tmp_path / "out").iterdir() if path.name.find("loss") < 0]
    told = b"".join(path.read_bytes() for path in files)
    if name == "parquet":
        told = str(
            duckdb.connect().execute(f"SELECT * FROM '{tmp_path}/out/review.parquet'").fetchall()
        ).encode()
    assert b"R. Eader" in told
    if name in ("kgx", "csv"):
        assert b"corrected by R. Eader" in told
        assert b"60" in told


def test_a_snapshot_ends_without_a_trace(db: Path) -> None:
    with Store.open(db) as store:
        with source.snapshot(store.connection):
            assert store.connection.in_transaction
        assert not store.connection.in_transaction
