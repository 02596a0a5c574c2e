"""Stores lines and what was read in them, each once however many trials say it."""

from __future__ import annotations

import marshal
import sqlite3
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from kb.eligible import Eligible, eligible_ranges
from kb.lines import item_key, line_hash
from kb.placing import relative_json
from kb.rows import LINE_THRESHOLD_COLUMNS, compact, flag
from kb.screen_index import criterion_clauses, fact_keys, index_reading, is_open, registry_clauses
from nlp.model import All, Criterion, Extraction, Item, Qualifier, Section, Unread, leaves

_REMEMBERED = 20_000
"""Readings known by heart; of a large registry the frequent ones."""

_INSERT_THRESHOLD = (
    f"INSERT INTO line_threshold(reading_id, number, {', '.join(LINE_THRESHOLD_COLUMNS)})"
    f" VALUES (?, ?{', ?' * len(LINE_THRESHOLD_COLUMNS)})"
)
_BOUNDS = (
    "SELECT id FROM line_threshold WHERE reading_id = ? AND concept_id IS NOT NULL AND (scale IS NOT NULL"
    " AND applies_if IS NULL AND holds_for IS NULL OR scale IS NULL AND status IS NULL AND role = 'requirement')"
)

_PLAIN = attrgetter(
    "section", "concept", "concept_text", "role", "entity_type", "kind", "comparator", "low", "high",
    "low_inclusive", "high_inclusive", "values", "unit", "unit_text", "canonical_low", "canonical_high",
    "canonical_unit", "relative_to", "value_text", "population", "rule", "flags",
)  # fmt: skip

Plausible = Mapping[str, tuple[float | None, float | None]]


@dataclass(frozen=True, slots=True)
class StoredReading:
    """A stored reading: its id, whether it is ``open``, and the ids of its thresholds that are in
    ``trial_bound`` (see the schema for both)."""

    id: int
    open: bool
    bounds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A criterion of one trial, as it was read. ``items`` are its own, by their number in it; ``foreign``
    are those of other criteria that its expression uses, by their distance."""

    criterion: Criterion
    expression: dict[str, Any]
    items: Sequence[tuple[int, Item]]
    foreign: Sequence[tuple[int, Item]] = ()


class LineStore:
    """Writes lines and readings. It never commits; :meth:`forget` after a rollback."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.index_lines = True
        self._known: OrderedDict[bytes, StoredReading] = OrderedDict()

    def forget(self) -> None:
        """Trust nothing that was remembered: it may never have been committed."""
        self._known.clear()

    def line_id(self, text: str) -> int:
        """The id of a line, stored and indexed where it is new."""
        digest = line_hash(text)
        row = self.connection.execute("SELECT id FROM line WHERE hash = ?", (digest,)).fetchone()
        if row is not None:
            return int(row[0])
        line_id = self._insert("INSERT INTO line(hash, text) VALUES (?, ?)", (digest, text))
        if self.index_lines:
            self.connection.execute("INSERT INTO line_fts(rowid, text) VALUES (?, ?)", (line_id, text))
        return line_id

    def reading(
        self, one: Occurrence, plausible: Plausible, ranges: Mapping[str, Eligible] | None
    ) -> StoredReading:
        """The stored reading of a criterion, stored where it is new.

        ``ranges`` are given where they follow from more than this criterion: its expression uses another's
        items, or another's its.
        """
        criterion = one.criterion
        key = _key(one, plausible, ranges)
        return self._recalled(key) or self._new(key, one, plausible, ranges, self.line_id(criterion.text))

    def loose(self, items: Sequence[tuple[int, Item]], ranges: Mapping[str, Eligible]) -> StoredReading:
        """The stored reading of items that stand in no criterion."""
        nowhere = Criterion("", "unknown", "", (0, 0), All(()), 0.0)
        one = Occurrence(nowhere, {"all": []}, items)
        key = _key(one, {}, ranges)
        return self._recalled(key) or self._new(key, one, {}, ranges, None)

    def registry(
        self, minimum_age: str | None, maximum_age: str | None, sex: str | None
    ) -> StoredReading | None:
        """What the registry's own fields demand, for screening; None where they demand nothing."""
        found = registry_clauses(minimum_age, maximum_age, sex)
        if not found:
            return None
        key = _digest(("registry", minimum_age, maximum_age, sex))
        known = self._recalled(key)
        if known is None:
            reading_id = self._insert(
                "INSERT INTO line_reading(key, section, length, expression, coverage, unread, open)"
                " VALUES (?, 'unknown', 0, '{\"all\":[]}', 0.0, 0, 0)",
                (key,),
            )
            index_reading(self.connection, reading_id, found)
            known = self._remember(key, StoredReading(reading_id, False, ()))
        return known

    def _recalled(self, key: bytes) -> StoredReading | None:
        known = self._known.get(key)
        if known is not None:
            return known
        row = self.connection.execute("SELECT id, open FROM line_reading WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        bounds = tuple(row[0] for row in self.connection.execute(_BOUNDS, (row[0],)))
        return self._remember(key, StoredReading(row[0], bool(row[1]), bounds))

    def _remember(self, key: bytes, reading: StoredReading) -> StoredReading:
        self._known[key] = reading
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return reading

    def _insert(self, sql: str, values: tuple[Any, ...]) -> int:
        cursor = self.connection.execute(sql, values)
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _new(
        self,
        key: bytes,
        one: Occurrence,
        plausible: Plausible,
        ranges: Mapping[str, Eligible] | None,
        line_id: int | None,
    ) -> StoredReading:
        criterion = one.criterion
        own = {item.id: item for _, item in one.items}
        used = own | {item.id: item for _, item in one.foreign}
        group = f"{criterion.section[:2]}{criterion.path}"
        if ranges is None:
            ranges = eligible_ranges(Extraction(tuple(own.values()), (criterion,)), plausible)
        opened = line_id is not None and is_open(criterion, used)
        unread = sum(isinstance(leaf, Unread) for leaf in leaves(criterion.expression))
        reading_id = self._insert(
            "INSERT INTO line_reading(key, line_id, section, heading, population, length, expression, coverage,"
            " unread, open) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                key, line_id, criterion.section, criterion.heading, criterion.population,
                criterion.span[1] - criterion.span[0], compact(one.expression), criterion.coverage, unread, opened,
            ),
        )  # fmt: skip
        for number, item in one.items:
            values = (
                *_item_values(item, criterion),
                *_eligible_values(ranges[item.id], group),
                item.population or criterion.population,
            )
            self._insert(_INSERT_THRESHOLD, (reading_id, number, *values))
        bounds = tuple(row[0] for row in self.connection.execute(_BOUNDS, (reading_id,)))
        if line_id is not None:
            facts = fact_keys(criterion.expression, used)
            index_reading(self.connection, reading_id, criterion_clauses(criterion, used), facts)
        return self._remember(key, StoredReading(reading_id, opened, bounds))


def _digest(values: tuple[Any, ...]) -> bytes:
    # marshal's second version writes equal values as equal bytes, and tells 1 from 1.0
    return blake2b(marshal.dumps(values, 2), digest_size=16).digest()


def _key(one: Occurrence, plausible: Plausible, ranges: Mapping[str, Eligible] | None) -> bytes:
    """A digest of all that the reading says, and of all that what is derived from it rests on."""
    criterion = one.criterion
    start = criterion.span[0]
    told: tuple[Any, ...] = (
        criterion.text, criterion.section, criterion.heading, criterion.population, criterion.coverage,
        criterion.span[1] - start, one.expression,
        [(number, *_told(item, start), plausible.get(item.concept or "")) for number, item in one.items],
    )  # fmt: skip
    if ranges is not None:
        group = f"{criterion.section[:2]}{criterion.path}"
        told += (
            [(number, *_told(item, start)) for number, item in one.foreign],
            [_eligible_values(ranges[item.id], group) for _, item in one.items],
        )
    return _digest(told)


def _told(item: Item, start: int) -> tuple[Any, ...]:
    condition, exception, window, concept_span = (
        item.condition,
        item.exception,
        item.window,
        item.concept_span,
    )
    return (
        *_PLAIN(item),
        item.value_span[0] - start, item.value_span[1] - start,
        None if concept_span is None else (concept_span[0] - start, concept_span[1] - start),
        None if condition is None else (condition.text, condition.span[0] - start, condition.span[1] - start),
        None if exception is None else (exception.text, exception.span[0] - start, exception.span[1] - start),
        None if window is None else astuple(window),
    )  # fmt: skip


def _item_values(item: Item, criterion: Criterion) -> tuple[Any, ...]:
    """The item's columns up to ``flags``, in the order of LINE_THRESHOLD_COLUMNS."""
    start, window = criterion.span[0], item.window
    return (
        item_key(item, criterion), item.section, item.concept, item.concept_text, *_span(item.concept_span, start),
        item.role, item.entity_type, item.kind, item.comparator, item.low, item.high,
        flag(item.low_inclusive), flag(item.high_inclusive),
        None if item.values is None else compact(item.values), item.unit, item.unit_text,
        item.canonical_low, item.canonical_high, item.canonical_unit, item.relative_to,
        item.value_text, *_span(item.value_span, start), *_qualifier(item.condition, start),
        *_qualifier(item.exception, start), item.population,
        None if window is None else compact(asdict(window)), item.rule, compact(item.flags),
    )  # fmt: skip


def _span(span: tuple[int, int] | None, start: int) -> tuple[int | None, int | None]:
    return (None, None) if span is None else (span[0] - start, span[1] - start)


def _qualifier(qualifier: Qualifier | None, start: int) -> tuple[str | None, int | None, int | None]:
    return (None, None, None) if qualifier is None else (qualifier.text, *_span(qualifier.span, start))


def _eligible_values(eligible: Eligible, group: str) -> tuple[Any, ...]:
    return (
        eligible.scale, eligible.min_value, flag(eligible.min_inclusive), eligible.max_value,
        flag(eligible.max_inclusive), eligible.status, int(eligible.turned),
        _alternative(eligible.alternative, group), eligible.branch, eligible.applies_if,
    )  # fmt: skip


def _alternative(name: str | None, group: str) -> str | None:
    """The name of a group of alternatives, less what the criterion's place adds to it."""
    if name is None:
        return None
    rest = name.removeprefix(group)
    return rest if name.startswith(group) and rest[:1] in ("", "/", "?", ":") else f"={name}"


def occurrences(
    extraction: Extraction,
) -> tuple[list[tuple[Occurrence, int]], list[tuple[int, Item]], set[int]]:
    """The criteria with the ordinal of their first item, in order; the items that stand in no criterion, by
    ordinal; and the places of criteria whose ranges follow from more than one criterion."""
    place = {(one.section, one.path): number for number, one in enumerate(extraction.criteria)}
    owner = [_owner(place, item.section, item.criterion) for item in extraction.items]
    ordinal_of = {item.id: number for number, item in enumerate(extraction.items)}
    own: list[list[int]] = [[] for _ in extraction.criteria]
    for number, at in enumerate(owner):
        if at >= 0:
            own[at].append(number)
    found: list[tuple[Occurrence, int]] = []
    entangled: set[int] = set()
    next_item = 0
    for at, criterion in enumerate(extraction.criteria):
        mine = own[at]
        first = mine[0] if mine else next_item
        next_item = max(next_item, mine[-1] + 1) if mine else next_item
        numbers = _Numbers(ordinal_of, first)
        expression = relative_json(criterion.expression, criterion.span[0], numbers)
        used = [ordinal for ordinal in numbers.used if owner[ordinal] != at]
        if used:
            entangled.add(at)
            entangled.update(owner[ordinal] for ordinal in used)
        foreign = [(ordinal - first, extraction.items[ordinal]) for ordinal in sorted(set(used))]
        items = [(number - first, extraction.items[number]) for number in mine]
        found.append((Occurrence(criterion, expression, items, foreign), first))
    loose = [(number, item) for number, item in enumerate(extraction.items) if owner[number] < 0]
    return found, loose, entangled


def _owner(place: Mapping[tuple[Section, str], int], section: Section, path: str) -> int:
    """The place of the criterion of an item: of the path, or of the nearest one above it, which took the
    lines below it in ("one of the following: ..."); -1 for none."""
    while path and (section, path) not in place:
        path = path.rpartition(".")[0]
    return place.get((section, path), -1)


class _Numbers:
    """The number of an item in a criterion, by its id; a name that no item has stays. Keeps what was asked."""

    def __init__(self, ordinal_of: Mapping[str, int], first: int) -> None:
        self.ordinal_of = ordinal_of
        self.first = first
        self.used: list[int] = []

    def __call__(self, name: str) -> int | str:
        ordinal = self.ordinal_of.get(name)
        if ordinal is None:
            return name
        self.used.append(ordinal)
        return ordinal - self.first
