"""What an export reads (a trial with all that was read in it) and what it answers (text and losses)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from harvest.model import Trial
from kb.review import Review
from nlp.model import Criterion, Expression, Fact, Item, Leaf, Span, Unread, leaves

Outcome = Literal["whole", "degraded", "dropped"]
OUTCOMES: tuple[Outcome, ...] = ("whole", "degraded", "dropped")
MissingPolicy = Literal["exclude", "keep"]

Convert = Callable[[float, str, str, str | None], float | None]
"""``(value, from UCUM unit, to UCUM unit, concept id) -> value``, None where no conversion is sure."""


@dataclass(frozen=True, slots=True)
class ConceptFacts:
    """A vocabulary concept as an export needs it. LOINC codes run from the most to the least usual one;
    ``members`` are what a collective concept stands for (transaminases: ALT and AST)."""

    id: str
    name: str
    category: str | None = None
    canonical_unit: str | None = None
    loinc: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial with everything that was read in its eligibility text: the input of every export.

    ``items`` and ``criteria`` have the reviewers' decisions applied, ``reviews`` says what these were, ``said``
    the same in words by item id ("corrected by ann, 2026-11-22").
    ``vocabulary`` is the digest of the vocabulary that read it; ``data_timestamp`` is the
    registry's own time of its data (ISO 8601). When it was fetched is left out: it says nothing of the content.
    """

    trial: Trial
    items: tuple[Item, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    vocabulary: str = ""
    data_timestamp: str | None = None
    reviews: tuple[Review, ...] = ()
    said: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def id(self) -> str:
        """The registry's id of the trial."""
        return self.trial.source_id

    def item_by_id(self) -> dict[str, Item]:
        """The items by the ids that the expressions' leaves name."""
        return {item.id: item for item in self.items}

    def said_of(self, criterion: Criterion) -> str:
        """What reviewers decided on the readings of a criterion, in words; empty where they did not."""
        names = [leaf.item for leaf in leaves(criterion.expression) if isinstance(leaf, Leaf)]
        return "; ".join(f"{name} {self.said[name]}" for name in dict.fromkeys(names) if name in self.said)

    def digest(self) -> str:
        """sha256 of all that an export says of the trial, but for the time of the registry's data: a refresh
        that brings nothing but a newer data timestamp does not change a trial."""
        body = {
            "trial": asdict(self.trial),
            "items": [item.to_json() for item in self.items],
            "criteria": [asdict(criterion) | criterion.to_json() for criterion in self.criteria],
            "reviews": [asdict(review) for review in self.reviews],
            "vocabulary": self.vocabulary,
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a criterion is not exported whole: a stable code and a sentence for people."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Loss:
    """What became of one criterion in an export, and why; of a whole one ``reasons`` names what was not read
    in it, which the format writes down as unread."""

    trial: str
    section: str
    path: str
    span: Span
    outcome: Outcome
    reasons: tuple[Reason, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """One line of a loss report."""
        return {
            "trial": self.trial,
            "section": self.section,
            "criterion": self.path,
            "span": list(self.span),
            "outcome": self.outcome,
            "reasons": [{"code": reason.code, "detail": reason.detail} for reason in self.reasons],
        }


def judge(record: TrialRecord, criterion: Criterion, outcome: Outcome, *reasons: Reason) -> Loss:
    """The loss line of one criterion; equal reasons are named once. Raises ValueError for a loss without a reason."""
    if outcome != "whole" and not reasons:
        raise ValueError(f"{criterion.section} {criterion.path} of {record.id} is {outcome} without a reason")
    unique = tuple(dict.fromkeys(reasons))
    return Loss(record.id, criterion.section, criterion.path, criterion.span, outcome, unique)


@dataclass(frozen=True, slots=True)
class Rendered:
    """One trial in one format: its text and one loss line for each of its criteria."""

    text: str
    losses: tuple[Loss, ...]


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may choose; a format ignores what does not concern it (its page says what does).

    ``missing``: what a patient without the value counts as (Circe). ``lookback_days``: how old a value may
    be where the text sets no window (None: any age). ``entry_concepts``: OMOP condition concept ids of the
    entry event (empty: the latest visit). ``tag``: the label a screening-list tool looks for.
    ``omop``: further rows in the form of ``data/omop.jsonl`` (a site's own mapping).
    """

    missing: MissingPolicy = "exclude"
    lookback_days: int | None = None
    entry_concepts: tuple[int, ...] = ()
    tag: str = "UC1"
    omop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What is the same for every trial of one export run.

    ``sources`` are the registries the selected trials are from; ``synthetic`` says whether an invented trial
    is among them.
    """

    concepts: Mapping[str, ConceptFacts] = field(default_factory=dict)
    convert: Convert | None = None
    tool_version: str = "0"
    data_timestamp: str | None = None
    sources: tuple[str, ...] = ()
    synthetic: bool = False
    options: Options = field(default_factory=Options)

    def concept(self, concept: str | None) -> ConceptFacts | None:
        """The facts of a concept id, None where the vocabulary does not know it."""
        return self.concepts.get(concept) if concept is not None else None

    def rescale(self, value: float, unit: str, to: str, concept: str | None) -> float | None:
        """``value`` in another unit, free of the noise of binary fractions (12 significant digits)."""
        if unit == to:
            return value
        if self.convert is None:
            return None
        converted = self.convert(value, unit, to, concept)
        return None if converted is None else float(f"{converted:.12g}")


def unread_reasons(text: str, expression: Expression) -> Iterator[Reason]:
    """One reason for each unread leaf: what was not understood is always in the loss report."""
    for leaf in leaves(expression):
        if isinstance(leaf, Unread):
            start, end = leaf.span
            quote = " ".join(text[start:end].split())
            yield Reason("unread", f"not understood ({leaf.why}): {quote[:120]}")


def leaf_count(expression: Expression) -> dict[str, int]:
    """How many leaves of each kind an expression has: ``item``, ``fact``, ``unread``."""
    count = {"item": 0, "fact": 0, "unread": 0}
    for leaf in leaves(expression):
        match leaf:
            case Leaf():
                count["item"] += 1
            case Fact():
                count["fact"] += 1
            case Unread():
                count["unread"] += 1
    return count
