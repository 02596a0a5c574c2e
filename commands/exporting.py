"""``trialkb export`` and ``trialkb schema``: the stored trials in the forms that other tools read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.output import CommandError, Output, Provenance, Table, output_options, progress, to_json

if TYPE_CHECKING:
    from kb.export.base import Format
    from kb.export.model import Options, TrialRecord
    from kb.export.summary import Summary
    from kb.store import Store
    from nlp.units import UnitTable


# More trials than any registry holds: `find` shows the first of them only, an export takes them all.
_ALL = 10_000_000


def _tool_version() -> str:
    try:
        return version("trialkb")
    except PackageNotFoundError:
        return "0"


def _list_formats(output: Output) -> None:
    from kb.export import base

    rows = []
    for name in base.names():
        made = base.load(name)
        one = "one file" if getattr(made, "joins", False) else "one file a trial"
        layout = one if hasattr(made, "joins") else "a folder"
        rows.append((name, made.title, made.reader, layout, made.version, made.extra or ""))
    columns = ("format", "what", "read by", "written as", "version", "extra")
    output.emit(
        [dict(zip(columns, row, strict=True)) for row in rows],
        Table(columns, rows, widths={"what": 40, "read by": 40}),
    )


def _split(values: Sequence[str]) -> list[str]:
    """``-t A,B -t C`` and ``-t @file`` as a list of ids."""
    found: list[str] = []
    for value in values:
        if value.startswith("@"):
            try:
                found.extend(Path(value[1:]).read_text("utf-8").split())
            except OSError as error:
                raise CommandError(f"cannot read the list of trials {value[1:]}: {error.strerror}") from error
        else:
            found.extend(part for part in value.replace(",", " ").split() if part)
    return found


def _selection(
    store: Store, output: Output, trials: Sequence[str], subject: str | None, query: str | None
) -> list[int]:
    """The versions to export. Without any selection: all stored trials."""
    from kb.export.source import select

    given = [
        name for name, value in (("--trials", trials), ("--subject", subject), ("--query", query)) if value
    ]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other.")
    if subject:
        return select(store, _subject_ids(store, output, subject))
    if query:
        from kb.find import find

        return select(store, [one.trial.trial for one in find(store, query, _units(), limit=_ALL).found])
    return select(store, _split(trials) if trials else None)


def _subject_ids(store: Store, output: Output, name: str) -> list[str]:
    """The trials of a saved subject that are stored here."""
    from harvest.archive import Archive
    from harvest.run_log import subject_ids

    with Archive.open(output.archive) as archive:
        found = set(subject_ids(archive, name))
    return [trial for _, trial in store.current_versions() if trial in found]


def _units() -> UnitTable:
    """The unit table, by which limits are said in the units that sites record."""
    from nlp import vocab

    return vocab.load().units


def _summary_tables(made: Format, summary: Summary) -> list[Table]:
    total = sum(summary.outcomes.values())
    head = ("trials", "written", "unchanged", "removed", "criteria", "whole", "degraded", "dropped")
    counts: list[object] = [summary.trials, summary.written, summary.unchanged, summary.removed, total]
    counts.extend(summary.outcomes[name] for name in ("whole", "degraded", "dropped"))
    tables = [Table(head, [counts], title=f"Exported as {made.name} to {summary.path}")]
    if summary.reasons:
        rows = [(reason, number) for reason, number in summary.reasons.most_common()]
        tables.append(Table(("reason", "criteria"), rows, title="Reasons in the loss report"))
    return tables


def _to_stdout(made: Format, records: Iterator[TrialRecord], context: Any) -> None:
    from kb.export.base import TrialFormat
    from kb.export.summary import Summary
    from kb.export.write import stream

    if not isinstance(made, TrialFormat) or not made.joins:
        raise click.UsageError(f"{made.name} cannot go to a pipe: name a file or a folder with -o.")
    summary = Summary(Path("-"))
    for text, losses in stream(made, records, context):
        click.echo(text, nl=False)
        summary.count(loss.to_json() for loss in losses)
    counts = ", ".join(f"{number} {name}" for name, number in summary.outcomes.items())
    click.echo(f"criteria: {counts}", err=True)


@click.command()
@click.option("-f", "--format", "name", default="jsonl", show_default=True, help="One of those --list shows.")
@click.option(
    "-t",
    "--trials",
    multiple=True,
    metavar="IDS",
    help="Trial ids, by comma or repeated; @FILE: a file of ids.",
)
@click.option("-s", "--subject", metavar="NAME", help="The trials of a saved subject.")
@click.option("-q", "--query", metavar="TEXT", help="The trials that `trialkb find TEXT` answers.")
@click.option(
    "-o", "--output", "target", default="-", show_default="stdout", metavar="PATH", help="File or folder."
)
@click.option("--missing", type=click.Choice(["exclude", "keep"]), default="exclude", show_default=True,
              help="circe: what a patient without the value counts as.")  # fmt: skip
@click.option("--lookback", type=click.IntRange(min=0), metavar="DAYS",
              help="circe: how old a value may be where the text sets no window.")  # fmt: skip
@click.option("--entry-concept", "entry", type=int, multiple=True, metavar="ID",
              help="circe: OMOP condition of the entry event; default: the latest visit.")  # fmt: skip
@click.option(
    "--tag", default="UC1", show_default=True, help="circe: label by which a screening list finds the cohort."
)
@click.option("--omop", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="circe: a site's own OMOP concept ids, in the form of kb/export/data/omop.jsonl.")  # fmt: skip
@click.option("--list", "listing", is_flag=True, help="Describe the formats.")
@output_options
def export(
    name: str,
    trials: tuple[str, ...],
    subject: str | None,
    query: str | None,
    target: str,
    missing: str,
    lookback: int | None,
    entry: tuple[int, ...],
    tag: str,
    omop: Path | None,
    listing: bool,
    output: Output,
) -> None:
    """Write trials in a form that another tool reads, with a report of what that form cannot hold.

    Beside the export stand its loss report (criterion by criterion), a manifest and the notices. Run again
    on the same target: only changed trials are written anew. Without a selection, all stored trials.

    Example: trialkb export --format circe --trials NCT06886919 -o cohorts/
    """
    if listing:
        _list_formats(output)
        return
    from kb.export import base
    from kb.export.model import Options

    made = base.load(name)
    options = Options(
        missing="keep" if missing == "keep" else "exclude",
        lookback_days=lookback,
        entry_concepts=entry,
        tag=tag,
        omop=_omop_rows(omop),
    )
    _run(made, options, (trials, subject, query), target, output)


def _omop_rows(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        return tuple(path.read_text("utf-8").split("\n"))
    except (OSError, UnicodeDecodeError) as error:
        why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise CommandError(f"cannot read {path}: {why}") from error


def _run(
    made: Format,
    options: Options,
    selection: tuple[Sequence[str], str | None, str | None],
    target: str,
    output: Output,
) -> None:
    from commands.patient_files import knowledge
    from kb.export import source
    from kb.export.write import export as write_export
    from kb.store import Store

    with ExitStack() as stack:
        store = stack.enter_context(Store.open(output.db))
        stack.enter_context(source.snapshot(store.connection))
        versions = _selection(store, output, *selection)
        members = knowledge().members
        context = source.context(store, versions, _units(), _tool_version(), options, members)
        records = source.records(store, versions)
        if target == "-":
            _to_stdout(made, records, context)
            return
        watched = stack.enter_context(progress(records, f"export {made.name}", len(versions)))
        summary = write_export(made, iter(watched), Path(target), context, source=(store, versions))
    tables = _summary_tables(made, summary)
    answer = {
        "format": made.name,
        "path": str(summary.path),
        "trials": summary.trials,
        "written": summary.written,
        "unchanged": summary.unchanged,
        "removed": summary.removed,
        "criteria": dict(summary.outcomes),
        "reasons": dict(summary.reasons.most_common()),
        "files": summary.files,
    }
    notes = ("Some trials in it are synthetic.",) if context.synthetic else ()
    provenance = Provenance(context.sources, context.data_timestamp, notes=notes)
    output.emit(answer, *tables, provenance=provenance)


@click.command()
def schema() -> None:
    """Print the JSON Schema of the canonical export (format jsonl).

    Example: trialkb schema > canonical.schema.json
    """
    from kb.export.canonical import schema as canonical_schema

    click.echo(to_json(canonical_schema(), indent=1))


COMMANDS: tuple[click.Command, ...] = (export, schema)
