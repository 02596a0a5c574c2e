"""Circe by running it: the engine selects exactly those for whom the criterion's expression is true."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kb.evaluate import evaluate_criterion
from kb.export.circe import Circe
from kb.export.model import Context, TrialRecord
from kb.judging import Knowledge
from nlp.model import All, AnyOf, Expression, If, Not, Window
from tests.export.bench import MEMBERS, Bench, convert
from tests.export.omop_database import Database, Person, Value, as_patient, persons_round_the_bounds


class _Units:
    """The conversions of the test bench as screening wants them."""

    def convert(self, value: float, from_unit: str, to_unit: str, concept: str | None = None) -> float | None:
        return convert(value, from_unit, to_unit, concept)


KNOWLEDGE = Knowledge(_Units(), members=MEMBERS)
PLATELETS = (Value("plt", 50, "10*9/L"), Value("plt", 49, "10*9/L"), Value("plt", 50000, "/uL"), Value("plt", 49000, "/uL"),
             Value("plt", 60, "10*3/uL"), Value("plt", 60), Value("plt", 50, "10*9/L", days=28),
             Value("plt", 50, "10*9/L", days=29), Value("plt", 50, "10*9/L", days=-1))  # fmt: skip


def compare(record: TrialRecord, context: Context, people: list[Person]) -> dict[str, set[int]]:
    """Run the export; check every rule of a criterion exported whole against screening; return what each rule passed."""
    rendered = Circe().render(record, context)
    assert Circe().validate(rendered.text) == []
    members, passed = Database(people).run(rendered.text)
    keep = context.options.missing == "keep"
    items = record.item_by_id()
    outcome = {f"{loss.section} {loss.path}": loss.outcome for loss in rendered.losses}
    for criterion in record.criteria:
        name = f"{criterion.section} {criterion.path}"
        if outcome[name] == "dropped":
            continue
        answers = {
            person.id: evaluate_criterion(
                criterion, items, as_patient(person), KNOWLEDGE, record.trial.eligibility_text
            ).value
            for person in people
        }
        wanted = {person for person, value in answers.items() if value or (keep and value is None)}
        if name not in passed:  # a criterion that puts no demand has no rule
            assert wanted == set(answers)
        elif outcome[name] == "whole":
            assert passed[name] == wanted, f"{name}: {criterion.text}"
        else:
            assert passed[name] >= wanted, f"{name}: {criterion.text}"
    everyone = {person.id for person in people}
    assert members == everyone.intersection(*passed.values())
    return passed


def people_with(*values: Value) -> list[Person]:
    """One person for each value, and one who has none."""
    return [
        *(Person(number, values=(value,)) for number, value in enumerate(values, 1)),
        Person(len(values) + 1),
    ]


def test_units_and_bounds(bench: Bench, context: Context) -> None:
    bench.criterion(bench.least("plt", 50, "10*9/L"))
    passed = compare(bench.record(), context, people_with(*PLATELETS))
    assert passed["inclusion 1"] == {1, 3, 5, 7, 8}


def test_a_window_is_kept_to_the_day(bench: Bench, context: Context) -> None:
    bench.criterion(bench.least("plt", 50, "10*9/L", window=Window(28, "d", "before", "enrolment")))
    passed = compare(bench.record(), context, people_with(*PLATELETS))
    assert passed["inclusion 1"] == {1, 3, 5, 7}


def test_missing_values_are_kept_where_that_is_the_policy(bench: Bench, context: Context) -> None:
    bench.criterion(bench.least("plt", 50, "10*9/L", window=Window(28, "d", "before", "enrolment")))
    keep = replace(context, options=replace(context.options, missing="keep"))
    passed = compare(bench.record(), keep, people_with(*PLATELETS))
    assert passed["inclusion 1"] == {1, 3, 5, 6, 7, 8, 9, 10}


def test_multiple_of_uln_and_a_missing_uln(bench: Bench, context: Context) -> None:
    bench.criterion(bench.most_uln("alt", 2.5))
    values = [
        Value("alt", 100, "U/L", uln=40),
        Value("alt", 101, "U/L", uln=40),
        Value("alt", 10, "U/L"),
        Value("alt", 75, "U/L", uln=30),
    ]
    assert compare(bench.record(), context, people_with(*values))["inclusion 1"] == {1, 4}


def test_the_same_limit_as_an_exclusion(bench: Bench, context: Context) -> None:
    above = bench.leaf("alt", "> 2.5 x ULN", comparator=">", low=2.5, low_inclusive=False, relative_to="ULN")
    bench.criterion(Not(above), "exclusion")
    values = [Value("alt", 100, "U/L", uln=40), Value("alt", 101, "U/L", uln=40), Value("alt", 10, "U/L")]
    assert compare(bench.record(), context, people_with(*values))["exclusion 1"] == {1}
    keep = replace(context, options=replace(context.options, missing="keep"))
    assert compare(bench.record(), keep, people_with(*values))["exclusion 1"] == {1, 3, 4}


def test_age(bench: Bench, context: Context) -> None:
    bench.criterion(bench.leaf("age", "18-70", comparator="range", low=18.0, high=70.0, unit="a",
                               low_inclusive=True, high_inclusive=True))  # fmt: skip
    people = [Person(number, age) for number, age in enumerate((17, 18, 70, 71), 1)]
    assert compare(bench.record(), context, people)["inclusion 1"] == {2, 3}


def test_sex_and_age_of_the_registry(bench: Bench, context: Context) -> None:
    bench.criterion(All(()))
    record = bench.record(sex="FEMALE", minimum_age="18 Years", maximum_age="6 Months")
    people = [Person(1, 17), Person(2, 18), Person(3, 30, "male")]
    rendered = Circe().render(record, context)
    members, _ = Database(people).run(rendered.text)
    assert members == {2}
    assert {loss.path: loss.outcome for loss in rendered.losses if loss.section == "registry"} == {
        "minimum age": "whole", "maximum age": "dropped", "sex": "whole",
    }  # fmt: skip


def test_a_demand_on_women_holds_for_men(bench: Bench, context: Context) -> None:
    bench.criterion(bench.least("hgb", 80, "g/L"))
    bench.criteria[0] = replace(bench.criteria[0], population="women")
    people = [
        Person(1, sex="female", values=(Value("hgb", 70, "g/L"),)),
        Person(2, sex="male"),
        Person(3, sex="female", values=(Value("hgb", 8, "g/dL"),)),
    ]
    assert compare(bench.record(), context, people)["inclusion 1"] == {2, 3}


def test_a_condition_with_an_id(bench: Bench, context: Context) -> None:
    bench.criterion(bench.fact("Subjects with systemic lupus erythematosus"))
    people = [Person(1, conditions=("systemic lupus erythematosus",)), Person(2)]
    assert compare(bench.record(), context, people)["inclusion 1"] == {1}


def _range(bench: Bench) -> Expression:
    return bench.leaf("hgb", "80-160 g/L", comparator="range", low=80.0, high=160.0, unit="g/L",
                      low_inclusive=True, high_inclusive=True)  # fmt: skip


def _half_open(bench: Bench) -> Expression:
    return bench.leaf("hgb", "> 80 and <= 160 g/L", comparator="range", low=80.0, high=160.0, unit="g/L",
                      low_inclusive=False, high_inclusive=True)  # fmt: skip


def _set(bench: Bench) -> Expression:
    return bench.leaf("inr", "1 or 2", comparator="set", values=(1.0, 2.0), unit=None, kind="ordinal")


def _if(bench: Bench) -> Expression:
    lupus = bench.fact("SLE")
    return If(lupus, bench.most_uln("alt", 5), bench.most_uln("alt", 2.5))


def _if_of_values(bench: Bench) -> Expression:
    low = bench.leaf("plt", "< 50", comparator="<", high=50.0, high_inclusive=False, unit="10*9/L")
    return If(low, bench.least("hgb", 100, "g/L"), bench.least("hgb", 80, "g/L"))


def _any(bench: Bench) -> Expression:
    return AnyOf((bench.most_uln("scr", 1.5), bench.least("plt", 50, "10*9/L")))


def _nested(bench: Bench) -> Expression:
    alt, ast = bench.most_uln("alt", 3), bench.least("plt", 100, "10*9/L")
    return AnyOf(
        (All((alt, Not(ast))), Not(AnyOf((bench.least("hgb", 90, "g/L"), bench.most_uln("scr", 2)))))
    )


def _creatinine(bench: Bench) -> Expression:
    return bench.most("scr", 132, "umol/L", window=Window(2, "wk", "before", "screening"))


KINDS = (_range, _half_open, _set, _if, _if_of_values, _any, _nested, _creatinine)


@pytest.mark.parametrize("policy", ["exclude", "keep"])
def test_persons_round_every_bound(policy: str, bench: Bench, context: Context) -> None:
    """Every kind of expression, as an inclusion and turned round as an exclusion, before 300 persons."""
    for build in KINDS:
        bench.criterion(build(bench))
        bench.criterion(Not(build(bench)), "exclusion")
    record = bench.record()
    asked = replace(context, options=replace(context.options, missing=policy))  # type: ignore[arg-type]
    assert {loss.outcome for loss in Circe().render(record, asked).losses} == {"whole"}
    people = persons_round_the_bounds(record.items, 300, convert)
    passed = compare(record, asked, people)
    assert len(passed) == 2 * len(KINDS)
    assert all(0 < len(persons) < len(people) for persons in passed.values())


@pytest.mark.parametrize("policy", ["exclude", "keep"])
@pytest.mark.parametrize("lower", [False, True])
def test_a_collective_concept_is_asked_of_its_members(
    policy: str, lower: bool, bench: Bench, context: Context
) -> None:
    """Transaminases have no id: ALT and AST do; an upper limit is broken by one of them."""
    for section in ("inclusion", "exclusion"):
        leaf: Expression = bench.most_uln("transaminases", 3)
        if lower:
            leaf = bench.leaf(
                "transaminases", "> 3 x ULN", comparator=">", low=3.0, low_inclusive=False, relative_to="ULN"
            )
        bench.criterion(leaf if section == "inclusion" else Not(leaf), section)
    numbers = [None, *((number, limit) for number in (60, 192, 193) for limit in (None, 64.0))]
    people = [
        Person(10 * one + two, values=tuple(
            Value(name, float(each[0]), "U/L", uln=each[1])
            for name, each in (("alt", numbers[one]), ("ast", numbers[two])) if each
        ))
        for one in range(len(numbers)) for two in range(len(numbers)) if one or two
    ]  # fmt: skip
    asked = replace(context, options=replace(context.options, missing=policy))  # type: ignore[arg-type]
    record = bench.record()
    assert {loss.outcome for loss in Circe().render(record, asked).losses} == {"whole"}
    passed = compare(record, asked, people)
    assert all(0 < len(persons) < len(people) for persons in passed.values())


def test_a_member_without_an_id_may_hold(bench: Bench, context: Context) -> None:
    bench.criterion(bench.most_uln("transaminases", 3))
    facts = replace(context.concepts["transaminases"], members=("alt", "nobody_knows"))
    asked = replace(context, concepts={**context.concepts, "transaminases": facts})
    rendered = Circe().render(bench.record(), asked)
    assert [(one.outcome, [r.code for r in one.reasons]) for one in rendered.losses] == [
        ("degraded", ["no_omop_concept"])
    ]
    people = people_with(Value("alt", 192, "U/L", uln=64), Value("alt", 193, "U/L", uln=64))
    assert Database(people).run(rendered.text)[1]["inclusion 1"] == {1}


def test_what_cannot_be_asked_never_loses_a_patient(record: TrialRecord, context: Context) -> None:
    people = persons_round_the_bounds(record.items, 200, convert)
    passed = compare(record, context, people)
    assert set(passed) == {"inclusion 1", "inclusion 2", "inclusion 3", "inclusion 4", "inclusion 5"}


def test_more_rules_than_the_engine_can_count(bench: Bench, context: Context) -> None:
    for number in range(70):
        bench.criterion(bench.least("plt", 10 + number, "10*9/L"))
    people = [
        Person(1, values=(Value("plt", 79, "10*9/L"),)),
        Person(2, values=(Value("plt", 78, "10*9/L"),)),
    ]
    members, passed = Database(people).run(Circe().render(bench.record(), context).text)
    assert members == {1}
    assert len(passed) == 60
