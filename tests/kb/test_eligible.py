from __future__ import annotations

import pytest

from kb.eligible import eligible_ranges
from nlp.model import All, AnyOf, Expression, Extraction, Fact, If, Item, Leaf, Not, Qualifier
from tests.kb.samples import criterion, item

LINE = "platelets >= 50 x 10^9/L, ALT <= 3 x ULN, QTc > 480 ms, NYHA III or IV"
PLATELETS = item(LINE, ">= 50 x 10^9/L", "plt", ">=", 50, "10*9/L")
ALT = item(LINE, "<= 3 x ULN", "alt", "<=", 3, relative_to="ULN", identifier="i2")
QTC = item(LINE, "> 480 ms", "qtc", ">", 480, "ms", identifier="i3")


def of(expression: Expression, *items: Item) -> dict[str, tuple[object, ...]]:
    """(scale, min, min inclusive, max, max inclusive, alternative, applies_if) by item."""
    extraction = Extraction(items, (criterion(LINE, LINE, expression),))
    found = eligible_ranges(extraction, {"nyha": (1, 4), "ecog": (0, 5)})
    return {
        key: (one.scale, one.min_value, one.min_inclusive, one.max_value, one.max_inclusive, one.alternative, one.applies_if)
        for key, one in found.items()
    }  # fmt: skip


def test_an_inclusion_keeps_its_range() -> None:
    assert of(Leaf("i1"), PLATELETS)["i1"] == ("absolute", 50, True, None, None, None, None)


def test_an_exclusion_is_turned_and_its_bound_opened() -> None:
    assert of(Not(Leaf("i3")), QTC)["i3"] == ("absolute", None, None, 480, True, None, None)


def test_an_excluded_inclusive_bound_becomes_exclusive() -> None:
    low = item(LINE, "> 480 ms", "qtc", ">=", 480, "ms")
    assert of(Not(Leaf("i1")), low)["i1"][3:5] == (480, False)


def test_an_excluded_two_sided_range_has_no_eligible_range() -> None:
    both = item(LINE, "> 480 ms", "qtc", "range", (300.0, 480.0), "ms")
    assert of(Not(Leaf("i1")), both)["i1"][0] is None


def test_multiples_keep_their_scale() -> None:
    assert of(Leaf("i2"), ALT)["i2"][:1] + of(Leaf("i2"), ALT)["i2"][3:4] == ("ULN", 3)


def test_alternatives_share_a_group() -> None:
    found = of(AnyOf((Leaf("i1"), Leaf("i2"))), PLATELETS, ALT)
    assert found["i1"][5] == found["i2"][5] is not None


def test_a_negated_conjunction_gives_alternatives() -> None:
    found = of(Not(All((Leaf("i1"), Leaf("i3")))), PLATELETS, QTC)
    assert found["i1"][5] == found["i3"][5] is not None
    assert found["i1"][3] == 50


def test_a_negated_list_of_alternatives_demands_each() -> None:
    found = of(Not(AnyOf((Leaf("i1"), Leaf("i3")))), PLATELETS, QTC)
    assert found["i1"][5] is None
    assert found["i3"][5] is None


def test_the_else_branch_is_the_general_limit() -> None:
    gilbert = Fact("Gilbert syndrome", (0, 1))
    found = of(If(gilbert, Leaf("i1"), Leaf("i2")), PLATELETS, ALT)
    assert found["i1"][6] == "Gilbert syndrome"
    assert found["i2"][6] is None


def test_what_a_condition_tests_is_no_demand() -> None:
    assert of(If(Leaf("i1"), Leaf("i2"), All(())), PLATELETS, ALT)["i1"][0] is None


def test_an_items_own_condition_restricts_it() -> None:
    limited = item(
        LINE, ">= 50 x 10^9/L", "plt", ">=", 50, "10*9/L", condition=Qualifier("if transfused", (0, 3))
    )
    assert of(Leaf("i1"), limited)["i1"][6] == "if transfused"


@pytest.mark.parametrize("flag", ["lost_comparator", "implausible_value", "contradiction"])
def test_suspect_values_are_not_compared(flag: str) -> None:
    suspect = item(LINE, ">= 50 x 10^9/L", "plt", ">=", 50, "10*9/L", flags=(flag,))
    assert of(Leaf("i1"), suspect)["i1"][0] is None


@pytest.mark.parametrize("role", ["definition", "allowance", "monitoring"])
def test_only_requirements_are_compared(role: str) -> None:
    other = item(LINE, ">= 50 x 10^9/L", "plt", ">=", 50, "10*9/L", role=role)
    assert of(Leaf("i1"), other)["i1"][0] is None


def test_a_bound_without_a_sure_conversion_is_not_compared() -> None:
    unsure = item(LINE, ">= 50 x 10^9/L", "plt", ">=", 50, "mmol/L", factor=None)
    assert of(Leaf("i1"), unsure)["i1"][0] is None


def test_excluded_grades_at_the_end_of_their_scale_leave_what_is_below() -> None:
    grades = item(LINE, "III or IV", "nyha", "set", values=(3.0, 4.0), kind="ordinal")
    assert of(Not(Leaf("i1")), grades)["i1"][:5] == ("absolute", None, None, 3, False)


def test_demanded_grades_from_the_beginning_of_their_scale_have_an_upper_bound() -> None:
    grades = item(LINE, "III or IV", "ecog", "set", values=(0.0, 1.0), kind="ordinal")
    assert of(Leaf("i1"), grades)["i1"][:5] == ("absolute", None, None, 1, True)


def test_a_set_with_gaps_is_no_range() -> None:
    grades = item(LINE, "III or IV", "ecog", "set", values=(0.0, 2.0), kind="ordinal")
    assert of(Leaf("i1"), grades)["i1"][0] is None


def test_qualitative_results_are_turned() -> None:
    extraction = Extraction(
        (item(LINE, "III or IV", "csf_wbc", "positive", kind="qualitative"),),
        (criterion(LINE, LINE, Not(Leaf("i1"))),),
    )
    assert eligible_ranges(extraction)["i1"].status == "negative"
