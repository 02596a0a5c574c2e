"""The harvest's memory in the archive: runs, what each found, checkpoints, saved subjects.

None of it can be derived from the raw records, so no rebuild of the knowledge base touches it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harvest.archive import Archive, Outcome
from harvest.errors import BadInput
from harvest.sources.base import Query

log = logging.getLogger(__name__)

State = Literal["running", "complete", "incomplete", "failed"]


@dataclass(frozen=True, slots=True)
class Run:
    """One run as the archive remembers it; times UTC, ``counts`` by outcome."""

    id: int
    kind: str
    source: str
    key: str
    request: dict[str, Any]
    started_at: str
    ended_at: str | None
    data_before: str | None
    data_after: str | None
    state: str
    requests: int
    message: str
    counts: dict[str, int]

    def task(self) -> str:
        """What it was asked for, on one line: a search, ids, a file, a trial's history."""
        if "query" in self.request:
            since = f" since {self.request['since']}" if self.request.get("since") else ""
            return Query.from_json(self.request["query"]).words() + since
        if "ids" in self.request:
            ids = self.request["ids"]
            return ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
        return str(self.request.get("path") or self.request.get("id") or "")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where an unfinished run stands: its stage, the token of the next page, the total it was promised."""

    key: str
    run: int
    data_version: str | None
    stage: str
    token: str | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Subject:
    """A saved search; ``last_run`` is the end of its last complete run, ``known`` the ids it then had."""

    name: str
    source: str
    query: Query
    added_at: str
    last_run: str | None
    known: int


_RUN = (
    "SELECT id, kind, source, key, request, started_at, ended_at, data_before, data_after, state, requests,"
    " message, counts FROM run"
)


def query_key(source: str, query: Query) -> str:
    """The name of the task "this search at this registry", the same for the same search."""
    return f"{source}:query:{json.dumps(query.to_json(), sort_keys=True, ensure_ascii=False)}"


def begin(
    archive: Archive, kind: str, source: str, key: str, request: Mapping[str, Any], at: str, data: str | None
) -> int:
    """Start a run and give its number. A run of the same key that never ended is noted as failed."""
    with archive.transaction():
        archive.connection.execute(
            "UPDATE run SET state = 'failed', message = 'did not end', ended_at = ? WHERE state = 'running'"
            " AND key = ?",
            (at, key),
        )
        cursor = archive.connection.execute(
            "INSERT INTO run (kind, source, key, request, started_at, data_before, state)"
            " VALUES (?, ?, ?, ?, ?, ?, 'running')",
            (kind, source, key, json.dumps(request, sort_keys=True, ensure_ascii=False), at, data),
        )
    run = int(cursor.lastrowid or 0)
    log.info("run began", extra={"run": run, "kind": kind, "source": source, "data": data, **request})
    return run


def end(
    archive: Archive,
    run: int,
    state: State,
    at: str,
    *,
    data: str | None,
    requests: int,
    message: str = "",
    refused: int = 0,
) -> dict[str, int]:
    """End a run inside a transaction: its counts are kept, the rows of unchanged trials dropped.

    ``requests`` are added to those counted on the way. ``refused``: so many records were no trials, and
    nothing else was wrong, so that the next run can go on from this one (:func:`last_whole`).
    """
    counts = dict(
        archive.connection.execute(
            "SELECT outcome, count(*) FROM run_record WHERE run = ? GROUP BY outcome", (run,)
        ).fetchall()
    )
    if refused:
        counts["refused"] = refused
    archive.connection.execute(
        "UPDATE run SET state = ?, ended_at = ?, data_after = ?, requests = requests + ?, message = ?,"
        " counts = ? WHERE id = ?",
        (state, at, data, requests, message, json.dumps(counts, sort_keys=True), run),
    )
    if state != "failed":
        archive.connection.execute("DELETE FROM run_record WHERE run = ? AND outcome = 'unchanged'", (run,))
    (sent,) = archive.connection.execute("SELECT requests FROM run WHERE id = ?", (run,)).fetchone()
    told = {"run": run, "state": state, "data": data, "requests": sent, "found": counts, "problem": message}
    log.log(logging.INFO if state == "complete" else logging.WARNING, "run ended", extra=told)
    return counts


def count_requests(archive: Archive, run: int, sent: int) -> None:
    """Add requests to those that a run has made so far, inside a transaction."""
    archive.connection.execute("UPDATE run SET requests = requests + ? WHERE id = ?", (sent, run))


def note(archive: Archive, run: int, source_id: str, outcome: Outcome) -> None:
    """Note what a run found of a trial; "unchanged" gives way to whatever else the run finds of it."""
    archive.connection.execute(
        "INSERT INTO run_record (run, source_id, outcome) VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
        " SET outcome = excluded.outcome WHERE run_record.outcome IN ('unchanged', 'missing', 'left')",
        (run, source_id, outcome),
    )


def found(archive: Archive, run: int, outcome: Outcome) -> tuple[str, ...]:
    """The ids of the trials with this outcome, sorted."""
    rows = archive.connection.execute(
        "SELECT source_id FROM run_record WHERE run = ? AND outcome = ? ORDER BY source_id", (run, outcome)
    )
    return tuple(row[0] for row in rows)


def runs(archive: Archive, limit: int = 20) -> list[Run]:
    """The last runs, newest first."""
    rows = archive.connection.execute(f"{_RUN} ORDER BY id DESC LIMIT ?", (limit,))
    return [_run(row) for row in rows]


def last_whole(archive: Archive, key: str) -> Run | None:
    """The last run of a task that got all that the registry has: complete, or but for records that are no trials."""
    row = archive.connection.execute(
        f"{_RUN} WHERE key = ? AND (state = 'complete'"
        "   OR (state = 'incomplete' AND json_extract(counts, '$.refused') > 0)) ORDER BY id DESC LIMIT 1",
        (key,),
    ).fetchone()
    return _run(row) if row else None


def _run(row: tuple[Any, ...]) -> Run:
    values = list(row)
    values[4], values[12] = json.loads(values[4]), json.loads(values[12])
    return Run(*values)


# ------------------------------------------------------------- checkpoints


def checkpoint(archive: Archive, key: str) -> Checkpoint | None:
    """Where the unfinished run of a task stands, or None."""
    row = archive.connection.execute(
        "SELECT key, run, data_version, stage, token, total FROM checkpoint WHERE key = ?", (key,)
    ).fetchone()
    return Checkpoint(*row) if row else None


def set_checkpoint(archive: Archive, point: Checkpoint) -> None:
    """Note where a run stands, inside the transaction that stores the page before it."""
    archive.connection.execute(
        "INSERT INTO checkpoint (key, run, data_version, stage, token, total) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET run = excluded.run, data_version = excluded.data_version,"
        " stage = excluded.stage, token = excluded.token, total = excluded.total",
        (point.key, point.run, point.data_version, point.stage, point.token, point.total),
    )


def clear_checkpoint(archive: Archive, key: str) -> None:
    """Forget where a task stood, with the ids that had arrived."""
    archive.connection.execute("DELETE FROM checkpoint WHERE key = ?", (key,))


def arrive(archive: Archive, key: str, stage: str, source_ids: Iterable[str]) -> int:
    """Note ids that arrived in a stage; one that arrives twice counts once. Gives how many were new."""
    cursor = archive.connection.executemany(
        "INSERT OR IGNORE INTO checkpoint_id VALUES (?, ?, ?)", ((key, stage, each) for each in source_ids)
    )
    return max(cursor.rowcount, 0)


def arrived(archive: Archive, key: str, stage: str) -> set[str]:
    """The ids that have arrived in a stage."""
    rows = archive.connection.execute(
        "SELECT source_id FROM checkpoint_id WHERE key = ? AND stage = ?", (key, stage)
    )
    return {row[0] for row in rows}


def count_arrived(archive: Archive, key: str, stage: str) -> int:
    """How many ids have arrived in a stage."""
    row = archive.connection.execute(
        "SELECT count(*) FROM checkpoint_id WHERE key = ? AND stage = ?", (key, stage)
    ).fetchone()
    return int(row[0])


def forget_stage(archive: Archive, key: str, stage: str) -> None:
    """Forget the ids of a stage that starts again."""
    archive.connection.execute("DELETE FROM checkpoint_id WHERE key = ? AND stage = ?", (key, stage))


def known_ids(archive: Archive, key: str) -> set[str]:
    """The ids that the registry returned for a search in its last complete run."""
    return {
        row[0] for row in archive.connection.execute("SELECT source_id FROM query_id WHERE key = ?", (key,))
    }


def remember_ids(archive: Archive, key: str, source_ids: Iterable[str]) -> None:
    """Replace the ids that the registry returned for a search, inside a transaction."""
    archive.connection.execute("DELETE FROM query_id WHERE key = ?", (key,))
    archive.connection.executemany("INSERT INTO query_id VALUES (?, ?)", ((key, each) for each in source_ids))


# ---------------------------------------------------------------- subjects


def add_subject(archive: Archive, name: str, source: str, query: Query, at: str) -> None:
    """Save a search under a name. Raises BadInput where the name stands for another search."""
    known = subject(archive, name)
    if known is not None and (known.source, known.query) != (source, query):
        raise BadInput(f"subject {name!r} stands for another search; remove it first, or take another name")
    if known is None:
        with archive.transaction():
            archive.connection.execute(
                "INSERT INTO subject VALUES (?, ?, ?, ?)",
                (name, source, json.dumps(query.to_json(), sort_keys=True, ensure_ascii=False), at),
            )


def remove_subject(archive: Archive, name: str) -> None:
    """Forget a saved search; its trials stay. Raises BadInput where there is none of that name."""
    with archive.transaction():
        cursor = archive.connection.execute("DELETE FROM subject WHERE name = ?", (name,))
    if not cursor.rowcount:
        raise BadInput(f"no subject {name!r}; 'trialkb subject list' shows them")


def subject(archive: Archive, name: str) -> Subject | None:
    """The saved search of that name, or None."""
    return next((each for each in subjects(archive) if each.name == name), None)


def subjects(archive: Archive) -> list[Subject]:
    """All saved searches, by name."""
    rows = archive.connection.execute(
        "SELECT name, source, query, added_at FROM subject ORDER BY name"
    ).fetchall()
    listed = []
    for name, source, text, added_at in rows:
        query = Query.from_json(json.loads(text))
        key = query_key(source, query)
        last = last_whole(archive, key)
        listed.append(
            Subject(
                name, source, query, added_at, last.ended_at if last else None, len(known_ids(archive, key))
            )
        )
    return listed


def subject_ids(archive: Archive, name: str) -> tuple[str, ...]:
    """The ids that the registry returned for a subject, sorted. Raises BadInput for an unknown name."""
    saved = subject(archive, name)
    if saved is None:
        raise BadInput(f"no subject {name!r}; 'trialkb subject list' shows them")
    return tuple(sorted(known_ids(archive, query_key(saved.source, saved.query))))


def note_gone(archive: Archive, key: str, run: int, source_ids: Iterable[str]) -> None:
    """Note ids that a search returned before and does not return now, inside a transaction."""
    archive.connection.executemany(
        "INSERT OR IGNORE INTO query_gone (key, run, source_id) VALUES (?, ?, ?)",
        ((key, run, each) for each in source_ids),
    )


def gone(archive: Archive, key: str, run: int) -> tuple[str, ...]:
    """The ids that a run no longer found in its search, sorted."""
    rows = archive.connection.execute(
        "SELECT source_id FROM query_gone WHERE key = ? AND run = ? ORDER BY source_id", (key, run)
    )
    return tuple(row[0] for row in rows)


def subject_gone(archive: Archive, name: str, since: str) -> tuple[str, ...]:
    """The ids that runs of a subject since a day no longer found in its search; sorted.

    ``since`` is a date or a time, UTC, and itself not included. Raises BadInput for an unknown name.
    """
    saved = subject(archive, name)
    if saved is None:
        raise BadInput(f"no subject {name!r}; 'trialkb subject list' shows them")
    if not archive.connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'query_gone'").fetchone():
        return ()  # an archive from before, not written since
    rows = archive.connection.execute(
        "SELECT DISTINCT source_id FROM query_gone JOIN run ON run.id = query_gone.run"
        " WHERE query_gone.key = ? AND substr(run.ended_at, 1, ?) > ? ORDER BY source_id",
        (query_key(saved.source, saved.query), len(since), since),
    )
    return tuple(row[0] for row in rows)
