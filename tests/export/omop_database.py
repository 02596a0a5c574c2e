"""A synthetic OMOP database in DuckDB, its persons as screening sees them, and the engine that runs a cohort on it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import duckdb
from duckcdm.circe import build_cohort_query
from duckcdm.sqlrender import render, translate

from kb.export import omop
from kb.judging import item_range
from kb.patient import Event, Measurement, Patient, by_concept
from nlp.model import Item

VISIT = date(2026, 6, 1)
FEMALE, MALE = 8532, 8507

_TABLES = {
    "concept": "concept_id int, concept_name varchar, domain_id varchar, vocabulary_id varchar, concept_class_id varchar,"
    " standard_concept varchar, concept_code varchar, valid_start_date date, valid_end_date date, invalid_reason varchar",
    "concept_ancestor": "ancestor_concept_id int, descendant_concept_id int, min_levels_of_separation int,"
    " max_levels_of_separation int",
    "concept_relationship": "concept_id_1 int, concept_id_2 int, relationship_id varchar, valid_start_date date,"
    " valid_end_date date, invalid_reason varchar",
    "person": "person_id int, gender_concept_id int, year_of_birth int, month_of_birth int, day_of_birth int,"
    " race_concept_id int, ethnicity_concept_id int",
    "observation_period": "observation_period_id int, person_id int, observation_period_start_date date,"
    " observation_period_end_date date, period_type_concept_id int",
    "visit_occurrence": "visit_occurrence_id int, person_id int, visit_concept_id int, visit_start_date date,"
    " visit_start_datetime timestamp, visit_end_date date, visit_end_datetime timestamp, visit_type_concept_id int,"
    " provider_id int, care_site_id int, visit_source_value varchar, visit_source_concept_id int",
    "condition_occurrence": "condition_occurrence_id int, person_id int, condition_concept_id int,"
    " condition_start_date date, condition_start_datetime timestamp, condition_end_date date,"
    " condition_type_concept_id int, stop_reason varchar, provider_id int, visit_occurrence_id int,"
    " visit_detail_id int, condition_source_value varchar, condition_source_concept_id int,"
    " condition_status_concept_id int",
    "measurement": "measurement_id int, person_id int, measurement_concept_id int, measurement_date date,"
    " measurement_datetime timestamp, measurement_type_concept_id int, operator_concept_id int, value_as_number double,"
    " value_as_concept_id int, unit_concept_id int, range_low double, range_high double, provider_id int,"
    " visit_occurrence_id int, visit_detail_id int, measurement_source_value varchar,"
    " measurement_source_concept_id int, unit_source_value varchar, value_source_value varchar",
    "cohort": "cohort_definition_id int, subject_id int, cohort_start_date date, cohort_end_date date",
}


@lru_cache(maxsize=4096)
def _duckdb(statement: str) -> str:
    """One statement in DuckDB's dialect. Most are the same in every cohort, and translating is what takes long."""
    return str(translate(f"{statement};", "duckdb")).strip().rstrip(";").strip()


@dataclass(frozen=True, slots=True)
class Value:
    """One measurement of a person; ``unit`` is UCUM, ``days`` before the entry event (negative: after it)."""

    concept: str
    value: float | None
    unit: str | None = None
    days: int = 0
    uln: float | None = None
    lln: float | None = None
    result: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """One synthetic person; ``conditions`` by the name that the OMOP table knows."""

    id: int
    age: int = 40
    sex: str = "female"
    values: tuple[Value, ...] = ()
    conditions: tuple[str, ...] = ()


@dataclass(slots=True)
class Database:
    """An OMOP database of these persons. Every person has an early visit and the entry visit on ``VISIT``."""

    persons: Sequence[Person]
    table: omop.OmopTable = field(default_factory=omop.shipped)
    connection: duckdb.DuckDBPyConnection = field(init=False)
    _rows: dict[tuple[str, tuple[str, ...]], list[list[Any]]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.connection = duckdb.connect()
        for name, columns in _TABLES.items():
            self.connection.execute(f"CREATE TABLE {name} ({columns})")
        self._vocabulary()
        for person in self.persons:
            self._person(person)
        self._flush()

    def _vocabulary(self) -> None:
        sets = [*self.table.measurements.values(), *self.table.conditions.values()]
        for concept in sorted({each.id for found in sets for each in found.ids}):
            self._insert("concept", concept_id=concept, concept_name="x", standard_concept="S",
                         valid_start_date=date(1970, 1, 1), valid_end_date=date(2099, 12, 31))  # fmt: skip
            self._insert("concept_ancestor", ancestor_concept_id=concept, descendant_concept_id=concept)

    def _insert(self, name: str, **values: Any) -> None:
        self._rows.setdefault((name, tuple(values)), []).append(list(values.values()))

    def _flush(self) -> None:
        """Insert all rows of a table in one statement: a statement a row costs DuckDB a millisecond each."""
        for (name, columns), rows in self._rows.items():
            row = f"({', '.join('?' * len(columns))})"
            cells = [cell for each in rows for cell in each]
            self.connection.execute(
                f"INSERT INTO {name} ({', '.join(columns)}) VALUES {', '.join([row] * len(rows))}", cells
            )
        self._rows.clear()

    def _person(self, person: Person) -> None:
        sex = FEMALE if person.sex == "female" else MALE
        self._insert(
            "person", person_id=person.id, gender_concept_id=sex, year_of_birth=VISIT.year - person.age
        )
        self._insert("observation_period", observation_period_id=person.id, person_id=person.id,
                     observation_period_start_date=VISIT - timedelta(days=2000),
                     observation_period_end_date=VISIT + timedelta(days=100))  # fmt: skip
        for number, day in enumerate((VISIT - timedelta(days=900), VISIT)):
            self._insert("visit_occurrence", visit_occurrence_id=person.id * 10 + number, person_id=person.id,
                         visit_concept_id=9202, visit_start_date=day, visit_end_date=day)  # fmt: skip
        for name in person.conditions:
            concept = self.table.conditions[name].ids[0].id
            self._insert("condition_occurrence", condition_occurrence_id=person.id, person_id=person.id,
                         condition_concept_id=concept, condition_start_date=VISIT - timedelta(days=300))  # fmt: skip
        for number, value in enumerate(person.values):
            results = self.table.results.get(value.result or "")
            self._insert("measurement", measurement_id=person.id * 100 + number, person_id=person.id,
                         measurement_concept_id=self.table.measurements[value.concept].ids[0].id,
                         measurement_date=VISIT - timedelta(days=value.days), value_as_number=value.value,
                         value_as_concept_id=results[0] if results else None,
                         unit_concept_id=self.table.units[value.unit][0] if value.unit else None,
                         range_high=value.uln, range_low=value.lln)  # fmt: skip

    def run(self, envelope_text: str) -> tuple[set[int], dict[str, set[int]]]:
        """``(persons in the cohort, rule name -> persons who pass that rule)``."""
        expression = json.loads(envelope_text)["expression"]
        sql = build_cohort_query(
            json.dumps(expression), cdm_schema="main", vocabulary_schema="main", target_table="main.cohort",
            result_schema="main", cohort_id=1,
        )  # fmt: skip
        rules = [rule["name"] for rule in expression["InclusionRules"]]
        passed: dict[str, set[int]] = {name: set() for name in rules}
        for statement in render(sql).split(";"):
            words = _duckdb(statement)
            if words.lower() == "delete from inclusion_events":
                rows = self.connection.execute(
                    "SELECT inclusion_rule_id, person_id FROM inclusion_events"
                ).fetchall()
                for rule, person in rows:
                    passed[rules[rule]].add(person)
            if words:
                self.connection.execute(words)
        members = {row[0] for row in self.connection.execute("SELECT subject_id FROM cohort").fetchall()}
        return members, passed


def as_patient(person: Person, table: omop.OmopTable | None = None) -> Patient:
    """The same person as screening sees one: no record of a condition counts as not having it."""
    table = table or omop.shipped()
    values = [
        Measurement(
            value.concept, value.value, value.unit, uln=value.uln, lln=value.lln,
            result=value.result, day=VISIT - timedelta(days=value.days),  # type: ignore[arg-type]
        )
        for value in person.values
    ]  # fmt: skip
    recorded = {each.id for name in person.conditions for each in table.conditions[name].ids[:1]}
    events = tuple(
        Event(name, any(each.id in recorded for each in found.ids))
        for name, found in table.conditions.items()
    )
    return Patient(
        id=str(person.id),
        as_of=VISIT,
        age=(float(person.age), "a"),
        sex="female" if person.sex == "female" else "male",
        measurements=by_concept(values),
        events=events,
    )


def persons_round_the_bounds(items: Iterable[Item], count: int, convert: Any, seed: int = 1) -> list[Person]:
    """Persons whose values lie at, just below and just above each bound of the items; in another unit, without the
    laboratory's limit, outside the window, after the entry event, or missing."""
    dice = random.Random(seed)
    table = omop.shipped()
    by_name: dict[str, list[Item]] = {}
    ages = [17, 18, 40, 70, 71]
    for item in items:
        wanted = item_range(item)
        if item.concept == "age" and wanted is not None:
            for bound in (wanted.low, wanted.high):
                if abs(bound) < 1e6:
                    ages.extend(int(bound) + step for step in (-1, 0, 1))
        elif item.concept in table.measurements:
            by_name.setdefault(str(item.concept), []).append(item)
    people = []
    for number in range(1, count + 1):
        values = [
            _value(name, dice.choice(found), dice, convert, table) for name, found in sorted(by_name.items())
        ]
        people.append(
            Person(
                number,
                max(0, dice.choice(ages)),
                dice.choice(["female", "male"]),
                tuple(value for value in values if value is not None),
                tuple(name for name in sorted(table.conditions) if dice.random() < 0.5),
            )
        )
    return people


def _value(name: str, item: Item, dice: random.Random, convert: Any, table: omop.OmopTable) -> Value | None:
    if dice.random() < 0.1:
        return None
    wanted = item_range(item)
    bounds = (
        [end for end in (wanted.low, wanted.high) if abs(end) < 1e15] if wanted else list(item.values or ())
    )
    bound = dice.choice(bounds or [1.0]) * (0.01 if item.relative_to and item.unit == "%" else 1.0)
    share = dice.choice([1.0, 1.0, 0.98, 1.02, 0.5, 2.0])
    days = dice.choice([0, 0, 1, 10, 400, -3])
    if item.window is not None and item.window.value is not None and item.window.unit in ("d", "wk"):
        edge = int(item.window.value * (7 if item.window.unit == "wk" else 1))
        days = dice.choice([0, edge - 1, edge, edge, edge + 1, edge + 30])
    limit = dice.choice([None, 64.0, 64.0, 128.0])  # a power of two, so that value / limit is exact
    if item.relative_to in ("ULN", "LLN"):
        upper = item.relative_to == "ULN"
        relative = bound * share * (limit or 64.0)
        return Value(name, relative, None, days, uln=limit if upper else None, lln=None if upper else limit)
    unit = item.unit if item.unit in table.units else None
    number = bound * share
    if unit is not None and dice.random() < 0.4:
        other = dice.choice(sorted(table.units))
        found = convert(number, unit, other, item.concept)
        # At the bound itself, conversion there and back must not decide: only limits of four decimals are asked.
        scaled = convert(bound, unit, other, item.concept)
        if found is not None and (share != 1.0 or abs(round(scaled, 4) - scaled) < 1e-12):
            number, unit = float(f"{found:.12g}"), other
    return Value(name, number, unit, days)
