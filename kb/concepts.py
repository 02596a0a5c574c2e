"""Concepts as the knowledge base holds them: plain rows that the caller passes in.

The rows come from the vocabulary; this room may not read it (law 1), so the caller hands over
:class:`ConceptRow` objects and, where a question needs one, a :class:`UnitConverter`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol

from kb.errors import ConceptUnknown


@dataclass(frozen=True, slots=True)
class ConceptRow:
    """One measurable concept. ``canonical_unit`` is UCUM; the plausible range is in that unit.

    ``aliases`` are surface forms by which a query may name the concept; ``molar_mass`` is in g/mol.
    """

    id: str
    name: str
    category: str | None = None
    canonical_unit: str | None = None
    loinc: tuple[str, ...] = ()
    plausible_low: float | None = None
    plausible_high: float | None = None
    molar_mass: float | None = None
    aliases: tuple[str, ...] = ()


class UnitConverter(Protocol):
    """What this room needs of a unit table."""

    def convert(self, value: float, from_unit: str, to_unit: str, concept: str | None = None) -> float | None:
        """``value`` in ``to_unit`` (both UCUM), or None where no conversion is sure."""


def put_concepts(connection: sqlite3.Connection, rows: Iterable[ConceptRow]) -> None:
    """Insert or replace the vocabulary's concepts. A concept that thresholds use is never removed."""
    listed = list(rows)
    connection.executemany(
        "INSERT OR IGNORE INTO category(id) VALUES (?)",
        sorted({(row.category,) for row in listed if row.category}),
    )
    connection.executemany(
        "INSERT INTO concept(id, name, category_id, canonical_unit, loinc, plausible_low, plausible_high,"
        " molar_mass) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET name = excluded.name,"
        " category_id = excluded.category_id, canonical_unit = excluded.canonical_unit,"
        " loinc = excluded.loinc, plausible_low = excluded.plausible_low,"
        " plausible_high = excluded.plausible_high, molar_mass = excluded.molar_mass",
        [
            (
                row.id,
                row.name,
                row.category or None,
                row.canonical_unit,
                json.dumps(list(row.loinc)),
                row.plausible_low,
                row.plausible_high,
                row.molar_mass,
            )
            for row in listed
        ],
    )
    connection.executemany("DELETE FROM concept_alias WHERE concept_id = ?", [(row.id,) for row in listed])
    connection.executemany(
        "INSERT OR IGNORE INTO concept_alias(alias, concept_id) VALUES (?, ?)",
        [
            (alias.casefold(), row.id)
            for row in listed
            for alias in (row.id, row.id.replace("_", " "), row.name, *row.aliases)
        ],
    )


def load_concepts(connection: sqlite3.Connection) -> dict[str, ConceptRow]:
    """The stored concepts by id, without their aliases."""
    return {
        row[0]: ConceptRow(row[0], row[1], row[2], row[3], tuple(json.loads(row[4])), row[5], row[6], row[7])
        for row in connection.execute(
            "SELECT id, name, category_id, canonical_unit, loinc, plausible_low, plausible_high, molar_mass"
            " FROM concept ORDER BY id"
        )
    }


def resolve_concept(connection: sqlite3.Connection, words: str) -> str:
    """The id of the concept that ``words`` names: its id first, then its name, then an alias.

    Raises ConceptUnknown for no concept, and for words that several concepts share.
    """
    key = " ".join(words.split()).casefold()
    names = (key, key.replace(" ", "_"))
    row = connection.execute("SELECT id FROM concept WHERE id IN (?, ?)", names).fetchone()
    if row is None:  # an id with capitals in it
        row = connection.execute("SELECT id FROM concept WHERE lower(id) IN (?, ?)", names).fetchone()
    if row is None:
        row = connection.execute("SELECT id FROM concept WHERE lower(name) = ?", (key,)).fetchone()
    if row is not None:
        return str(row[0])
    found = [
        str(r[0])
        for r in connection.execute(
            "SELECT DISTINCT concept_id FROM concept_alias WHERE alias = ? ORDER BY 1", (key,)
        )
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConceptUnknown(f"{words!r} names several concepts: {', '.join(found)}; use one of these ids")
    near = _near(connection, key)
    hint = f"; near it: {', '.join(near)}" if near else ""
    raise ConceptUnknown(f"no concept is called {words!r}{hint} (see trialkb vocabulary)")


def _near(connection: sqlite3.Connection, key: str) -> list[str]:
    """Concepts one of whose names holds the words, or is spelled nearly so."""
    names: dict[str, str] = dict(
        connection.execute("SELECT alias, min(concept_id) FROM concept_alias GROUP BY 1")
    )
    holding = sorted({concept for alias, concept in names.items() if len(key) > 2 and key in alias})
    spelled = [names[alias] for alias in get_close_matches(key, list(names), n=5)]
    return list(dict.fromkeys([*spelled, *holding]))[:5]
