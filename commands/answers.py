"""``trialkb show``, ``comparable``, ``compare``: what is stored, as answers for people and programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from commands import answer_views as views
from commands import comparison_views
from commands.output import CommandError, Output, Table, as_nct_id, output_options

if TYPE_CHECKING:
    from kb.comparable import Subject
    from kb.store import Store

as_of_option = click.option(
    "--as-of",
    metavar="DATE",
    help="The registry's state of that day (YYYY-MM-DD), read with today's vocabulary.",
)


@click.command()
@click.argument("trial_id", type=as_nct_id)
@click.option("--source", help="The state one source gives, e.g. clinconnect.")
@as_of_option
@output_options
def show(trial_id: str, source: str | None, as_of: str | None, output: Output) -> None:
    """Print a trial's criteria as they were read: thresholds marked in the text, evidence, what was not read.

    Example: trialkb show NCT06886919
    """
    from kb.show import show as read

    with views.open_store(output, as_of) as store:
        shown = read(store, trial_id, source)
    data = {
        "trial": asdict(shown.line),
        "record": {key: value for key, value in asdict(shown.trial).items() if key != "eligibility_text"},
        "vocabulary": shown.vocabulary,
        "criteria": [
            asdict(one) | {"limits": [views.limit_json(limit) for limit in one.limits]}
            for one in shown.criteria
        ],
        "outside_criteria": [views.limit_json(limit) for limit in shown.loose],
        "conflicts": [asdict(one) for one in shown.conflicts],
        "unread": shown.unread,
    }
    parts: tuple[Table | str, ...] = (views.show_text(shown),)
    if output.form == "csv":
        parts = (views.show_table(shown),)
    output.emit(data, *parts, provenance=views.provenance_of([shown.line], views.as_of_note(as_of)))


def _draft(
    store: Store, path: Path, title: str | None, cond: tuple[str, ...], intr: tuple[str, ...]
) -> Subject:
    """A protocol draft that is in no registry, as the subject of a comparison."""
    from commands.knowledge_feed import the_reading
    from kb.draft import draft_subject

    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not UTF-8 text (byte {error.start}): save it as plain text") from error
    if not text.strip():
        raise CommandError(f"{path} is empty: it should hold a draft's eligibility criteria")
    return draft_subject(store, text, the_reading(), title=title, conditions=cond, interventions=intr)


@click.command()
@click.argument("trial_id", type=as_nct_id, required=False)
@click.option("--text", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
              help="A draft's criteria, in place of a stored trial.")  # fmt: skip
@click.option("--title", help="With --text: the draft's title.")
@click.option("--cond", multiple=True, help="With --text: a condition; repeat for several.")
@click.option("--intr", multiple=True, help="With --text: an intervention; repeat for several.")
@click.option(
    "-n", "--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many trials."
)
@click.option("--sort", "order", type=click.Choice(["topic", "thresholds"]), default="topic", show_default=True,
              help="By topic, or the trials of one topic by their thresholds.")  # fmt: skip
@click.option("--one-table", is_flag=True, help="Only trials near enough in condition and intervention.")
@click.option(
    "--why", default=3, show_default=True, type=click.IntRange(min=0), help="Explain so many of them."
)
@click.option(
    "--rows", default=12, show_default=True, type=click.IntRange(min=1), help="Thresholds shown of each."
)
@as_of_option
@output_options
def comparable(
    trial_id: str | None,
    text: Path | None,
    title: str | None,
    cond: tuple[str, ...],
    intr: tuple[str, ...],
    limit: int,
    order: Literal["topic", "thresholds"],
    one_table: bool,
    why: int,
    rows: int,
    as_of: str | None,
    output: Output,
) -> None:
    """Rank the trials that are comparable to one, and say why, in rows that can be checked.

    Found by topic (condition, intervention, words, criterion concepts), then compared threshold by
    threshold; the two are not mixed into one number.

    Example: trialkb comparable NCT06886919 --limit 10
    """
    from kb.comparable import comparable as rank
    from kb.comparable import stored_subject

    if (trial_id is None) == (text is None):
        raise click.UsageError("give either a trial id or --text FILE.")
    with views.open_store(output, as_of) as store:
        if text is not None:
            subject = _draft(store, text, title, cond, intr)
        else:
            assert trial_id is not None
            subject = stored_subject(store, trial_id)
        matches = rank(store, subject, limit=limit, order=order, block_only=one_table)
    parts: list[Table | str] = [comparison_views.match_rows(matches)]
    if output.for_people:
        parts = [comparison_views.match_table(matches)] if matches else ["No comparable trial is stored."]
        for match in matches[:why]:
            parts.extend(comparison_views.match_text(match, rows))
    data = {
        "subject": subject.trial.source_id,
        "order": order,
        "matches": [asdict(match) for match in matches],
    }
    lines = [match.trial for match in matches]
    output.emit(data, *parts, provenance=views.provenance_of(lines, views.as_of_note(as_of)))


@click.command()
@click.argument("trial_ids", type=as_nct_id, nargs=-1, required=True)
@click.option("--concept", multiple=True, help="Only this concept (id, name or alias); repeat for several.")
@as_of_option
@output_options
def compare(trial_ids: tuple[str, ...], concept: tuple[str, ...], as_of: str | None, output: Output) -> None:
    """Put trials side by side: one row a concept and population, in canonical units.

    An empty cell is "not stated". The strictest and the loosest unconditional limits are marked; --json
    holds the evidence of every cell, and `trialkb show` marks it in the text.

    Example: trialkb compare NCT06886919 NCT99000001 NCT99000002
    """
    from kb.compare import compare as side_by_side
    from kb.concepts import resolve_concept

    with views.open_store(output, as_of) as store:
        wanted = [resolve_concept(store.connection, words) for words in concept] or None
        comparison = side_by_side(store, trial_ids, wanted)
    data: dict[str, Any] = {
        "trials": [asdict(line) for line in comparison.trials],
        "rows": [
            asdict(row) | {"cells": [[views.limit_json(limit) for limit in cell] for cell in row.cells]}
            for row in comparison.rows
        ],
    }
    parts: list[Table | str] = [comparison_views.comparison_rows(comparison)]
    if output.for_people:
        parts = comparison_views.comparison_tables(comparison)
    output.emit(data, *parts, provenance=views.provenance_of(comparison.trials, views.as_of_note(as_of)))


COMMANDS: tuple[click.Command, ...] = (show, comparable, compare)
