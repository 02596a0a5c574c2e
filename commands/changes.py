"""``trialkb diff`` and ``changes``: what was amended, above all in thresholds, and why it differs."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from commands import answer_views as views
from commands.output import EXIT_CHANGES, CommandError, Output, Table, output_options
from commands.queries import cond_option, intr_option

if TYPE_CHECKING:
    from kb.diff import Difference


def _json(difference: Difference) -> dict[str, Any]:
    def limit(one: Any) -> Any:
        return None if one is None else views.limit_json(one)

    return asdict(difference) | {
        "thresholds": [
            asdict(one) | {"before": limit(one.before), "after": limit(one.after)}
            for one in difference.thresholds
        ]
    }


_CHANGE_COLUMNS = ("trial", "from", "to", "section", "change", "direction", "cause")


def _change_rows(difference: Difference) -> list[tuple[object, ...]]:
    return [
        (
            difference.trial,
            difference.before,
            difference.after,
            one.section,
            one.words,
            one.direction,
            one.cause,
        )
        for one in difference.thresholds
    ]


def _tables(difference: Difference) -> list[Table | str]:
    parts: list[Table | str] = [
        Table(
            ["section", "threshold", "direction", "cause"],
            [(one.section, one.words, one.direction, one.cause) for one in difference.thresholds],
            title=f"{difference.trial}: {difference.before} to {difference.after}",
            widths={"threshold": 80},
        )
    ]
    if not difference.thresholds:
        parts = [f"{difference.trial}: {difference.before} to {difference.after}: no threshold changed."]
    if difference.lines:
        rows = [(one.what, one.section, one.before, one.after) for one in difference.lines]
        parts.append(
            Table(["criterion", "section", "before", "after"], rows, widths={"before": 50, "after": 50})
        )
    if difference.fields:
        rows_of_fields = [(one.field, one.before, one.after) for one in difference.fields]
        parts.append(
            Table(["registry field", "before", "after"], rows_of_fields, widths={"before": 40, "after": 40})
        )
    return parts


@click.command("diff")
@click.argument("trial_id")
@click.option(
    "--from", "start", metavar="DATE|VERSION", help="The older state: a day, or how its version begins."
)
@click.option("--to", "end", metavar="DATE|VERSION", help="The newer state; default: the newest.")
@output_options
def diff_(trial_id: str, start: str | None, end: str | None, output: Output) -> None:
    """Compare two versions of a trial: thresholds, criteria, registry fields; and why each differs.

    The cause is "amended", "moved" (only the place, case or punctuation of the words changed) or "read
    differently" (the same words, read by other rules or another vocabulary).

    Example: trialkb diff NCT06886919 --from 2025-06-01
    """
    from kb.diff import diff_versions
    from kb.limits import load_trial_lines

    with views.open_store(output) as store:
        difference = diff_versions(store, trial_id, start, end)
        version = store.version_id(trial_id)
        lines = load_trial_lines(store.connection, [version])
    parts = _tables(difference)
    if output.form == "csv":
        parts = [Table(_CHANGE_COLUMNS, _change_rows(difference))]
    output.emit(_json(difference), *parts, provenance=views.provenance_of(lines.values()))


@click.command()
@click.option(
    "--since", required=True, metavar="DATE", help="Compare each trial's state of this day with today's."
)
@click.option("--subject", help="Only the trials of this saved subject.")
@cond_option
@intr_option
@click.option(
    "--all", "everything", is_flag=True, help="Also trials whose criteria only moved or were re-punctuated."
)
@output_options
def changes(
    since: str,
    subject: str | None,
    cond: tuple[str, ...],
    intr: tuple[str, ...],
    everything: bool,
    output: Output,
) -> None:
    """List what changed since a day over all trials or a subject; exit code 10 if anything did.

    Trials first seen since then are listed as new. With --json it can drive a mail or a webhook.

    Example: trialkb changes --since 2026-01-01 --cond lupus --json
    """
    from kb.changes import changes_since
    from kb.limits import load_trial_lines
    from kb.subject import versions_of

    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", since):
        raise CommandError(f"{since!r} is not a date: write YYYY-MM-DD")
    with views.open_store(output) as store:
        versions = versions_of(store, cond, intr)
        if subject is not None:
            wanted = set(_subject_ids(output, subject))
            named = dict(store.current_versions())
            versions = [version for version in versions if named[version] in wanted]
        found = changes_since(store, since, versions, everything=everything)
        lines = load_trial_lines(store.connection, [one.version_id for one in found])
    rows: list[tuple[object, ...]] = []
    for one in found:
        name = lines[one.version_id].trial
        if one.difference is None:
            rows.append((name, None, lines[one.version_id].version_date, None, "new trial", None, None))
            continue
        rows += _change_rows(one.difference)
        counted = ", ".join(f"{number} criteria {what}" for what, number in one.lines.items())
        rows += (
            [(name, one.difference.before, one.difference.after, None, counted, None, None)]
            if counted
            else []
        )
        rows += [
            (name, one.difference.before, one.difference.after, "registry", f"{each.field} {each.before} → {each.after}", None, None)
            for each in one.difference.fields
        ]  # fmt: skip
    data = [
        {"trial": lines[one.version_id].trial, "new": one.difference is None,
         "difference": None if one.difference is None else _json(one.difference)}
        for one in found
    ]  # fmt: skip
    table = Table(_CHANGE_COLUMNS, rows, widths={"change": 70})
    parts: tuple[Table | str, ...] = (
        (table,) if rows or not output.for_people else (f"Nothing changed since {since}.",)
    )
    output.emit(data, *parts, provenance=views.provenance_of(lines.values()))
    if found:
        raise SystemExit(EXIT_CHANGES)


def _subject_ids(output: Output, name: str) -> tuple[str, ...]:
    from harvest.archive import Archive
    from harvest.run_log import subject_ids

    with Archive.open(output.archive) as archive:
        return subject_ids(archive, name)


COMMANDS: tuple[click.Command, ...] = (diff_, changes)
