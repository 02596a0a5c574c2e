"""The distribution of each threshold over a subject, and how one trial stands in it."""

from __future__ import annotations

import json
import statistics
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kb.axes import Axis
from kb.contrast import axis_limits
from kb.errors import BadQuestion
from kb.limits import Limit, Side, TrialLine, load_trial_lines, unit_words
from kb.reviewed_limits import decided_versions, reviewed_limits
from kb.similarity import settings
from kb.store import Store
from kb.subject import as_json, versions_of

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
    """One axis: ``stating`` of ``trials`` trials state it. Values in ``unit``, ascending; what conversion
    rounds differently (within 1 %) counts as one value."""

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
    have no eligible range (conditions, sets, suspect values), ``reviewed`` the limits of these trials that
    a reviewer decided on, and which count here as decided."""

    trials: tuple[TrialLine, ...]
    rows: tuple[LandscapeRow, ...]
    unplaced: int
    reviewed: int = 0


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
    return landscape_of(store, versions, concepts, asked)


def landscape_of(
    store: Store, versions: Sequence[int], concepts: Sequence[str] | None = None, asked: int | None = None
) -> Landscape:
    """As :func:`landscape`, for version ids that are already known."""
    own = {}
    if asked is not None:
        limits = axis_limits(reviewed_limits(store.connection, [asked], concepts))
        own = {axis: limit for (axis, population), limit in limits.items() if population is None}
    lines = load_trial_lines(store.connection, versions, count_unread=False)
    names = {version: line.trial for version, line in lines.items()}
    facts = {
        row[0]: row[1:]
        for row in store.connection.execute("SELECT id, name, category_id, canonical_unit FROM concept")
    }
    decided = decided_versions(store.connection, versions)
    as_read = sorted(set(versions).difference(decided))
    reviewed = reviewed_limits(store.connection, decided, concepts)
    general = _general(store, as_read, concepts)
    for limit_axis, version, bound, unit in _decided_bounds(reviewed):
        general.setdefault(limit_axis, ({}, unit))[0][version] = bound
    rows = [
        _row(
            axis,
            bounds,
            (facts[axis[0]][2] or unit) if axis[2] == "absolute" else unit,
            facts[axis[0]],
            names,
            own.get(axis),
            asked,
        )
        for axis, (bounds, unit) in general.items()
    ]
    rows.sort(key=lambda row: (-row.stating, row.category or "", row.concept_name, row.side, row.scale))
    return Landscape(
        tuple(lines[version] for version in versions),
        tuple(rows),
        _unplaced(store, as_read, concepts) + sum(map(_is_unplaced, reviewed)),
        sum(limit.evidence.review is not None for limit in reviewed),
    )


def _decided_bounds(limits: Sequence[Limit]) -> Iterator[tuple[Axis, int, float, str | None]]:
    """(axis, version, bound, unit) of the general limits of trials that reviewers decided on."""
    by_version: dict[int, list[Limit]] = {}
    for limit in limits:
        by_version.setdefault(limit.version_id, []).append(limit)
    for version, of_version in by_version.items():
        for (axis, population), limit in axis_limits(of_version).items():
            bound = limit.bound(axis[1])
            if population is None and bound is not None:
                yield axis, version, _rounded(bound), limit.unit


def _is_unplaced(limit: Limit) -> bool:
    return (
        limit.concept is not None
        and limit.role == "requirement"
        and limit.scale is None
        and limit.status is None
    )


_GENERAL = """
SELECT concept_id, scale, version_id, alternative IS NOT NULL, min_value, max_value,
       CASE WHEN scale = 'absolute' THEN canonical_unit ELSE unit END
FROM threshold WHERE version_id IN (SELECT value FROM json_each(:versions)) AND concept_id IS NOT NULL AND scale IS NOT NULL
  AND applies_if IS NULL AND holds_for IS NULL AND (:concepts IS NULL OR concept_id IN (SELECT value FROM json_each(:concepts)))
"""

_UNPLACED = """
SELECT count(*) FROM threshold WHERE version_id IN (SELECT value FROM json_each(:versions)) AND concept_id IS NOT NULL
  AND role = 'requirement' AND scale IS NULL AND status IS NULL
  AND (:concepts IS NULL OR concept_id IN (SELECT value FROM json_each(:concepts)))
"""


def _listed(concepts: Sequence[str] | None) -> str | None:
    return None if concepts is None else json.dumps(list(concepts))


def _unplaced(store: Store, versions: Sequence[int], concepts: Sequence[str] | None) -> int:
    count: int = store.connection.execute(
        _UNPLACED, {"versions": as_json(versions), "concepts": _listed(concepts)}
    ).fetchone()[0]
    return count


def _general(
    store: Store, versions: Sequence[int], concepts: Sequence[str] | None
) -> dict[Axis, tuple[dict[int, float], str | None]]:
    """By axis: each version's bound (unconditional before alternative, then the strictest), and the unit."""
    found: dict[Axis, dict[int, tuple[bool, float]]] = {}
    units: dict[Axis, str | None] = {}
    for concept, scale, version, alternative, low, high, unit in store.connection.execute(
        _GENERAL, {"versions": as_json(versions), "concepts": _listed(concepts)}
    ):
        for side, value in (("min", low), ("max", high)):
            if value is None:
                continue
            axis: Axis = (concept, "min" if side == "min" else "max", scale)
            place = (bool(alternative), -value if side == "min" else value)  # the smaller one is chosen
            of_axis = found.setdefault(axis, {})
            units.setdefault(axis, unit)
            if version not in of_axis or place < of_axis[version]:
                of_axis[version] = place
    return {
        axis: ({version: _rounded(_sign(axis) * place[1]) for version, place in of_axis.items()}, units[axis])
        for axis, of_axis in found.items()
    }


def _sign(axis: Axis) -> int:
    """-1 for a minimum, whose stored order is turned, else 1."""
    return -1 if axis[1] == "min" else 1


def _row(
    axis: Axis,
    bounds: dict[int, float],
    unit: str | None,
    facts: tuple[str, str | None, str | None],
    names: dict[int, str],
    own: Limit | None,
    asked: int | None,
) -> LandscapeRow:
    concept, side, scale = axis
    if not settings()[1].is_linear(unit, scale):
        bounds = _as_one(bounds)
    values = sorted(bounds.values())
    q1, median, q3 = _quartiles(values)
    counts = Counter(values)
    others = sorted(value for version, value in bounds.items() if version != asked)
    far = [
        (names[version], value) for version, value in bounds.items() if _outside(value, q1, q3, len(values))
    ]
    return LandscapeRow(
        concept, facts[0], facts[1], side, scale, unit_words(unit, scale), len(names), len(values), values[0], q1,
        median, q3, values[-1], tuple(sorted(counts.items())), tuple(sorted(far, key=lambda pair: (pair[1], pair[0]))),
        None if own is None else _standing(own, side, others), asked is not None and own is None,
    )  # fmt: skip


def _as_one(bounds: dict[int, float]) -> dict[int, float]:
    """The bounds, with those that are one limit in two units (221 umol/L and 2.5 mg/dL, which is 221.004) made
    one value: a number of more than four digits comes from a conversion, and stands for the most frequent
    plain one within the band in which conversion rounds. Plain numbers are never joined."""
    band = settings()[1].same_band
    counts = Counter(bounds.values())
    plain = [value for value in counts if float(f"{value:.4g}") == value]
    stands_for = {value: value for value in plain}
    for value in counts.keys() - stands_for.keys():
        near = [one for one in plain if abs(one - value) <= band * abs(value)]
        stands_for[value] = max(near, key=lambda one: (counts[one], -one)) if near else float(f"{value:.4g}")
    return {version: stands_for[value] for version, value in bounds.items()}


def _rounded(value: float) -> float:
    """To six digits: what unit conversion rounds is one value, not two."""
    return float(f"{value:.6g}")


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
    stated = own.bound(side)
    assert stated is not None
    value = _rounded(stated)
    band = settings()[1].same_band * abs(value)
    below = bisect_left(others, value - band)
    above = len(others) - bisect_right(others, value + band)
    same = len(others) - below - above
    looser, stricter = (below, above) if side == "min" else (above, below)
    return Standing(own, looser, same, stricter)
