"""Which reviews do not hold any more, and why: another reading stands there now, or a trial changed the text."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kb.reader import ITEM_COLUMNS, item_of_row
from kb.review import Review, all_reviews, status_of
from nlp.model import Item

_STANDS = """
SELECT v.id, t.source_id, k.section, EXISTS (SELECT 1 FROM current_version c WHERE c.id = v.id)
FROM line l JOIN criterion k ON k.line_id = l.id JOIN trial_version v ON v.id = k.version_id
JOIN trial t ON t.id = v.trial_id WHERE l.hash = ? ORDER BY t.source_id, v.id
"""

_READ = (
    f"SELECT h.version_id, {', '.join(f'h.{name}' for name in ITEM_COLUMNS)} FROM line l JOIN line_reading r"
    " ON r.line_id = l.id JOIN threshold h ON h.reading_id = r.id WHERE l.hash = ? AND h.item_key = ?"
)


@dataclass(frozen=True, slots=True)
class Reopened:
    """A review that changes nothing (any more) in these trials; ``why`` is one of "read otherwise",
    "read no more" and "the text changed"."""

    review: Review
    why: str
    trials: tuple[str, ...]


def reopened(connection: sqlite3.Connection, versions: Sequence[int] | None = None) -> list[Reopened]:
    """The reviews to be looked at again, in the order they were given; ``versions`` restricts to lines that
    stand in these trial versions, or in an earlier one of the same trial."""
    trials = None if versions is None else _trials(connection, versions)
    found = []
    for review in all_reviews(connection):
        stands = [
            (version, trial, bool(current))
            for version, trial, section, current in connection.execute(_STANDS, (review.line_hash,))
            if review.section in (None, section) and (trials is None or trial in trials)
        ]
        now = {trial: version for version, trial, current in stands if current}
        left = sorted({trial for _, trial, _ in stands} - now.keys())
        if left:
            found.append(Reopened(review, "the text changed", tuple(left)))
        if review.verdict != "missed":
            otherwise, gone = _read_today(connection, now, review)
            found += [Reopened(review, "read otherwise", otherwise)] if otherwise else []
            found += [Reopened(review, "read no more", gone)] if gone else []
    return found


def _trials(connection: sqlite3.Connection, versions: Sequence[int]) -> set[str]:
    rows = connection.execute(
        "SELECT t.source_id FROM trial_version v JOIN trial t ON t.id = v.trial_id"
        " WHERE v.id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(versions)),),
    )
    return {row[0] for row in rows}


def _read_today(
    connection: sqlite3.Connection, now: Mapping[str, int], review: Review
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the trials with the line (their current versions): those in which something else is read at the
    place reviewed, and those in which nothing is under the review's key."""
    read: dict[int, list[Item]] = {}
    for version, *row in connection.execute(_READ, (review.line_hash, review.item_key)):
        values = dict(zip(ITEM_COLUMNS, row, strict=True)) | {"concept_name": None}
        read.setdefault(version, []).append(item_of_row(values, lambda _: None))
    otherwise, gone = [], []
    for trial, version in sorted(now.items()):
        items = [item for item in read.get(version, ()) if review.section in (None, item.section)]
        if not items:
            gone.append(trial)
        elif all(status_of(review, item) == "re-opened" for item in items):
            otherwise.append(trial)
    return tuple(otherwise), tuple(gone)
