"""What the commands that judge patients share: names and units from the vocabulary, patients, trials."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from commands.output import CommandError, Output

if TYPE_CHECKING:
    from kb.judging import Knowledge
    from kb.patient import Patient
    from kb.patient_formats import Catalogue
    from kb.store import Store
    from nlp.vocab import Vocabulary

# Concepts whose value says nothing without what it is of, beside the whole category of durations.
_OF_SOMETHING = frozenset({"ctcae_grade"})


@functools.cache
def vocabulary() -> Vocabulary:
    """This installation's vocabulary, loaded once."""
    from nlp import vocab

    return vocab.load()


def knowledge() -> Knowledge:
    """The vocabulary's units and concept facts, as judging a patient needs them."""
    from kb.judging import Knowledge

    concepts = vocabulary().concepts
    broader: dict[str, frozenset[str]] = {}
    for concept in concepts.values():
        found: list[str] = []
        above = concept.broader
        while above is not None and above not in found:
            found.append(above)
            above = concepts[above].broader
        if found:
            broader[concept.id] = frozenset(found)
    return Knowledge(
        vocabulary().units,
        broader,
        {concept.id: concept.specimen for concept in concepts.values() if concept.specimen},
        {concept.id: concept.name for concept in concepts.values()},
        _OF_SOMETHING | {concept.id for concept in concepts.values() if concept.category == "temporal"},
        {concept.id: concept.members for concept in concepts.values() if concept.members},
    )


def catalogue() -> Catalogue:
    """How patient files may call concepts (id, LOINC code, name, alias) and units (UCUM, as written)."""
    from kb.patient_formats import Catalogue

    known: dict[str, str] = {}
    for alias in vocabulary().aliases:
        if len(alias.concepts) == 1:
            known.setdefault(alias.text.casefold(), alias.concepts[0])
    for concept in vocabulary().concepts.values():
        known[concept.name.casefold()] = concept.id
        known.update({str(entry["code"]): concept.id for entry in concept.loinc})
    known.update({identifier: identifier for identifier in vocabulary().concepts})
    return Catalogue(lambda name: known.get(name.strip().casefold()), as_ucum)


def as_ucum(text: str) -> str | None:
    """The UCUM code of a unit as a laboratory writes it; None where the table does not know it."""
    units = vocabulary().units
    if units.measure(text) is not None:
        return text
    match = units.match(text, 0)
    whole = match is not None and match.start == 0 and match.end == len(text)
    if match is None or not whole or match.relative_to is not None or match.scale != 1.0:
        return None
    return match.ucum


def patients_of(path: Path, as_of: str | None) -> tuple[Patient, ...]:
    """The patients of a file; ``as_of`` (YYYY-MM-DD) is the day of screening where the file has none.

    Raises CommandError for a file or a day that cannot be read, kb's PatientInvalid for its content.
    """
    from kb.patient_formats import read_patients

    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from error
    return read_patients(text, path.name, catalogue(), day_of(as_of))


def day_of(as_of: str | None) -> date:
    """The day of screening as given (YYYY-MM-DD), else today. Raises CommandError."""
    try:
        return date.fromisoformat(as_of) if as_of else date.today()
    except ValueError as error:
        raise CommandError(f"{as_of!r} is no day: write YYYY-MM-DD") from error


def chosen_versions(store: Store, output: Output, trials: Sequence[str], subject: str | None) -> list[int]:
    """The stored versions of the named trials, of a subject's, or of all; by trial id.

    A subject's trials that are not stored (yet) are left out. Raises CommandError for a subject that
    has none, kb's TrialNotFound for a trial that was named and is not stored.
    """
    known = {trial: version for version, trial in store.current_versions()}
    if subject is not None:
        from harvest import run_log
        from harvest.archive import Archive

        with Archive.open(output.archive) as archive:
            wanted = run_log.subject_ids(archive, subject)
        found = [known[trial] for trial in wanted if trial in known]
        if not found:
            raise CommandError(
                f"no trial of the subject {subject!r} is stored; run trialkb refresh --subject {subject}"
            )
        return found
    if trials:
        named = [trial for value in trials for trial in value.replace(",", " ").split()]
        return [store.version_id(trial) for trial in dict.fromkeys(named)]
    if not known:
        raise CommandError(f"{output.db} holds no trial; get some with trialkb refresh or trialkb import")
    return list(known.values())
