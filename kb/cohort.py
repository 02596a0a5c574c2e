"""A cohort as a table: one row a patient, read as a stream of columns.

Columns are named by what they hold: ``age`` (years), ``sex``, a concept (``plt``, ``platelets``), with
its unit in brackets where it is not the concept's canonical one (``hgb (g/dL)``), what belongs to its
value (``alt uln``, ``alt lln``, ``plt date``; numbers in the same unit), an arm or cohort (``population
Arm A``), or a disease or treatment (yes or no; ``asthma date``, ``asthma end``). DuckDB reads Parquet.
"""

from __future__ import annotations

import csv
import importlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from kb.errors import BadQuestion
from kb.patient_formats import Catalogue

CHUNK = 20_000
REFERENCES = ("uln", "lln", "lod", "baseline", "predicted", "date")
"""What may stand beside a value, as in a patient's CSV."""
_HEADER = re.compile(r"(?P<name>.*?)\s*(?:\((?P<unit>[^()]*(?:\([^()]*\))?[^()]*)\))?")
_IDS = frozenset({"patient", "id", "subject", "patient_id", "person_id"})
_OF = re.compile(rf"(?P<base>.+?)[\s_]+(?P<role>{'|'.join((*REFERENCES, 'end'))})", re.IGNORECASE)

Chunk = list[tuple[str, ...]]
"""Some rows, turned: for each column of the cohort its cells."""


class CohortInvalid(BadQuestion):
    """A cohort file that cannot be read; names the column or the row."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``role`` is ``age``, ``sex``, ``as_of``, ``value``, one of :data:`REFERENCES`, ``event``,
    ``start`` or ``end`` (of an event), ``population`` or ``id``; ``key`` the concept's id, or the event's or
    population's name; ``unit`` UCUM (of a value)."""

    header: str
    role: str
    key: str
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Cohort:
    """An open cohort. ``chunks`` reads it from the beginning; it raises CohortInvalid for a faulty row."""

    path: Path
    columns: tuple[Column, ...]
    chunks: Callable[[], Iterator[Chunk]]

    def places(self, *roles: str, key: str | None = None) -> tuple[int, ...]:
        """The places of the columns of these roles, of this concept or name where given."""
        return tuple(
            place
            for place, column in enumerate(self.columns)
            if column.role in roles and key in (None, column.key)
        )


def open_cohort(path: Path, catalogue: Catalogue, units: Mapping[str, str | None]) -> Cohort:
    """The cohort in a CSV or Parquet file. ``units`` gives each concept's canonical unit.

    Raises CohortInvalid for a file that is neither, or has no column that says anything.
    """
    suffix = path.suffix.casefold()
    if suffix == ".csv":
        headers, chunks = _csv(path)
    elif suffix == ".parquet":
        headers, chunks = _parquet(path)
    else:
        raise CohortInvalid(f"{path}: a cohort is a .csv or .parquet file")
    return Cohort(path, _columns(path, headers, catalogue, units), chunks)


# --------------------------------------------------------------------- columns


def _columns(
    path: Path, headers: Sequence[str], catalogue: Catalogue, units: Mapping[str, str | None]
) -> tuple[Column, ...]:
    names = {header.strip().casefold() for header in headers}
    found = [_column(header, names, catalogue, units) for header in headers]
    if all(column.role == "id" for column in found):
        raise CohortInvalid(f"{path}: no column but ids; name columns age, sex, by concept or by disease")
    seen: dict[tuple[str, str], int] = {}
    for place, column in enumerate(found):
        other = seen.setdefault((column.role, column.key.casefold()), place)
        if other != place and column.role != "id":
            raise CohortInvalid(
                f"{path}: columns {headers[other]!r} and {column.header!r} both hold {column.key or column.role}"
            )
    return tuple(found)


def _column(header: str, names: set[str], catalogue: Catalogue, units: Mapping[str, str | None]) -> Column:
    match = _HEADER.fullmatch(header.strip())
    name, unit = (match["name"], match["unit"]) if match else (header.strip(), None)
    folded = name.casefold()
    if folded in _IDS:
        return Column(header, "id", "")
    if folded in ("age", "sex", "as_of"):
        return Column(header, folded, "")
    if folded.startswith("population "):
        return Column(header, "population", name[len("population ") :].strip())
    concept = catalogue.concept(name)
    if concept is not None:
        written = catalogue.unit(unit) or unit if unit else units.get(concept)
        return Column(header, "value", concept, written)
    return _belonging(header, name, names, catalogue) or Column(header, "event", name)


def _belonging(header: str, name: str, names: set[str], catalogue: Catalogue) -> Column | None:
    """A column that belongs to another ("alt uln", "asthma date"); None for one of its own."""
    match = _OF.fullmatch(name)
    if match is None:
        return None
    base, role = match["base"], match["role"].casefold()
    concept = catalogue.concept(base)
    if concept is not None and role in REFERENCES:
        return Column(header, role, concept)
    if base.casefold() in names and role in ("date", "end"):
        return Column(header, "start" if role == "date" else "end", base)
    return None


# ----------------------------------------------------------------------- files


def _csv(path: Path) -> tuple[list[str], Callable[[], Iterator[Chunk]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            first = handle.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise CohortInvalid(f"{path}: {_fault(error)}") from error
    # A spreadsheet of a country with a decimal comma parts cells by semicolons.
    delimiter = next((sign for sign in (",", ";", "\t") if sign in first), ",")

    def chunks() -> Iterator[Chunk]:
        stream = _rows(path, path, delimiter)
        next(stream)
        while chunk := list(islice(stream, CHUNK)):
            yield list(zip(*chunk, strict=True))

    return next(_rows(path, path, delimiter)), chunks


def _rows(file: Path, path: Path, delimiter: str) -> Iterator[list[str]]:
    """The header and the rows of a CSV file; ``path`` is what the user gave."""
    with file.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.reader(handle, delimiter=delimiter)
        try:
            header = next(reader, [])
            yield header
            for row in reader:
                if len(row) == len(header):
                    yield row
                elif row:
                    raise CohortInvalid(
                        f"{path}: line {reader.line_num}: {len(row)} cells for {len(header)} columns"
                    )
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise CohortInvalid(f"{path}: after line {reader.line_num}: {_fault(error)}") from error


def _fault(error: Exception) -> str:
    return "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error).splitlines()[0]


def _duckdb() -> Any:
    """The module, or None where the extra ``parquet`` is not installed."""
    try:
        return importlib.import_module("duckdb")
    except ImportError:
        return None


def _parquet(path: Path) -> tuple[list[str], Callable[[], Iterator[Chunk]]]:
    duckdb = _duckdb()
    if duckdb is None:
        raise CohortInvalid(
            f"{path}: reading Parquet needs DuckDB: pip install 'trialkb[parquet]', or give CSV"
        )
    source = "read_parquet('" + str(path).replace("'", "''") + "')"

    def asked(sql: str) -> Any:
        settings = {"memory_limit": "128MB", "threads": 1}
        try:
            connection = duckdb.connect(":memory:", config=settings)
            connection.execute("SET enable_progress_bar = false")
            return connection.execute(sql).fetchall()
        except duckdb.Error as error:
            raise CohortInvalid(f"{path}: {str(error).splitlines()[0]}") from error

    headers = [str(row[0]) for row in asked(f"DESCRIBE SELECT * FROM {source}")]
    quoted = ['"' + header.replace('"', '""') + '"' for header in headers]
    cells = ", ".join(f"coalesce(CAST({name} AS VARCHAR), '') AS {name}" for name in quoted)

    def chunks() -> Iterator[Chunk]:
        # DuckDB's own results stand in memory as a whole: a file between keeps it bounded.
        with tempfile.TemporaryDirectory(prefix="trialkb-cohort-") as folder:
            between = Path(folder) / "cohort.csv"
            literal = str(between).replace("'", "''")
            asked(f"COPY (SELECT {cells} FROM {source}) TO '{literal}' (FORMAT csv, HEADER, FORCE_QUOTE *)")
            stream = _rows(between, path, ",")
            next(stream)
            while chunk := list(islice(stream, CHUNK)):
                yield list(zip(*chunk, strict=True))

    return headers, chunks
