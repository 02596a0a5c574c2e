"""``trialkb review``: what people decide about readings."""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from commands.output import CommandError, Output, Table, output_options
from commands.review_files import FILE_COMMANDS

if TYPE_CHECKING:
    from kb.review import Review
    from kb.review_queue import Reviewable
    from kb.store import Store
    from nlp.model import Criterion, Extraction, Item

_TRIAL = re.compile(r"[A-Za-z]{2,}[-A-Za-z]*\d{4,}.*")


class _ReviewGroup(click.Group):
    """``review NCT...`` is short for ``review show NCT...``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and _TRIAL.fullmatch(args[0]):
            args = ["show", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_ReviewGroup)
def review() -> None:
    """Accept, correct or reject readings; a review holds for every trial with the same line.

    Example: trialkb review NCT06886919
    """


# --------------------------------------------------------------------- one trial


def _shown(item: Item) -> str:
    from kb.judging import needed

    name = item.concept or f"'{item.concept_text}'"
    return f"{name} {needed(item)}" + ("" if item.role == "requirement" else f" ({item.role})")


def _places(extraction: Extraction) -> dict[tuple[str, str], Criterion]:
    return {(criterion.section, criterion.path): criterion for criterion in extraction.criteria}


@review.command("show")
@click.argument("trial_id")
@output_options
def review_show(trial_id: str, output: Output) -> None:
    """List a trial's readings with their ids, flags and reviews.

    Example: trialkb review show NCT06886919
    """
    from kb.lines import line_hash
    from kb.review import all_reviews, reviewed
    from kb.review_reopened import reopened
    from kb.store import Store

    with Store.open(output.db) as store:
        version = store.version_id(trial_id)
        extraction = store.extraction(version)
        decided, said = reviewed(store.connection, extraction)
        again = [one for one in reopened(store.connection, [version]) if trial_id in one.trials]
        missed = [one for one in all_reviews(store.connection) if one.verdict == "missed"]
    rows = []
    places = _places(extraction)
    for item, now in zip(extraction.items, decided.items, strict=True):
        criterion = places.get((item.section, item.criterion))
        by = said.get(item.id, "open")
        by += f": {_shown(now)}" if by.startswith("corrected") else ""
        text = " ".join((criterion.text if criterion else item.value_text).split())
        rows.append(
            [item.id, f"{item.section} {item.criterion}", _shown(item), item.value_text, ", ".join(item.flags), by, text]
        )  # fmt: skip
    for criterion in extraction.criteria:
        for one in missed:
            if one.line_hash == line_hash(criterion.text) and one.section in (None, criterion.section):
                by = f"missed by {one.reviewer}, {one.reviewed_at[:10]}: {one.reason or ''}"
                where = f"{criterion.section} {criterion.path}"
                rows.append(["", where, "", "", "", by, " ".join(criterion.text.split())])
    for each in again:
        if each.why != "read otherwise":  # that one stands at its item
            by = f"re-opened by {each.review.reviewer}, {each.review.reviewed_at[:10]}: {each.why}"
            rows.append(["", "", "", "", "", by, " ".join(each.review.line_text.split())])
    columns = ("item", "criterion", "read as", "words", "flags", "review", "line")
    data = [dict(zip(columns, row, strict=True)) for row in rows]
    output.emit(
        {"trial": trial_id, "items": data},
        Table(columns, rows, widths={"line": 46, "read as": 30, "words": 26, "review": 30}),
    )


def _reviewer_options(command: Any) -> Any:
    command = click.option("--why", help="The reason, kept with the review.")(command)
    return click.option(
        "--reviewer", envvar="TRIALKB_REVIEWER", default=getpass.getuser, show_default="you",
        show_envvar=True, help="Who decides.",
    )(command)  # fmt: skip


def _find(store: Store, trial_id: str, item_id: str) -> tuple[Criterion, Item]:
    extraction = store.extraction(store.version_id(trial_id))
    item = next((one for one in extraction.items if one.id == item_id), None)
    if item is None:
        raise CommandError(f"{trial_id} has no reading {item_id!r}; `trialkb review {trial_id}` lists them")
    return _places(extraction)[item.section, item.criterion], item


def _criterion(places: dict[tuple[str, str], Criterion], trial_id: str, section: str, path: str) -> Criterion:
    found = places.get((section, path))
    if found is None:
        raise CommandError(
            f"{trial_id} has no criterion {section} {path}; `trialkb show {trial_id}` lists them"
        )
    return found


def _store_one(output: Output, made: Review) -> None:
    from kb.review import put_review
    from kb.review_queue import trials_with
    from kb.store import Store

    with Store.open(output.db, "write", purpose="trialkb review") as store, store.transaction() as connection:
        put_review(connection, made)
        trials = trials_with(connection, made.line_hash)
    shared = f"It holds for {len(trials)} stored trials with this line." if len(trials) != 1 else ""
    output.emit(
        asdict(made) | {"trials": trials}, f"Kept: {made.verdict}, by {made.reviewer}. {shared}".strip()
    )


def _decide(
    output: Output, trial_id: str, item_id: str, verdict: Any, reviewer: str, why: str | None,
    corrected: dict[str, Any] | None = None,
) -> None:  # fmt: skip
    from kb.review import make_review
    from kb.store import Store

    with Store.open(output.db) as store:
        criterion, item = _find(store, trial_id, item_id)
    _store_one(output, make_review(criterion, item, verdict, reviewer, why, corrected))


@review.command("accept")
@click.argument("trial_id")
@click.argument("item_id")
@_reviewer_options
@output_options
def review_accept(trial_id: str, item_id: str, reviewer: str, why: str | None, output: Output) -> None:
    """Accept a reading as right.

    Example: trialkb review accept NCT06886919 i9
    """
    _decide(output, trial_id, item_id, "correct", reviewer, why)


@review.command("reject")
@click.argument("trial_id")
@click.argument("item_id")
@_reviewer_options
@output_options
def review_reject(trial_id: str, item_id: str, reviewer: str, why: str | None, output: Output) -> None:
    """Reject a reading: its demand counts as not understood from now on.

    Example: trialkb review reject NCT06886919 i9 --why "a dose, not a limit"
    """
    _decide(output, trial_id, item_id, "wrong", reviewer, why)


@review.command("correct")
@click.argument("trial_id")
@click.argument("item_id")
@click.option("--set", "fields", multiple=True, required=True, metavar="FIELD=JSON",
              help="A field as it should be read: low=50, unit='\"g/L\"', comparator='\">=\"'; repeat for several.")  # fmt: skip
@_reviewer_options
@output_options
def review_correct(
    trial_id: str, item_id: str, fields: tuple[str, ...], reviewer: str, why: str | None, output: Output
) -> None:
    """Correct a reading, field by field.

    Example: trialkb review correct NCT06886919 i9 --set low=50 --set unit=10*9/L
    """
    from kb.review_correction import checked_correction

    corrected = {}
    for field in fields:
        name, sign, text = field.partition("=")
        if not sign:
            raise CommandError(f"--set {field!r}: write FIELD=VALUE, as in low=50")
        try:
            corrected[name] = json.loads(text)
        except ValueError:
            corrected[name] = text  # plain words need no quotes
    _as_vocabulary_has_it(output, corrected)
    _decide(output, trial_id, item_id, "corrected", reviewer, why, checked_correction(corrected))


def _as_vocabulary_has_it(output: Output, corrected: dict[str, Any]) -> None:
    """Turn a concept's name into its id and a unit into UCUM, in place.

    Raises kb's ConceptUnknown, CommandError for an unknown unit.
    """
    from commands.patient_files import as_ucum
    from kb.concepts import resolve_concept
    from kb.store import Store

    concept, unit = corrected.get("concept"), corrected.get("unit")
    if isinstance(concept, str):
        with Store.open(output.db) as store:
            corrected["concept"] = resolve_concept(store.connection, concept)
    if isinstance(unit, str) and not unit.startswith("{"):
        corrected["unit"] = as_ucum(unit)
        if corrected["unit"] is None:
            raise CommandError(f"--set unit={unit}: the unit is not known; write UCUM, for example 10*9/L")


@review.command("missed")
@click.argument("trial_id")
@click.argument("section", type=click.Choice(["inclusion", "exclusion", "unknown"]))
@click.argument("path")
@_reviewer_options
@output_options
def review_missed(
    trial_id: str, section: str, path: str, reviewer: str, why: str | None, output: Output
) -> None:
    """Say that a criterion demands more than was read: nobody is called eligible by it.

    Example: trialkb review missed NCT06886919 exclusion 9 --why "the grade of the bleeding"
    """
    from kb.review import make_review
    from kb.store import Store

    with Store.open(output.db) as store:
        places = _places(store.extraction(store.version_id(trial_id)))
    criterion = _criterion(places, trial_id, section, path)
    _store_one(output, make_review(criterion, None, "missed", reviewer, why))


@review.command("undo")
@click.argument("trial_id")
@click.argument("item_id", metavar="ITEM|'SECTION PATH'")
@output_options
def review_undo(trial_id: str, item_id: str, output: Output) -> None:
    """Take the reviews of a reading back, or what was said to be missed in a criterion; they stay on record.

    Example: trialkb review undo NCT06886919 i9
    """
    from kb.lines import item_key, line_hash
    from kb.review import undo_review
    from kb.store import Store

    now = datetime.now(UTC).isoformat(timespec="microseconds")
    with Store.open(output.db, "write", purpose="trialkb review") as store, store.transaction() as connection:
        section, _, path = item_id.partition(" ")
        places = _places(store.extraction(store.version_id(trial_id)))
        if path:
            criterion, key = _criterion(places, trial_id, section, path), ""
        else:
            criterion, item = _find(store, trial_id, item_id)
            key = item_key(item, criterion)
        count = undo_review(connection, line_hash(criterion.text), key, now)
    if count == 0:
        raise CommandError(f"{trial_id} {item_id} has no review to take back")
    output.emit({"undone": count}, f"Taken back: {count}.")


# ------------------------------------------------------------------------- queue


def _queue_rows(found: Sequence[Reviewable]) -> list[list[object]]:
    return [
        [one.score, one.trials, one.example, "; ".join(one.reasons), " ".join(one.text.split())]
        for one in found
    ]


@review.command("queue")
@click.option(
    "-n", "--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many lines."
)
@click.option("--subject", metavar="NAME", help="Only the trials of a saved subject.")
@output_options
def review_queue(limit: int, subject: str | None, output: Output) -> None:
    """List the lines most worth a look: flags, unread demands, low coverage, unknown concepts, frequent lines.

    Example: trialkb review queue --limit 10
    """
    from commands.patient_files import chosen_versions
    from kb.review_queue import queue
    from kb.store import Store

    with Store.open(output.db) as store:
        versions = chosen_versions(store, output, (), subject) if subject else None
        found = queue(store.connection, versions, limit)
    columns = ("score", "trials", "where", "why", "line")
    output.emit(
        [asdict(one) for one in found], Table(columns, _queue_rows(found), widths={"line": 60, "why": 40})
    )


for _command in FILE_COMMANDS:
    review.add_command(_command)

COMMANDS: tuple[click.Command, ...] = (review,)
