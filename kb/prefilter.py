"""What a patient's values decide in SQL, over all trials at once, without reading a criterion.

:func:`statuses` gives the same answer for every trial as :func:`kb.screen.screen_trial` does: the index
rules out what a false clause rules out, and only the trials in which something else could matter (an
event of the patient's, a value that the index does not hold, a reviewer's decision, no open criterion at
all) are evaluated whole.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kb.judging import Knowledge, unitless
from kb.leaf_age import age_range
from kb.patient import Measurement, Patient, event_key, event_query
from kb.screen import Status, read_trial, screen_trial
from kb.screen_status import Asker

_Violated = tuple[float, str, Sequence[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class Overview:
    """The answer of every version, the versions that had to be evaluated, and the single limits that rule
    versions out: by side of a value, (the value, on what scale, the versions and their limits)."""

    statuses: Mapping[int, Status]
    evaluated: frozenset[int]
    limits: Sequence[_Violated] = ()

    def distance(self) -> dict[int, tuple[int, float]]:
        """For versions that single limits rule out: how many do, and the largest distance as a share of the
        limit."""
        misses: dict[int, list[float]] = {}
        for value, scale, rows in self.limits:
            for version, limit in rows:
                far = scale in ("result", "sex")
                away = math.inf if far else abs(value - limit) / max(abs(limit), 1e-12)
                misses.setdefault(version, []).append(away)
        return {
            version: (len(found), max(found))
            for version, found in misses.items()
            if self.statuses.get(version) == "not eligible"
        }

    def order(self, open_criteria: Mapping[int, int]) -> list[int]:
        """The versions, the most promising first: eligible, then undetermined with the fewest criteria that
        values cannot answer, then those that the fewest and nearest limits rule out."""
        distance = self.distance()

        def key(version: int) -> tuple[int, float, float, int]:
            status = self.statuses[version]
            if status == "not eligible":
                count, away = distance.get(version, (math.inf, math.inf))
                return 2, count, away, version
            return int(status == "undetermined"), open_criteria.get(version, 0), 0.0, version

        return sorted(self.statuses, key=key)

    def counts(self) -> dict[Status, int]:
        """How many trials are eligible, undetermined, not eligible."""
        found: dict[Status, int] = {"eligible": 0, "undetermined": 0, "not eligible": 0}
        for status in self.statuses.values():
            found[status] += 1
        return found


@dataclass(frozen=True, slots=True)
class _Known:
    """A value of the patient's on one scale of a concept, somewhere from ``low`` to ``high``; of a
    collective concept those of its members, ``whole`` where none is missing."""

    concept: str
    scale: str
    low: float
    high: float
    dated: bool = False
    whole: bool = True


def statuses(
    connection: sqlite3.Connection,
    versions: Iterable[int],
    patient: Patient,
    knowledge: Knowledge,
    canonical: Mapping[str, str | None],
) -> Overview:
    """The answer of each version. ``canonical`` gives each concept's canonical unit (UCUM)."""
    chosen = set(versions)
    if patient.answers or patient.populations:
        return _whole(connection, chosen, patient, knowledge)
    known, doubtful, spans = _known(connection, patient, knowledge, canonical)
    limits = [
        violated
        for one in (*known, *(span for span in spans if span.whole))
        for violated in _single_limits(connection, one, patient.sex)
    ]
    out = _long_clauses(connection, known, patient.sex)
    for *_, rows in limits:
        out.update([version for version, _ in rows])
    complete = _complete(connection, known, {one.concept for one in spans} | doubtful) - out
    reviewed = _reviewed(connection) & chosen
    asked = (_by_events(connection, patient) & chosen) - reviewed
    open_readings = _opaque(connection, known, doubtful, patient.sex).union(
        *(_touched(connection, one) for one in spans)
    )
    answerable = {one.concept for one in (*known, *spans)} | doubtful
    open_readings = _within(connection, open_readings, answerable)
    decided = out | asked | reviewed
    found: dict[int, Status] = dict.fromkeys(chosen, "undetermined")
    found.update(dict.fromkeys(out & chosen, "not eligible"))
    for version in reviewed:
        found[version] = screen_trial(read_trial(connection, version), patient, knowledge).status
    asker = Asker(connection, patient, knowledge)
    for version in asked:
        found[version] = asker.status(version)
    left = chosen - decided
    complete &= left
    touched: dict[int, list[int]] = {}
    for version, reading in _places(connection, open_readings):
        if version in left:
            touched.setdefault(reading, []).append(version)
    for reading, versions in touched.items():
        found.update(dict.fromkeys(asker.fails(reading, versions), "not eligible"))
    for version in complete:
        if found[version] == "undetermined" and asker.enters(version):
            found[version] = "eligible"
    candidates = (reviewed | asked | complete).union(*touched.values())
    return Overview(found, frozenset(candidates), limits)


def _whole(
    connection: sqlite3.Connection, chosen: set[int], patient: Patient, knowledge: Knowledge
) -> Overview:
    """Without the index: a person's answers and cohorts can bear on any criterion."""
    found = {
        version: screen_trial(read_trial(connection, version), patient, knowledge).status
        for version in chosen
    }
    return Overview(found, frozenset(chosen))


def _known(
    connection: sqlite3.Connection,
    patient: Patient,
    knowledge: Knowledge,
    canonical: Mapping[str, str | None],
) -> tuple[list[_Known], set[str], list[_Known]]:
    """The values the index can be asked with, the concepts on which it cannot, and for collective
    concepts (whose members may disagree) the span of the members' values."""
    by_asked: dict[str, list[Measurement]] = {}
    for concept, measurements in patient.measurements.items():
        for asked in (concept, *knowledge.broader.get(concept, ())):
            by_asked.setdefault(asked, []).extend(measurements)
    by_asked.pop("age", None)  # an age is no measurement, but the patient's own field
    known: list[_Known] = []
    doubtful: set[str] = set()
    for asked, found in by_asked.items():
        if len(found) > 1 or not _plain(found[0], asked, patient, knowledge):
            doubtful.add(asked)
        else:
            known.extend(_scales(connection, asked, found[0], knowledge, canonical.get(asked)))
    spans: list[_Known] = []
    for collective, members in knowledge.members.items():
        if collective in by_asked or not any(member in by_asked for member in members):
            continue
        parts = [one for one in known if one.concept in members]
        if doubtful.intersection(members) or any(
            one.scale not in ("ULN", "LLN", "absolute", "result") for one in parts
        ):
            doubtful.add(collective)
            continue
        for scale in sorted({one.scale for one in parts}):
            same = [one for one in parts if one.scale == scale]
            low, high = min(one.low for one in same), max(one.high for one in same)
            dated, whole = any(one.dated for one in same), len(same) == len(members)
            spans.append(_Known(collective, scale, low, high, dated, whole))
    known.extend(_self(connection, patient, knowledge))
    return known, doubtful, spans


def _plain(one: Measurement, asked: str, patient: Patient, knowledge: Knowledge) -> bool:
    """Whether the value is one that the index can be asked with."""
    late = one.day is not None and one.day > patient.as_of
    special = one.comparator or one.multiple_of or one.specimen or one.lod is not None
    return not (special or late or asked in knowledge.of_something)


def _self(connection: sqlite3.Connection, patient: Patient, knowledge: Knowledge) -> Iterator[_Known]:
    for scale in ("absolute", *_own_units(connection, "age")):
        age = age_range(patient, scale.removeprefix("in ") if scale != "absolute" else "a", knowledge)
        if age is not None:
            yield _Known("age", scale, age[0].low, age[0].high)
    if patient.sex is not None:
        yield _Known("sex", "sex", float(patient.sex == "female"), float(patient.sex == "female"))


def _own_units(connection: sqlite3.Connection, concept: str) -> list[str]:
    """The scales on which limits of a concept stand in a unit of their own."""
    found: set[str] = set()
    for index, condition in (
        ("screen_low", "size = 1 AND outside = 0 AND low IS NOT NULL"),
        ("screen_high", "size = 1 AND outside = 0 AND high IS NOT NULL"),
        ("screen_other", "(size > 1 OR outside = 1 OR scale = '?')"),
    ):
        rows = connection.execute(
            f"SELECT DISTINCT scale FROM screen_literal INDEXED BY {index} WHERE concept_id = ? AND scale >= 'in '"
            f" AND scale < 'in!' AND {condition}",
            (concept,),
        )
        found.update(row[0] for row in rows)
    return sorted(found)


def _scales(
    connection: sqlite3.Connection, asked: str, one: Measurement, knowledge: Knowledge, unit: str | None
) -> Iterator[_Known]:
    """The measurement on every scale on which the index holds limits of its concept."""
    dated = one.day is not None
    if one.result is not None:
        result = float(one.result in ("positive", "detectable"))
        yield _Known(asked, "result", result, result, dated)
    value = one.value
    if value is None:
        return
    numbers: list[tuple[str, float | None]] = [
        (scale, value / limit)
        for scale, limit in (("ULN", one.uln), ("LLN", one.lln))
        if limit is not None and limit > 0
    ]
    if unitless(one.unit):
        numbers.append(("bare", value))
        # what lies between two grades is in no set of them
        numbers.append(("grades", value if float(value).is_integer() else math.inf))
    for scale, target in (
        ("absolute", unit),
        *((own, own.removeprefix("in ")) for own in _own_units(connection, asked)),
    ):
        if one.unit == target or (unitless(one.unit) and unitless(target)):
            numbers.append((scale, value))
        elif one.unit is not None and target is not None:
            numbers.append((scale, knowledge.units.convert(value, one.unit, target, asked)))
    for scale, number in numbers:
        if number is not None:
            yield _Known(asked, scale, number, number, dated)


def _about(sex: str | None) -> str:
    return "sex IS NULL" if sex is None else f"(sex IS NULL OR sex = '{sex}')"


def _single_limits(connection: sqlite3.Connection, one: _Known, sex: str | None) -> Iterator[_Violated]:
    """Trials with a limit on the wrong side of the value, and the limit."""
    timed = "AND timed = 0" if one.dated else ""
    for side, sign, value in (("low", ">", one.high), ("high", "<", one.low)):
        rows = connection.execute(
            f"SELECT k.version_id, {side} FROM screen_literal l INDEXED BY screen_{side} {_WHERE_IT_STANDS}"
            f" WHERE concept_id = ? AND scale = ?"
            f" AND {side} {sign} ? AND size = 1 AND outside = 0 AND {side} IS NOT NULL {timed} AND {_about(sex)}",
            (one.concept, one.scale, value),
        ).fetchall()
        if rows:
            yield value, one.scale, rows


_VIOLATED = (
    "((outside = 0 AND ((low IS NOT NULL AND low > :most) OR (high IS NOT NULL AND high < :least)))"
    " OR (outside = 1 AND (low IS NULL OR low <= :least) AND (high IS NULL OR high >= :most)))"
)


def _long_clauses(connection: sqlite3.Connection, known: Sequence[_Known], sex: str | None) -> set[int]:
    """Trials with a clause of several literals, or one on an excluded range, all of which are false."""
    false: Counter[tuple[int, int, int]] = Counter()
    for one in known:
        timed = "AND timed = 0" if one.dated else ""
        false.update(
            connection.execute(
                "SELECT reading_id, clause, size FROM screen_literal INDEXED BY screen_other WHERE concept_id = :concept"
                f" AND scale = :scale AND (size > 1 OR outside = 1 OR scale = '?') AND {_VIOLATED} {timed}"
                f" AND {_about(sex)}",
                {"concept": one.concept, "scale": one.scale, "least": one.low, "most": one.high},
            )
        )
    readings = {reading for (reading, _, size), count in false.items() if count == size}
    return _standing(connection, readings)


_WHERE_IT_STANDS = "CROSS JOIN trial_criterion k ON k.reading_id = l.reading_id"


def _standing(connection: sqlite3.Connection, readings: Iterable[int]) -> set[int]:
    """The versions in which one of the readings stands."""
    return {version for version, _ in _places(connection, readings)}


def _places(connection: sqlite3.Connection, readings: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(version, reading) wherever one of the readings stands."""
    yield from connection.execute(
        "SELECT k.version_id, k.reading_id FROM json_each(?) j CROSS JOIN trial_criterion k ON k.reading_id = j.value",
        (json.dumps(list(readings)),),
    )


def _opaque(
    connection: sqlite3.Connection, known: Sequence[_Known], doubtful: set[str], sex: str | None
) -> set[int]:
    """Readings that a value could make false in a way that the index does not hold."""
    conditions = [
        (concept, "INDEXED BY screen_other", "scale = '?' AND (size > 1 OR outside = 1 OR scale = '?')")
        for concept in {one.concept for one in known} | doubtful
    ]
    conditions += [(concept, "", "TRUE") for concept in doubtful]
    conditions += [(concept, "", "timed = 1") for concept in {one.concept for one in known if one.dated}]
    return {
        reading
        for concept, index, condition in conditions
        for (reading,) in connection.execute(
            f"SELECT reading_id FROM screen_literal {index} WHERE concept_id = ? AND {condition} AND {_about(sex)}",
            (concept,),
        )
    }


def _within(connection: sqlite3.Connection, readings: set[int], concepts: set[str]) -> set[int]:
    """Those of the readings with a clause of which every literal is about one of the concepts: another one
    stays unknown, and the clause with it (a fact is asked for by :func:`_by_events`)."""
    rows = connection.execute(
        "SELECT DISTINCT l.reading_id FROM json_each(:readings) j CROSS JOIN screen_literal l ON l.reading_id = j.value"
        " GROUP BY l.reading_id, l.clause HAVING min(l.concept_id IN (SELECT value FROM json_each(:concepts)))",
        {"readings": json.dumps(list(readings)), "concepts": json.dumps(sorted(concepts))},
    )
    return {row[0] for row in rows}


def _touched(connection: sqlite3.Connection, one: _Known) -> set[int]:
    """Readings with a literal that some value within the span would make false."""
    rows = connection.execute(
        "SELECT DISTINCT reading_id FROM screen_literal INDEXED BY screen_concept WHERE concept_id = ? AND scale = ?"
        " AND ((outside = 0 AND (low > ? OR high < ?))"
        " OR (outside = 1 AND (low IS NULL OR low <= ?) AND (high IS NULL OR high >= ?)))",
        (one.concept, one.scale, one.low, one.high, one.high, one.low),
    )
    return {row[0] for row in rows}


def _complete(connection: sqlite3.Connection, known: Iterable[_Known], concepts: set[str]) -> set[int]:
    """Trials that values alone might make eligible: no criterion is beyond them, and no clause of a single
    limit asks on another scale than those known, but on ``concepts`` (whose values are known in part)."""
    scales = sorted({f"{one.concept} {one.scale}" for one in known})
    return {
        row[0]
        for row in connection.execute(
            "SELECT version_id FROM screen_open o WHERE criteria = 0 AND NOT EXISTS (SELECT 1 FROM trial_criterion k"
            " CROSS JOIN screen_literal l ON l.reading_id = k.reading_id WHERE k.version_id = o.version_id AND l.size = 1 AND l.sex IS NULL AND l.scale != '?'"
            " AND l.concept_id NOT IN (SELECT value FROM json_each(:concepts))"
            " AND l.concept_id || ' ' || l.scale NOT IN (SELECT value FROM json_each(:scales)))",
            {"scales": json.dumps(scales), "concepts": json.dumps(sorted(concepts))},
        )
    }


def _by_events(connection: sqlite3.Connection, patient: Patient) -> set[int]:
    """Trials that ask about an event of the patient's, under any of its keys."""
    keys: set[str] = set()
    for event in patient.events:
        query = event_query(event.name)
        keys |= {event_key(event.name), query.key, *query.wider}
    found: set[int] = set()
    for key in keys:
        for condition in (
            "l.key = ?",
            "l.bare = ? AND l.bare != l.key",
        ):  # the second as its partial index has it
            found.update(
                row[0]
                for row in connection.execute(
                    f"SELECT k.version_id FROM screen_fact l {_WHERE_IT_STANDS} WHERE {condition}", (key,)
                )
            )
    return found


def _reviewed(connection: sqlite3.Connection) -> set[int]:
    """Trials with a line that a reviewer decided on: the index was made before."""
    return {
        row[0]
        for row in connection.execute(
            "SELECT DISTINCT k.version_id FROM review r CROSS JOIN line l ON l.hash = r.line_hash CROSS JOIN line_reading d"
            " ON d.line_id = l.id CROSS JOIN trial_criterion k ON k.reading_id = d.id WHERE r.undone_at IS NULL"
        )
    }
