"""N trials side by side: one row a concept and population, canonical units, every cell with its quotes.

A cell shows the unconditional limit first, then alternatives and conditional limits. "Not stated" is an
empty cell and never counts as different. Strictest and loosest are marked among the unconditional
limits of one scale (never an absolute limit against a multiple of ULN): the strictest minimum is the
highest one, the strictest maximum the lowest; at the same number an exclusive bound is stricter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kb.errors import BadQuestion
from kb.limits import Limit, Side, TrialLine, load_trial_lines
from kb.reviewed_limits import reviewed_limits
from kb.store import Store


@dataclass(frozen=True, slots=True)
class Mark:
    """That a cell's limit is the strictest or the loosest of its row, on one side of one scale."""

    trial: str
    side: Side
    scale: str
    what: str  # "strictest" or "loosest"


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One concept in one population. ``cells`` has one tuple of limits a trial, in the trials' order."""

    concept: str | None
    concept_name: str
    category: str | None
    population: str | None
    cells: tuple[tuple[Limit, ...], ...]
    marks: tuple[Mark, ...]
    contradictions: tuple[str, ...] = ()

    @property
    def stated(self) -> int:
        """In how many of the trials it is stated."""
        return sum(bool(cell) for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The whole table. Raises nothing by itself; see :func:`compare`."""

    trials: tuple[TrialLine, ...]
    rows: tuple[ComparisonRow, ...]


def compare(store: Store, trial_ids: Sequence[str], concepts: Sequence[str] | None = None) -> Comparison:
    """Put the trials side by side; ``concepts`` (ids) restricts the rows.

    Raises BadQuestion for fewer than two different trials, TrialNotFound.
    """
    versions = list(dict.fromkeys(store.version_id(trial_id) for trial_id in trial_ids))
    if len(versions) < 2:
        raise BadQuestion("comparing takes at least two different trials")
    return compare_versions(store, versions, concepts)


def compare_versions(
    store: Store, versions: Sequence[int], concepts: Sequence[str] | None = None
) -> Comparison:
    """As :func:`compare`, for version ids that are already known."""
    lines = load_trial_lines(store.connection, versions)
    cells: dict[tuple[str, str | None], dict[int, list[Limit]]] = {}
    for limit in reviewed_limits(store.connection, versions, concepts):
        if limit.role != "requirement":
            continue
        key = (limit.concept or f"?{limit.concept_name.casefold()}", limit.population)
        cells.setdefault(key, {}).setdefault(limit.version_id, []).append(limit)
    places = {version: place for place, version in enumerate(versions)}
    rows = [_row(by_version, places, lines) for by_version in cells.values()]
    widest: dict[str, int] = {}
    for row in rows:
        widest[row.concept_name] = max(widest.get(row.concept_name, 0), row.stated)
    rows.sort(key=lambda row: _row_order(row, widest[row.concept_name]))
    return Comparison(tuple(lines[version] for version in versions), tuple(rows))


def _row_order(row: ComparisonRow, widest: int) -> tuple[bool, int, str, str, str]:
    """Known concepts first, then what most trials state; the populations of a concept (``widest``: how many
    trials state the most stated of them) one below the other."""
    return (
        row.concept is None,
        -widest,
        row.category or "",
        row.concept_name.casefold(),
        row.population or "",
    )


def cell_order(limit: Limit) -> tuple[bool, bool, bool, int]:
    """The unconditional limit first, then alternatives, then conditional ones; a range or a result that
    decides before what only stands there as written."""
    return (
        not limit.comparable and limit.status is None,
        limit.applies_if is not None,
        limit.alternative is not None,
        limit.evidence.span[0],
    )


def _row(
    by_version: dict[int, list[Limit]], places: dict[int, int], lines: dict[int, TrialLine]
) -> ComparisonRow:
    """``places``: the column of each version."""
    some = next(iter(by_version.values()))[0]
    cells: list[tuple[Limit, ...]] = [()] * len(places)
    contradictions: list[str] = []
    sound: list[tuple[str, list[Limit]]] = []  # what may be marked
    for version in sorted(by_version, key=places.__getitem__):
        limits = by_version[version]
        cells[places[version]] = tuple(sorted(limits, key=cell_order)) if len(limits) > 1 else (limits[0],)
        name = lines[version].trial
        unconditional = [limit for limit in limits if limit.unconditional and limit.comparable]
        if contradictory(unconditional):
            contradictions.append(name)
        elif unconditional:
            sound.append((name, unconditional))
    marks = tuple(mark for side in ("min", "max") for mark in _marks(side, sound)) if len(sound) > 1 else ()
    return ComparisonRow(
        some.concept,
        some.concept_name,
        some.category,
        some.population,
        tuple(cells),
        marks,
        tuple(contradictions),
    )


def contradictory(cell: Sequence[Limit]) -> bool:
    """Whether the unconditional limits of one trial leave no value at all (min above max): a reading
    to be looked at, not to be believed."""
    by_scale: dict[str, tuple[float, float]] = {}
    for limit in cell:
        if limit.unconditional and limit.comparable and limit.scale is not None:
            low, high = by_scale.get(limit.scale, (float("-inf"), float("inf")))
            if limit.min_value is not None:
                low = max(low, limit.min_value)
            if limit.max_value is not None:
                high = min(high, limit.max_value)
            by_scale[limit.scale] = (low, high)
    return any(low > high for low, high in by_scale.values())


def strictness(limit: Limit, side: Side) -> tuple[float, bool]:
    """Higher is stricter: the higher minimum, the lower maximum, and the exclusive one of two equals."""
    value = limit.bound(side)
    assert value is not None
    inclusive = limit.min_inclusive if side == "min" else limit.max_inclusive
    return (value if side == "min" else -value), not inclusive


def _marks(side: Side, stating: Sequence[tuple[str, Sequence[Limit]]]) -> list[Mark]:
    """The strictest and the loosest of the trials' unconditional limits, scale by scale."""
    stated: dict[str, dict[str, tuple[float, bool]]] = {}
    for name, limits in stating:
        for limit in limits:
            if limit.scale is not None and limit.bound(side) is not None:
                of_scale = stated.setdefault(limit.scale, {})
                of_scale[name] = max(of_scale.get(name, (float("-inf"), False)), strictness(limit, side))
    marks = []
    for scale, of_scale in stated.items():
        low, high = min(of_scale.values()), max(of_scale.values())
        if low == high:
            continue  # all the same: there is no strictest
        for name, value in of_scale.items():
            if value in (low, high):
                marks.append(Mark(name, side, scale, "strictest" if value == high else "loosest"))
    return marks
