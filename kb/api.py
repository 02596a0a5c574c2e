"""The answers as typed objects, for notebooks and programs: ``from kb import open_kb``.

Every method returns frozen dataclasses of this room; lists of them are :class:`Answers`, which turn into
plain records and, where pandas is installed, into a data frame. docs/guide.md shows each at work.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import singledispatch
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from kb.build import Reading
from kb.changes import TrialChange, changes_since
from kb.comparable import Match, Order, comparable, stored_subject
from kb.compare import Comparison, compare
from kb.concepts import UnitConverter, resolve_concept
from kb.contrast import ContrastRow
from kb.describe import Described, describe
from kb.diff import Difference, ThresholdChange, diff_versions
from kb.draft import draft_subject
from kb.errors import BadQuestion
from kb.find import Found, find
from kb.graph import Graph, project_trials
from kb.landscape import Landscape, LandscapeRow, landscape
from kb.limits import Limit, side_words
from kb.plain_sql import SqlAnswer, run_sql
from kb.reviewed_limits import reviewed_limits
from kb.search import Hit, search
from kb.show import Shown, show
from kb.store import Store
from kb.subject import versions_of

T = TypeVar("T")
Record = dict[str, Any]


class Answers(tuple[T, ...]):
    """A tuple of answers that also comes as records and as a pandas data frame."""

    __slots__ = ()

    def records(self) -> list[Record]:
        """One flat dict an answer: plain values only."""
        return [record_of(answer) for answer in self]

    def to_pandas(self) -> Any:
        """A pandas.DataFrame of :meth:`records`. Raises ModuleNotFoundError where pandas is not installed."""
        return importlib.import_module("pandas").DataFrame(self.records())


@singledispatch
def record_of(answer: object) -> Record:
    """An answer as a flat record. Raises TypeError for what is no answer of this room."""
    raise TypeError(f"{type(answer).__name__} has no flat record")


@record_of.register
def _(limit: Limit) -> Record:
    evidence = limit.evidence
    kept = ("concept", "concept_name", "category", "population", "role", "kind", "comparator", "scale", "unit",
            "min_value", "min_inclusive", "max_value", "max_inclusive", "status", "alternative", "applies_if")  # fmt: skip
    return {
        "trial": evidence.trial, "section": evidence.section, "criterion": evidence.criterion,
        **{name: getattr(limit, name) for name in kept},
        "words": limit.words(), "quote": evidence.quote, "start": evidence.span[0], "end": evidence.span[1],
        "line": evidence.line, "rule": evidence.rule, "flags": ";".join(evidence.flags),
    }  # fmt: skip


@record_of.register
def _(match: Match) -> Record:
    verdicts = Counter(row.verdict for row in match.contrast.rows)
    return {
        "rank": match.rank, "trial": match.trial.trial, "title": match.trial.title, "score": match.score,
        "in_block": match.in_block, "threshold_similarity": match.contrast.similarity,
        "same": verdicts["same"],
        "stricter": verdicts["stricter"],
        "looser": verdicts["looser"],
        "only_here": verdicts["only here"],
        "only_there": verdicts["only there"],
        **{reason.part: reason.contribution for reason in match.reasons},
        "synthetic": match.trial.synthetic,
    }  # fmt: skip


@record_of.register
def _(row: ContrastRow) -> Record:
    return {
        "concept": row.concept, "side": row.side, "scale": row.scale, "population": row.population,
        "here": side_words(row.here, row.side) if row.here else None,
        "there": side_words(row.there, row.side) if row.there else None,
        "verdict": row.verdict, "amount": row.amount, "unit": row.unit, "distance": row.distance,
        "weight": row.weight, "contribution": row.contribution,
    }  # fmt: skip


@record_of.register
def _(row: LandscapeRow) -> Record:
    kept = ("concept", "concept_name", "category", "side", "scale", "unit", "trials", "stating", "lowest", "q1",
            "median", "q3", "highest")  # fmt: skip
    return {name: getattr(row, name) for name in kept} | {"outliers": len(row.outliers)}


@record_of.register
def _(found: Found) -> Record:
    return asdict(found.trial) | {"limits": "; ".join(f"{one.concept} {one.words()}" for one in found.limits)}


@record_of.register
def _(hit: Hit) -> Record:
    return {"trial": hit.trial.trial, "section": hit.section, "criterion": hit.path, "text": hit.marked}


@record_of.register
def _(change: ThresholdChange) -> Record:
    return {
        "concept": change.concept, "section": change.section, "change": change.words,
        "direction": change.direction, "cause": change.cause,
    }  # fmt: skip


class _NoConversion:
    """Stands in where no unit table was given: canonical units only."""

    def convert(self, value: float, from_unit: str, to_unit: str, concept: str | None = None) -> float | None:
        """The value where the units are the same, else None."""
        return value if from_unit == to_unit else None


class KnowledgeBase:
    """An open knowledge base, for reading. Close it, or use it as a context manager.

    ``units`` converts the numbers of :meth:`find`; ``reading`` reads drafts. Both are made by the ``nlp``
    room and handed in (see :func:`open_kb`).
    """

    def __init__(
        self, store: Store, units: UnitConverter | None = None, reading: Reading | None = None
    ) -> None:
        self.store = store
        self.units: UnitConverter = units or _NoConversion()
        self.reading = reading

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    def trials(self, cond: Sequence[str] = (), intr: Sequence[str] = ()) -> list[str]:
        """The ids of the trials about all these conditions and interventions; of all, if none is given."""
        names = dict(self.store.current_versions())
        return [names[version] for version in versions_of(self.store, cond, intr)]

    def show(self, trial_id: str) -> Shown:
        """A trial's criteria tree with its limits, what was not read, and its conflicts."""
        return show(self.store, trial_id)

    def limits(self, trial_ids: Iterable[str], concept: str | None = None) -> Answers[Limit]:
        """The thresholds of these trials; of one concept (id, name or alias), if given."""
        wanted = None if concept is None else [resolve_concept(self.store.connection, concept)]
        versions = [self.store.version_id(trial_id) for trial_id in trial_ids]
        return Answers(reviewed_limits(self.store.connection, versions, wanted))

    def comparable(self, trial_id: str, limit: int = 20, order: Order = "topic") -> Answers[Match]:
        """The trials most comparable to a stored one (:func:`kb.comparable.comparable`)."""
        return Answers(comparable(self.store, stored_subject(self.store, trial_id), limit=limit, order=order))

    def comparable_to_text(
        self,
        text: str,
        *,
        title: str | None = None,
        cond: Sequence[str] = (),
        intr: Sequence[str] = (),
        limit: int = 20,
    ) -> Answers[Match]:
        """The trials most comparable to a draft. Raises BadQuestion without a ``reading``."""
        if self.reading is None:
            raise BadQuestion("reading a draft needs open_kb(..., reading=...)")
        subject = draft_subject(
            self.store, text, self.reading, title=title, conditions=cond, interventions=intr
        )
        return Answers(comparable(self.store, subject, limit=limit))

    def compare(self, *trial_ids: str) -> Comparison:
        """Trials side by side (:func:`kb.compare.compare`)."""
        return compare(self.store, trial_ids)

    def landscape(
        self,
        cond: Sequence[str] = (),
        intr: Sequence[str] = (),
        concept: str | None = None,
        trial: str | None = None,
    ) -> tuple[Landscape, Answers[LandscapeRow]]:
        """The distribution of each threshold over a subject, and its rows."""
        wanted = None if concept is None else [resolve_concept(self.store.connection, concept)]
        found = landscape(self.store, conditions=cond, interventions=intr, concepts=wanted, trial_id=trial)
        return found, Answers(found.rows)

    def find(self, query: str, limit: int = 1000) -> Answers[Found]:
        """Trials that answer a query of the query language (:mod:`kb.find`)."""
        return Answers(find(self.store, query, self.units, limit=limit).found)

    def search(self, words: str, cond: Sequence[str] = (), limit: int = 20) -> Answers[Hit]:
        """Criteria that hold the words."""
        versions = versions_of(self.store, cond) if cond else None
        return Answers(search(self.store, words, limit=limit, versions=versions))

    def diff(self, trial_id: str, start: str | None = None, end: str | None = None) -> Difference:
        """What changed between two versions of a trial."""
        return diff_versions(self.store, trial_id, start, end)

    def changes(self, since: str, cond: Sequence[str] = (), intr: Sequence[str] = ()) -> list[TrialChange]:
        """What changed over a subject since a day."""
        return changes_since(self.store, since, versions_of(self.store, cond, intr))

    def sql(self, statement: str) -> SqlAnswer:
        """The rows of one SELECT."""
        return run_sql(self.store, statement)

    def describe(self) -> list[Described]:
        """The tables and views that :meth:`sql` may ask, with what they hold."""
        return describe(self.store)

    def graph(self, *trial_ids: str, criteria: bool = True) -> Graph:
        """The trials' neighbourhood as a networkx.MultiDiGraph."""
        return project_trials(self.store, trial_ids, criteria=criteria)


def open_kb(
    path: Path | str,
    *,
    as_of: str | None = None,
    units: UnitConverter | None = None,
    reading: Reading | None = None,
) -> KnowledgeBase:
    """Open a knowledge base for reading; ``as_of`` (YYYY-MM-DD) for the registry's state of a past day.

    Raises StoreMissing, StoreInvalid, SchemaMismatch, BadQuestion.
    """
    return KnowledgeBase(Store.open(path, as_of=as_of), units, reading)
