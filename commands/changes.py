"""``trialkb diff`` and ``changes``: what was amended, above all in thresholds, and why it differs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from commands import answer_views as views
from commands.output import EXIT_CHANGES, Output, Table, output_options
from commands.queries import cond_option, intr_option

if TYPE_CHECKING:
    from kb.changes import TrialChange
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


_BY_WORDS = (
    "Chosen among the stored trials by their words; --subject takes those that the registry itself returned."
)
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
    "--stored",
    is_flag=True,
    help="By the day on which a version came into the archive, not the registry's date: misses nothing between"
    " two runs. DATE may then be a time, YYYY-MM-DDThh:mm:ssZ.",
)
@click.option(
    "--all", "everything", is_flag=True, help="Also trials whose criteria only moved or were re-punctuated."
)
@output_options
def changes(
    since: str,
    subject: str | None,
    cond: tuple[str, ...],
    intr: tuple[str, ...],
    stored: bool,
    everything: bool,
    output: Output,
) -> None:
    """List what changed since a day over all trials or a subject; exit code 10 if anything did.

    Trials first seen since then are listed as new, and those that the registry no longer has as vanished.
    With --json it can drive a mail or a webhook.

    Example: trialkb changes --since 2026-01-01 --cond lupus --json
    """
    from kb.changes import changes_since, checked_moment
    from kb.limits import load_trial_lines
    from kb.subject import versions_of

    checked_moment(since, stored=stored)
    left: frozenset[str] = frozenset()
    with views.open_store(output) as store:
        versions = versions_of(store, cond, intr)
        if subject is not None:
            members, left = _subject(output, subject, since)
            named = dict(store.current_versions())
            versions = [version for version in versions if named[version] in members | left]
        found = changes_since(store, since, versions, everything=everything, stored=stored)
        lines = load_trial_lines(store.connection, versions if left else [one.version_id for one in found])
    unknown = [lines[one.version_id].trial for one in found if one.what == "no earlier version"]
    found = [one for one in found if one.what != "no earlier version"]
    vanished = {lines[one.version_id].trial for one in found if one.what == "vanished"}
    gone = sorted(left - vanished)
    rows: list[tuple[object, ...]] = []
    for one in found:
        rows += _rows_of(one, lines[one.version_id].trial)
    rows += [(trial, None, None, None, "left the search of the subject", None, None) for trial in gone]
    data = [
        {"trial": lines[one.version_id].trial, "what": one.what, "new": one.what == "new",
         "difference": None if one.difference is None else _json(one.difference)}
        for one in found
    ]  # fmt: skip
    data += [{"trial": trial, "what": "left", "new": False, "difference": None} for trial in gone]
    table = Table(_CHANGE_COLUMNS, rows, widths={"change": 70})
    parts: tuple[Table | str, ...] = (
        (table,) if rows or not output.for_people else (f"Nothing changed since {since}.",)
    )
    told = [lines[one.version_id] for one in found]
    notes = (*_unknown_note(unknown), *((_BY_WORDS,) if cond or intr else ()))
    output.emit(data, *parts, provenance=views.provenance_of(told, notes))
    if rows:
        raise SystemExit(EXIT_CHANGES)


def _rows_of(one: TrialChange, name: str) -> list[tuple[object, ...]]:
    """What happened to a trial: a row for each threshold and field, and one that counts its criteria."""
    difference = one.difference
    if difference is None:
        words = "new trial" if one.what == "new" else "vanished from the registry"
        return [(name, None, one.when, None, words, None, None)]
    where = (name, difference.before, difference.after)
    rows = _change_rows(difference)
    counted = ", ".join(f"{number} criteria {what}" for what, number in one.lines.items())
    rows += [(*where, None, counted, None, None)] if counted else []
    return rows + [
        (*where, "registry", f"{each.field} {each.before} → {each.after}", None, None)
        for each in difference.fields
    ]


def _unknown_note(trials: list[str]) -> tuple[str, ...]:
    """Trials of which no state of that day is stored are not passed over in silence."""
    if not trials:
        return ()
    shown = ", ".join(trials[:10]) + (f" and {len(trials) - 10} more" if len(trials) > 10 else "")
    return (
        f"Updated since then, but no version from before is stored: {shown};"
        f" 'trialkb history {trials[0]} --fetch' asks the registry for past ones.",
    )


def _subject(output: Output, name: str, since: str) -> tuple[frozenset[str], frozenset[str]]:
    """The trials of a subject, and those that were and that the registry no longer returns for it."""
    from harvest.archive import Archive
    from harvest.run_log import subject_gone, subject_ids

    with Archive.open(output.archive) as archive:
        members = frozenset(subject_ids(archive, name))
        return members, frozenset(subject_gone(archive, name, since)) - members


COMMANDS: tuple[click.Command, ...] = (diff_, changes)
