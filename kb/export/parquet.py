"""Every table of the knowledge base as a Parquet file, written by DuckDB (extra ``parquet``).

With a selection, tables that belong to trial versions hold the selected ones only; vocabulary and reviews are whole.
The full-text index is left out: it can be made from ``line``.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from kb.export.errors import MissingExtra
from kb.export.model import Context, Loss, TrialRecord, judge, unread_reasons
from kb.store import Store

_NULL = r"\N"
_TYPES = {"INTEGER": "BIGINT", "REAL": "DOUBLE", "TEXT": "VARCHAR", "BLOB": "VARCHAR"}
_VERSIONS = "SELECT value FROM json_each(?1)"
# How the tables without a version_id hang on the selected versions.
_BELONGS = {
    "trial_version": f"id IN ({_VERSIONS})",
    "trial": f"id IN (SELECT trial_id FROM trial_version WHERE id IN ({_VERSIONS}))",
    "trial_alias": f"trial_id IN (SELECT trial_id FROM trial_version WHERE id IN ({_VERSIONS}))",
    "line": f"id IN (SELECT line_id FROM criterion WHERE version_id IN ({_VERSIONS}))",
    "line_reading": f"id IN (SELECT reading_id FROM trial_criterion WHERE version_id IN ({_VERSIONS}))",
    **dict.fromkeys(
        ("line_threshold", "screen_literal", "screen_fact"),
        f"reading_id IN (SELECT reading_id FROM trial_criterion WHERE version_id IN ({_VERSIONS}))",
    ),
    "condition": f"id IN (SELECT condition_id FROM trial_condition WHERE version_id IN ({_VERSIONS}))",
    "intervention": f"id IN (SELECT intervention_id FROM trial_intervention WHERE version_id IN ({_VERSIONS}))",
    "sponsor": f"id IN (SELECT sponsor_id FROM trial_sponsor WHERE version_id IN ({_VERSIONS}))",
}


VIEWS = ("criteria_text", "criterion", "threshold")
"""Views that put a line's reading where it stands in a trial: what a reader of the files asks for."""


_COMPUTED_TEXTS = frozenset({"path", "item_id", "alternative", "text"})


def tables(store: Store) -> list[str]:
    """The tables that hold data, and :data:`VIEWS`: not SQLite's own, and not the full-text index with its
    shadow tables."""
    found = [
        row[0]
        for row in store.connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        )
    ]
    virtual = [
        row[0]
        for row in store.connection.execute(
            "SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%'"
        )
    ]
    hidden = tuple(f"{name}_" for name in virtual)
    held = [name for name in found if name not in virtual and not name.startswith(("sqlite_", *hidden))]
    return sorted([*held, *VIEWS])


def rows(store: Store, table: str, versions: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """The rows of a table that belong to these versions, in the order of its key."""
    names = [row[1] for row in store.connection.execute(f'PRAGMA table_info("{table}")')]
    keys = [row[1] for row in store.connection.execute(f'PRAGMA table_info("{table}")') if row[5]]
    keys = keys or [name for name in ("version_id", "ordinal") if name in names] or names
    where = _BELONGS.get(table) or (f"version_id IN ({_VERSIONS})" if "version_id" in names else "1 OR ?1")
    order = ", ".join(f'"{key}"' for key in keys)
    marks = "[" + ",".join(map(str, versions)) + "]"
    yield from store.connection.execute(f'SELECT * FROM "{table}" WHERE {where} ORDER BY {order}', (marks,))


def _duckdb() -> Any:
    try:
        return import_module("duckdb")
    except ImportError as error:
        raise MissingExtra("writing Parquet needs duckdb: pip install 'trialkb[parquet]'") from error


def _quoted(value: object) -> str:
    """A cell of the CSV that DuckDB reads; a BLOB as hexadecimal digits."""
    if value is None:
        return _NULL
    if isinstance(value, bytes):
        value = value.hex()
    return '"' + str(value).replace('"', '""') + '"'


class Parquet:
    """The Parquet format."""

    name = "parquet"
    version = "1.0"
    title = "every table as Parquet"
    reader = "DuckDB, pandas, R arrow, Spark"
    suffix = ""
    extra: str | None = "parquet"

    def write(self, store: Store, versions: Sequence[int], folder: Path, context: Context) -> list[str]:
        """One file a table, by way of one temporary CSV at a time."""
        engine = _duckdb().connect()
        engine.execute("SET threads = 1")  # one thread, one order: same rows, same bytes
        engine.execute("SET enable_progress_bar = false")  # the command has its own
        files = []
        with tempfile.TemporaryDirectory(prefix="trialkb-parquet-") as scratch:
            for table in tables(store):
                columns = _columns(store, table)
                source = Path(scratch) / f"{table}.csv"
                with source.open("w", encoding="utf-8", newline="") as file:
                    file.write(",".join(f'"{name}"' for name, _, _ in columns) + "\n")
                    for row in rows(store, table, versions):
                        file.write(",".join(map(_quoted, row)) + "\n")
                _to_parquet(engine, source, folder / f"{table}.parquet", columns)
                source.unlink()
                files.append(f"{table}.parquet")
        engine.close()
        return sorted(files)

    def state(self, store: Store, versions: Sequence[int]) -> str:
        """The digest of every row: tables hold more than the trials' records."""
        digest = hashlib.sha256()
        for table in tables(store):
            digest.update(f"{table}\n{_columns(store, table)}\n".encode())
            for row in rows(store, table, versions):
                digest.update((",".join(map(_quoted, row)) + "\n").encode())
        return digest.hexdigest()

    def losses(self, record: TrialRecord, context: Context) -> Iterable[Loss]:
        """Every criterion is whole: its expression stands in ``criterion.expression`` as JSON. What is unread in
        it is said."""
        text = record.trial.eligibility_text
        return [
            judge(record, each, "whole", *unread_reasons(text, each.expression)) for each in record.criteria
        ]

    def validate_folder(self, folder: Path) -> list[str]:
        """Files that DuckDB cannot read, and a criterion whose trial version is missing."""
        engine = _duckdb().connect()
        problems = []
        for path in sorted(folder.glob("*.parquet")):
            try:
                engine.execute(f"CREATE VIEW \"{path.stem}\" AS SELECT * FROM '{_literal(path)}'")
                engine.execute(f'SELECT count(*) FROM "{path.stem}"')
            except _duckdb().Error as error:
                problems.append(f"{path.name}: {str(error).splitlines()[0]}")
        if not problems:
            lost = engine.execute(
                "SELECT count(*) FROM criterion WHERE version_id NOT IN (SELECT id FROM trial_version)"
            ).fetchone()[0]
            problems += [f"{lost} criteria without their trial version"] if lost else []
        engine.close()
        return problems


def _columns(store: Store, table: str) -> list[tuple[str, str, str]]:
    """``(name, DuckDB type, SQLite type)`` of each column."""
    found = []
    for _, name, declared, *_ in store.connection.execute(f'PRAGMA table_info("{table}")'):
        if not declared:  # a computed column of a view
            declared = "TEXT" if name in _COMPUTED_TEXTS else "INTEGER"
        kind = re.match(r"[A-Z]*", declared.upper())
        sqlite_type = kind[0] if kind and kind[0] in _TYPES else "TEXT"
        found.append((name, _TYPES[sqlite_type], sqlite_type))
    return found


def _literal(path: Path) -> str:
    return str(path).replace("'", "''")


def _to_parquet(engine: Any, source: Path, target: Path, columns: list[tuple[str, str, str]]) -> None:
    types = ", ".join(f"'{name}': '{kind}'" for name, kind, _ in columns)
    chosen = ", ".join(
        f'from_hex("{name}") AS "{name}"' if sqlite_type == "BLOB" else f'"{name}"'
        for name, _, sqlite_type in columns
    )
    engine.execute(
        f"COPY (SELECT {chosen} FROM read_csv('{_literal(source)}', header = true, delim = ',', quote = '\"',"
        f" escape = '\"', nullstr = '{_NULL}', allow_quoted_nulls = false, auto_detect = false, parallel = false,"
        f" max_line_size = 16000000, buffer_size = 33000000, columns = {{{types}}}))"
        f" TO '{_literal(target)}' (FORMAT parquet, COMPRESSION zstd)"
    )
