"""A threshold as an answer shows it: the eligible range in canonical units, with its evidence."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from kb.errors import BadQuestion

Side = Literal["min", "max"]
SIDES: tuple[Side, Side] = ("min", "max")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a limit was read: the trial's criterion, its exact words, and the span in the raw text;
    ``review`` is what a reviewer decided on it, by whom and when."""

    trial: str
    section: str
    criterion: str | None
    line: str
    quote: str
    span: tuple[int, int]
    rule: str
    flags: tuple[str, ...] = ()
    review: str | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """One stored threshold. Bounds as in :class:`kb.eligible.Eligible`; ``written`` are the text's words.

    ``concept`` None: the vocabulary does not know it, ``concept_name`` then is the surface text.
    """

    version_id: int
    concept: str | None
    concept_name: str
    category: str | None
    population: str | None
    role: str
    kind: str
    comparator: str
    scale: str | None
    unit: str | None
    min_value: float | None
    min_inclusive: bool | None
    max_value: float | None
    max_inclusive: bool | None
    status: str | None
    turned: bool
    alternative: str | None
    branch: int | None
    applies_if: str | None
    exception: str | None
    values: tuple[float, ...] | None
    window: str | None
    evidence: Evidence

    @property
    def unconditional(self) -> bool:
        """Whether it is demanded of every patient by itself: no condition, no alternative."""
        return self.applies_if is None and self.alternative is None

    @property
    def comparable(self) -> bool:
        """Whether it has an eligible range on a known scale."""
        return self.scale is not None and (self.min_value is not None or self.max_value is not None)

    def bound(self, side: Side) -> float | None:
        """The lower (``min``) or upper (``max``) bound of the eligible range."""
        return self.min_value if side == "min" else self.max_value

    def words(self) -> str:
        """The limit for people: ``≥ 50 10*9/L``, ``≤ 2.5 × ULN``, ``positive``; unreadable as written."""
        if self.status is not None:
            return self.status.replace("_", " ")
        if not self.comparable:
            return f"{'excluded' if self.turned else 'as written'}: {self.evidence.quote}"
        return range_words(
            self.min_value, self.min_inclusive, self.max_value, self.max_inclusive, self.unit, self.scale
        )


def side_words(limit: Limit, side: Side) -> str:
    """One side of a limit for people: ``≤ 70 a`` of ``≥ 18 and ≤ 70 a``."""
    if side == "min":
        return range_words(limit.min_value, limit.min_inclusive, None, None, limit.unit, limit.scale)
    return range_words(None, None, limit.max_value, limit.max_inclusive, limit.unit, limit.scale)


def short(value: float) -> str:
    """A number without needless digits: whole ones as they are, others with as few digits (at most six
    significant ones) as tell them to 0.02 %: what a conversion adds behind that says nothing."""
    if value == round(value):
        return format(value, ".15g")
    for digits in range(1, 6):
        rounded = float(format(value, f".{digits}g"))
        if abs(rounded - value) <= 2e-4 * abs(value):
            return format(rounded, ".15g")
    return format(value, ".6g")


def unit_words(unit: str | None, scale: str | None) -> str:
    """``10*9/L``; ``× ULN`` for multiples; ``% predicted``."""
    if scale == "predicted":
        return f"{unit or '%'} predicted"
    if scale not in (None, "absolute"):
        return f"× {scale}"
    return "" if unit in (None, "1") else str(unit)


def range_words(
    low: float | None,
    low_inclusive: bool | None,
    high: float | None,
    high_inclusive: bool | None,
    unit: str | None,
    scale: str | None,
) -> str:
    """A range in words, e.g. ``≥ 18 and < 70 a``."""
    parts = []
    if low is not None and low == high:
        parts.append(f"= {short(low)}")
    else:
        if low is not None:
            parts.append(f"{'≥' if low_inclusive else '>'} {short(low)}")
        if high is not None:
            parts.append(f"{'≤' if high_inclusive else '<'} {short(high)}")
    return f"{' and '.join(parts)} {unit_words(unit, scale)}".strip()


_LIMITS = """
SELECT h.version_id, h.concept_id, coalesce(c.name, h.concept_text, '(concept not named)'), c.category_id,
       h.holds_for, h.role, h.kind, h.comparator, h.scale,
       CASE WHEN h.scale = 'absolute' THEN coalesce(c.canonical_unit, h.canonical_unit) ELSE h.unit END,
       h.min_value, h.min_inclusive, h.max_value, h.max_inclusive, h.status, h.turned,
       h.alternative, h.branch, h.applies_if,
       h.exception_text, h.value_set, h.window, h.section, h.path, coalesce(l.text, ''),
       h.value_text, h.value_start, h.value_end, h.rule, h.flags
FROM threshold h CROSS JOIN line_reading r ON r.id = h.reading_id
LEFT JOIN concept c ON c.id = h.concept_id LEFT JOIN line l ON l.id = r.line_id
"""


def load_limits(
    connection: sqlite3.Connection, version_ids: Iterable[int], concepts: Sequence[str] | None = None
) -> list[Limit]:
    """The thresholds of these versions in the order of the text; of the named concepts only, if given."""
    wanted = json.dumps(list(version_ids))
    where = "WHERE h.version_id IN (SELECT value FROM json_each(?))"
    values: list[Any] = [wanted]
    if concepts is not None:
        where += " AND h.concept_id IN (SELECT value FROM json_each(?))"
        values.append(json.dumps(list(concepts)))
    trials = dict(
        connection.execute(
            "SELECT v.id, t.source_id FROM trial_version v JOIN trial t ON t.id = v.trial_id"
            " WHERE v.id IN (SELECT value FROM json_each(?))",
            (wanted,),
        )
    )
    rows = connection.execute(f"{_LIMITS} {where} ORDER BY h.version_id, h.ordinal", values)
    return [_limit(row, trials[row[0]]) for row in rows]


# Called by place: the columns of the statements stand in the order of the fields.
_made_limit: Callable[..., Limit] = Limit


def _limit(row: tuple[Any, ...], trial: str) -> Limit:
    """A row of :data:`_LIMITS`: the columns of a limit in their order, then those of its evidence."""
    flags = row[29]
    evidence = Evidence(
        trial, row[22], row[23], row[24], row[25], (row[26], row[27]), row[28],
        () if flags == "[]" else tuple(json.loads(flags)),
    )  # fmt: skip
    low_inclusive, high_inclusive, values = row[11], row[13], row[20]
    return _made_limit(
        *row[:11], None if low_inclusive is None else bool(low_inclusive),
        row[12], None if high_inclusive is None else bool(high_inclusive),
        row[14], bool(row[15]), *row[16:20], None if values is None else tuple(json.loads(values)),
        None if row[21] is None else _window_words(row[21]), evidence,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _window_words(stored: str) -> str | None:
    window = json.loads(stored)
    amount = "" if window["value"] is None else f"{short(window['value'])} {window['unit'] or ''}"
    return " ".join(part for part in (window["direction"], amount.strip(), window["anchor"]) if part) or None


@dataclass(frozen=True, slots=True)
class TrialLine:
    """What an answer says of a trial itself. ``data_timestamp`` is the registry's, or None; ``vanished`` the UTC
    time at which the registry no longer had the trial."""

    trial: str
    version_id: int
    title: str
    source: str
    status: str | None
    version_date: str | None
    data_timestamp: str | None
    synthetic: bool
    reconstruction: bool
    unread: int
    url: str
    vanished: str | None = None


_made_line: Callable[..., TrialLine] = TrialLine


def load_trial_lines(
    connection: sqlite3.Connection, version_ids: Iterable[int], *, count_unread: bool = True
) -> dict[int, TrialLine]:
    """The trials of these versions, by version id. ``unread`` counts demands that were not read; without
    ``count_unread`` it is 0, which saves reading the criteria of a whole subject."""
    unread = "(SELECT coalesce(sum(k.unread), 0) FROM criterion k WHERE k.version_id = v.id)"
    rows = connection.execute(
        "SELECT t.source_id, v.id, v.title, t.source, v.status, v.version_date, v.data_timestamp, v.synthetic,"
        f" v.reconstruction, {unread if count_unread else 0}, v.url, t.vanished"
        " FROM trial_version v JOIN trial t ON t.id = v.trial_id WHERE v.id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(version_ids)),),
    )
    return {row[1]: _made_line(*row[:7], bool(row[7]), bool(row[8]), *row[9:]) for row in rows}


def require_some(values: Sequence[Any], what: str) -> None:
    """Raises BadQuestion where an answer was asked over nothing."""
    if not values:
        raise BadQuestion(what)
