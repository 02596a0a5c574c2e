"""The distribution of each threshold over a subject, and how one trial stands in it."""

from __future__ import annotations

import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from kb.axes import Axis
from kb.contrast import axis_limits
from kb.errors import BadQuestion
from kb.limits import Limit, Side, TrialLine, load_limits, load_trial_lines, unit_words
from kb.similarity import settings
from kb.store import Store
from kb.subject import versions_of

FENCE = 1.5
"""Tukey's fences: a bound further than 1.5 interquartile ranges outside the quartiles is an outlier
(J. W. Tukey, Exploratory Data Analysis, 1977)."""

LEAST = 5
"""Fewer trials than this have quartiles in name only: no outliers are told."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A trial's own bound in the distribution: how many of the others are looser, the same, stricter."""

    limit: Limit
    looser: int
    same: int
    stricter: int


@dataclass(frozen=True, slots=True)
class LandscapeRow:
    """One axis: ``stating`` of ``trials`` trials state it. Values in ``unit``, ascending."""

    concept: str
    concept_name: str
    category: str | None
    side: Side
    scale: str
    unit: str
    trials: int
    stating: int
    lowest: float
    q1: float
    median: float
    q3: float
    highest: float
    counts: tuple[tuple[float, int], ...]
    outliers: tuple[tuple[str, float], ...]
    standing: Standing | None
    not_stated_by_trial: bool


@dataclass(frozen=True, slots=True)
class Landscape:
    """``trials`` are those of the subject; ``unplaced`` counts requirements on a known concept that
    have no eligible range (conditions, sets, suspect values)."""

    trials: tuple[TrialLine, ...]
    rows: tuple[LandscapeRow, ...]
    unplaced: int


def landscape(
    store: Store,
    *,
    conditions: Sequence[str] = (),
    interventions: Sequence[str] = (),
    concepts: Sequence[str] | None = None,
    trial_id: str | None = None,
) -> Landscape:
    """Each threshold over the trials about all these conditions and interventions.

    ``concepts`` (ids) restricts the rows; ``trial_id`` says whose standing is told: it need not be one of
    the subject's trials, and is not counted among the others. Limits under a condition and of
    sub-populations are left out; of alternatives the strictest bound counts. Raises BadQuestion where no
    trial is about the subject, TrialNotFound.
    """
    versions = versions_of(store, conditions, interventions)
    if not versions:
        raise BadQuestion(f"no stored trial is about {' and '.join([*conditions, *interventions])}")
    asked = store.version_id(trial_id) if trial_id is not None else None
    limits = load_limits(store.connection, dict.fromkeys([*versions, *([asked] if asked else [])]), concepts)
    by_version: dict[int, list[Limit]] = {}
    for limit in limits:
        by_version.setdefault(limit.version_id, []).append(limit)
    stated: dict[Axis, dict[int, Limit]] = {}
    own: dict[Axis, Limit] = {}
    for version, listed in by_version.items():
        for (axis, population), limit in axis_limits(listed).items():
            if population is None and version == asked:
                own[axis] = limit
            if population is None and version in by_version and (version != asked or asked in versions):
                stated.setdefault(axis, {})[version] = limit
    lines = load_trial_lines(store.connection, versions)
    names = {version: line.trial for version, line in lines.items()}
    rows = [
        _row(axis, of_axis, len(versions), names, own.get(axis), asked) for axis, of_axis in stated.items()
    ]
    rows.sort(key=lambda row: (-row.stating, row.category or "", row.concept_name, row.side, row.scale))
    unplaced = sum(
        limit.role == "requirement"
        and limit.concept is not None
        and not limit.comparable
        and limit.status is None
        for limit in limits
    )
    return Landscape(tuple(lines[version] for version in versions), tuple(rows), unplaced)


def _row(
    axis: Axis,
    stated: dict[int, Limit],
    trials: int,
    names: dict[int, str],
    own: Limit | None,
    asked: int | None,
) -> LandscapeRow:
    concept, side, scale = axis
    some = next(iter(stated.values()))
    bounds = {version: _bound(limit, side) for version, limit in stated.items()}
    values = sorted(bounds.values())
    q1, median, q3 = _quartiles(values)
    counts: dict[float, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    others = sorted(value for version, value in bounds.items() if version != asked)
    return LandscapeRow(
        concept, some.concept_name, some.category, side, scale, unit_words(some.unit, scale), trials, len(values),
        values[0], q1, median, q3, values[-1], tuple(sorted(counts.items())),
        tuple(sorted(((names[version], value) for version, value in bounds.items() if _outside(value, q1, q3, len(values))),
                     key=lambda pair: (pair[1], pair[0]))),
        None if own is None else _standing(own, side, others),
        asked is not None and own is None,
    )  # fmt: skip


def _bound(limit: Limit, side: Side) -> float:
    value = limit.bound(side)
    assert value is not None
    return float(f"{value:.6g}")  # what unit conversion rounds is one value, not two


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
    return q1, median, q3


def _outside(value: float, q1: float, q3: float, stating: int) -> bool:
    if stating < LEAST:
        return False
    reach = FENCE * (q3 - q1)
    return value < q1 - reach or value > q3 + reach


def _standing(own: Limit, side: Side, others: Sequence[float]) -> Standing:
    """A higher minimum and a lower maximum are stricter."""
    value = _bound(own, side)
    band = settings()[1].same_band * abs(value)
    below = bisect_left(others, value - band)
    above = len(others) - bisect_right(others, value + band)
    same = len(others) - below - above
    looser, stricter = (below, above) if side == "min" else (above, below)
    return Standing(own, looser, same, stricter)
