"""Random expressions over random patients: truth tables, monotonicity, and no eligibility out of the unknown."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from kb.evaluate import evaluate
from kb.patient import Measurement, Patient
from kb.screen import TrialCriteria, screen_trial
from nlp.model import All, AnyOf, Criterion, Expression, Extraction, Fact, If, Leaf, Not, Unread, leaves
from tests.screening.making import KNOWLEDGE, item, patient

FACTS = ("asthma", "stroke", "gout")
LABS = ("plt", "alt", "qtc")
ITEMS = {
    f"{lab}{number}": item(lab, comparator, number, id=f"{lab}{number}", unit="U")
    for lab in LABS
    for comparator, number in ((">=", 10), ("<", 20))
}
State = dict[str, bool | int | None]

_leaf: st.SearchStrategy[Expression] = st.one_of(
    st.sampled_from([Fact(name, (0, 1)) for name in FACTS]),
    st.sampled_from([Leaf(name) for name in ITEMS]),
    st.just(Unread((0, 1), "no rule")),
)
EXPRESSIONS = st.recursive(
    _leaf,
    lambda part: st.one_of(
        st.lists(part, max_size=3).map(lambda parts: All(tuple(parts))),
        st.lists(part, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        part.map(Not),
        st.tuples(part, part, part).map(lambda parts: If(*parts)),
    ),
    max_leaves=8,
)
_value = st.none() | st.integers(8, 22)
STATES: st.SearchStrategy[State] = st.fixed_dictionaries(
    {**{name: st.none() | st.booleans() for name in FACTS}, **dict.fromkeys(LABS, _value)}
)


def person(state: State) -> Patient:
    measured = [Measurement(lab, float(state[lab] or 0), "U") for lab in LABS if state[lab] is not None]
    known = {name: bool(state[name]) for name in FACTS if state[name] is not None}
    return patient(*measured, events=known)


def answer(expression: Expression, state: State) -> bool | None:
    return evaluate(expression, ITEMS, person(state), KNOWLEDGE).value


def by_the_tables(expression: Expression, state: State, unread: float = 0.5) -> float:
    """The strong Kleene tables as numbers: false 0, unknown 1/2, true 1."""
    match expression:
        case Fact(name):
            known = state[name]
            return 0.5 if known is None else float(known)
        case Leaf(name):
            value, wanted = state[ITEMS[name].concept or ""], ITEMS[name]
            if value is None:
                return 0.5
            return float(value >= wanted.low if wanted.low is not None else value < (wanted.high or 0))
        case Unread():
            return unread
        case All(parts):
            return min((by_the_tables(part, state, unread) for part in parts), default=1)
        case AnyOf(parts):
            return max((by_the_tables(part, state, unread) for part in parts), default=0)
        case Not(part):
            return 1 - by_the_tables(part, state, unread)
        case If(condition, then, otherwise):
            first, second, third = (by_the_tables(one, state, unread) for one in (condition, then, otherwise))
            if first == 0.5:
                return second if second == third else 0.5
            return second if first else third


NUMBERS = {0.0: False, 0.5: None, 1.0: True}


@settings(max_examples=600, deadline=None)
@given(EXPRESSIONS, STATES)
def test_agrees_with_the_truth_tables(expression: Expression, state: State) -> None:
    assert answer(expression, state) is NUMBERS[by_the_tables(expression, state)]


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, STATES)
def test_a_known_answer_holds_whatever_the_unknowns_turn_out_to_be(
    expression: Expression, state: State
) -> None:
    value = answer(expression, state)
    if value is None:
        return
    used = {one.text if isinstance(one, Fact) else ITEMS[one.item].concept or ""
            for one in leaves(expression) if not isinstance(one, Unread)}  # fmt: skip
    open_ones = sorted(name for name in used if state[name] is None)
    choices: list[tuple[bool | int, ...]] = [
        (False, True) if name in FACTS else (8, 15, 22) for name in open_ones
    ]
    for completion in itertools.product(*choices):
        whole = {**state, **dict(zip(open_ones, completion, strict=True))}
        for unread in (0.0, 1.0):
            assert bool(by_the_tables(expression, whole, unread)) is value


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, STATES, st.sampled_from((*FACTS, *LABS)))
def test_knowing_less_never_turns_an_answer_round(expression: Expression, state: State, name: str) -> None:
    before, after = answer(expression, state), answer(expression, {**state, name: None})
    assert after is None or after is before


@settings(max_examples=300, deadline=None)
@given(st.lists(EXPRESSIONS, min_size=1, max_size=3), STATES)
def test_eligible_only_if_every_completion_is(expressions: list[Expression], state: State) -> None:
    criteria = tuple(
        Criterion(str(number), "inclusion", "x", (0, 1), one, 1.0) for number, one in enumerate(expressions)
    )
    trial = TrialCriteria("T", "s", "", "", "x", Extraction(tuple(ITEMS.values()), criteria))
    found = screen_trial(trial, person(state), KNOWLEDGE)
    exact = [by_the_tables(one, state) for one in expressions]
    read = not any(isinstance(leaf, Unread) for one in expressions for leaf in leaves(one))
    expected = "not eligible" if 0 in exact else "eligible" if set(exact) == {1} and read else "undetermined"
    assert found.status == expected


def test_an_unread_demand_alone_keeps_a_trial_undetermined() -> None:
    yes = Criterion("1", "inclusion", "x", (0, 1), All(()), 1.0)
    unread = replace(yes, path="2", expression=Unread((0, 1), "no rule"))
    trial = TrialCriteria("T", "s", "", "", "x", Extraction((), (yes,)))
    assert screen_trial(trial, patient(), KNOWLEDGE).status == "eligible"
    trial = replace(trial, extraction=Extraction((), (yes, unread)))
    assert screen_trial(trial, patient(), KNOWLEDGE).status == "undetermined"
    for given_answer, status in ((True, "eligible"), (False, "not eligible")):
        answered = patient(answers={"T inclusion 2": given_answer})
        assert screen_trial(trial, answered, KNOWLEDGE).status == status


def test_a_trial_without_criteria_is_undetermined() -> None:
    trial = TrialCriteria("T", "s", "", "", "", Extraction())
    assert screen_trial(trial, patient(), KNOWLEDGE).status == "undetermined"
