"""From the archive to whoever derives from it: which records are due, and how far it has read.

Every version of a trial is due once, in the order of storing. Where a version has several contents (sites
or MeSH terms drifted), the one that stands as head is given, else the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harvest.archive import Archive
from harvest.model import RawRecord, Trial
from harvest.sources import PARSERS


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a reader has come: the last record, and the last entry of the log of heads."""

    record: int = 0
    log: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """A record that is due: its trial, the raw record, and the registry's date of this version."""

    record: int
    trial: Trial
    raw: RawRecord
    record_date: str | None


def end_mark(archive: Archive) -> Mark:
    """The mark of a reader that has read all that is stored now."""
    row = archive.connection.execute(
        "SELECT coalesce((SELECT max(id) FROM record), 0), coalesce((SELECT max(id) FROM head_log), 0)"
    ).fetchone()
    return Mark(*row)


def read_mark(archive: Archive, store: str, vocabulary: str) -> Mark:
    """How far the knowledge base ``store`` has read with this vocabulary."""
    row = archive.connection.execute(
        "SELECT record, log FROM feed WHERE store = ? AND vocabulary = ?", (store, vocabulary)
    ).fetchone()
    return Mark(*row) if row else Mark()


def write_mark(archive: Archive, store: str, vocabulary: str, mark: Mark) -> None:
    """Note how far the knowledge base has read; marks of its other vocabularies are forgotten."""
    with archive.transaction():
        archive.connection.execute("DELETE FROM feed WHERE store = ?", (store,))
        archive.connection.execute(
            "INSERT INTO feed VALUES (?, ?, ?, ?)", (store, vocabulary, mark.record, mark.log)
        )


def due_records(archive: Archive, mark: Mark | None = None) -> list[int]:
    """The numbers of the records that are due after ``mark``, in the order in which they must be read."""
    mark = mark or Mark()
    rows = archive.connection.execute(
        "SELECT id FROM record AS mine WHERE (id > ? OR id IN (SELECT record FROM head_log WHERE id > ?))"
        " AND NOT EXISTS (SELECT 1 FROM record AS other WHERE other.source = mine.source"
        "   AND other.source_id = mine.source_id AND other.version = mine.version AND other.id <> mine.id"
        "   AND (other.id IN (SELECT record FROM head)"
        "     OR (other.id > mine.id AND mine.id NOT IN (SELECT record FROM head))))"
        " ORDER BY id",
        (mark.record, mark.log),
    )
    return [row[0] for row in rows]


def parse_raw(raw: RawRecord) -> Trial:
    """The trial in a raw record of any registry. Raises UnexpectedShape."""
    return PARSERS[raw.source](raw)


def read(archive: Archive, records: list[int]) -> Iterator[Due]:
    """The records with these numbers, parsed. Raises UnexpectedShape, ArchiveDamaged."""
    for number in records:
        raw = archive.raw(number)
        (record_date,) = archive.connection.execute(
            "SELECT record_date FROM record WHERE id = ?", (number,)
        ).fetchone()
        yield Due(number, parse_raw(raw), raw, record_date)
