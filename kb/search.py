"""Full-text search over criteria lines, hits highlighted.

Ranked (bm25) inside a subject; over everything the hits come unranked, in the order of storage: ranking
millions of hits of a frequent word takes seconds and tells little.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

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
    marked = "highlight(line_fts, 0, '«', '»')"
    joined = "FROM line_fts JOIN criterion k ON k.line_id = line_fts.rowid"
    try:
        if versions is None:
            rows = store.connection.execute(
                f"SELECT k.version_id, k.section, k.path, {marked} {joined} JOIN current_version v"
                " ON v.id = k.version_id WHERE line_fts MATCH ? LIMIT ?",
                (expression, limit),
            ).fetchall()
        else:
            rows = store.connection.execute(
                f"SELECT k.version_id, k.section, k.path, {marked} {joined} WHERE line_fts MATCH ?"
                " AND k.version_id IN (SELECT value FROM json_each(?)) ORDER BY bm25(line_fts), k.id LIMIT ?",
                (expression, as_json(versions), limit),
            ).fetchall()
    except sqlite3.OperationalError as error:
        raise QueryInvalid(
            f'{words!r} is no full-text query ({error}); plain words, or FTS5: "liver function", hepat*, A OR B',
            1,
        ) from error
    lines = load_trial_lines(store.connection, {row[0] for row in rows}, count_unread=False)
    return [Hit(lines[row[0]], *row[1:]) for row in rows]
