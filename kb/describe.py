"""What stands where in the knowledge base, for those who write SQL: read from the file itself.

SQLite keeps each CREATE statement as it was written, comments too: the words behind a table's or a column's
name in ``schema.sql`` are its explanation here, so that the two cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sqlite_utils import Database
from sqlite_utils.db import Table, View

from kb.errors import QueryInvalid
from kb.store import Store

_FIRST_COMMENT = re.compile(r"^CREATE\s+(?:TEMP\s+)?(?:TABLE|VIEW)[^\n]*?--\s*([^\n]+)", re.IGNORECASE)
_INTERNAL = re.compile(r"^(sqlite_|line_fts_)")


@dataclass(frozen=True, slots=True)
class Described:
    """A table or view: its columns' names, and what it holds ("" where the schema says nothing)."""

    name: str
    kind: str
    columns: tuple[str, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """A column; ``refers_to`` is "table.column", or "" ."""

    name: str
    type: str
    refers_to: str
    meaning: str


def describe(store: Store) -> list[Described]:
    """Every table and view that a SELECT may name, the views first."""
    found = [_described(one) for one in _all(store)]
    return sorted(found, key=lambda one: (one.kind != "view", one.name))


def describe_columns(store: Store, name: str) -> list[DescribedColumn]:
    """The columns of one table or view. Raises QueryInvalid for a name that is none."""
    wanted = {one.name.lower(): one for one in _all(store)}.get(name.strip().lower())
    if wanted is None:
        raise QueryInvalid(f"{name!r} is no table or view; `trialkb sql --describe` lists them")
    # a view's columns mean what they mean in the tables that it reads
    read = [one for one in _all(store) if re.search(rf"\b(?:FROM|JOIN) {one.name}\b", wanted.schema)]
    meanings: dict[str, str] = {}
    refers: dict[str, str] = {}
    for each in (*(read if isinstance(wanted, View) else ()), wanted):
        meanings |= _meanings(each.schema)
        if isinstance(each, Table):
            refers |= {str(key.column): f"{key.other_table}.{key.other_column}" for key in each.foreign_keys}
    return [
        DescribedColumn(one.name, one.type, refers.get(one.name, ""), meanings.get(one.name, ""))
        for one in wanted.columns
    ]


def _meanings(schema: str) -> dict[str, str]:
    """The words behind a table's columns, and behind the "AS name" of a view's."""
    return dict(re.findall(r"^\s+(?:AS )?(\w+)[\s,][^\n]*?--\s*([^\n]+)$", schema, re.MULTILINE))


def _all(store: Store) -> Iterable[Table | View]:
    database = Database(store.connection, execute_plugins=False)
    every: list[Table | View] = [*database.tables, *database.views]
    return [one for one in every if not _INTERNAL.match(one.name)]  # full-text search keeps tables of its own


def _described(one: Table | View) -> Described:
    comment = _FIRST_COMMENT.match(one.schema)
    return Described(
        one.name,
        "view" if isinstance(one, View) else "table",
        tuple(column.name for column in one.columns),
        comment[1].strip() if comment else "",
    )
