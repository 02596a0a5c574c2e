"""Pages and records that were no trials: kept in the archive, to be looked at."""

from __future__ import annotations

from dataclasses import dataclass

from harvest.archive import Archive
from harvest.archive_rows import pack, unpack
from harvest.canonical import sha256


@dataclass(frozen=True, slots=True)
class KeptPage:
    """A page or record that was no trial, and why; its bytes are kept under ``number``."""

    number: int
    run: int
    source: str
    url: str
    at: str
    reason: str
    size: int


def keep(archive: Archive, source: str, url: str, at: str, reason: str, body: bytes, run: int) -> int:
    """Keep a page that was no trial, once a run; gives the number under which it is kept."""
    digest = sha256(body)
    known = archive.connection.execute(
        "SELECT id FROM quarantine WHERE sha256 = ? AND run = ?", (digest, run)
    ).fetchone()
    if known:
        return int(known[0])
    archive.put_blob(digest, lambda: pack(body))
    cursor = archive.connection.execute(
        "INSERT INTO quarantine (source, url, at, reason, sha256, run) VALUES (?, ?, ?, ?, ?, ?)",
        (source, url, at, reason, digest, run),
    )
    return int(cursor.lastrowid or 0)


def kept(archive: Archive, limit: int) -> list[KeptPage]:
    """The pages that were no trials, newest first."""
    rows = archive.connection.execute(
        "SELECT q.id, q.run, q.source, q.url, q.at, q.reason, b.size FROM quarantine q JOIN blob b USING (sha256)"
        " ORDER BY q.id DESC LIMIT ?",
        (limit,),
    )
    return [KeptPage(*row) for row in rows]


def kept_body(archive: Archive, number: int) -> bytes | None:
    """The bytes of a page that was no trial; None where none is kept under this number."""
    row = archive.connection.execute(
        "SELECT codec, data FROM quarantine JOIN blob USING (sha256) WHERE quarantine.id = ?", (number,)
    ).fetchone()
    return None if row is None else unpack(*row)
