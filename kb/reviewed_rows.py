"""The threshold rows as the reviewers decided, for questions that are asked in SQL.

The stored rows stay the machine's reading. Where reviewers decided on lines of current versions, the rows of
these versions are copied, with the decisions applied, into a temporary table of this connection, and
:func:`threshold_source` puts them in the place of the stored ones. Without reviews nothing is copied.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from kb.limits import Limit, load_limits
from kb.reviewed_limits import decided_versions, with_reviews
from kb.store import Store

_CHANGED = ("concept_id", "role", "kind", "comparator", "scale", "canonical_unit", "unit", "min_value", "min_inclusive",
            "max_value", "max_inclusive", "status", "turned", "alternative", "branch", "applies_if")  # fmt: skip


def threshold_source(store: Store) -> str:
    """What stands behind FROM for the thresholds of the current versions: the view, or with the reviewers'
    decisions in the place of what they decided on."""
    if not _prepared(store):
        return "current_threshold"
    return (
        "(SELECT * FROM current_threshold WHERE version_id NOT IN (SELECT version_id FROM temp.reviewed_version)"
        " UNION ALL SELECT * FROM temp.reviewed_threshold)"
    )


def _prepared(store: Store) -> bool:
    """Whether there are reviewed rows; they are made anew where reviews or content changed."""
    connection = store.connection
    stamp = str(
        connection.execute(
            "SELECT (SELECT group_concat(value) FROM (SELECT value FROM meta ORDER BY key)), count(*), max(id),"
            " count(undone_at) FROM review"
        ).fetchone()
    )
    held = store.held.get("reviewed_rows")
    if held is None or held[0] != stamp:
        current = [row[0] for row in connection.execute("SELECT id FROM current_version")]
        versions = decided_versions(connection, current)
        with _writable(connection):
            _copy(connection, versions)
        held = (stamp, bool(versions))
        store.held["reviewed_rows"] = held
    return bool(held[1])


@contextmanager
def _writable(connection: sqlite3.Connection) -> Iterator[None]:
    """Temporary tables may be made for a moment, on a connection that only reads."""
    (only_reading,) = connection.execute("PRAGMA query_only").fetchone()
    connection.execute("PRAGMA query_only = OFF")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA query_only = {only_reading}")


def _copy(connection: sqlite3.Connection, versions: list[int]) -> None:
    connection.execute("DROP TABLE IF EXISTS temp.reviewed_version")
    connection.execute("DROP TABLE IF EXISTS temp.reviewed_threshold")
    if not versions:
        return
    connection.execute("CREATE TEMP TABLE reviewed_version(version_id INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO temp.reviewed_version VALUES (?)", [(one,) for one in versions])
    connection.execute(
        "CREATE TEMP TABLE reviewed_threshold AS SELECT * FROM threshold"
        " WHERE version_id IN (SELECT version_id FROM temp.reviewed_version)"
    )
    keys = connection.execute(
        "SELECT id FROM temp.reviewed_threshold ORDER BY version_id, ordinal"
    ).fetchall()
    limits = with_reviews(connection, load_limits(connection, versions))
    sets = ", ".join(f"{name} = ?" for name in _CHANGED)
    for (key,), limit in zip(keys, limits, strict=True):
        if limit.evidence.review is not None:
            connection.execute(
                f"UPDATE temp.reviewed_threshold SET {sets} WHERE id = ?", (*_values(limit), key)
            )


def _values(limit: Limit) -> tuple[object, ...]:
    canonical = limit.unit if limit.scale == "absolute" else None
    return (
        limit.concept, limit.role, limit.kind, limit.comparator, limit.scale, canonical, limit.unit, limit.min_value,
        limit.min_inclusive, limit.max_value, limit.max_inclusive, limit.status, int(limit.turned),
        limit.alternative, limit.branch, limit.applies_if,
    )  # fmt: skip
