"""``trialkb screen``: one patient against the trials, criterion by criterion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands.output import CommandError, Output, Provenance, Table, output_options, progress, to_json

if TYPE_CHECKING:
    from kb.patient import Patient
    from kb.screen import CriterionAnswer, Question, Status, TrialAnswer
    from kb.store import Store
    from kb.whatif import WhatIf

NOTICE = (
    "This is no medical device and no medical advice. It compares what is written; whether a person may enter"
    " a trial is decided by the trial's staff."
)
STATUSES: tuple[Status, ...] = ("eligible", "undetermined", "not eligible")
_WORDS = {True: "true", False: "FALSE", None: "unknown"}
_YES_NO = {"yes": True, "true": True, "no": False, "false": False}


def _answers(values: Sequence[str]) -> dict[str, bool]:
    found = {}
    for value in values:
        text, sign, answer = value.rpartition("=")
        if not sign or not text.strip() or answer.strip().casefold() not in _YES_NO:
            raise CommandError(
                f"--answer {value!r}: write TEXT=yes or TEXT=no, with the text as screen quotes it"
            )
        found[text.strip()] = _YES_NO[answer.strip().casefold()]
    return found


def _quoted(text: str, limit: int = 160) -> str:
    folded = " ".join(text.split())
    return folded if len(folded) <= limit else folded[: limit - 1] + "…"


def _criterion_rows(answer: TrialAnswer, every: bool) -> list[list[object]]:
    rows: list[list[object]] = []
    for one in answer.criteria:
        if one.value is True and not every and not one.standing:
            continue
        rows.append([f"{one.section} {one.path}", _verdict(one), _why(one), _quoted(_quote(one))])
    return rows


def _verdict(one: CriterionAnswer) -> str:
    if one.standing:
        return f"{_WORDS[one.value]}, but unread"
    return _WORDS[one.value] if one.applies else "does not apply"


def _why(one: CriterionAnswer) -> str:
    parts = []
    for reason in (*one.reasons, *one.standing):
        side = " (among the exclusions)" if reason.excluded and reason.value is True else ""
        review = f" [{reason.review}]" if reason.review else ""
        parts.append(f"{_quoted(reason.why)}{side}{review}")
    shown = parts[:4] + ([f"and {len(parts) - 4} more"] if len(parts) > 4 else [])
    return "; ".join(shown)


def _quote(one: CriterionAnswer) -> str:
    return " … ".join(dict.fromkeys(reason.quote for reason in one.reasons if reason.quote)) or one.text


def _trial_row(answer: TrialAnswer) -> list[object]:
    true, false, unknown = answer.counts
    nearest = ""
    if answer.misses:
        miss = answer.misses[0]
        away = f" ({miss.miss:.0%} off)" if miss.miss is not None else ""
        nearest = _quoted(miss.why) + away
    return [answer.trial, answer.status, true, false, unknown, nearest, _quoted(answer.title, 60)]


def _question_rows(questions: Sequence[Question]) -> list[list[object]]:
    return [
        [_quoted(one.about, 80), one.settles, one.touches, _quoted(one.asks, 100), ", ".join(one.trials[:3])]
        for one in questions
    ]


def _tables(
    answers: Sequence[TrialAnswer], questions: Sequence[Question], limit: int, every: bool
) -> list[Table | str]:
    columns = ("trial", "answer", "true", "false", "unknown", "nearest miss", "title")
    rows = [_trial_row(answer) for answer in answers[:limit]]
    parts: list[Table | str] = [Table(columns, rows, widths={"nearest miss": 44, "title": 34})]
    if len(answers) == 1:
        parts.append(
            Table(
                ("criterion", "answer", "why", "quoted"),
                _criterion_rows(answers[0], every),
                title="Criterion by criterion"
                if every
                else "Criteria that are not met or not known (--all: every one)",
                widths={"why": 60, "quoted": 44},
            )
        )
    elif len(answers) > limit:
        parts.append(f"{limit} of {len(answers)} trials shown; --limit shows more.")
    if questions:
        asked = ("find out", "settles", "touches", "asked as", "in")
        title = "What to find out next (trials it settles alone, trials that wait for it)"
        parts.append(
            Table(asked, _question_rows(questions), title=title, widths={"find out": 40, "asked as": 44})
        )
    return parts


# Up to so many trials are all evaluated whole; of more, those that are shown, and the index answers the rest.
FEW_TRIALS = 1000


def _screened(
    store: Store, output: Output, patient: Patient, trials: Sequence[str], subject: str | None, limit: int
) -> tuple[list[TrialAnswer], dict[str, Status], Provenance]:
    """The answers to show, the answer of every trial by its id, and where they come from."""
    from commands.patient_files import chosen_versions, knowledge
    from kb.screen import ranked, screen

    versions = chosen_versions(store, output, trials, subject)
    notes = [NOTICE]
    every: dict[str, Status] = {}
    if len(versions) > FEW_TRIALS:
        from kb.prefilter import statuses

        canonical = dict(store.connection.execute("SELECT id, canonical_unit FROM concept"))
        found = statuses(store.connection, versions, patient, knowledge(), canonical)
        names = dict(store.current_versions())
        every = {names[version]: status for version, status in found.statuses.items() if version in names}
        open_criteria = dict(store.connection.execute("SELECT version_id, criteria FROM screen_open"))
        versions = found.order(open_criteria)[:limit]
        notes.append(
            f"All {len(every)} trials were answered; what to find out next is said of the {len(versions)} shown."
        )
    with progress(versions, "screen", len(versions)) as watched:
        answers = ranked(screen(store.connection, watched, patient, knowledge()))
    every = every or {answer.trial: answer.status for answer in answers}
    sources = tuple(sorted({answer.source for answer in answers}))
    invented = tuple(answer.trial for answer in answers if answer.synthetic)
    return answers, every, Provenance(sources, store.data_timestamp(), invented, tuple(notes))


@click.command()
@click.argument("patient_file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-t", "--trials", multiple=True, metavar="IDS", help="Only these trials; comma or repeated.")
@click.option("--subject", metavar="NAME", help="Only the trials of a saved subject.")
@click.option("--patient", "wanted", metavar="ID", help="Which patient of the file, where it holds several.")
@click.option(
    "--as-of", metavar="DATE", help="The day of screening (YYYY-MM-DD); default: the file's, else today."
)
@click.option(
    "--answer", "given", multiple=True, metavar="TEXT=yes|no",
    help="Answer a demand by the text that is quoted, or a criterion: 'NCT01234567 exclusion 7=yes' (it is met).",
)  # fmt: skip
@click.option(
    "-n",
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many trials to show.",
)
@click.option("--all", "every", is_flag=True, help="With one trial: show the criteria that are met, too.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of a patient file.")
@output_options
def screen(
    patient_file: Path | None,
    trials: tuple[str, ...],
    subject: str | None,
    wanted: str | None,
    as_of: str | None,
    given: tuple[str, ...],
    limit: int,
    every: bool,
    schema: bool,
    output: Output,
) -> None:
    """Answer for one patient what each trial's criteria say: true, false or unknown, and why.

    The file is JSON (see --schema), CSV, or a FHIR Bundle. A trial is never called eligible while a demand
    is unknown or was not understood.

    Example: trialkb screen patient.json --trials NCT06886919
    """
    from kb.patient_formats import one_patient, patient_schema
    from kb.screen import next_questions
    from kb.store import Store

    if schema:
        click.echo(to_json(patient_schema()))
        return
    if patient_file is None:
        raise click.UsageError("Give a patient file (JSON, CSV or a FHIR Bundle), or --schema.")
    if trials and subject:
        raise click.UsageError("--trials and --subject exclude each other.")
    from commands.patient_files import patients_of

    patient = one_patient(patients_of(patient_file, as_of), wanted, patient_file.name)
    patient = replace(patient, answers={**patient.answers, **_answers(given)})
    with Store.open(output.db) as store:
        answers, every_trial, provenance = _screened(store, output, patient, trials, subject, limit)
    questions = next_questions(answers)
    counts = Counter(every_trial.values())
    parts = _tables(answers, questions, limit, every)
    if len(every_trial) > 1:
        parts.insert(
            0,
            ", ".join(f"{counts[status]} {status}" for status in STATUSES) + f" of {len(every_trial)} trials",
        )
    if patient.unmatched:
        names = ", ".join(dict.fromkeys(patient.unmatched))
        parts.append(f"Not known to the vocabulary, so never matched: {names}.")
    output.emit(_data(patient, answers, questions, every_trial), *parts, provenance=provenance)


def _data(
    patient: Patient,
    answers: Sequence[TrialAnswer],
    questions: Sequence[Question],
    every: Mapping[str, Status],
) -> dict[str, Any]:
    counts = Counter(every.values())
    return {
        "patient": patient.id,
        "as_of": patient.as_of.isoformat(),
        "unmatched": list(patient.unmatched),
        "counts": {status: counts[status] for status in STATUSES},
        "statuses": dict(every),
        "trials": [asdict(answer) for answer in answers],
        "find_out_next": [asdict(question) for question in questions],
    }


@click.command()
@click.argument("trial_id")
@click.option(
    "--set", "changes", multiple=True, metavar="THRESHOLD",
    help="A threshold as it might be: 'platelets >= 30 10*9/L', 'alt <= 5 x ULN', 'i9 >= 30'; repeat for several.",
)  # fmt: skip
@click.option("--cohort", "path", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="A CSV or Parquet file, one row a patient; see docs/screening.md for its columns.")  # fmt: skip
@click.option(
    "--as-of",
    metavar="DATE",
    help="The day of screening (YYYY-MM-DD) where no column as_of says it; default: today.",
)
@click.option(
    "-n", "--limit", default=15, show_default=True, type=click.IntRange(min=1), help="How many rows to show."
)
@output_options
def whatif(
    trial_id: str, changes: tuple[str, ...], path: Path, as_of: str | None, limit: int, output: Output
) -> None:
    """Count how many of a cohort's patients a changed threshold would let in, and what keeps most people out.

    Example: trialkb whatif NCT06886919 --set "platelets >= 30 10*9/L" --cohort labs.csv
    """
    from commands.patient_files import catalogue, day_of, knowledge, vocabulary
    from kb.cohort import open_cohort
    from kb.screen import read_trial
    from kb.store import Store
    from kb.whatif import parse_change, what_if

    names, known = catalogue(), knowledge()
    units = {concept.id: concept.unit for concept in vocabulary().concepts.values()}
    with Store.open(output.db) as store:
        trial = read_trial(store.connection, store.version_id(trial_id))
        stamp = store.data_timestamp()
    wanted = [parse_change(text, trial, names, known) for text in changes]
    found = what_if(trial, wanted, open_cohort(path, names, units), known, day_of(as_of))
    provenance = Provenance((trial.source,), stamp, (trial.trial,) if trial.synthetic else (), (NOTICE,))
    output.emit(asdict(found), *_whatif_tables(found, limit), provenance=provenance)


def _whatif_tables(found: WhatIf, limit: int) -> list[Table | str]:
    scenarios = [
        [one.name, one.passes, one.unknown, one.excluded, one.let_in, one.shut_out] for one in found.scenarios
    ]
    effects = [
        [one.criterion, one.alone, one.false, one.unknown, one.true, _quoted(one.text, 70)]
        for one in found.criteria[:limit]
    ]
    title = (
        f"{found.trial}: {found.patients} patients; passes: every criterion that the cohort speaks of is met"
    )
    parts: list[Table | str] = [
        Table(("thresholds", "passes", "unknown", "excluded", "let in", "shut out"), scenarios, title=title),
        Table(
            ("criterion", "would let in if left out", "excludes", "unknown", "meets", "text"), effects,
            title="What keeps people out, one criterion at a time", widths={"text": 50},
        ),
    ]  # fmt: skip
    if found.pairs:
        rows = [list(pair) for pair in found.pairs[:limit]]
        parts.append(Table(("criterion", "and", "patients"), rows, title="Excluded by just these two"))
    if found.silent:
        parts.append(
            f"The cohort says nothing about {len(found.silent)} criteria: {', '.join(found.silent)}."
        )
    if found.unused:
        parts.append(f"No criterion looks at {len(found.unused)} columns: {', '.join(found.unused)}.")
    for header, count in found.odd.items():
        parts.append(
            f"Column {header!r}: {count} cells are neither a number, a result nor empty; counted as unknown."
        )
    return parts


COMMANDS: tuple[click.Command, ...] = (screen, whatif)
