"""The SQLite file: open, lock, write one trial, read it back, digest.

::

    with Store.open(path, "write") as store:
        store.set_vocabulary(digest, concept_rows)
        store.put(trial, extraction, fetched_at="2026-01-02T03:04:05Z", data_timestamp=...)

    with Store.open(path) as store:                       # read; as_of="2024-05-31" for a past state
        version_id = store.version_id("NCT06886919")
        trial, extraction = store.trial(version_id), store.extraction(version_id)

Every write of a trial is one transaction. One process writes at a time: a second one gets
:class:`kb.errors.StoreLocked` at once, which says who writes. Readers never wait (WAL).
"""

from __future__ import annotations

import os
import re
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from filelock import BaseFileLock, FileLock, Timeout

from harvest.model import Trial
from kb.concepts import ConceptRow, put_concepts
from kb.errors import (
    BadQuestion,
    KbError,
    SchemaMismatch,
    StoreInvalid,
    StoreLocked,
    StoreMissing,
    StoreReadOnly,
    TrialNotFound,
)
from kb.moments import reach
from kb.reader import TrialReader
from kb.rows import PutResult
from kb.writer import TrialWriter
from nlp.model import Extraction

SCHEMA_VERSION = 4
"""Raised with every change of schema.sql, or of what is derived: an older file must be rebuilt."""

KEPT_TABLES = ("review", "quality")
"""Tables that cannot be derived; a rebuild carries them over."""

_TRIAL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9./_-]{2,39}")
_NCT = re.compile(r"NCT\d{8}")

Mode = Literal["read", "write"]


def schema_sql() -> str:
    """The text of ``schema.sql``."""
    return (files("kb") / "schema.sql").read_text("utf-8")


def canonical_trial_id(text: str) -> str:
    """A trial id as stored: NCT ids in capitals. Raises BadQuestion for what can be no trial id."""
    trial_id = text.strip()
    if trial_id.upper().startswith("NCT"):
        trial_id = trial_id.upper()
        if not _NCT.fullmatch(trial_id):
            raise BadQuestion(f"{text!r} is not an NCT id: write NCT and 8 digits, e.g. NCT06886919")
    elif not _TRIAL_ID.fullmatch(trial_id):
        raise BadQuestion(f"{text!r} is not a trial id: write it as the registry does, e.g. NCT06886919")
    return trial_id


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as this room's, each one line that names the file and what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "readonly" in text or "unable to open" in text:
            raise StoreReadOnly(
                f"{path} cannot be written ({text}): check the rights of file and folder"
            ) from error
        if "full" in text or "disk I/O" in text:
            # A disk without space for the log of a file that is only read shows itself as an I/O error.
            raise StoreReadOnly(
                f"{path} cannot be used: the disk is full or fails ({text}); free space and run again"
            ) from error
        if "locked" in text or "busy" in text:
            raise StoreLocked(
                f"{path} is being written by another process; run again when it has ended"
            ) from error
        raise
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "full" in text:
            raise StoreReadOnly(
                f"{path} cannot be written: the disk is full; free space and run again"
            ) from error
        if "not a database" in text or "malformed" in text:
            raise StoreInvalid(
                f"{path} is not a trialkb knowledge base or is damaged ({text}); restore a backup, or run "
                "`trialkb rebuild`"
            ) from error
        raise


@contextmanager
def write_lock(path: Path | str, purpose: str = "writing") -> Iterator[None]:
    """Hold the one write lock of the knowledge base at ``path``; reentrant within this process.

    Raises StoreLocked at once where another process holds it, and says which, since when.
    """
    path = Path(path)
    lock = _acquired(path, purpose)
    try:
        yield
    finally:
        lock.release()


def _acquired(path: Path, purpose: str) -> BaseFileLock:
    holder = path.with_name(path.name + ".writer")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(path.name + ".lock"), timeout=0, is_singleton=True)
        lock.acquire()
    except Timeout:
        try:
            who = holder.read_text("utf-8").strip()
        except OSError:
            who = ""
        raise StoreLocked(
            f"{path} is being written by another process{f' ({who})' if who else ''}; "
            "wait until it has ended, then run again"
        ) from None
    except OSError as error:
        raise StoreReadOnly(f"{path} cannot be written: {error.strerror or error}") from error
    if lock.lock_counter == 1:
        with suppress(OSError):
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            holder.write_text(f"pid {os.getpid()}, {purpose}, since {now}", "utf-8")
    return lock


class Store:
    """An open knowledge base. Use :meth:`open`; close it, or use it as a context manager."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        mode: Mode,
        lock: BaseFileLock | None,
        as_of: str | None,
    ) -> None:
        self.connection = connection
        self.path = path
        self.mode = mode
        self.as_of = as_of
        self._lock = lock
        self.held: dict[str, tuple[str, Any]] = {}  # indexes computed from this content (kb/kept_index.py)
        self._reader = TrialReader(connection)
        self._writer = TrialWriter(connection) if mode == "write" else None

    # ------------------------------------------------------------------ open and close

    @classmethod
    def open(
        cls, path: Path | str, mode: Mode = "read", *, as_of: str | None = None, purpose: str = "writing"
    ) -> Store:
        """Open the knowledge base at ``path``; ``write`` creates it where there is none.

        ``as_of`` (``YYYY-MM-DD``, reading only) answers every question from the registry's state of
        that day: the newest version of each trial whose registry date is not later. Raises
        StoreMissing, StoreInvalid, SchemaMismatch, StoreLocked (``write``: another process writes),
        StoreReadOnly, BadQuestion (a date that is none).
        """
        path = Path(path)
        if mode == "write":
            lock = _acquired(path, purpose)
            try:
                connection = _open_for_writing(path)
            except BaseException:
                lock.release()
                raise
            return cls(connection, path, mode, lock, None)
        if as_of is not None and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", as_of):
            raise BadQuestion(f"{as_of!r} is not a date: write YYYY-MM-DD")
        return cls(_open_for_reading(path, as_of), path, mode, None, as_of)

    def close(self) -> None:
        """Close the file and give the write lock back. Closing twice does nothing."""
        self.connection.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------------ writing

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Inside :meth:`bulk` or another transaction it joins the outer one."""
        if self.mode != "write":
            raise KbError(f"{self.path} was opened for reading; open it for writing")
        with translated(self.path):
            if self.connection.in_transaction:
                yield self.connection
                return
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                reach("database.before_commit")
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                if self._writer is not None:
                    self._writer.forget()
                raise
        reach("database.after_commit")

    @contextmanager
    def bulk(self) -> Iterator[None]:
        """One transaction over many puts, and full-text indexing once at its end.

        For a file that nobody else reads yet (a rebuild, a benchmark): a crash loses all of it.
        """
        assert self._writer is not None, "bulk needs a store that is open for writing"
        with self.transaction():
            self._writer.lines.index_lines = False
            try:
                yield
            finally:
                self._writer.lines.index_lines = True
            self.connection.execute("INSERT INTO line_fts(line_fts) VALUES ('rebuild')")
        self.connection.execute("PRAGMA optimize")

    def set_vocabulary(self, digest: str, concepts: Iterable[ConceptRow]) -> None:
        """Store the concepts and the digest of the vocabulary that reads from now on."""
        with self.transaction() as connection:
            put_concepts(connection, concepts)
            if self.meta("vocabulary") != digest:
                connection.execute("UPDATE meta SET value = ? WHERE key = 'vocabulary'", (digest,))
                self._bump()
            if self._writer is not None:
                self._writer.forget_concepts()

    def _bump(self) -> None:
        """Count a change of content: what was computed from an earlier one is stale."""
        self.connection.execute("UPDATE meta SET value = CAST(value AS INTEGER) + 1 WHERE key = 'generation'")

    def put(
        self,
        trial: Trial,
        extraction: Extraction,
        *,
        fetched_at: str | None = None,
        data_timestamp: str | None = None,
        version_date: str | None = None,
    ) -> PutResult:
        """Store one version of a trial with its reading, in one transaction.

        ``version_date`` is the registry's date of this state; by default the record's last update, or
        its first posting. Returns ``new`` (first version of this trial), ``changed`` (a further
        version), ``reread`` (a known version, whose reading or derived fields differ) or
        ``unchanged`` (nothing was written but the time stamps).
        """
        with self.transaction():
            assert self._writer is not None
            result = self._writer.put(trial, extraction, fetched_at, data_timestamp, version_date)
            if result != "unchanged":
                self._bump()
            return result

    def has(self, trial: Trial, vocabulary: str) -> bool:
        """Whether exactly this version, read with this vocabulary, is stored: no need to extract it."""
        return self._reader.has(trial, vocabulary)

    def mark_vanished(self, source: str, source_id: str, when: str | None) -> None:
        """Note that the registry no longer knows the trial (``when`` UTC), or that it is back (None)."""
        with self.transaction() as connection:
            connection.execute(
                "UPDATE trial SET vanished = ? WHERE source = ? AND source_id = ?", (when, source, source_id)
            )

    # ------------------------------------------------------------------ reading

    def version_id(self, trial_id: str, source: str | None = None) -> int:
        """The version that answers for a trial: the newest (or that of ``as_of``), by id or alias.

        Raises BadQuestion for a malformed id, TrialNotFound.
        """
        wanted = canonical_trial_id(trial_id)
        found = self._reader.version_id(wanted, source)
        if found is None:
            when = f" as of {self.as_of}" if self.as_of else ""
            raise TrialNotFound(
                f"{wanted} is not in {self.path}{when}; fetch it with `trialkb refresh {wanted}`"
            )
        return found

    def versions(self, trial_id: str, source: str | None = None) -> list[tuple[int, str, str | None]]:
        """All versions of a trial, oldest first: (version_id, version hash, registry date)."""
        wanted = canonical_trial_id(trial_id)
        found = self._reader.versions(wanted, source)
        if not found:
            raise TrialNotFound(f"{wanted} is not in {self.path}")
        return found

    def current_versions(self) -> Iterator[tuple[int, str]]:
        """(version_id, trial id) of every trial's current version, by trial id."""
        yield from self.connection.execute(
            "SELECT v.id, t.source_id FROM current_version v JOIN trial t ON t.id = v.trial_id ORDER BY 2, 1"
        )

    def trial(self, version_id: int) -> Trial:
        """The trial as it was stored, field by field. Raises TrialNotFound."""
        return self._reader.trial(version_id)

    def extraction(self, version_id: int) -> Extraction:
        """What was read in the version's criteria, as it was stored. Raises TrialNotFound."""
        return self._reader.extraction(version_id)

    def data_timestamp(self) -> str | None:
        """The newest data version of a registry that any current answer rests on."""
        row = self.connection.execute("SELECT max(data_timestamp) FROM current_version").fetchone()
        return str(row[0]) if row[0] else None

    def meta(self, key: str) -> str | None:
        """A value of the meta table: ``schema_version``, ``vocabulary``, ``generation``, ``made``."""
        row = self.connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else None


# ---------------------------------------------------------------------- opening


def _open_for_writing(path: Path) -> sqlite3.Connection:
    with translated(path):
        connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        try:
            fresh = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
            if not fresh:
                _check_schema(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint = 8000")  # 32 MB: one sync for some hundred trials
            connection.execute("PRAGMA cache_size = -65536")
            connection.execute("PRAGMA foreign_keys = ON")
            if fresh:
                create_schema(connection)
                reach("database.created")
            else:
                connection.execute("BEGIN IMMEDIATE")  # a read-only file shows itself here, not half way
                connection.execute("UPDATE meta SET value = value WHERE key = 'schema_version'")
                connection.execute("ROLLBACK")
        except BaseException:
            connection.close()
            raise
    return connection


def create_schema(connection: sqlite3.Connection) -> None:
    """Create every table in an empty file."""
    connection.executescript(
        "BEGIN IMMEDIATE;\n"
        + schema_sql()
        + f"\nINSERT INTO meta VALUES ('schema_version', '{SCHEMA_VERSION}'), ('vocabulary', ''),"
        f" ('generation', '0'), ('made', '{secrets.token_hex(8)}');\nCOMMIT;"
    )


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    try:
        row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        raise StoreInvalid(
            f"{path} is an SQLite file, but no trialkb knowledge base; give another --db"
        ) from None
    if row is None or row[0] != str(SCHEMA_VERSION):
        stated = row[0] if row else "none"
        raise SchemaMismatch(
            f"{path} has schema version {stated}, this trialkb reads version {SCHEMA_VERSION}; "
            "run `trialkb rebuild`, which makes it anew from the archive and keeps the reviews"
        )


def _open_for_reading(path: Path, as_of: str | None) -> sqlite3.Connection:
    if not path.is_file():
        raise StoreMissing(
            f"there is no knowledge base at {path}; make one with `trialkb refresh` or `trialkb import`"
        )
    with translated(path):
        uri = path.resolve().as_uri()
        writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
        connection = sqlite3.connect(
            f"{uri}?mode=rw" if writable else f"{uri}?mode=ro&immutable=1",
            uri=True,
            isolation_level=None,
            timeout=30,
        )
        try:
            _check_schema(connection, path)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA cache_size = -65536")
            connection.execute("PRAGMA temp_store = MEMORY")
            if as_of is not None:
                _as_of_views(connection, as_of)
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
    return connection


def _as_of_views(connection: sqlite3.Connection, as_of: str) -> None:
    """Temporary views that stand in front of current_*: the newest version not later than the day.

    A date without a day or a month ("2024-05") counts as the first of its span.
    """
    connection.execute("CREATE TEMP TABLE as_of_version(id INTEGER PRIMARY KEY)")
    connection.execute(
        "INSERT INTO as_of_version SELECT id FROM (SELECT v.id, row_number() OVER (PARTITION BY v.trial_id"
        " ORDER BY v.version_date DESC, v.fetched_at DESC, v.version DESC) AS place FROM main.trial_version v"
        " JOIN main.trial t ON t.id = v.trial_id WHERE v.version_date <= ? AND t.preferred = 1) WHERE place = 1",
        (as_of,),
    )
    for table, key in (("version", "id"), ("threshold", "version_id")):
        source = "trial_version" if table == "version" else table
        connection.execute(
            f"CREATE TEMP VIEW current_{table} AS SELECT s.* FROM main.{source} s"
            f" WHERE s.{key} IN (SELECT id FROM as_of_version)"
        )
    views = connection.execute("SELECT sql FROM main.sqlite_master WHERE type = 'view' AND name IN"
                               " ('trial_view', 'criterion_view', 'threshold_view')").fetchall()  # fmt: skip
    for (text,) in views:
        text = text.replace("CREATE VIEW", "CREATE TEMP VIEW", 1)
        text = text.replace("v.current = 1", "v.id IN (SELECT id FROM as_of_version)")
        connection.execute(text.replace("h.current = 1", "h.version_id IN (SELECT id FROM as_of_version)"))
