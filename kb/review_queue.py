"""Which lines are most worth a reviewer's look.

A line counts once, however many trials say it. Its score is the square root of the number of trials times what is doubtful
about it: :data:`WEIGHTS` for each unread demand, suspect flag and concept outside the vocabulary, and the
share of its words that was not understood. What is reviewed already, and still read the same, is left out;
a review that was re-opened is listed with what re-opened it.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kb.eligible import QUARANTINED
from kb.review import all_reviews
from kb.review_reopened import Reopened, reopened

WEIGHTS: Mapping[str, float] = {
    "re-opened": 5.0,
    "unread": 3.0,
    "suspect": 3.0,
    "flag": 1.0,
    "unknown concept": 2.0,
    "coverage": 1.0,
}
"""Somebody found a re-opened reading worth deciding on before. A suspect or unread demand leaves every trial that states it undetermined; hence the most."""

_LINES = """
SELECT l.id, l.hash, l.text, count(DISTINCT k.version_id), max(k.unread), min(k.coverage),
       min(t.source_id || ' ' || k.section || ' ' || k.path)
FROM criterion k JOIN line l ON l.id = k.line_id JOIN current_version v ON v.id = k.version_id
JOIN trial t ON t.id = v.trial_id {where} GROUP BY l.id
"""
_ITEMS = """
SELECT DISTINCT r.line_id, h.item_key, h.flags, h.concept_id IS NULL FROM current_threshold h
JOIN line_reading r ON r.id = h.reading_id AND r.line_id IS NOT NULL
WHERE (h.flags != '[]' OR h.concept_id IS NULL) AND h.role = 'requirement'
"""


@dataclass(frozen=True, slots=True)
class Reviewable:
    """A line for the queue: ``example`` is one place where it stands."""

    score: float
    line_hash: str
    text: str
    trials: int
    example: str
    reasons: tuple[str, ...]


def trials_with(connection: sqlite3.Connection, digest: str) -> list[str]:
    """The trials in whose current version a line stands."""
    rows = connection.execute(
        "SELECT DISTINCT t.source_id FROM line l JOIN criterion k ON k.line_id = l.id JOIN current_version v"
        " ON v.id = k.version_id JOIN trial t ON t.id = v.trial_id WHERE l.hash = ? ORDER BY 1",
        (digest,),
    )
    return [row[0] for row in rows]


def queue(
    connection: sqlite3.Connection, versions: Sequence[int] | None = None, limit: int = 20
) -> list[Reviewable]:
    """The ``limit`` lines with the highest score; ``versions`` restricts to those trial versions."""
    where = ""
    if versions is not None:
        where = "WHERE k.version_id IN (SELECT value FROM json_each(?))"
    parameters = () if versions is None else (json.dumps(list(versions)),)
    again = reopened(connection, versions)
    waiting = {(one.review.line_hash, one.review.item_key) for one in again if one.why != "the text changed"}
    done = {(review.line_hash, review.item_key) for review in all_reviews(connection)} - waiting
    doubts: dict[int, list[tuple[str, str, bool]]] = {}
    for line, key, flags, unknown in connection.execute(_ITEMS):
        doubts.setdefault(line, []).append((key, flags, bool(unknown)))
    found = [_again(one) for one in again]
    for line, digest, text, trials, unread, coverage, example in connection.execute(
        _LINES.format(where=where), parameters
    ):
        open_items = [one for one in doubts.get(line, ()) if (digest, one[0]) not in done]
        missed = (digest, "") in done
        scored = _scored(open_items, 0 if missed else unread, 1.0 if missed else coverage)
        if scored[0] > 0:
            score = round(scored[0] * math.sqrt(trials), 2)
            found.append(Reviewable(score, digest, text, trials, example, scored[1]))
    found.sort(key=lambda one: (-one.score, -one.trials, one.line_hash))
    return found[:limit]


def _again(one: Reopened) -> Reviewable:
    review = one.review
    words = {"correct": "accepted", "wrong": "rejected"}.get(review.verdict, review.verdict)
    why = f"re-opened, {one.why}: {words} by {review.reviewer}, {review.reviewed_at[:10]}"
    score = round(WEIGHTS["re-opened"] * math.sqrt(len(one.trials)), 2)
    return Reviewable(score, review.line_hash, review.line_text, len(one.trials), one.trials[0], (why,))


def _scored(
    items: Sequence[tuple[str, str, bool]], unread: int, coverage: float
) -> tuple[float, tuple[str, ...]]:
    score, reasons = 0.0, []
    if unread:
        score += WEIGHTS["unread"] * unread
        reasons.append(f"{unread} unread")
    flags = {flag for _, listed, _ in items for flag in json.loads(listed)}
    for flag in sorted(flags):
        score += WEIGHTS["suspect" if flag in QUARANTINED else "flag"]
        reasons.append(flag)
    unknown = sum(one[2] for one in items)
    if unknown:
        score += WEIGHTS["unknown concept"] * unknown
        reasons.append(f"{unknown} without a concept")
    if coverage < 1.0:
        score += WEIGHTS["coverage"] * (1.0 - coverage)
        reasons.append(f"coverage {coverage:.0%}")
    return score, tuple(reasons)
