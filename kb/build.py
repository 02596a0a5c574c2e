"""From parsed trials to the knowledge base: idempotent, one transaction a trial.

``extract`` is passed in (law 1), so this room and its tests need no spaCy. :func:`build` adds to a
knowledge base; :func:`rebuild` makes it anew from the same records beside the old file, carries the
reviews over, and only then takes the old one's place: a crash leaves the old one as it was.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harvest.model import Trial
from kb.concepts import ConceptRow
from kb.digest import content_digest
from kb.moments import reach
from kb.rows import PutResult
from kb.store import KEPT_TABLES, Store, translated, write_lock
from nlp.model import Extraction

Extract = Callable[[str], Extraction]

_REMEMBERED_TEXTS = 2048
"""Readings kept at hand: a trial's versions mostly repeat one text, and they come one after another."""


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """A parsed trial and when it was fetched. ``version_date`` as for :meth:`kb.store.Store.put`."""

    trial: Trial
    fetched_at: str | None = None
    data_timestamp: str | None = None
    version_date: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What reads the texts: the extraction, the digest of its vocabulary, the concepts it may name."""

    extract: Extract
    vocabulary: str
    concepts: tuple[ConceptRow, ...] = ()


@dataclass(slots=True)
class BuildReport:
    """What a build did: how many versions came out how, and under which ids."""

    counts: Counter[PutResult] = field(default_factory=Counter)
    changed: list[tuple[str, PutResult]] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All versions that were put."""
        return sum(self.counts.values())


def store_record(store: Store, record: TrialRecord, reading: Reading) -> PutResult:
    """Read and store one trial; a version that is stored, read with this vocabulary, is not read again."""
    if store.has(record.trial, reading.vocabulary):
        extraction = Extraction(vocabulary=reading.vocabulary)  # unchanged: only time stamps are written
    else:
        extraction = reading.extract(record.trial.eligibility_text)
    return store.put(
        record.trial,
        extraction,
        fetched_at=record.fetched_at,
        data_timestamp=record.data_timestamp,
        version_date=record.version_date,
    )


def build(
    store: Store,
    records: Iterable[TrialRecord],
    reading: Reading,
    progress: Callable[[], None] | None = None,
) -> BuildReport:
    """Put every record into the open store. ``progress`` is called after each.

    Raises what ``records`` and ``extract`` raise; what was put before that stays.
    """
    store.set_vocabulary(reading.vocabulary, reading.concepts)
    report = BuildReport()
    remembering = Reading(_remembering(reading.extract), reading.vocabulary, reading.concepts)
    for record in records:
        result = store_record(store, record, remembering)
        report.counts[result] += 1
        if result != "unchanged":
            report.changed.append((record.trial.source_id, result))
        if progress is not None:
            progress()
    return report


def _remembering(extract: Extract) -> Extract:
    known: OrderedDict[str, Extraction] = OrderedDict()

    def remembered(text: str) -> Extraction:
        found = known.get(text)
        if found is None:
            found = known[text] = extract(text)
            if len(known) > _REMEMBERED_TEXTS:
                known.popitem(last=False)
        return found

    return remembered


def rebuild(
    path: Path | str,
    records: Iterable[TrialRecord],
    reading: Reading,
    progress: Callable[[], None] | None = None,
) -> tuple[BuildReport, str]:
    """Make the knowledge base at ``path`` anew from ``records``; returns the report and its digest.

    Works whatever the old file's schema version is, and where there is none. The kept tables are
    carried over. Raises StoreLocked, StoreReadOnly.
    """
    path = Path(path)
    fresh = path.with_name(path.name + ".rebuild")
    with write_lock(path, "trialkb rebuild"):
        _remove(fresh)
        try:
            with Store.open(fresh, "write", purpose="trialkb rebuild") as store:
                store.set_vocabulary(reading.vocabulary, reading.concepts)
                with store.bulk():
                    report = build(store, records, reading, progress)
                    _mark_vanished(path, store.connection)
                if path.is_file():
                    _carry_over(path, store)
                digest = content_digest(store)
                store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            with translated(path):
                _settle(path)
            reach("database.before_replace")
            os.replace(fresh, path)
            reach("database.after_replace")
        finally:
            _remove(fresh)
    return report, digest


def _carry_over(old: Path, store: Store) -> None:
    """Copy the kept tables, by the columns that both files have."""
    connection = store.connection
    with translated(old):
        connection.execute("ATTACH ? AS old", (str(old),))
        try:
            for table in KEPT_TABLES:
                theirs = {row[1] for row in connection.execute(f"PRAGMA old.table_info({table})")}
                ours = [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]
                columns = ", ".join(name for name in ours if name in theirs)
                if columns:
                    connection.execute(
                        f"INSERT INTO main.{table}({columns}) SELECT {columns} FROM old.{table}"
                    )
        finally:
            connection.execute("DETACH old")


def _mark_vanished(old: Path, connection: sqlite3.Connection) -> None:
    """Which trials the registry no longer knows comes from runs, not from the records: kept."""
    if not old.is_file():
        return
    with suppress(sqlite3.Error):
        theirs = sqlite3.connect(f"{old.resolve().as_uri()}?mode=ro", uri=True)
        try:
            gone = theirs.execute(
                "SELECT vanished, source, source_id FROM trial WHERE vanished IS NOT NULL"
            ).fetchall()
        finally:
            theirs.close()
        connection.executemany("UPDATE trial SET vanished = ? WHERE source = ? AND source_id = ?", gone)


def _settle(path: Path) -> None:
    """Fold the old file's write-ahead log in, so that none is left beside the new file."""
    if not path.is_file():
        return
    old = sqlite3.connect(path, isolation_level=None)
    with suppress(sqlite3.DatabaseError):  # the old file may be damaged: that is why it is rebuilt
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    old.close()
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _remove(fresh: Path) -> None:
    for suffix in ("", "-wal", "-shm", ".lock", ".writer"):
        fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
