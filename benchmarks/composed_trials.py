"""Trials composed from criteria of real records, as many as a benchmark asks for, with their readings.

A composed trial has lognormally many criteria (19.5 on average, as measured on real records), each drawn from
the criteria of real records, and the registry fields of a real record. Trial ``number`` is the same whenever
it is composed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harvest.model import Trial
from nlp.model import (
    All,
    AnyOf,
    Criterion,
    Expression,
    Extraction,
    Fact,
    If,
    Item,
    Leaf,
    Not,
    Qualifier,
    Unread,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """One criterion of a real record with its items, at offset 0; items are named by their number."""

    criterion: Criterion
    items: tuple[Item, ...]


def pieces_of(extraction: Extraction) -> Iterator[Piece]:
    """The criteria that stand by themselves: no parent, no children."""
    parents = {(one.section, one.parent) for one in extraction.criteria if one.parent}
    for one in extraction.criteria:
        if one.parent is None and (one.section, one.path) not in parents:
            items = [i for i in extraction.items if (i.section, i.criterion) == (one.section, one.path)]
            names = {item.id: str(number) for number, item in enumerate(items)}
            moved = tuple(_moved_item(item, -one.span[0], names[item.id], "") for item in items)
            expression = _moved(one.expression, -one.span[0], names)
            yield Piece(replace(one, expression=expression, span=(0, len(one.text))), moved)


def _moved(expression: Expression, by: int, names: dict[str, str]) -> Expression:
    """The expression ``by`` characters further on, its items renamed."""
    match expression:
        case Fact(text, span, concept):
            return Fact(text, (span[0] + by, span[1] + by), concept)
        case Leaf(item):
            return Leaf(names.get(item, item))
        case Unread(span, why):
            return Unread((span[0] + by, span[1] + by), why)
        case All(parts):
            return All(tuple(_moved(part, by, names) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(_moved(part, by, names) for part in parts))
        case Not(part):
            return Not(_moved(part, by, names))
        case If(condition, then, otherwise):
            return If(*(_moved(part, by, names) for part in (condition, then, otherwise)))


def _moved_item(item: Item, by: int, name: str, path: str) -> Item:
    """The item ``by`` characters further on."""

    def qualifier(one: Qualifier | None) -> Qualifier | None:
        return None if one is None else Qualifier(one.text, (one.span[0] + by, one.span[1] + by))

    span = item.concept_span
    return replace(
        item, id=name, criterion=path, value_span=(item.value_span[0] + by, item.value_span[1] + by),
        concept_span=None if span is None else (span[0] + by, span[1] + by),
        condition=qualifier(item.condition), exception=qualifier(item.exception),
    )  # fmt: skip


def compose(
    number: int, version: int, base: Trial, pieces: Sequence[Piece], vocabulary: str, distinct: float = 0.0
) -> tuple[Trial, Extraction]:
    """Trial ``number``, with criteria drawn from ``pieces``; a share ``distinct`` of them gets words of its
    own behind the criterion, as if no other trial said it."""
    rng = random.Random(2 * number + version)
    count = max(3, min(90, round(rng.lognormvariate(math.log(16.5), 0.58))))
    drawn = sorted(rng.choices(pieces, k=count), key=lambda piece: piece.criterion.section, reverse=True)
    parts: list[str] = []
    at = 0
    section = ""
    items: list[Item] = []
    criteria: list[Criterion] = []
    for place, piece in enumerate(drawn, start=1):
        one = piece.criterion
        heading = ""
        if one.section != section:
            section = one.section
            heading = f"{'' if not parts else chr(10)}{section.capitalize()} Criteria:\n"
        parts.append(f"{heading}\n* ")
        at += len(parts[-1])
        text = one.text
        if distinct and rng.random() < distinct:
            text += f" (protocol section {number}.{place})"
        names = {item.id: f"i{len(items) + each}" for each, item in enumerate(piece.items, start=1)}
        path = str(place)
        items += [_moved_item(item, at, names[item.id], path) for item in piece.items]
        criteria.append(
            Criterion(
                path, one.section, text, (at, at + len(text)), _moved(one.expression, at, names), one.coverage,
                None, one.heading, one.population,
            )
        )  # fmt: skip
        parts.append(text)
        at += len(text)
    trial = replace(
        base, source="benchmark", source_id=f"BENCH{number:08d}", version=f"{version:02d}{number:062d}",
        eligibility_text="".join(parts), aliases=(), synthetic=True, last_update_posted=f"202{version}-01-01",
    )  # fmt: skip
    return trial, Extraction(tuple(items), tuple(criteria), vocabulary)
