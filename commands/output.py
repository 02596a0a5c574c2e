"""What all commands share: options, tables, source and notices under an answer, errors to exit codes.

A command that answers a question looks like this::

    @click.command()
    @click.argument("nct_id", type=as_nct_id)
    @output_options
    def show(nct_id: str, output: Output) -> None:
        rows = ...
        output.emit({"rows": rows}, Table(["concept", "limit"], rows), provenance=Provenance(...))

``output.emit`` prints the tables and texts for people, the first table with ``--csv``, or the data with
``--json``; each time with the source, the time of the data and every synthetic trial in the answer.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
import os
import re
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

import click
from platformdirs import user_data_path
from tabulate import tabulate

R = TypeVar("R")
T = TypeVar("T")

EXIT_BAD_INPUT = 1
EXIT_USAGE = 2
EXIT_REGISTRY = 3
EXIT_DATABASE = 4
EXIT_INCOMPLETE = 5
EXIT_CHANGES = 10
EXIT_INTERRUPTED = 130

# Ids from NCT99000001 on are given to this project's invented trials only: the registry is far from them.
_SYNTHETIC_PATTERN = re.compile(r"\bNCT99\d{6}\b")

# Column names are broken into lines of at most so many characters.
HEADER_WIDTH = 12

# Tables for people are fitted into so many columns where standard output is no terminal.
TABLE_WIDTH = 100
_GAP = 2  # between two columns, and what tabulate leaves behind a column's name
_LONGEST_WORD = 24  # a longer one may be broken

# What the sources are called in an answer for people.
SOURCE_NAMES = {"ctgov": "ClinicalTrials.gov", "clinconnect": "ClinConnect", "files": "files"}

NOT_A_MEDICAL_DEVICE = "Not a medical device: check every answer against the registry's own text."


class CommandError(Exception):
    """Bad input or nothing found, in one line that says what, where and what to do.

    ``exit_code`` is one of the ``EXIT_`` constants (default :data:`EXIT_BAD_INPUT`).
    """

    def __init__(self, message: str, exit_code: int = EXIT_BAD_INPUT) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def as_nct_id(value: str) -> str:
    """A ClinicalTrials.gov id in capitals: ``type=as_nct_id`` of a click argument or option.

    Checked before it can reach a URL, a path or a query. Raises harvest.errors.InvalidTrialId.
    """
    # Imported here: --help needs no room.
    from harvest.trial_id import nct_id

    return nct_id(value)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an answer comes from: registries, UTC time of their data (as they say it), more notes.

    ``synthetic`` names trials in the answer that are invented; ids from NCT99000001 on are found by
    themselves.
    """

    sources: tuple[str, ...] = ()
    data_timestamp: str | None = None
    synthetic: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column names. A float is printed without needless digits, None as nothing.

    ``widths`` breaks the named columns into lines of so many characters, for people only.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""
    widths: Mapping[str, int] = field(default_factory=dict)


def number(value: object) -> str:
    """A value as text: 50.0 -> "50", None -> "", True -> "yes"; anything else by ``str``."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return format(value, ".12g")
    return str(value)


def synthetic_ids(text: str, known: Iterable[str] = ()) -> list[str]:
    """The invented trials named in a text: ids from NCT99000001 on, and ``known`` ones; sorted."""
    return sorted(set(_SYNTHETIC_PATTERN.findall(text)) | set(known))


def _plain(value: object) -> object:
    """The JSON form of what json does not know by itself."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")


def to_json(data: object, *, indent: int | None = 2) -> str:
    """``data`` (dataclasses, paths and sets too) as JSON text, not escaped to ASCII."""
    return json.dumps(data, ensure_ascii=False, indent=indent, default=_plain)


@dataclass(frozen=True, slots=True)
class Output:
    """The knowledge base that a command works on, and the form in which it answers."""

    db: Path
    form: Literal["table", "json", "csv"] = "table"

    @property
    def archive(self) -> Path:
        """The raw archive that belongs to the knowledge base, beside it."""
        return archive_path(self.db)

    @property
    def for_people(self) -> bool:
        """Whether the answer is a table for people, so that remarks may stand around it."""
        return self.form == "table"

    def emit(self, data: object, *parts: Table | str, provenance: Provenance | None = None) -> None:
        """Print an answer: ``parts`` for people, the first table with --csv, ``data`` with --json.

        With --json: ``{"answer": data, "provenance": {...}}``. With --csv, notices go to stderr and a
        column ``synthetic`` is added where a row names an invented trial.
        """
        provenance = provenance or Provenance()
        if self.form == "json":
            click.echo(_json_answer(data, provenance))
        elif self.form == "csv":
            text = _csv_answer(next((part for part in parts if isinstance(part, Table)), None), provenance)
            click.echo(text, nl=False)
            _notices(text, provenance, err=True)
        else:
            text = "\n\n".join(_table_text(part, provenance) for part in parts if part != "")
            click.echo(text)
            _notices(text, provenance, err=False)


def _json_answer(data: object, provenance: Provenance) -> str:
    body = to_json(data)
    return to_json(
        {
            "answer": json.loads(body),
            "provenance": {
                "sources": list(provenance.sources),
                "data_timestamp": provenance.data_timestamp,
                "synthetic_trials": synthetic_ids(body, provenance.synthetic),
                "notes": [*provenance.notes, NOT_A_MEDICAL_DEVICE],
            },
        }
    )


def _marked(value: object, provenance: Provenance) -> str:
    """A cell as text; an id of an invented trial says so."""
    text = number(value)
    is_invented = _SYNTHETIC_PATTERN.fullmatch(text) or text in provenance.synthetic
    return f"{text} (synthetic)" if is_invented else text


def _csv_answer(table: Table | None, provenance: Provenance) -> str:
    if table is None:
        raise CommandError("this answer has no table: use --json")
    rows = [[number(cell) for cell in row] for row in table.rows]
    invented = [bool(synthetic_ids(" ".join(row)) or set(row) & set(provenance.synthetic)) for row in rows]
    columns = [_marked(column, provenance) for column in table.columns]
    if any(invented):
        columns.append("synthetic")
        for row, is_invented in zip(rows, invented, strict=True):
            row.append("yes" if is_invented else "no")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()


def table_width() -> int:
    """How wide a table for people may be: the terminal's columns, or :data:`TABLE_WIDTH` without one."""
    if sys.stdout.isatty():
        return max(60, shutil.get_terminal_size((TABLE_WIDTH, 24)).columns)
    return TABLE_WIDTH


def _fitted(
    heads: Sequence[str], rows: Sequence[Sequence[str]], most: Sequence[int | None], total: int
) -> list[int | None]:
    """The width into which each column is broken, so that the table fits into ``total``; None: as it is.

    The widest give way first, but no column is narrower than its longest word (up to
    :data:`_LONGEST_WORD`). ``most`` bounds single columns.
    """
    natural, widths, floors = [], [], []
    for head, column, bound in zip(heads, zip(*rows, strict=True), most, strict=True):
        lines = [line for cell in column for line in cell.split("\n")]
        named = max(map(len, head.split("\n"))) + _GAP
        natural.append(max(map(len, lines)))
        widths.append(max(natural[-1] if bound is None else min(natural[-1], bound), named))
        words = [word for line in lines for word in line.split()]
        floors.append(max(min(max(map(len, words), default=1), _LONGEST_WORD, widths[-1]), named))
    room = total - _GAP * (len(widths) - 1)
    cap = max(widths)
    while sum(widths) > room and cap > 1:
        cap -= 1
        widths = [min(width, max(cap, floor)) for width, floor in zip(widths, floors, strict=True)]
    return [None if width >= wanted else width for width, wanted in zip(widths, natural, strict=True)]


def _table_text(part: Table | str, provenance: Provenance) -> str:
    if isinstance(part, str):
        return part

    columns = [_marked(column, provenance) for column in part.columns]
    rows = [[_marked(value, provenance) for value in row] for row in part.rows]
    # Long names of narrow columns break, so that a table stays as wide as its content.
    heads = [
        "\n".join(line for named in column.split("\n") for line in textwrap.wrap(named, HEADER_WIDTH))
        for column in columns
    ]
    most = [part.widths.get(column) for column in part.columns]
    widths = _fitted(heads, rows, most, table_width()) if rows else None
    text = tabulate(
        rows,
        headers=heads if rows else columns,
        tablefmt="simple",
        disable_numparse=True,
        maxcolwidths=widths,
    )
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return f"{part.title}\n\n{text}" if part.title else text


def _notices(text: str, provenance: Provenance, *, err: bool) -> None:
    lines = []
    invented = synthetic_ids(text, provenance.synthetic)
    if invented:
        lines.append(f"Synthetic trials, invented for this project's fixtures: {', '.join(invented)}.")
    if provenance.sources:
        when = f", data of {provenance.data_timestamp}" if provenance.data_timestamp else ""
        lines.append(
            f"Source: {', '.join(SOURCE_NAMES.get(name, name) for name in provenance.sources)}{when}."
        )
    lines.extend(provenance.notes)
    if provenance.sources:
        lines.append(NOT_A_MEDICAL_DEVICE)
    if lines:
        click.echo(("" if err else "\n") + "\n".join(lines), err=err)


# ------------------------------------------------------------------- options


def default_db() -> Path:
    """The knowledge base in the user's data folder, where no --db and no TRIALKB_DB names another."""
    return user_data_path("trialkb", appauthor=False) / "trialkb.db"


def archive_path(db: Path) -> Path:
    """``<db without suffix>.archive.sqlite``: the raw archive of a knowledge base, beside it."""
    return db.with_name(f"{db.stem}.archive.sqlite")


def db_option(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command ``--db PATH``, handed over as ``db: Path``."""
    return click.option(
        "--db",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="TRIALKB_DB",
        default=default_db,
        show_default="trialkb.db in the user's data folder",
        show_envvar=True,
        help="The knowledge base; its raw archive lies beside it.",
    )(command)


def output_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command ``--db``, ``--json`` and ``--csv``, handed over as ``output: Output``."""

    @functools.wraps(command)
    def wrapped(*args: Any, db: Path, as_json: bool, as_csv: bool, **kwargs: Any) -> R:
        if as_json and as_csv:
            raise click.UsageError("--json and --csv exclude each other.")
        form: Literal["table", "json", "csv"] = "json" if as_json else "csv" if as_csv else "table"
        return command(*args, output=Output(db, form), **kwargs)

    with_csv = click.option("--csv", "as_csv", is_flag=True, help="Answer as CSV.")(wrapped)
    return db_option(click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")(with_csv))


@contextmanager
def progress(items: Iterable[T], label: str, length: int | None = None) -> Iterator[Iterable[T]]:
    """The items behind a progress bar on stderr; silent where stderr is no terminal."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(items, label=label, length=length, file=sys.stderr, hidden=hidden) as bar:
        yield bar


# --------------------------------------------------------------------- files


@contextmanager
def atomic_write(path: Path, *, binary: bool = False) -> Iterator[IO[Any]]:
    """A file that replaces ``path`` when the block ends well, and leaves it as it was otherwise.

    Text is UTF-8 with "\\n" line ends. Raises CommandError where the folder is missing or not writable.
    """
    # click's own atomic file replaces the target even when the block failed, hence this one.
    try:
        handle = tempfile.NamedTemporaryFile(  # noqa: SIM115 - closed below, before the replace
            mode="wb" if binary else "w",
            encoding=None if binary else "utf-8",
            newline=None if binary else "\n",
            dir=path.parent,
            prefix=f".{path.name}.",
            suffix=".part",
            delete=False,
        )
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror or error}") from error
    part = Path(handle.name)
    try:
        with handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        # A temporary file is private (0600); the result is as open as the user's umask allows.
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
