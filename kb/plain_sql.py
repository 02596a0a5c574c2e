"""Plain SQL for those who want it: reading only, one statement, with a time limit.

The views made for it are ``trial_view``, ``criterion_view`` and ``threshold_view`` (one row a thing of the
current versions), and ``nodes`` and ``edges``; ``schema.sql`` documents every table.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from kb.errors import QueryInvalid
from kb.store import Store

_ALLOWED = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)


def _authorized(action: int, name: str | None, *_: str | None) -> int:
    """Reading only; full-text search also asks whether the file has changed."""
    allowed = action in _ALLOWED or (action == sqlite3.SQLITE_PRAGMA and name == "data_version")
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """The rows; ``cut`` says that there were more than asked for."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    cut: bool


def run_sql(store: Store, statement: str, *, limit: int = 1000, seconds: float = 30.0) -> SqlAnswer:
    """Run one SELECT. Raises QueryInvalid for anything else, for an error in it, and past the time limit."""
    ends = time.monotonic() + seconds
    connection = store.connection
    connection.set_progress_handler(lambda: time.monotonic() > ends, 100_000)
    # A virtual table declares its columns at its first use, which looks like a change of the schema.
    connection.execute("SELECT 1 FROM line_fts LIMIT 0")
    connection.set_authorizer(_authorized)
    try:
        cursor = connection.execute(statement)
        if cursor.description is None:
            raise QueryInvalid("that is no SELECT: only reading is allowed")
        rows = cursor.fetchmany(limit + 1)
    except (sqlite3.Error, sqlite3.Warning) as error:
        text = str(error)
        if "interrupted" in text:
            raise QueryInvalid(f"stopped after {seconds:g} s; narrow the query or raise --seconds") from error
        if "not authorized" in text or "prohibited" in text or "authorization denied" in text:
            raise QueryInvalid("only reading is allowed: one SELECT over the tables and views") from error
        raise QueryInvalid(f"the SQL cannot be run: {text}") from error
    finally:
        connection.set_progress_handler(None, 0)
        connection.set_authorizer(None)
    columns = tuple(str(column[0]) for column in cursor.description)
    return SqlAnswer(columns, tuple(tuple(row) for row in rows[:limit]), len(rows) > limit)
