from __future__ import annotations

from dataclasses import replace

import pytest

from harvest.model import Trial
from kb.show import age_in_years, mark, registry_conflicts, show
from kb.store import Store
from nlp.model import All, Extraction, Leaf, Section, Unread
from tests.kb.samples import VOCABULARY, criterion, item, platelets_trial, trial


def test_thresholds_are_marked_in_the_text(store: Store) -> None:
    store.put(*platelets_trial())
    shown = show(store, "NCT99000001")
    assert [one.marked for one in shown.criteria] == ["Platelets [1: >= 50 x 10^9/L]", "QTc [2: > 480 ms]"]


def test_limits_that_share_words_are_marked_together() -> None:
    assert mark("ALT, AST <= 3", 10, [(19, 23, 1), (19, 23, 2)]) == "ALT, AST [1,2: <= 3]"


def test_overlapping_marks_keep_the_text_whole() -> None:
    marked = mark("between 1 and 3", 0, [(0, 9, 1), (8, 15, 2)])
    assert marked == "[1: between 1] and 3"


def test_what_was_not_read_is_shown(store: Store) -> None:
    text = "Platelets >= 50 x 10^9/L and a grobble of 3"
    start = text.index("a grobble")
    expression = All((Leaf("i1"), Unread((start, len(text)), "no such concept")))
    read = item(text, ">= 50 x 10^9/L", "plt", ">=", 50, "10*9/L")
    store.put(
        trial(1, text), Extraction((read,), (criterion(text, text, expression, coverage=0.6),), VOCABULARY)
    )
    shown = show(store, "NCT99000001")
    assert shown.unread == 1
    assert shown.criteria[0].unread[0].text == "a grobble of 3"


def test_children_are_deeper_than_their_parent(store: Store) -> None:
    text = "Organ function: platelets >= 50 x 10^9/L"
    line = "platelets >= 50 x 10^9/L"
    read = item(text, ">= 50 x 10^9/L", "plt", ">=", 50, "10*9/L", path="1.1")
    lines = (
        criterion(text, "Organ function:", All(())),
        criterion(text, line, Leaf("i1"), path="1.1", parent="1"),
    )
    store.put(trial(1, text), Extraction((read,), lines, VOCABULARY))
    assert [(one.path, one.depth) for one in show(store, "NCT99000001").criteria] == [("1", 0), ("1.1", 1)]


@pytest.mark.parametrize(
    ("field", "years"), [("18 Years", 18), ("6 Months", 0.5), ("1 Year", 1), (None, None), ("N/A", None)]
)
def test_registry_ages(field: str | None, years: float | None) -> None:
    assert age_in_years(field) == years


def aged(store: Store, comparator: str, value: float, **fields: str) -> list[tuple[str, str]]:
    text = f"Age {comparator} {value:g} years"
    read = item(
        text,
        f"{comparator} {value:g} years",
        "age",
        comparator,
        value,
        "a",
        canonical_unit="a",
        concept_name="Age",
    )
    store.put(trial(1, text, **fields), Extraction((read,), (criterion(text, text, Leaf("i1")),), VOCABULARY))
    return [(one.field, one.registry) for one in show(store, "NCT99000001").conflicts]


def test_an_age_that_the_registry_states_otherwise(store: Store) -> None:
    assert aged(store, ">=", 18, minimum_age="16 Years") == [("minimum age", "16 Years")]


def test_an_age_limit_that_the_registry_lacks(store: Store) -> None:
    assert aged(store, "<=", 65, minimum_age="18 Years") == [("maximum age", "no limit")]


@pytest.mark.parametrize(
    ("comparator", "value", "fields"),
    [
        (">=", 18, {"minimum_age": "18 Years"}),
        (">", 17, {"minimum_age": "18 Years"}),
        ("<", 71, {"maximum_age": "70 Years"}),
        ("<=", 65, {"maximum_age": "65 Years"}),
    ],
)
def test_ages_that_agree(store: Store, comparator: str, value: float, fields: dict[str, str]) -> None:
    assert aged(store, comparator, value, **fields) == []


@pytest.mark.parametrize(
    ("line", "sex", "conflict"),
    [
        ("Female subjects aged 18 or older", "ALL", True),
        ("Women with lupus nephritis", "ALL", True),
        ("Men with erectile dysfunction", "FEMALE", True),
        ("Female subjects aged 18 or older", "FEMALE", False),
        ("Male or female subjects", "ALL", False),
        ("Females of childbearing potential must use contraception", "ALL", False),
        ("Women who are pregnant must not take part", "ALL", False),
    ],
)
def test_sex(line: str, sex: str, conflict: bool) -> None:
    made: Trial = trial(1, line, sex=sex)
    found = registry_conflicts(made, [], [("inclusion", line)])
    assert bool(found) is conflict


@pytest.mark.parametrize(
    ("section", "line", "sex", "said"),
    [
        ("exclusion", "Females", "ALL", ["MALE"]),
        ("exclusion", "Female sex.", "MALE", []),
        ("exclusion", "Women who smoke", "ALL", []),
        ("inclusion", "Adult females, and adult males", "ALL", []),
        ("inclusion", "Male ≥ 50 kg, female ≥ 45 kg", "ALL", []),
        ("inclusion", "Female participants must be post-menopausal", "ALL", []),
    ],
)
def test_a_sex_that_the_text_turns_away(section: str, line: str, sex: str, said: list[str]) -> None:
    found = registry_conflicts(trial(1, line, sex=sex), [], [(section, line)])
    assert [one.criteria for one in found] == said


@pytest.mark.parametrize(
    ("section", "line", "field", "conflict"),
    [
        ("inclusion", "Healthy male volunteers aged 18 to 45", False, True),
        ("inclusion", "Healthy controls", False, True),
        ("inclusion", "Healthy male volunteers aged 18 to 45", True, False),
        ("inclusion", "Healthy male volunteers aged 18 to 45", None, False),
        ("exclusion", "Healthy volunteers", True, True),
        ("exclusion", "Healthy volunteers", False, False),
        ("inclusion", "Healthy donor available", False, False),
        ("inclusion", "In good general health", False, False),
    ],
)
def test_healthy_volunteers(section: str, line: str, field: bool | None, conflict: bool) -> None:
    found = registry_conflicts(trial(1, line, healthy_volunteers=field), [], [(section, line)])
    assert [one.field for one in found] == (["healthy volunteers"] if conflict else [])


def test_the_heading_of_a_group_is_no_conflict_of_an_exclusion(store: Store) -> None:
    sections: tuple[tuple[Section, int], ...] = (("exclusion", 0), ("inclusion", 1))
    text = "Healthy volunteers"
    for section, conflicts in sections:
        head = replace(criterion(text, text, All(())), section=section, population="Healthy volunteers")
        store.put(
            trial(1, text, healthy_volunteers=section == "exclusion"), Extraction((), (head,), VOCABULARY)
        )
        assert len(show(store, "NCT99000001").conflicts) == conflicts


def test_an_item_of_a_line_that_its_criterion_took_in_stands_there(store: Store) -> None:
    text = "one of the following: platelets >= 50 x 10^9/L; or QTc <= 480 ms"
    one = replace(item(text, ">= 50 x 10^9/L", "plt", ">=", 50, "10*9/L"), criterion="1.1.2")
    store.put(trial(1, text), Extraction((one,), (criterion(text, text, All((Leaf("i1"),))),), VOCABULARY))
    shown = show(store, "NCT99000001")
    assert shown.loose == ()
    (limit,) = shown.criteria[0].limits
    assert (limit.evidence.criterion, limit.evidence.line) == ("1", text)
