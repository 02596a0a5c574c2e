"""Full-text search over criteria lines, hits highlighted.

Ranked (bm25) inside a subject; over everything the hits come unranked, in the order of storage: ranking
millions of hits of a frequent word takes seconds and tells little.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from kb.errors import QueryInvalid
from kb.limits import TrialLine, load_trial_lines
from kb.store import Store
from kb.subject import as_json

_SYNTAX = re.compile(r'["*()]|\b(?:AND|OR|NOT|NEAR)\b')


@dataclass(frozen=True, slots=True)
class Hit:
    """A criterion that holds the words; ``marked`` is its text with ``«»`` around them."""

    trial: TrialLine
    section: str
    path: str
    marked: str


def match_expression(words: str) -> str:
    """Plain words as an FTS5 expression (all must stand in the line); FTS5's own syntax passes unchanged.

    Raises QueryInvalid for text without a word.
    """
    if _SYNTAX.search(words):
        return words
    tokens = re.findall(r"\w+", words)
    if not tokens:
        raise QueryInvalid(f"{words!r} holds no word to look for", 1)
    return " ".join(f'"{token}"' for token in tokens)


def search(store: Store, words: str, *, limit: int = 20, versions: Sequence[int] | None = None) -> list[Hit]:
    """Criteria that hold the words; of these ``versions`` only, and then the best first.

    Raises QueryInvalid for words or FTS5 syntax that cannot be read.
    """
    expression = match_expression(words)
    try:
        rows = _hits(store, expression, limit, versions)
    except sqlite3.OperationalError as error:
        raise QueryInvalid(
            f'{words!r} is no full-text query ({error}); plain words, or FTS5: "liver function", hepat*, A OR B',
            1,
        ) from error
    lines = load_trial_lines(store.connection, {row[0] for row in rows}, count_unread=False)
    return [Hit(lines[row[0]], *row[1:]) for row in rows]


_MARKED = "highlight(line_fts, 0, '«', '»')"
_LINES = f"SELECT rowid, {_MARKED} FROM line_fts WHERE line_fts MATCH ?"
_PLACES = (
    "SELECT j.key, k.version_id, r.section, k.path FROM json_each(?) j CROSS JOIN line_reading r ON r.line_id = j.value"
    " CROSS JOIN trial_criterion k ON k.reading_id = r.id"
)
_CURRENT = f"{_PLACES} CROSS JOIN current_version v ON v.id = k.version_id"
_AMONG_FEW = (
    f"SELECT k.version_id, r.section, k.path, {_MARKED} FROM line_fts CROSS JOIN line_reading r ON r.line_id = line_fts.rowid"
    " CROSS JOIN trial_criterion k ON k.reading_id = r.id WHERE line_fts MATCH ?"
    " AND +k.version_id IN (SELECT value FROM json_each(?)) ORDER BY bm25(line_fts), k.version_id, k.ordinal LIMIT ?"
)

FEW = 2000
"""Of so few trials, only the lines are ranked that they say; of more, all lines with the words are, and the
first of them are soon found to stand in one."""


def _hits(
    store: Store, expression: str, limit: int, versions: Sequence[int] | None
) -> list[tuple[int, str, str, str]]:
    """(version, section, path, marked text) of the hits."""
    if versions is not None and len(versions) <= FEW:
        return store.connection.execute(_AMONG_FEW, (expression, as_json(versions), limit)).fetchall()
    return list(islice(_placed(store, expression, versions), limit))


def _placed(
    store: Store, expression: str, versions: Sequence[int] | None
) -> Iterator[tuple[int, str, str, str]]:
    """The hits, one after another as they are asked for: a line is found, ranked and marked once, however
    many trials say it."""
    among = None if versions is None else frozenset(versions)
    lines = store.connection.execute(_LINES if among is None else f"{_LINES} ORDER BY rank", (expression,))
    size = 4
    while batch := lines.fetchmany(size):
        asked = as_json([line for line, _ in batch])
        for place, version, section, path in store.connection.execute(
            _CURRENT if among is None else _PLACES, (asked,)
        ):
            if among is None or version in among:
                yield version, section, path, batch[place][1]
        size *= 8
