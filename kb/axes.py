"""The threshold index: every comparable bound of every trial, by axis, in numpy arrays.

An axis is (concept, side, scale): ``("plt", "min", "absolute")``. Only what is demanded of every patient
enters: no limit under a condition or of a sub-population; alternatives enter where a trial has nothing
unconditional on that axis. A trial has one value an axis, its strictest.

The index is rebuilt from SQL by itself (:mod:`kb.kept_index`). It takes 8 bytes a bound and 12 a trial.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from kb.kept_index import Arrays, kept_index
from kb.limits import SIDES, Side
from kb.similarity import Comparing, rarity, settings
from kb.store import Store

Axis = tuple[str, Side, str]

# One of several alternatives has a branch; the view would have to put the name of the group together.
_BOUNDS = """
SELECT concept_id, scale, version_id, {side}_value, branch IS NOT NULL, canonical_unit
FROM current_threshold WHERE {side}_value IS NOT NULL AND concept_id IS NOT NULL AND scale IS NOT NULL
  AND applies_if IS NULL AND holds_for IS NULL
"""


@dataclass(frozen=True, slots=True)
class AxisData:
    """One axis: ``places`` are indexes into ``AxisIndex.versions`` (ascending), ``positions`` the
    bounds on the distance axis, ``df`` the number of trials that state it, ``tau`` its spread."""

    places: npt.NDArray[np.int32]
    positions: npt.NDArray[np.float32]
    linear: bool
    df: int
    weight: float
    tau: float


@dataclass(frozen=True, slots=True)
class AxisIndex:
    """All axes over all current versions; ``totals`` is the summed weight of each version's axes."""

    versions: npt.NDArray[np.int64]
    axes: Mapping[Axis, AxisData]
    totals: npt.NDArray[np.float32]

    def similar(self, values: Mapping[Axis, float]) -> npt.NDArray[np.float32]:
        """The threshold similarity of every version to a trial with these positions by axis.

        The formula stands in ``data/similarity.json``. An axis that no stored trial has weighs
        ln(N + 1) in the union. Time grows with the postings of the asked axes only.
        """
        _, comparing = settings()
        gained = np.zeros(len(self.versions), np.float32)
        shared = np.zeros(len(self.versions), np.float32)
        own = 0.0
        for axis, value in values.items():
            data = self.axes.get(axis)
            if data is None:
                own += rarity(len(self.versions), 0)
                continue
            own += data.weight
            distance = np.abs(data.positions - np.float32(value))
            distance[distance <= comparing.same_band] = 0
            gained[data.places] += data.weight * np.exp(-distance / data.tau)
            shared[data.places] += data.weight
        union = self.totals + np.float32(own) - shared
        return cast("npt.NDArray[np.float32]", gained / (union + np.float32(comparing.damping)))


def axis_index(store: Store) -> AxisIndex:
    """The index of this knowledge base as it is now, kept or made anew."""
    arrays = kept_index(store, "axes", lambda: _pack(build_axis_index(store.connection)))
    held = store.held.get("axes-unpacked")
    if held is None or held[1][0] is not arrays:
        store.held["axes-unpacked"] = ("", (arrays, _unpack(arrays)))
    index: AxisIndex = store.held["axes-unpacked"][1][1]
    return index


def build_axis_index(connection: sqlite3.Connection) -> AxisIndex:
    """Read every bound from SQL and arrange it by axis."""
    _, comparing = settings()
    versions = np.fromiter(
        (row[0] for row in connection.execute("SELECT id FROM current_version ORDER BY id")), np.int64
    )
    # one unit a concept, so one kind of distance on an axis: an item may have none (a grade, a set)
    units = dict(connection.execute("SELECT id, canonical_unit FROM concept").fetchall())
    axes: dict[Axis, AxisData] = {}
    for side in SIDES:
        cursor = connection.execute(_BOUNDS.format(side=side) + " ORDER BY concept_id, scale")
        current: tuple[str, str] | None = None
        rows: list[tuple[int, float, int, str | None]] = []
        for concept, scale, version, value, alternative, unit in cursor:
            if (concept, scale) != current:
                if current is not None:
                    _add_axis(axes, (current[0], side, current[1]), rows, versions, comparing)
                current, rows = (concept, scale), []
            rows.append((version, value, alternative, units.get(concept) or unit))
        if current is not None:
            _add_axis(axes, (current[0], side, current[1]), rows, versions, comparing)
    totals = np.zeros(len(versions), np.float32)
    for axis in axes.values():
        totals[axis.places] += axis.weight
    return AxisIndex(versions, axes, totals)


def _add_axis(
    axes: dict[Axis, AxisData],
    axis: Axis,
    rows: Iterable[tuple[int, float, int, str | None]],
    versions: npt.NDArray[np.int64],
    comparing: Comparing,
) -> None:
    listed = list(rows)
    linear = comparing.is_linear(listed[0][3], axis[2])
    ids = np.array([row[0] for row in listed], np.int64)
    values = np.array([row[1] for row in listed], np.float64)
    alternative = np.array([row[2] for row in listed], np.int8)
    if not linear:
        kept = values > 0
        ids, values, alternative = ids[kept], values[kept], alternative[kept]
        values = np.log(values)
    if not len(ids):
        return
    # one value a trial: unconditional before alternative, then the strictest
    strict = -values if axis[1] == "min" else values
    order = np.lexsort((strict, alternative, ids))
    ids, values = ids[order], values[order]
    first = np.concatenate(([True], ids[1:] != ids[:-1]))
    ids, values = ids[first], values[first]
    median = float(np.median(values))
    mad = float(np.median(np.abs(values - median)))
    axes[axis] = AxisData(
        np.searchsorted(versions, ids).astype(np.int32),
        values.astype(np.float32),
        linear,
        len(ids),
        rarity(len(versions), len(ids)),
        comparing.tau(median, mad, linear),
    )


def _pack(index: AxisIndex) -> Arrays:
    listed = list(index.axes.values())
    return {
        "versions": index.versions,
        "totals": index.totals,
        "names": np.array(["\t".join(axis) for axis in index.axes] or [""])[: len(listed)],
        "facts": np.array([(axis.linear, axis.df, axis.weight, axis.tau) for axis in listed], np.float64),
        "bounds": np.cumsum([0] + [len(axis.places) for axis in listed]),
        "places": np.concatenate([np.zeros(0, np.int32), *(axis.places for axis in listed)]),
        "positions": np.concatenate([np.zeros(0, np.float32), *(axis.positions for axis in listed)]),
    }


def _unpack(stored: Arrays) -> AxisIndex:
    places, positions, bounds = stored["places"], stored["positions"], stored["bounds"]
    axes: dict[Axis, AxisData] = {}
    for number, (name, facts) in enumerate(zip(stored["names"], stored["facts"], strict=True)):
        concept, side, scale = str(name).split("\t")
        span = slice(int(bounds[number]), int(bounds[number + 1]))
        axes[concept, cast("Side", side), scale] = AxisData(
            places[span], positions[span], bool(facts[0]), int(facts[1]), float(facts[2]), float(facts[3])
        )
    return AxisIndex(stored["versions"], axes, stored["totals"])
