"""The raw archive: what the registries gave, append-only and content-addressed, in one SQLite file.

A record is stored once for each distinct content of a trial (hashes ``version`` and ``rest``, see
:mod:`harvest.canonical`); the ``head`` is the one that stands for the trial now. A record that is older
than the head (an old dump, a history version) is stored and does not replace it.

All writes happen inside :meth:`Archive.transaction`, so that a page of a search and the checkpoint behind
it are stored together or not at all.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from harvest.archive_rows import (
    HEAD_QUERY,
    RAW_QUERY,
    Blob,
    Head,
    Version,
    head_of,
    raw_of,
    unpack,
)
from harvest.canonical import sha256
from harvest.errors import ArchiveError, ArchiveVersion, RecordNotFound
from harvest.fault_points import reach
from harvest.model import RawRecord
from harvest.sources.base import Storable
from harvest.sqlite_errors import sqlite_errors

APPLICATION_ID = 1414220354
SCHEMA_VERSION = 1
BUSY_SECONDS = 5.0
# SQLite's own 2 MB are soon too small for the index of hashes, into which each record falls anywhere.
WRITER_CACHE_KB = 32 * 1024

# Archives from before there were these tables get them when they are next written.
LATER_TABLES = (
    # Which bytes of a file gave which record, so that a file imported again need not be read again; it can be
    # lost without harm.
    "CREATE TABLE IF NOT EXISTS piece (digest BLOB PRIMARY KEY, record INTEGER NOT NULL REFERENCES record (id))"
    " STRICT, WITHOUT ROWID",
    # Which run found that a search no longer returns an id.
    "CREATE TABLE IF NOT EXISTS query_gone (key TEXT NOT NULL, source_id TEXT NOT NULL,"
    " run INTEGER NOT NULL REFERENCES run (id), PRIMARY KEY (key, run, source_id)) STRICT, WITHOUT ROWID",
)

Outcome = Literal["new", "changed", "drifted", "unchanged", "vanished", "left", "missing", "older"]
Origin = Literal["search", "fetch", "import", "history"]


class Archive:
    """An open archive; a context manager. See :meth:`open`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path

    @classmethod
    def open(cls, path: Path, *, write: bool = False) -> Archive:
        """Open the archive at ``path``; with ``write`` it is created where missing.

        Raises ArchiveError (missing), ArchiveVersion, ArchiveLocked, ArchiveUnwritable.
        """
        if not write and not path.is_file():
            raise ArchiveError(f"{path}: no archive there yet; 'trialkb refresh' or 'import' makes one")
        with sqlite_errors(path):
            if write:
                path.parent.mkdir(parents=True, exist_ok=True)
                connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            else:
                uri = f"{path.resolve().as_uri()}?mode=ro"
                connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
            archive = cls(connection, path)
            try:
                archive._check_version(write)
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("PRAGMA temp_store = MEMORY")
                if write:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.execute("PRAGMA synchronous = NORMAL")
                    for statement in LATER_TABLES:
                        connection.execute(statement)
                    connection.execute(f"PRAGMA cache_size = {-WRITER_CACHE_KB}")
            except BaseException:
                connection.close()
                raise
        return archive

    def _check_version(self, write: bool) -> None:
        (application,) = self.connection.execute("PRAGMA application_id").fetchone()
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self.connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables == 0 and write:
            # A compressed record has about 5 kB.
            self.connection.execute("PRAGMA page_size = 8192")
            schema = files("harvest").joinpath("schema.sql").read_text("utf-8")
            self.connection.executescript(f"BEGIN IMMEDIATE;\n{schema}\nCOMMIT;")
            reach("archive.created")
        elif application != APPLICATION_ID:
            raise ArchiveVersion(f"{self.path}: not a trialkb archive; name another file with --db")
        elif version != SCHEMA_VERSION:
            raise ArchiveVersion(
                f"{self.path}: an archive of format {version}, this trialkb writes {SCHEMA_VERSION}; "
                "use the trialkb that wrote it, or another --db"
            )

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside are kept together, or none. Raises ArchiveLocked, ArchiveUnwritable."""
        with sqlite_errors(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                reach("archive.before_commit")
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
        reach("archive.after_commit")

    # ------------------------------------------------------------- writing

    def put(
        self,
        prepared: Storable,
        *,
        run: int,
        origin: Origin,
        data_version: str | None = None,
        registry_version: int | None = None,
    ) -> Outcome:
        """Store a record inside a transaction and say what it is to the trial's head.

        ``new`` (first of its trial), ``changed`` (another version), ``drifted`` (same version, other
        derived data, sites or results), ``unchanged``, ``older`` (stored or known, not the head).
        """
        raw = prepared.raw
        head = self.head(raw.source, raw.source_id)
        same = head is not None and (head.version, head.rest) == (prepared.version, prepared.rest)
        if head is not None and same and origin != "history":
            # A file says nothing of what the registry has now, unless it was thought to have nothing.
            if origin != "import" or head.vanished_at is not None:
                self._seen(head, raw.fetched_at, data_version, prepared.validators, run)
            return "unchanged" if head.vanished_at is None else "changed"
        record = (None if head is None else self._known(prepared)) or self._append(prepared, run, origin)
        if registry_version is not None:
            self.connection.execute(
                "INSERT OR IGNORE INTO history_entry VALUES (?, ?, ?, ?, ?)",
                (raw.source, raw.source_id, registry_version, prepared.record_date or "", record),
            )
        if head is not None and (origin == "history" or is_older(prepared, head, self)):
            return "older"
        self.connection.execute(
            "INSERT INTO head (source, source_id, record, seen_at, seen_data, validators)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET record = excluded.record,"
            " seen_at = excluded.seen_at, seen_data = excluded.seen_data, vanished_at = NULL,"
            " validators = excluded.validators",
            (raw.source, raw.source_id, record, raw.fetched_at, data_version, _json(prepared.validators)),
        )
        reach("archive.after_head")
        self._log_head(raw.fetched_at, raw.source, raw.source_id, record, run)
        for alias in prepared.aliases:
            self.put_alias(raw.source, alias, raw.source_id, at=raw.fetched_at, run=run)
        if head is None:
            return "new"
        return "drifted" if head.version == prepared.version and head.vanished_at is None else "changed"

    def _known(self, prepared: Storable) -> int | None:
        """The record with the same content, where the trial had it before."""
        raw = prepared.raw
        known = self.connection.execute(
            "SELECT id FROM record WHERE source = ? AND source_id = ? AND version = ? AND rest = ?",
            (raw.source, raw.source_id, prepared.version, prepared.rest),
        ).fetchone()
        return int(known[0]) if known else None

    def _append(self, prepared: Storable, run: int, origin: Origin) -> int:
        raw = prepared.raw
        self.put_blob(raw.sha256, lambda: prepared.blob)
        cursor = self.connection.execute(
            "INSERT INTO record (source, source_id, sha256, version, rest, url, media_type, fetched_at,"
            " data_timestamp, record_date, redacted, origin, run)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                raw.source, raw.source_id, raw.sha256, prepared.version, prepared.rest, raw.url,
                raw.media_type, raw.fetched_at, raw.data_timestamp, prepared.record_date,
                _json_list(raw.redacted), origin, run,
            ),
        )  # fmt: skip
        reach("archive.after_record")
        return int(cursor.lastrowid or 0)

    def put_blob(self, digest: str, made: Callable[[], Blob]) -> None:
        """Store content under its hash; what is there stays, and then ``made`` is not asked for it."""
        known = self.connection.execute("SELECT 1 FROM blob WHERE sha256 = ?", (digest,)).fetchone()
        if known:
            return
        blob = made()
        self.connection.execute(
            "INSERT INTO blob (sha256, codec, size, data) VALUES (?, ?, ?, ?)",
            (digest, blob.codec, blob.size, blob.data),
        )
        reach("archive.after_blob")

    def _seen(
        self, head: Head, at: str, data_version: str | None, validators: dict[str, str], run: int
    ) -> None:
        self.connection.execute(
            "UPDATE head SET seen_at = ?, seen_data = ?, vanished_at = NULL, validators = ?"
            " WHERE source = ? AND source_id = ?",
            (at, data_version, _json(validators), head.source, head.source_id),
        )
        if head.vanished_at is not None:
            self._log_head(at, head.source, head.source_id, head.record, run)

    def touch(self, source: str, source_id: str, at: str, data_version: str | None) -> None:
        """Note that the registry still has a trial as it stands (a 304)."""
        self.connection.execute(
            "UPDATE head SET seen_at = ?, seen_data = ? WHERE source = ? AND source_id = ?",
            (at, data_version, source, source_id),
        )

    def _log_head(self, at: str, source: str, source_id: str, record: int | None, run: int) -> None:
        self.connection.execute(
            "INSERT INTO head_log (at, source, source_id, record, run) VALUES (?, ?, ?, ?, ?)",
            (at, source, source_id, record, run),
        )

    def put_piece(self, digest: bytes, source: str, source_id: str) -> None:
        """Note that a document of this digest gave the record that stands for a trial now."""
        self.connection.execute(
            "INSERT OR REPLACE INTO piece SELECT ?, record FROM head WHERE source = ? AND source_id = ?",
            (digest, source, source_id),
        )

    def known_piece(self, digest: bytes) -> tuple[str, str | None] | None:
        """The trial's id, and the date of the data, of the record that a document of this digest gave.

        None where there was no such document, or its record does not stand for the trial now: then the
        document must be put like any other.
        """
        row = self.connection.execute(
            "SELECT record.source_id, record.data_timestamp FROM piece"
            " JOIN record ON record.id = piece.record JOIN head USING (source, source_id)"
            " WHERE piece.digest = ? AND head.record = record.id AND head.vanished_at IS NULL",
            (digest,),
        ).fetchone()
        return None if row is None else (str(row[0]), row[1])

    def mark_vanished(self, source: str, source_id: str, at: str, run: int) -> bool:
        """Note that the registry no longer has a trial; its records stay. False where that was known."""
        cursor = self.connection.execute(
            "UPDATE head SET vanished_at = ? WHERE source = ? AND source_id = ? AND vanished_at IS NULL",
            (at, source, source_id),
        )
        if cursor.rowcount:
            self._log_head(at, source, source_id, None, run)
        return cursor.rowcount > 0

    def put_alias(self, source: str, alias: str, source_id: str, *, at: str, run: int) -> None:
        """Remember that ``alias`` leads to ``source_id``.

        A trial that stands under the alias itself was merged into the other one: it no longer stands.
        """
        if alias != source_id:
            self.mark_vanished(source, alias, at, run)
        self.connection.execute(
            "INSERT INTO alias VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET source_id = excluded.source_id",
            (source, alias, source_id),
        )

    # ------------------------------------------------------------- reading

    def head(self, source: str, source_id: str) -> Head | None:
        """The head of a trial, or None where the archive does not have it."""
        row = self.connection.execute(
            f"{HEAD_QUERY} WHERE head.source = ? AND head.source_id = ?", (source, source_id)
        ).fetchone()
        return head_of(row) if row else None

    def heads(self, source: str | None = None, *, vanished: bool = True) -> Iterator[Head]:
        """The heads of all trials in the order of source and id; ``vanished`` False leaves those out."""
        rows = self.connection.execute(
            f"{HEAD_QUERY} WHERE (? IS NULL OR head.source = ?) AND (? OR head.vanished_at IS NULL)"
            " ORDER BY head.source, head.source_id",
            (source, source, vanished),
        )
        return map(head_of, rows)

    def raw(self, record: int) -> RawRecord:
        """The raw record with this number. Raises RecordNotFound, ArchiveDamaged."""
        row = self.connection.execute(f"{RAW_QUERY} WHERE record.id = ?", (record,)).fetchone()
        if row is None:
            raise RecordNotFound(f"{self.path}: no record {record}")
        return raw_of(row, self.path)

    def resolve(self, source: str, identifier: str) -> str:
        """The id that an alias stands for, or the id itself."""
        row = self.connection.execute(
            "SELECT source_id FROM alias WHERE source = ? AND alias = ?", (source, identifier)
        ).fetchone()
        return str(row[0]) if row else identifier

    def latest(self, source: str, source_id: str) -> RawRecord:
        """The raw record that stands for a trial (aliases are followed). Raises RecordNotFound."""
        head = self.head(source, self.resolve(source, source_id))
        if head is None:
            raise RecordNotFound(f"{source_id}: not in the archive; 'trialkb refresh {source_id}' fetches it")
        return self.raw(head.record)

    def versions(self, source_id: str, source: str | None = None) -> list[Version]:
        """Every stored content of a trial, oldest first (registry's date, then the order of storing)."""
        rows = self.connection.execute(
            "SELECT record.id, record.source, record.source_id, record.sha256, record.version, record.rest,"
            " record.record_date, record.fetched_at, record.data_timestamp,"
            " (SELECT min(number) FROM history_entry WHERE record = record.id) AS number,"
            " record.origin, head.record IS NOT NULL"
            " FROM record LEFT JOIN head ON head.record = record.id"
            " WHERE record.source_id = ? AND (? IS NULL OR record.source = ?)"
            " ORDER BY record.source, coalesce(record.record_date, ''), number IS NULL, number, record.id",
            (source_id, source, source),
        )
        return [Version(*(*row[:11], bool(row[11]))) for row in rows]

    def history_numbers(self, source: str, source_id: str) -> set[int]:
        """The registry's numbers of the past versions that are stored."""
        rows = self.connection.execute(
            "SELECT number FROM history_entry WHERE source = ? AND source_id = ?", (source, source_id)
        )
        return {row[0] for row in rows}

    def verify(self) -> Iterator[str]:
        """Each damage found, as one line: content that does not fit its hash, lost references, SQLite's own."""
        for row in self.connection.execute("SELECT sha256, codec, size, data FROM blob"):
            digest, codec, size, data = row
            try:
                body = unpack(codec, data)
            except zlib.error as error:
                yield f"blob {digest}: cannot be unpacked ({error})"
                continue
            if len(body) != size or sha256(body) != digest:
                yield f"blob {digest}: the content has another hash or length"
        for table, row_id, parent, _ in self.connection.execute("PRAGMA foreign_key_check"):
            yield f"{table} row {row_id}: refers to a row of {parent} that is not there"
        for (message,) in self.connection.execute("PRAGMA integrity_check"):
            if message != "ok":
                yield f"sqlite: {message}"


def is_older(prepared: Storable, head: Head, archive: Archive) -> bool:
    """Whether a record is from before the head: by the registry's update date, then by the data's date."""
    mine, standing = prepared.record_date or "", head.record_date or ""
    if mine != standing:
        return bool(mine) and mine < standing
    (holder,) = archive.connection.execute(
        "SELECT coalesce(data_timestamp, '') FROM record WHERE id = ?", (head.record,)
    ).fetchone()
    return bool(prepared.raw.data_timestamp) and (prepared.raw.data_timestamp or "") < holder


def _json(value: dict[str, str]) -> str:
    return json.dumps(value, sort_keys=True) if value else "{}"  # most have none


@lru_cache(maxsize=256)
def _json_list(names: tuple[str, ...]) -> str:
    """A list of what was removed: few different ones stand in very many records."""
    return json.dumps(list(names))
