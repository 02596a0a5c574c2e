"""A cohort as a table: one row a patient, read as a stream, asked in SQL.

Columns are named by what they hold: ``age`` (years), ``sex``, a concept (``plt``, ``platelets``), with
its unit in brackets where it is not the concept's canonical one (``hgb (g/dL)``), its laboratory limits
(``alt uln``, ``alt lln``, in the same unit), or a disease or treatment (yes or no). DuckDB reads CSV and
Parquet; without it, CSV is passed through SQLite in chunks. Both know SQL's own three-valued logic.
"""

from __future__ import annotations

import csv
import importlib
import math
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from kb.errors import BadQuestion
from kb.patient_formats import RESULT_WORDS, YES_NO, Catalogue

CHUNK = 20_000
_HEADER = re.compile(r"(?P<name>.*?)\s*(?:\((?P<unit>[^()]*(?:\([^()]*\))?[^()]*)\))?")
_IDS = frozenset({"patient", "id", "subject", "patient_id", "person_id"})


class CohortInvalid(BadQuestion):
    """A cohort file that cannot be read; names the column or the row."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``role`` is ``age``, ``sex``, ``value``, ``uln``, ``lln``, ``event`` or ``id``; ``key`` the
    concept's id or the event's name; ``unit`` UCUM (of a value). ``sql`` names its number, ``truth`` its
    yes-or-no (a result, or an event) in the cohort's table."""

    header: str
    role: str
    key: str
    unit: str | None
    sql: str
    truth: str


@dataclass(frozen=True, slots=True)
class Cohort:
    """An open cohort. ``run`` gives the rows of an aggregate query over the table ``cohort``, summed up
    by its leading ``keys`` columns; ``odd`` counts, by header, the cells that are neither a number, a
    result nor empty (they count as unknown)."""

    path: Path
    columns: tuple[Column, ...]
    run: Callable[[str, int], Mapping[tuple[Any, ...], list[int]]]
    odd: dict[str, int]

    def value(self, concept: str) -> Column | None:
        """The column that holds a concept's values."""
        return self.find("value", concept)

    def find(self, role: str, key: str = "") -> Column | None:
        """The column of a role, of this concept or event."""
        return next((one for one in self.columns if one.role == role and key in ("", one.key)), None)


def open_cohort(path: Path, catalogue: Catalogue, units: Mapping[str, str | None]) -> Cohort:
    """The cohort in a CSV or Parquet file. ``units`` gives each concept's canonical unit.

    Raises CohortInvalid for a file that is neither, or has no column that says anything.
    """
    suffix = path.suffix.casefold()
    if suffix not in (".csv", ".parquet"):
        raise CohortInvalid(f"{path}: a cohort is a .csv or .parquet file")
    duckdb = _duckdb()
    if suffix == ".parquet" and duckdb is None:
        raise CohortInvalid(
            f"{path}: reading Parquet needs DuckDB: pip install 'trialkb[parquet]', or give CSV"
        )
    odd: dict[str, int] = {}
    if duckdb is not None:
        source = (
            "read_parquet(?)" if suffix == ".parquet" else "read_csv(?, header = true, all_varchar = true)"
        )
        connection = duckdb.connect(
            ":memory:", config={"memory_limit": "256MB", "preserve_insertion_order": False}
        )
        try:
            headers = [
                row[0]
                for row in connection.execute(f"DESCRIBE SELECT * FROM {source}", [str(path)]).fetchall()
            ]
        except duckdb.Error as error:
            raise CohortInvalid(f"{path}: {str(error).splitlines()[0]}") from error
        columns = _columns(path, headers, catalogue, units)
        return Cohort(path, columns, _duck(duckdb, connection, source, path, columns, odd), odd)
    with path.open(encoding="utf-8-sig", newline="") as handle:
        headers = next(csv.reader(handle), [])
    columns = _columns(path, headers, catalogue, units)
    return Cohort(path, columns, _chunked(path, columns, odd), odd)


def _duckdb() -> Any:
    """The module, or None where the extra ``parquet`` is not installed."""
    try:
        return importlib.import_module("duckdb")
    except ImportError:
        return None


def _columns(
    path: Path, headers: Sequence[str], catalogue: Catalogue, units: Mapping[str, str | None]
) -> tuple[Column, ...]:
    found = [_column(header, f"x{place}", catalogue, units) for place, header in enumerate(headers)]
    if all(column.role == "id" for column in found):
        raise CohortInvalid(f"{path}: no column but ids; name columns age, sex, by concept or by disease")
    seen: dict[tuple[str, str], str] = {}
    for column in found:
        other = seen.setdefault((column.role, column.key), column.header)
        if other is not column.header and column.role != "id":
            raise CohortInvalid(
                f"{path}: columns {other!r} and {column.header!r} both hold {column.key or column.role}"
            )
    return tuple(found)


def _column(header: str, sql: str, catalogue: Catalogue, units: Mapping[str, str | None]) -> Column:
    match = _HEADER.fullmatch(header.strip())
    name, unit = (match["name"], match["unit"]) if match else (header.strip(), None)
    folded = name.casefold()
    truth = f"{sql}t"
    if folded in _IDS:
        return Column(header, "id", "", None, sql, truth)
    if folded in ("age", "sex"):
        return Column(header, folded, "", "a" if folded == "age" else None, sql, truth)
    for role in ("uln", "lln"):
        base = re.sub(rf"[\s_]+{role}$", "", name, flags=re.IGNORECASE)
        concept = catalogue.concept(base) if base != name else None
        if concept is not None:
            return Column(header, role, concept, None, sql, truth)
    concept = catalogue.concept(name)
    if concept is None:
        return Column(header, "event", name, None, sql, truth)
    written = catalogue.unit(unit) or unit if unit else units.get(concept)
    return Column(header, "value", concept, written, sql, truth)


def _words(answer: bool) -> list[str]:
    present = ("positive", "detectable")
    found = [word for word, result in RESULT_WORDS.items() if (result in present) == answer]
    return sorted({*found, *(word for word, yes in YES_NO.items() if yes == answer and not word.isdigit())})


def _duck(
    duckdb: Any, connection: Any, source: str, path: Path, columns: Sequence[Column], odd: dict[str, int]
) -> Callable[[str, int], Mapping[tuple[Any, ...], list[int]]]:
    yes, no = (", ".join(f"'{word}'" for word in _words(answer)) for answer in (True, False))
    parts, checks = [], []
    for column in columns:
        quoted = '"' + column.header.replace('"', '""') + '"'
        text = f"lower(trim(CAST({quoted} AS VARCHAR)))"
        number = f"TRY_CAST({quoted} AS DOUBLE)"
        if column.role == "sex":
            parts.append(f"{text} AS {column.sql}")
            continue
        if column.role == "id":
            continue
        bits = f"WHEN {number} = 1 THEN TRUE WHEN {number} = 0 THEN FALSE" if column.role == "event" else ""
        truth = f"CASE WHEN {text} IN ({yes}) THEN TRUE WHEN {text} IN ({no}) THEN FALSE {bits} END"
        finite = f"CASE WHEN isfinite({number}) THEN {number} END"
        parts.append(f"{finite} AS {column.sql}, {truth} AS {column.truth}")
        checks.append(
            (
                column.header,
                f"sum(CASE WHEN {text} <> '' AND {finite} IS NULL AND {truth} IS NULL THEN 1 ELSE 0 END)",
            )
        )
    connection.execute(
        f"CREATE VIEW cohort AS SELECT {', '.join(parts)} FROM {source.replace('?', _literal(str(path)))}"
    )

    def run(sql: str, keys: int) -> Mapping[tuple[Any, ...], list[int]]:
        try:
            return summed(sql, keys)
        except (duckdb.Error, UnicodeDecodeError) as error:
            raise CohortInvalid(f"{path}: {str(error).splitlines()[0]}") from error

    def summed(sql: str, keys: int) -> Mapping[tuple[Any, ...], list[int]]:
        if checks and not odd:
            counted = connection.execute(
                f"SELECT {', '.join(check for _, check in checks)} FROM {source.replace('?', _literal(str(path)))}"
            ).fetchone()
            odd.update({header: int(count or 0) for (header, _), count in zip(checks, counted, strict=True)})
        totals: dict[tuple[Any, ...], list[int]] = {}
        for row in connection.execute(sql).fetchall():
            totals[tuple(row[:keys])] = [int(value or 0) for value in row[keys:]]
        return totals

    return run


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _chunked(
    path: Path, columns: Sequence[Column], odd: dict[str, int]
) -> Callable[[str, int], Mapping[tuple[Any, ...], list[int]]]:
    truths = {word: answer for answer in (True, False) for word in _words(answer)}

    def cells(column: Column, text: str) -> tuple[Any, ...]:
        folded = text.strip().casefold()
        if column.role == "sex":
            return (folded,)
        try:
            number: float | None = float(folded)
        except ValueError:
            number = None
        if number is not None and not math.isfinite(number):
            number = None
        truth = truths.get(folded)
        if column.role == "event" and number in (0.0, 1.0):
            truth = bool(number)
        odd[column.header] = odd.get(column.header, 0) + (bool(folded) and number is None and truth is None)
        return number, truth

    def rows() -> Iterator[list[Any]]:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle)
            next(reader, None)
            for row in reader:
                if len(row) != len(columns):
                    if not row:
                        continue
                    raise CohortInvalid(
                        f"{path}: line {reader.line_num}: {len(row)} cells for {len(columns)} columns"
                    )
                made: list[Any] = []
                for column, text in zip(columns, row, strict=True):
                    if column.role != "id":
                        made.extend(cells(column, text))
                yield made

    def run(sql: str, keys: int) -> Mapping[tuple[Any, ...], list[int]]:
        odd.clear()
        names = [
            name
            for column in columns
            if column.role != "id"
            for name in ((column.sql,) if column.role == "sex" else (column.sql, column.truth))
        ]
        connection = sqlite3.connect(":memory:")
        try:
            connection.create_function(
                "floor", 1, lambda x: None if x is None else float(math.floor(x)), deterministic=True
            )
            connection.execute(f"CREATE TABLE cohort({', '.join(names)})")
            totals: dict[tuple[Any, ...], list[int]] = {}
            stream = rows()
            while chunk := list(islice(stream, CHUNK)):
                connection.executemany(f"INSERT INTO cohort VALUES ({', '.join('?' * len(names))})", chunk)
                for row in connection.execute(sql):
                    key, counts = tuple(row[:keys]), [int(value or 0) for value in row[keys:]]
                    before = totals.get(key)
                    totals[key] = (
                        counts if before is None else [a + b for a, b in zip(before, counts, strict=True)]
                    )
                connection.execute("DELETE FROM cohort")
            return totals
        finally:
            connection.close()

    return run
