"""Three-valued logic over a criterion's expression, and what the answer rests on."""

from __future__ import annotations

from datetime import date

import pytest

from kb.evaluate import dated_facts, evaluate, evaluate_criterion
from kb.patient import Event, Measurement, Patient
from nlp.model import All, AnyOf, Criterion, Expression, Fact, If, Item, Leaf, Not, Unread
from tests.screening.making import KNOWLEDGE, item, patient

YES, NO, OPEN = Fact("yes", (0, 3)), Fact("no", (4, 6)), Fact("open", (7, 11))
SOMEBODY = patient(events={"yes": True, "no": False})
TERMS: dict[bool | None, Expression] = {True: YES, False: NO, None: OPEN}


def value(expression: Expression, who: Patient = SOMEBODY, *items: Item) -> bool | None:
    return evaluate(expression, {one.id: one for one in items}, who, KNOWLEDGE).value


@pytest.mark.parametrize("left", [True, False, None])
@pytest.mark.parametrize("right", [True, False, None])
def test_kleene_tables(left: bool | None, right: bool | None) -> None:
    both = (TERMS[left], TERMS[right])
    known = {left, right}
    assert value(All(both)) is (False if False in known else None if None in known else True)
    assert value(AnyOf(both)) is (True if True in known else None if None in known else False)
    assert value(Not(TERMS[left])) is (None if left is None else not left)
    assert value(If(YES, *both)) is left
    assert value(If(NO, *both)) is right
    assert value(If(OPEN, *both)) is (left if left == right else None)


def test_empty_ones() -> None:
    assert value(All(())) is True
    assert value(AnyOf(())) is False


def test_unread_is_unknown_until_the_caller_answers_its_text() -> None:
    text = "must be in good shape"
    unread = Unread((8, 21), "no rule")
    items: dict[str, Item] = {}
    assert evaluate(unread, items, SOMEBODY, KNOWLEDGE, text).value is None
    answered = patient(answers={"in good shape": True})
    assert evaluate(unread, items, answered, KNOWLEDGE, text).value is True
    assert evaluate(Not(unread), items, answered, KNOWLEDGE, text).value is False


def test_demand_on_another_population_drops_out() -> None:
    women = item("hgb", ">=", 110, id="w", unit="g/L", population="women")
    men = item("hgb", ">=", 130, id="m", unit="g/L", population="men")
    he = patient(Measurement("hgb", 120, "g/L"), sex="male")
    she = patient(Measurement("hgb", 120, "g/L"), sex="female")
    both = All((Leaf("w"), Leaf("m")))
    assert (value(both, he, women, men), value(both, she, women, men)) == (False, True)
    either = AnyOf((Leaf("w"), Leaf("m")))
    assert (value(either, he, women, men), value(either, she, women, men)) == (False, True)
    assert value(either, patient(Measurement("hgb", 120, "g/L")), women, men) is None
    only_women = evaluate(Not(Leaf("w")), {"w": women}, he, KNOWLEDGE)
    assert (only_women.value, only_women.applies) == (None, False)


def test_criterion_for_another_population_puts_no_demand() -> None:
    criterion = Criterion("1", "inclusion", "", (0, 5), NO, 1.0, population="women")
    he = patient(sex="male", events={"no": False})
    answer = evaluate_criterion(criterion, {}, he, KNOWLEDGE)
    assert (answer.value, answer.applies) == (True, False)
    nobody = patient(events={"no": False})
    assert evaluate_criterion(criterion, {}, nobody, KNOWLEDGE).value is None


def test_missing_item_is_unknown() -> None:
    assert value(Leaf("absent")) is None


def test_findings_are_what_the_answer_rests_on() -> None:
    answer = evaluate(All((YES, OPEN, Not(AnyOf((NO, YES))))), {}, SOMEBODY, KNOWLEDGE)
    assert answer.value is False
    assert [(finding.leaf, finding.excluded) for finding in answer.findings] == [(YES, True)]
    answer = evaluate(All((YES, OPEN, AnyOf((NO, OPEN)))), {}, SOMEBODY, KNOWLEDGE)
    assert [finding.needs for finding in answer.findings] == ["open", "open"]


def test_why_names_value_unit_and_bound() -> None:
    wanted = item("plt", ">=", 50, unit="10*9/L", concept_text="Platelets")
    answer = evaluate(Leaf("i1"), {"i1": wanted}, patient(Measurement("plt", 45, "10*9/L")), KNOWLEDGE)
    assert answer.findings[0].why == "Platelets 45 10*9/L; the text says >= 50 10*9/L"
    assert answer.findings[0].miss == pytest.approx(0.1)


def test_what_is_over_counts_where_the_text_says_how_long_ago() -> None:
    vaccine = Fact("live vaccine", (0, 12))
    recent = item(None, "within", 4, id="r", unit="wk", concept_text="live vaccine")
    both = Not(All((vaccine, Leaf("r"))))

    def given(day: date) -> Patient:
        return patient(events=(Event("live vaccine", True, day, day),))

    assert value(both, given(date(2025, 7, 10)), recent) is False
    assert value(both, given(date(2025, 5, 10)), recent) is True
    assert value(Not(vaccine), given(date(2025, 7, 10))) is None  # over, and not asked for as history
    assert dated_facts(All((both, vaccine)), {"r": recent}) == {vaccine}
