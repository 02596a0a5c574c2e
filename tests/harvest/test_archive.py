from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harvest import run_log
from harvest.archive import Archive, Outcome
from harvest.canonical import encode
from harvest.errors import (
    ArchiveDamaged,
    ArchiveError,
    ArchiveLocked,
    ArchiveUnwritable,
    ArchiveVersion,
    RecordNotFound,
)
from harvest.sources.ctgov_record import prepare
from tests.harvest.sample_records import sample, sample_id, state_of


def put(archive: Archive, record: dict[str, Any], **how: Any) -> Outcome:
    with archive.transaction():
        return archive.put(
            prepare(record, where="test", fetched_at="2026-03-02T10:00:00Z"),
            run=a_run(archive),
            origin="search",
            **how,
        )


def a_run(archive: Archive) -> int:
    row = archive.connection.execute("SELECT max(id) FROM run").fetchone()
    if row[0] is None:
        archive.connection.execute(
            "INSERT INTO run (kind, source, key, started_at, state) VALUES ('refresh', 'ctgov', 'k', 'now', 'running')"
        )
        return 1
    return int(row[0])


def test_first_second_and_changed(archive: Archive) -> None:
    assert put(archive, sample(1)) == "new"
    assert put(archive, sample(1)) == "unchanged"
    assert put(archive, sample(1, platelets=75, updated="2026-02-01")) == "changed"
    assert len(archive.versions(sample_id(1))) == 2


def test_other_derived_data_is_kept_and_is_no_change(archive: Archive) -> None:
    put(archive, sample(1, mesh="Lupus Nephritis"))
    assert put(archive, sample(1, mesh="Lupus Erythematosus, Systemic")) == "drifted"
    versions = archive.versions(sample_id(1))
    assert len({each.version for each in versions}) == 1
    assert [each.is_head for each in versions] == [False, True]


def test_only_the_data_date_moved_stores_nothing(archive: Archive) -> None:
    put(archive, sample(1, holder="2026-03-02"))
    assert put(archive, sample(1, holder="2026-03-03")) == "unchanged"
    assert len(archive.versions(sample_id(1))) == 1


def test_an_older_record_is_stored_and_does_not_replace_the_head(archive: Archive) -> None:
    put(archive, sample(1, updated="2026-02-01"))
    assert put(archive, sample(1, platelets=75, updated="2025-01-01")) == "older"
    head = archive.head("ctgov", sample_id(1))
    assert head is not None
    assert head.record_date == "2026-02-01"
    assert [each.record_date for each in archive.versions(sample_id(1))] == ["2025-01-01", "2026-02-01"]


def test_a_raw_record_comes_back_byte_for_byte(archive: Archive) -> None:
    put(archive, sample(1))
    raw = archive.latest("ctgov", sample_id(1))
    assert raw.body == encode(sample(1))
    assert raw.fetched_at == "2026-03-02T10:00:00Z"


def test_an_alias_leads_to_the_record(archive: Archive) -> None:
    put(archive, sample(1, aliases=["NCT99100900"]))
    assert archive.latest("ctgov", "NCT99100900").source_id == sample_id(1)


def test_an_unknown_id_is_not_found(archive: Archive) -> None:
    with pytest.raises(RecordNotFound, match="NCT00000001: not in the archive"):
        archive.latest("ctgov", "NCT00000001")


def test_vanished_and_back(archive: Archive) -> None:
    put(archive, sample(1))
    with archive.transaction():
        assert archive.mark_vanished("ctgov", sample_id(1), "2026-03-03T00:00:00Z", 1)
        assert not archive.mark_vanished("ctgov", sample_id(1), "2026-03-04T00:00:00Z", 1)
    assert put(archive, sample(1)) == "changed"
    head = archive.head("ctgov", sample_id(1))
    assert head is not None
    assert head.vanished_at is None
    log = archive.connection.execute("SELECT record IS NULL FROM head_log ORDER BY id").fetchall()
    assert log == [(0,), (1,), (0,)]


@pytest.mark.parametrize("table", ["blob", "record", "head_log"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET rowid_or_any = 1"])
def test_raw_tables_refuse_changes(archive: Archive, table: str, statement: str) -> None:
    put(archive, sample(1))
    column = {"blob": "size", "record": "version", "head_log": "at"}[table]
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        archive.connection.execute(statement.format(table).replace("rowid_or_any", column))


def test_a_failed_transaction_leaves_nothing(archive: Archive) -> None:
    put(archive, sample(1))
    before = state_of(archive)
    prepared = prepare(sample(2), where="test")

    def half_of_a_page() -> None:
        with archive.transaction():
            archive.put(prepared, run=1, origin="search")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        half_of_a_page()
    assert state_of(archive) == before


def test_verify_finds_content_that_was_changed_behind_our_back(archive: Archive) -> None:
    put(archive, sample(1))
    assert list(archive.verify()) == []
    archive.connection.execute("DROP TRIGGER blob_no_update")
    archive.connection.execute("UPDATE blob SET data = x'00', codec = 'raw', size = 1")
    assert any("another hash" in line for line in archive.verify())
    with pytest.raises(ArchiveDamaged, match="does not fit its hash"):
        archive.latest("ctgov", sample_id(1))


def test_a_missing_archive_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no archive there yet"):
        Archive.open(tmp_path / "none.sqlite")
    assert not (tmp_path / "none.sqlite").exists()


def test_another_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    Archive.open(path, write=True).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ArchiveVersion, match="format 99"):
        Archive.open(path, write=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be read as one" * 40, b"PK\x03\x04 zip"]
)
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(content)
    with pytest.raises(ArchiveVersion, match="not an SQLite file"):
        Archive.open(path, write=True)
    assert path.read_bytes() == content


def test_another_sqlite_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(ArchiveVersion, match="not a trialkb archive"):
        Archive.open(path, write=True)


def test_a_full_disk_is_one_clear_error_and_changes_nothing(archive: Archive) -> None:
    put(archive, sample(1))
    before = state_of(archive)
    (pages,) = archive.connection.execute("PRAGMA page_count").fetchone()
    archive.connection.execute(f"PRAGMA max_page_count = {pages}")

    def a_page_too_many() -> None:
        with archive.transaction():
            for number in range(2, 200):
                archive.put(prepare(sample(number), where="test"), run=1, origin="search")

    with pytest.raises(ArchiveUnwritable, match="disk is full"):
        a_page_too_many()
    assert state_of(archive) == before


def test_a_second_writer_is_told(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harvest.archive.BUSY_SECONDS", 0.05)
    with (
        Archive.open(archive.path, write=True) as other,
        archive.transaction(),
        pytest.raises(ArchiveLocked, match="another process"),
        other.transaction(),
    ):
        pass


def test_a_read_only_archive_is_refused_for_writing(archive: Archive) -> None:
    with (
        Archive.open(archive.path) as reader,
        pytest.raises(ArchiveUnwritable, match="read-only"),
        reader.transaction(),
    ):
        run_log.note(reader, 1, "NCT00000001", "new")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3), st.sampled_from(["A", "B"])), max_size=12))
def test_the_head_is_the_newest_whatever_the_order_of_arrival(
    tmp_path_factory: pytest.TempPathFactory, arrivals: list[tuple[int, int, str]]
) -> None:
    path = tmp_path_factory.mktemp("archive") / "a.sqlite"
    with Archive.open(path, write=True) as archive:
        for number, month, mesh in arrivals:
            put(archive, sample(number, platelets=month, updated=f"2026-0{month + 1}-01", mesh=mesh))
        for head in archive.heads():
            dates = [each.record_date for each in archive.versions(head.source_id)]
            assert head.record_date == max(dates, key=str)
            assert dates == sorted(dates, key=str)
        distinct = {(number, month, mesh) for number, month, mesh in arrivals}
        (stored,) = archive.connection.execute("SELECT count(*) FROM record").fetchone()
        assert stored == len(distinct)
        assert list(archive.verify()) == []
