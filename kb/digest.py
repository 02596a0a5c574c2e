"""The content digest: what the derived tables say, whatever the order in which it was written.

Row ids, fetch times and data time stamps are left out, so that two knowledge bases built from the
same archive with the same vocabulary have the same digest, in one go or after crashes.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kb.rows import LONG, THRESHOLD_COLUMNS, compact
from kb.store import SCHEMA_VERSION, Store

_VERSION_WORDS = (
    "version version_date current url vocabulary title official_title acronym brief_summary status study_type"
    " phases enrollment minimum_age maximum_age sex healthy_volunteers start_date completion_date first_posted"
    " last_update_posted countries arms unknown_tokens synthetic reconstruction record criteria_tail criteria_text"
)
_VERSION_COLUMNS = tuple(_VERSION_WORDS.split())
_LONG = frozenset({*LONG, "countries", "arms", "unknown_tokens", "criteria_tail", "criteria_text"})

_PARTS = (
    "SELECT l.relation, l.ordinal, n.name, n.mesh_id FROM trial_condition l JOIN condition n"
    " ON n.id = l.condition_id WHERE l.version_id = ? ORDER BY 1, 2",
    "SELECT l.relation, l.ordinal, n.type, n.name, n.mesh_id, l.description, l.other_names FROM trial_intervention l"
    " JOIN intervention n ON n.id = l.intervention_id WHERE l.version_id = ? ORDER BY 1, 2",
    "SELECT l.ordinal, s.name, l.role, l.sponsor_class FROM trial_sponsor l JOIN sponsor s ON s.id = l.sponsor_id"
    " WHERE l.version_id = ? ORDER BY 1",
    "SELECT kind, value, evidence FROM trial_topic WHERE version_id = ? ORDER BY 1, 2",
    "SELECT terms FROM term_vector WHERE version_id = ?",
    "SELECT k.ordinal, r.section, k.path, k.parent, r.heading, r.population, l.hash, l.text, k.start_char, r.length,"
    " k.first_item, k.names, k.before, r.expression, r.coverage, r.unread, r.open FROM trial_criterion k"
    " JOIN line_reading r ON r.id = k.reading_id LEFT JOIN line l ON l.id = r.line_id WHERE k.version_id = ? ORDER BY 1",
    "SELECT criterion_ordinal, "
    + ", ".join(THRESHOLD_COLUMNS)
    + " FROM threshold WHERE version_id = ? ORDER BY ordinal",
)


def content_digest(db: Store | sqlite3.Connection | Path | str) -> str:
    """The sha256, in hex, over the sorted derived rows.

    Takes an open store, a connection or a path. Raises what :meth:`kb.store.Store.open` raises.
    """
    if isinstance(db, Store):
        return _digest(db.connection)
    if isinstance(db, sqlite3.Connection):
        return _digest(db)
    with Store.open(db) as store:
        return _digest(store.connection)


def _digest(connection: sqlite3.Connection) -> str:
    total = hashlib.sha256()
    for row in _rows(connection):
        total.update(repr(row).encode())
        total.update(b"\n")
    return total.hexdigest()


def _rows(connection: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    yield ("schema", SCHEMA_VERSION)
    yield from connection.execute("SELECT key, value FROM meta WHERE key = 'vocabulary'")
    yield from connection.execute(
        "SELECT id, name, category_id, canonical_unit, loinc, plausible_low, plausible_high, molar_mass"
        " FROM concept ORDER BY id"
    )
    yield from connection.execute("SELECT alias, concept_id FROM concept_alias ORDER BY 1, 2")
    columns = ", ".join(f"{'d' if name in _LONG else 'v'}.{name}" for name in _VERSION_COLUMNS)
    versions = connection.execute(
        f"SELECT v.id, t.id, t.source, t.source_id, t.preferred, v.criteria_sha256, {columns} FROM main.trial_version v"
        " JOIN trial t ON t.id = v.trial_id JOIN trial_detail d ON d.version_id = v.id"
        " ORDER BY t.source_id, t.source, v.version"
    )
    for version_id, trial_id, *stated in versions:
        yield tuple(stated)
        aliases = connection.execute(
            "SELECT alias FROM trial_alias WHERE trial_id = ? ORDER BY 1", (trial_id,)
        )
        yield ("aliases", compact([row[0] for row in aliases]))
        for sql in _PARTS:
            yield from connection.execute(sql, (version_id,))
