"""Two trials threshold by threshold: the same, stricter, looser, or stated by one of them only.

The similarity is that of ``data/similarity.json`` ("comparing"). Every term of its sum is a row, with
both values and both quotes; a limit that only one trial states is listed, and is not "different".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kb.axes import Axis, AxisIndex
from kb.compare import cell_order, strictness
from kb.limits import SIDES, Limit, Side, unit_words
from kb.similarity import rarity, settings

Verdict = Literal["same", "stricter", "looser", "only here", "only there"]


@dataclass(frozen=True, slots=True)
class ContrastRow:
    """One axis of one population. ``here`` is the asked trial's limit, ``there`` the other's.

    ``verdict`` says how the other trial's limit is, seen from the asked one: ``stricter`` admits fewer.
    ``amount`` is there - here in ``unit`` (or multiples), ``contribution`` its part of the similarity.
    """

    concept: str
    concept_name: str
    side: Side
    scale: str
    population: str | None
    here: Limit | None
    there: Limit | None
    verdict: Verdict
    amount: float | None
    unit: str
    distance: float | None
    weight: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """``similarity`` (0 to 1) is the sum of the rows' contributions. ``uncertain`` counts limits of
    either trial that could not be placed on an axis."""

    similarity: float
    rows: tuple[ContrastRow, ...]
    uncertain: int

    def count(self, verdict: Verdict) -> int:
        """How many rows have this verdict."""
        return sum(row.verdict == verdict for row in self.rows)


def axis_limits(limits: Sequence[Limit]) -> dict[tuple[Axis, str | None], Limit]:
    """A trial's limit on each axis, by population: unconditional before alternative, then the strictest.

    Limits under a condition take no part: they hold instead of the general one for a few patients.
    """
    chosen: dict[tuple[Axis, str | None], Limit] = {}
    for limit in limits:
        if limit.concept is None or limit.scale is None or limit.applies_if is not None:
            continue
        for side in SIDES:
            if limit.bound(side) is None:
                continue
            key = ((limit.concept, side, limit.scale), limit.population)
            known = chosen.get(key)
            if known is None or _precedes(limit, known, side):
                chosen[key] = limit
    return chosen


def _precedes(limit: Limit, known: Limit, side: Side) -> bool:
    if (limit.alternative is None) != (known.alternative is None):
        return limit.alternative is None
    return strictness(limit, side) > strictness(known, side)


def contrast(here: Sequence[Limit], there: Sequence[Limit], index: AxisIndex) -> Contrast:
    """Compare the limits of two trials; spreads and rarities are those of ``index``."""
    _, comparing = settings()
    mine, theirs = axis_limits(here), axis_limits(there)
    unseen = rarity(len(index.versions), 0)
    keys = sorted(mine.keys() | theirs.keys(), key=lambda key: (key[0], key[1] or ""))
    weights = {key: index.axes[key[0]].weight if key[0] in index.axes else unseen for key in keys}
    total = sum(weights.values()) + comparing.damping
    rows = [_row(key, mine.get(key), theirs.get(key), weights[key], total, index) for key in keys]
    rows.sort(key=lambda row: (-row.contribution, row.distance is None, -row.weight, row.concept, row.side))
    placed = {id(limit) for limit in (*mine.values(), *theirs.values())}
    uncertain = sum(
        1
        for limit in (*here, *there)
        if id(limit) not in placed
        and limit.role == "requirement"
        and not limit.comparable
        and limit.status is None
    )
    return Contrast(sum(row.contribution for row in rows), tuple(rows), uncertain)


def _row(
    key: tuple[Axis, str | None],
    here: Limit | None,
    there: Limit | None,
    weight: float,
    total: float,
    index: AxisIndex,
) -> ContrastRow:
    (concept, side, scale), population = key
    some = here or there
    assert some is not None
    verdict: Verdict = "only here" if there is None else "only there"
    amount = distance = None
    contribution = 0.0
    if here is not None and there is not None:
        distance, amount = _distance(here, there, side, scale)
        if distance is not None:
            data = index.axes.get((concept, side, scale))
            _, comparing = settings()
            tau = data.tau if data is not None else comparing.tau_floor
            contribution = weight * math.exp(-distance / tau) / total
        verdict = _verdict(here, there, side, distance)
        if verdict == "same":
            amount = 0.0
    return ContrastRow(
        concept, some.concept_name, side, scale, population, here, there, verdict, amount,
        unit_words(some.unit, scale), distance, weight, contribution,
    )  # fmt: skip


def _distance(here: Limit, there: Limit, side: Side, scale: str) -> tuple[float | None, float | None]:
    """(distance on the axis, plain difference); no distance where the axis has no place for a value."""
    _, comparing = settings()
    one, other = here.bound(side), there.bound(side)
    assert one is not None
    assert other is not None
    linear = comparing.is_linear(here.unit or there.unit, scale)
    places = comparing.position(one, linear), comparing.position(other, linear)
    if places[0] is None or places[1] is None:
        return (0.0 if one == other else None), other - one
    return comparing.distance(places[0], places[1]), other - one


def _verdict(here: Limit, there: Limit, side: Side, distance: float | None) -> Verdict:
    mine, theirs = strictness(here, side), strictness(there, side)
    if distance == 0.0:
        mine, theirs = (0.0, mine[1]), (0.0, theirs[1])  # the same number: only its inclusion can differ
    if mine == theirs:
        return "same"
    return "stricter" if theirs > mine else "looser"


def order(limits: Sequence[Limit]) -> list[Limit]:
    """Limits as a cell shows them."""
    return sorted(limits, key=cell_order)
