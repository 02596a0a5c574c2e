"""``trialkb review export``, ``import``, ``to-gold`` and ``check``: reviews as files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from commands.output import EXIT_BAD_INPUT, CommandError, Output, atomic_write, output_options, to_json


def _lines(source: Any) -> Iterator[str]:
    """The lines of an open file. Raises CommandError where it is no text."""
    try:
        yield from source
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{getattr(source, 'name', 'stdin')} is not UTF-8 text (byte {error.start})"
        ) from error


def _write_rows(target: Path | None, rows: Sequence[dict[str, Any]]) -> None:
    text = "".join(to_json(row, indent=None) + "\n" for row in rows)
    if target is None:
        click.echo(text, nl=False)
        return
    with atomic_write(target) as handle:
        handle.write(text)


_out_option = click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file; default: stdout.",
)


@click.command("export")
@_out_option
@output_options
def review_export(target: Path | None, output: Output) -> None:
    """Write every review, taken-back ones too, as JSON Lines.

    Example: trialkb review export -o reviews.jsonl
    """
    from kb.review_files import export_rows
    from kb.store import Store

    with Store.open(output.db) as store:
        rows = list(export_rows(store.connection))
    _write_rows(target, rows)
    click.echo(f"{len(rows)} reviews", err=True)


@click.command("import")
@click.argument("source", type=click.File(encoding="utf-8"))
@output_options
def review_import(source: Any, output: Output) -> None:
    """Take reviews from a file that export wrote; all of them, or none where one is wrong.

    Example: trialkb review import reviews.jsonl
    """
    from kb.review_files import import_rows
    from kb.store import Store

    with Store.open(output.db, "write", purpose="trialkb review") as store, store.transaction() as connection:
        new, known = import_rows(connection, _lines(source), getattr(source, "name", "stdin"))
    output.emit({"new": new, "known": known}, f"{new} new, {known} there already.")


@click.command("to-gold")
@_out_option
@output_options
def review_to_gold(target: Path | None, output: Output) -> None:
    """Make a test case of every reviewed line; `trialkb review check` runs them.

    Example: trialkb review to-gold -o reviewed.jsonl
    """
    from kb.review import all_reviews
    from kb.review_files import gold_rows
    from kb.store import Store

    with Store.open(output.db) as store:
        rows = list(gold_rows(all_reviews(store.connection)))
    _write_rows(target, rows)
    click.echo(f"{len(rows)} test cases", err=True)


@click.command("check")
@click.argument("source", type=click.File(encoding="utf-8"))
def review_check(source: Any) -> None:
    """Run the test cases that to-gold wrote against today's reading; exit code 1 where one fails.

    Example: trialkb review check reviewed.jsonl
    """
    from kb.review_files import gold_failures, gold_rows_of
    from nlp import pipeline

    rows = gold_rows_of(_lines(source), getattr(source, "name", "stdin"))
    extract = pipeline.build().extract
    failed = 0
    for row in rows:
        problems = gold_failures(row, extract)
        failed += bool(problems)
        for problem in problems:
            click.echo(f"{row['doc_id']}: {problem}")
    click.echo(f"{len(rows)} test cases, {failed} failed")
    if failed:
        raise SystemExit(EXIT_BAD_INPUT)


FILE_COMMANDS: tuple[click.Command, ...] = (review_export, review_import, review_to_gold, review_check)
