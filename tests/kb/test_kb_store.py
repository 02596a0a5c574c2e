from __future__ import annotations

import multiprocessing
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from kb.build import Reading, TrialRecord, build, rebuild
from kb.digest import content_digest
from kb.errors import (
    BadQuestion,
    SchemaMismatch,
    StoreInvalid,
    StoreLocked,
    StoreMissing,
    StoreReadOnly,
    TrialNotFound,
)
from kb.store import Store
from nlp.model import Extraction
from tests.kb.samples import CONCEPTS, VOCABULARY, platelets_trial, renal_extraction, trial


def test_a_trial_comes_back_as_it_was_put(store: Store) -> None:
    made, extraction = platelets_trial()
    assert store.put(made, extraction) == "new"
    version_id = store.version_id("NCT99000001")
    assert store.trial(version_id) == made
    assert store.extraction(version_id) == extraction


def test_alternatives_come_back_as_they_were_put(store: Store) -> None:
    line = "creatinine <= 1.5 x ULN or CrCl >= 40 mL/min"
    extraction = renal_extraction(line, line)
    store.put(trial(2, line), extraction)
    assert store.extraction(store.version_id("NCT99000002")) == extraction


def test_putting_twice_changes_nothing(store: Store) -> None:
    made, extraction = platelets_trial()
    store.put(made, extraction)
    before = content_digest(store), store.meta("generation")
    assert store.put(made, extraction) == "unchanged"
    assert (content_digest(store), store.meta("generation")) == before


def test_a_new_version_supersedes_the_old_one(store: Store) -> None:
    made, extraction = platelets_trial(value=75)
    store.put(made, extraction)
    newer, reading = platelets_trial(value=50, version="b" * 64, last_update_posted="2026-03-01")
    assert store.put(newer, reading) == "changed"
    assert [row[2] for row in store.versions("NCT99000001")] == ["2026-01-10", "2026-03-01"]
    rows = store.connection.execute(
        "SELECT min_value FROM current_threshold WHERE concept_id = 'plt'"
    ).fetchall()
    assert rows == [(50.0,)]


def test_an_old_version_that_arrives_late_does_not_become_current(store: Store) -> None:
    store.put(*platelets_trial(value=50, last_update_posted="2026-03-01"))
    store.put(*platelets_trial(value=75, version="b" * 64, last_update_posted="2025-01-01"))
    assert store.trial(store.version_id("NCT99000001")).last_update_posted == "2026-03-01"


def test_as_of_answers_with_the_state_of_that_day(store: Store) -> None:
    store.put(*platelets_trial(value=75))
    store.put(*platelets_trial(value=50, version="b" * 64, last_update_posted="2026-03-01"))
    with Store.open(store.path, as_of="2026-02-01") as past:
        values = past.connection.execute(
            "SELECT min_value FROM current_threshold WHERE concept_id = 'plt'"
        ).fetchall()
        assert values == [(75.0,)]
        assert past.trial(past.version_id("NCT99000001")).last_update_posted == "2026-01-10"
    with (
        Store.open(store.path, as_of="2020-01-01") as past,
        pytest.raises(TrialNotFound, match="as of 2020-01-01"),
    ):
        past.version_id("NCT99000001")


def test_another_vocabulary_replaces_the_reading(store: Store) -> None:
    made, extraction = platelets_trial()
    store.put(made, extraction)
    assert store.put(made, replace(extraction, vocabulary="w" * 64)) == "reread"
    assert store.connection.execute("SELECT count(*) FROM threshold").fetchone() == (2,)


def test_the_registry_wins_over_a_page_about_the_same_trial(store: Store) -> None:
    page, extraction = platelets_trial(source="clinconnect", last_update_posted="2026-09-09")
    store.put(page, extraction)
    store.put(*platelets_trial())
    assert store.trial(store.version_id("NCT99000001")).source == "ctgov"
    assert store.trial(store.version_id("NCT99000001", "clinconnect")).source == "clinconnect"
    assert store.connection.execute("SELECT count(*) FROM current_version").fetchone() == (1,)


def test_an_alias_finds_its_trial(store: Store) -> None:
    store.put(*platelets_trial(aliases=("NCT99009999",)))
    assert store.trial(store.version_id("nct99009999")).source_id == "NCT99000001"


def test_a_line_that_stands_twice_is_stored_once(store: Store) -> None:
    store.put(*platelets_trial(1))
    store.put(*platelets_trial(2))
    assert store.connection.execute("SELECT count(*) FROM line").fetchone() == (2,)
    keys = store.connection.execute(
        "SELECT DISTINCT item_key FROM threshold WHERE concept_id = 'plt'"
    ).fetchall()
    assert len(keys) == 1


@pytest.mark.parametrize("wrong", ["NCT1", "NCT0688691X", "../etc", "", "NCT068869190"])
def test_a_malformed_id_is_refused(store: Store, wrong: str) -> None:
    with pytest.raises(BadQuestion, match="not a"):
        store.version_id(wrong)


def test_an_unknown_id_says_how_to_fetch_it(store: Store) -> None:
    with pytest.raises(TrialNotFound, match="trialkb refresh NCT99999999"):
        store.version_id("NCT99999999")


def test_a_failing_put_leaves_no_trace(store: Store) -> None:
    made, extraction = platelets_trial()
    before = content_digest(store)
    broken = replace(extraction, items=(extraction.items[0], replace(extraction.items[1], rule=None)))  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        store.put(made, broken)
    assert content_digest(store) == before


def test_an_unannounced_concept_keeps_its_threshold(store: Store) -> None:
    made, extraction = platelets_trial()
    items = (replace(extraction.items[0], concept="ferritin", concept_name="Ferritin"), extraction.items[1])
    store.put(made, replace(extraction, items=items))
    assert store.connection.execute("SELECT name FROM concept WHERE id = 'ferritin'").fetchone() == (
        "Ferritin",
    )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match="nowhere"):
        Store.open(tmp_path / "nowhere.sqlite")


def test_another_schema_version_names_the_command(store: Store) -> None:
    store.connection.execute("UPDATE meta SET value = '0' WHERE key = 'schema_version'")
    store.close()
    for mode in ("read", "write"):
        with pytest.raises(SchemaMismatch, match="trialkb rebuild"):
            Store.open(store.path, mode)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    path.write_text("this is no database, but a long enough text to be looked at" * 20)
    with pytest.raises(StoreInvalid, match="not a trialkb knowledge base"):
        Store.open(path)


def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t(x)")
    other.close()
    with pytest.raises(StoreInvalid, match="no trialkb knowledge base"):
        Store.open(path, "write")


def _try_to_write(path: Path, answer: multiprocessing.Queue[str]) -> None:
    try:
        Store.open(path, "write").close()
        answer.put("opened")
    except StoreLocked as error:
        answer.put(str(error))


def test_a_second_process_is_told_who_writes(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    answer: multiprocessing.Queue[str] = context.Queue()
    process = context.Process(target=_try_to_write, args=(store.path, answer))
    process.start()
    said = answer.get(timeout=30)
    process.join()
    assert f"pid {os.getpid()}" in said
    assert "\n" not in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_file_is_a_clear_error(store: Store) -> None:
    store.close()
    store.path.chmod(0o444)
    with pytest.raises(StoreReadOnly):
        Store.open(store.path, "write")


def _fill(store: Store) -> None:
    for number in range(1, 400):
        store.put(*platelets_trial(number, value=number, brief_summary="long " * 500))


def test_a_full_disk_is_a_clear_error_and_leaves_whole_trials(store: Store) -> None:
    pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
    store.connection.execute(f"PRAGMA max_page_count = {pages + 20}")
    with pytest.raises(StoreReadOnly, match="disk is full"):
        _fill(store)
    assert store.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    whole = store.connection.execute(
        "SELECT version_id FROM threshold GROUP BY 1 HAVING count(*) = 2"
    ).fetchall()
    assert len(whole) == store.connection.execute("SELECT count(*) FROM trial").fetchone()[0]


def _records() -> list[TrialRecord]:
    made = [platelets_trial(number, value=10 * number)[0] for number in range(1, 6)]
    made.append(platelets_trial(1, value=75, version="c" * 64, last_update_posted="2027-01-01")[0])
    return [TrialRecord(one, "2026-02-02T00:00:00Z", "2026-02-01") for one in made]


def _extract(text: str) -> Extraction:
    value = float(text.split(">= ")[1].split()[0])
    return platelets_trial(value=value)[1]


READING = Reading(_extract, VOCABULARY, CONCEPTS)


def test_the_digest_does_not_depend_on_the_order(tmp_path: Path) -> None:
    digests = []
    for name, records in (("a", _records()), ("b", _records()[::-1])):
        with Store.open(tmp_path / name, "write") as opened:
            build(opened, records, READING)
            digests.append(content_digest(opened))
    assert digests[0] == digests[1]


def test_building_again_reads_nothing_again(store: Store) -> None:
    assert build(store, _records(), READING).counts == {"new": 5, "changed": 1}

    def never(text: str) -> Extraction:
        raise AssertionError("read again")

    assert build(store, _records(), Reading(never, VOCABULARY, CONCEPTS)).counts == {"unchanged": 6}


def test_a_rebuild_gives_the_same_digest_and_keeps_reviews(store: Store) -> None:
    build(store, _records(), READING)
    store.connection.execute(
        "INSERT INTO review(reviewer, reviewed_at, line_hash, item_key, verdict) VALUES ('a', 'now', 'h', 'k', 'wrong')"
    )
    store.mark_vanished("ctgov", "NCT99000002", "2026-05-05T00:00:00Z")
    digest = content_digest(store)
    store.close()
    report, rebuilt = rebuild(store.path, _records(), READING)
    assert report.total == 6
    assert rebuilt == digest == content_digest(store.path)
    with Store.open(store.path) as again:
        assert again.connection.execute("SELECT reviewer FROM review").fetchall() == [("a",)]
        gone = again.connection.execute("SELECT source_id FROM trial WHERE vanished IS NOT NULL").fetchall()
        assert gone == [("NCT99000002",)]


def test_a_rebuild_replaces_a_file_of_another_schema(store: Store) -> None:
    build(store, _records(), READING)
    digest = content_digest(store)
    store.connection.execute("UPDATE meta SET value = '0' WHERE key = 'schema_version'")
    store.close()
    assert rebuild(store.path, _records(), READING)[1] == digest


def test_a_rebuild_that_fails_leaves_the_old_file(store: Store) -> None:
    build(store, _records(), READING)
    digest = content_digest(store)
    store.close()

    def failing(text: str) -> Extraction:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        rebuild(store.path, _records(), Reading(failing, "x" * 64, CONCEPTS))
    assert content_digest(store.path) == digest
    assert sorted(path.name for path in store.path.parent.iterdir() if "rebuild" in path.name) == []


def test_bulk_indexes_the_lines(store: Store) -> None:
    with store.bulk():
        store.put(*platelets_trial())
    hits = store.connection.execute(
        "SELECT count(*) FROM line_fts WHERE line_fts MATCH 'platelets'"
    ).fetchone()
    assert hits == (1,)


def test_foreign_keys_hold(store: Store) -> None:
    build(store, _records(), READING)
    assert store.connection.execute("PRAGMA foreign_key_check").fetchall() == []
