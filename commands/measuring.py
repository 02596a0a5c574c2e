"""``trialkb quality``: how well the stored criteria were read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.output import Output, Provenance, Table, atomic_write, output_options

if TYPE_CHECKING:
    from kb.quality import Quality


def _figure(name: str, value: float) -> str:
    return f"{value:.1%}" if value <= 1 and name in _SHARES else f"{value:,.0f}"


_SHARES = frozenset(
    {"coverage", "whole", "unread_trials", "linked", "numeric_linked", "canonical", "reviewed"}
)


def _quality_tables(found: Quality) -> list[Table]:
    from kb.quality import LABELS

    earlier = found.trend[-3:]
    columns = ["figure", *(when[:10] for when, _ in earlier), "now"]
    rows = [
        [label, *(_figure(name, past[name]) if name in past else "" for _, past in earlier), _figure(name, found.figures[name])]
        for name, label in LABELS.items()
    ]  # fmt: skip
    tables = [Table(columns, rows, title=f"Reading quality{f' of {found.scope}' if found.scope else ''}")]
    for title, names, listed in (
        ("Flags", ("flag", "thresholds"), list(found.flags.items())),
        ("Why something was not read", ("reason", "demands"), list(found.unread.items())),
        (
            "Most frequent concepts outside the vocabulary",
            ("as written", "thresholds"),
            list(found.unknown_concepts),
        ),
        ("Contradictions, quarantined", ("trial", "threshold"), list(found.contradictions)),
        ("The text against the registry's age", ("trial", "registry", "text"), list(found.age_conflicts)),
    ):
        if listed:
            tables.append(Table(names, listed[:15], title=title, widths={"reason": 60, "as written": 60}))
    return tables


def _markdown(tables: Sequence[Table], output: Output) -> str:
    from tabulate import tabulate

    parts = [f"# Reading quality\n\nWritten by `trialkb quality` from {output.db.name}.\n"]
    for table in tables:
        cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in table.rows]
        body = tabulate(cells, headers=list(table.columns), tablefmt="github", disable_numparse=True)
        parts.append(f"## {table.title}\n\n{body}\n")
    return "\n".join(parts)


def _remember(output: Output, report: Quality) -> str:
    """Keep the figures for the trend; a knowledge base that cannot be written is no reason to fail."""
    from kb.errors import StoreError
    from kb.quality import remember
    from kb.store import Store

    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        with (
            Store.open(output.db, "write", purpose="trialkb quality") as store,
            store.transaction() as connection,
        ):
            return "" if remember(connection, report, now) else "Nothing has changed since the last report."
    except StoreError as error:
        return f"These figures were not kept for the trend: {error}"


@click.command()
@click.option("--subject", metavar="NAME", help="Only the trials of a saved subject.")
@click.option("--markdown", "page", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write the report as a Markdown page, too.")  # fmt: skip
@click.option("--no-record", is_flag=True, help="Do not keep the figures for the trend.")
@output_options
def quality(subject: str | None, page: Path | None, no_record: bool, output: Output) -> None:
    """Report how well the stored criteria were read: coverage, unread demands, flags, conflicts, and their trend.

    Example: trialkb quality --markdown reading-quality.md
    """
    from commands.patient_files import chosen_versions
    from kb.quality import quality as measure
    from kb.store import Store

    with Store.open(output.db) as store:
        versions = chosen_versions(store, output, (), subject) if subject else None
        found = measure(store.connection, versions, subject or "")
        sources = tuple(
            sorted({trial[0] for trial in store.connection.execute("SELECT DISTINCT source FROM trial")})
        )
        provenance = Provenance(sources, store.data_timestamp())
    tables = _quality_tables(found)
    if page is not None:
        with atomic_write(page) as handle:
            handle.write(_markdown(tables, output))
    note = "" if no_record else _remember(output, found)
    output.emit(asdict(found), *tables, note, provenance=provenance)


COMMANDS: tuple[click.Command, ...] = (quality,)
