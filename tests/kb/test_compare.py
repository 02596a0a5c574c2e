from __future__ import annotations

import pytest

from kb.compare import compare
from kb.errors import BadQuestion, TrialNotFound
from kb.store import Store
from nlp.model import All, Extraction, Fact, If, Leaf
from tests.kb.samples import VOCABULARY, criterion, item, platelets_trial, trial

A, B, C = "NCT99000001", "NCT99000002", "NCT99000003"


def filled(store: Store, *values: float) -> Store:
    for number, value in enumerate(values, start=1):
        store.put(*platelets_trial(number, value=value))
    return store


def test_strictest_and_loosest_are_marked(store: Store) -> None:
    comparison = compare(filled(store, 50, 75, 100), [A, B, C])
    row = next(row for row in comparison.rows if row.concept == "plt")
    assert {(mark.trial, mark.what) for mark in row.marks} == {(A, "loosest"), (C, "strictest")}


def test_equal_limits_have_no_strictest(store: Store) -> None:
    comparison = compare(filled(store, 50, 50), [A, B])
    assert all(row.marks == () for row in comparison.rows)


def test_a_cell_that_is_not_stated_is_empty(store: Store) -> None:
    filled(store, 50)
    store.put(trial(2, "x"), Extraction((), (), VOCABULARY))
    row = next(row for row in compare(store, [A, B]).rows if row.concept == "plt")
    assert [len(cell) for cell in row.cells] == [1, 0]
    assert row.marks == ()


def test_multiples_are_never_ranked_against_absolute_limits(store: Store) -> None:
    for number, relative in ((1, "ULN"), (2, None)):
        text = "ALT <= 3"
        read = item(text, "<= 3", "alt", "<=", 3, None if relative else "U/L", relative_to=relative)
        store.put(trial(number, text), Extraction((read,), (criterion(text, text, Leaf("i1")),), VOCABULARY))
    (row,) = compare(store, [A, B]).rows
    assert row.marks == ()
    assert [cell[0].words() for cell in row.cells] == ["≤ 3 × ULN", "≤ 3 U/L"]


def test_the_unconditional_limit_comes_first(store: Store) -> None:
    text = "for Gilbert syndrome <= 5 x ULN, else <= 3 x ULN"
    items = (
        item(text, "<= 5 x ULN", "alt", "<=", 5, relative_to="ULN"),
        item(text, "<= 3 x ULN", "alt", "<=", 3, relative_to="ULN", identifier="i2"),
    )
    expression = If(Fact("Gilbert syndrome", (4, 20)), Leaf("i1"), Leaf("i2"))
    store.put(trial(2, text), Extraction(items, (criterion(text, text, expression),), VOCABULARY))
    filled(store, 50)
    row = next(row for row in compare(store, [A, B]).rows if row.concept == "alt")
    assert [(limit.max_value, limit.applies_if) for limit in row.cells[1]] == [
        (3, None),
        (5, "Gilbert syndrome"),
    ]


def test_populations_have_rows_of_their_own(store: Store) -> None:
    filled(store, 50)
    text = "donor platelets >= 150 x 10^9/L"
    read = item(text, ">= 150 x 10^9/L", "plt", ">=", 150, "10*9/L", population="donor")
    store.put(trial(2, text), Extraction((read,), (criterion(text, text, Leaf("i1")),), VOCABULARY))
    rows = [row for row in compare(store, [A, B]).rows if row.concept == "plt"]
    assert {row.population for row in rows} == {None, "donor"}


def test_a_contradictory_reading_is_said_and_not_ranked(store: Store) -> None:
    text = "platelets >= 100 x 10^9/L and < 50 x 10^9/L"
    items = (
        item(text, ">= 100 x 10^9/L", "plt", ">=", 100, "10*9/L"),
        item(text, "< 50 x 10^9/L", "plt", "<", 50, "10*9/L", identifier="i2"),
    )
    lines = (criterion(text, text, Leaf("i1")), criterion(text, text, Leaf("i2"), path="2"))
    store.put(trial(2, text), Extraction(items, lines, VOCABULARY))
    filled(store, 50)
    row = next(row for row in compare(store, [A, B]).rows if row.concept == "plt")
    assert row.contradictions == (B,)
    assert row.marks == ()


def test_every_cell_leads_to_its_words(store: Store) -> None:
    filled(store, 50, 75)
    for row in compare(store, [A, B]).rows:
        for cell in row.cells:
            for limit in cell:
                raw = store.trial(limit.version_id).eligibility_text
                assert raw[slice(*limit.evidence.span)] == limit.evidence.quote


def test_comparing_takes_two_trials(store: Store) -> None:
    filled(store, 50)
    with pytest.raises(BadQuestion, match="two different"):
        compare(store, [A, A])
    with pytest.raises(TrialNotFound):
        compare(store, [A, B])


def test_the_populations_of_a_concept_stand_below_each_other(store: Store) -> None:
    filled(store, 50, 50)
    text = "Platelets >= 75 x 10^9/L, ANC >= 1 x 10^9/L"
    of_children = item(text, ">= 75 x 10^9/L", "plt", ">=", 75, "10*9/L", population="children")
    of_all = item(text, ">= 1 x 10^9/L", "anc", ">=", 1, "10*9/L", identifier="i2")
    tree = All((Leaf("i1"), Leaf("i2")))
    store.put(trial(3, text), Extraction((of_children, of_all), (criterion(text, text, tree),), VOCABULARY))
    rows = [(row.concept, row.population) for row in compare(store, [A, B, C]).rows]
    assert rows == [("qtc", None), ("plt", None), ("plt", "children"), ("anc", None)]
