"""The distribution of each threshold over a subject, and how one trial stands in it.

A line's thresholds are one row however many of the subject's trials say it: the trials come from the narrow
table ``trial_bound``, and what they say from the few thresholds that it names.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
import numpy.typing as npt

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
    decided = decided_versions(store.connection, versions)
    as_read = sorted(set(versions).difference(decided)) if decided else versions
    reviewed = reviewed_limits(store.connection, decided, concepts)
    said, units, unplaced = _surveyed(store, as_read, concepts)
    for decided_axis, version, bound, said_unit in _decided_bounds(reviewed):
        said.append((decided_axis, False, bound, np.array([version])))
        units.setdefault(decided_axis, said_unit)
    facts = {
        row[0]: row[1:]
        for row in store.connection.execute(
            "SELECT id, name, category_id, canonical_unit FROM concept WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted({axis[0] for axis in units})),),
        )
    }
    rows = [
        _row(
            axis,
            spread,
            (facts[axis[0]][2] or units[axis]) if axis[2] == "absolute" else units[axis],
            facts[axis[0]],
            lines,
            own.get(axis),
            asked,
        )
        for axis, spread in _spreads(said).items()
    ]
    rows.sort(key=lambda row: (-row.stating, row.category or "", row.concept_name, row.side, row.scale))
    return Landscape(
        tuple(lines[version] for version in versions),
        tuple(rows),
        unplaced + sum(map(_is_unplaced, reviewed)),
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


_SURVEYED = """
SELECT id, concept_id, scale, alternative IS NOT NULL, min_value, max_value,
       CASE WHEN scale = 'absolute' THEN canonical_unit ELSE unit END
FROM line_threshold WHERE id IN (SELECT value FROM json_each(?))
"""


@dataclass(frozen=True, slots=True)
class _Spread:
    """The bounds of one axis, one a version: their versions, the bounds, and how often each stands, ascending."""

    versions: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.float64]
    counts: list[tuple[float, int]]


def _surveyed(
    store: Store, versions: Sequence[int], concepts: Sequence[str] | None
) -> tuple[list[tuple[Axis, bool, float, npt.NDArray[np.int64]]], dict[Axis, str | None], int]:
    """(axis, whether it is an alternative, bound, versions) of each line's threshold, the axes' units, and the
    number of requirements without an eligible range."""
    placed = np.array(
        store.connection.execute(
            "SELECT version_id, threshold_id FROM trial_bound WHERE version_id IN (SELECT value FROM json_each(?))",
            (as_json(versions),),
        ).fetchall(),
        np.int64,
    ).reshape(-1, 2)
    placed = placed[np.argsort(placed[:, 1], kind="stable")]  # the versions of each threshold lie together
    ids, starts = np.unique(placed[:, 1], return_index=True)
    ends = [*starts[1:].tolist(), len(placed)]
    of_line = {
        key: placed[start:end, 0] for key, start, end in zip(ids.tolist(), starts.tolist(), ends, strict=True)
    }
    wanted = None if concepts is None else frozenset(concepts)
    said = []
    units: dict[Axis, str | None] = {}
    unplaced = 0
    facts = _line_facts(store, list(of_line))
    for key, trials in of_line.items():
        concept, scale, alternative, bounds, unit = facts[key]
        if wanted is not None and concept not in wanted:
            continue
        if scale is None:
            unplaced += len(trials)
            continue
        for side, value in bounds:
            axis = (concept, side, scale)
            said.append((axis, alternative, value, trials))
            units.setdefault(axis, unit)
    return said, units, unplaced


_REMEMBERED = 50_000
"""Lines' thresholds at hand; they never change, and the same ones come with every subject."""

_LineFact = tuple[str, str | None, bool, tuple[tuple[Side, float], ...], str | None]


def _line_facts(store: Store, ids: Sequence[int]) -> dict[int, _LineFact]:
    """(concept, scale, whether it is an alternative, its bounds, unit) of lines' thresholds, by id."""
    known: dict[int, _LineFact] = store.held.setdefault("line_facts", ("", {}))[1]
    if len(known) > _REMEMBERED:
        known.clear()
    missing = [key for key in ids if key not in known]
    for key, concept, scale, alternative, low, high, unit in store.connection.execute(
        _SURVEYED, (as_json(missing),)
    ):
        bounds: list[tuple[Side, float]] = []
        if low is not None:
            bounds.append(("min", _rounded(low)))
        if high is not None:
            bounds.append(("max", _rounded(high)))
        known[key] = (concept, scale, bool(alternative), tuple(bounds), unit)
    return known


def _spreads(
    said: Sequence[tuple[Axis, bool, float, npt.NDArray[np.int64]]],
) -> dict[Axis, _Spread]:
    """Each version's bound on each axis: unconditional before alternative, then the strictest."""
    if not said:
        return {}
    axes = list(dict.fromkeys(one[0] for one in said))
    number = {axis: at for at, axis in enumerate(axes)}
    repeats = [len(one[3]) for one in said]
    versions = np.concatenate([one[3] for one in said])
    axis_of = np.repeat([number[one[0]] for one in said], repeats)
    alternative = np.repeat([one[1] for one in said], repeats)
    bounds = np.repeat([one[2] for one in said], repeats)
    looseness = np.repeat([_sign(one[0]) * one[2] for one in said], repeats)
    order = np.lexsort((looseness, alternative, versions, axis_of))
    axis_of, versions, bounds = axis_of[order], versions[order], bounds[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = (axis_of[1:] != axis_of[:-1]) | (versions[1:] != versions[:-1])
    axis_of, versions, bounds = axis_of[first], versions[first], bounds[first]
    order = np.lexsort((bounds, axis_of))
    axis_of, versions, bounds = axis_of[order], versions[order], bounds[order]
    starts = np.flatnonzero(np.append(True, (axis_of[1:] != axis_of[:-1]) | (bounds[1:] != bounds[:-1])))
    lengths = np.diff(np.append(starts, len(bounds))).tolist()
    counts: dict[int, list[tuple[float, int]]] = {}
    for at, value, length in zip(axis_of[starts].tolist(), bounds[starts].tolist(), lengths, strict=True):
        counts.setdefault(at, []).append((value, length))
    ends = np.searchsorted(axis_of, np.arange(len(axes) + 1)).tolist()
    return {
        axis: _Spread(versions[ends[at] : ends[at + 1]], bounds[ends[at] : ends[at + 1]], counts[at])
        for at, axis in enumerate(axes)
    }


def _sign(axis: Axis) -> int:
    """-1 for a minimum, whose stored order is turned, else 1."""
    return -1 if axis[1] == "min" else 1


def _row(
    axis: Axis,
    spread: _Spread,
    unit: str | None,
    facts: tuple[str, str | None, str | None],
    trials: Mapping[int, TrialLine],
    own: Limit | None,
    asked: int | None,
) -> LandscapeRow:
    concept, side, scale = axis
    counts = spread.counts
    stands_for: dict[float, float] = {}
    if not settings()[1].is_linear(unit, scale):
        counts, stands_for = _as_one(counts)
    q1, median, q3 = _quartiles(counts)
    far = []
    if strange := _outside(counts, q1, q3):
        for version, value in zip(spread.versions.tolist(), spread.bounds.tolist(), strict=True):
            if stands_for.get(value, value) in strange:
                far.append((trials[version].trial, stands_for.get(value, value)))
    others = dict(counts)
    for value in spread.bounds[spread.versions == asked].tolist() if asked is not None else ():
        others[stands_for.get(value, value)] -= 1
    return LandscapeRow(
        concept, facts[0], facts[1], side, scale, unit_words(unit, scale), len(trials), len(spread.versions), counts[0][0],
        q1, median, q3, counts[-1][0], tuple(counts), tuple(sorted(far, key=lambda pair: (pair[1], pair[0]))),
        None if own is None else _standing(own, side, others), asked is not None and own is None,
    )  # fmt: skip


def _as_one(counts: list[tuple[float, int]]) -> tuple[list[tuple[float, int]], dict[float, float]]:
    """The counted bounds, with those that are one limit in two units (221 umol/L and 2.5 mg/dL, which is
    221.004) made one value, and which stands for which: a number of more than four digits comes from a
    conversion, and stands for the most frequent plain one within the band in which conversion rounds. Plain
    numbers are never joined."""
    band = settings()[1].same_band
    known = dict(counts)
    plain = [value for value in known if _four_digits(value) == value]
    if len(plain) == len(known):
        return counts, {}
    stands_for = {}
    for value in known.keys() - set(plain):
        near = [one for one in plain if abs(one - value) <= band * abs(value)]
        stands_for[value] = max(near, key=lambda one: (known[one], -one)) if near else _four_digits(value)
    joined: Counter[float] = Counter()
    for value, count in counts:
        joined[stands_for.get(value, value)] += count
    return sorted(joined.items()), stands_for


def _rounded(value: float) -> float:
    """To six digits: what unit conversion rounds is one value, not two."""
    return float(f"{value:.6g}")


@lru_cache(maxsize=4096)
def _four_digits(value: float) -> float:
    return float(f"{value:.4g}")


def _quartiles(counts: Sequence[tuple[float, int]]) -> tuple[float, float, float]:
    """Of counted values, by linear interpolation (the "inclusive" method of ``statistics.quantiles``)."""
    if len(counts) == 1:
        return counts[0][0], counts[0][0], counts[0][0]
    ends = list(accumulate(count for _, count in counts))
    found = []
    for quarter in (1, 2, 3):
        at, rest = divmod(quarter * (ends[-1] - 1), 4)
        here = counts[bisect_right(ends, at)][0]
        above = counts[bisect_right(ends, at + 1)][0] if rest else here
        found.append((here * (4 - rest) + above * rest) / 4)
    return found[0], found[1], found[2]


def _outside(counts: Sequence[tuple[float, int]], q1: float, q3: float) -> set[float]:
    """The values beyond the fences; none of too few."""
    if sum(count for _, count in counts) < LEAST:
        return set()
    reach = FENCE * (q3 - q1)
    return {value for value, _ in counts if value < q1 - reach or value > q3 + reach}


def _standing(own: Limit, side: Side, others: Mapping[float, int]) -> Standing:
    """A higher minimum and a lower maximum are stricter."""
    stated = own.bound(side)
    assert stated is not None
    value = _rounded(stated)
    band = settings()[1].same_band * abs(value)
    below = sum(count for one, count in others.items() if one < value - band)
    above = sum(count for one, count in others.items() if one > value + band)
    same = sum(others.values()) - below - above
    looser, stricter = (below, above) if side == "min" else (above, below)
    return Standing(own, looser, same, stricter)
