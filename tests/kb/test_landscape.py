from __future__ import annotations

import pytest

from kb.errors import BadQuestion
from kb.landscape import landscape
from kb.store import Store
from tests.kb.samples import platelets_trial


@pytest.fixture
def some(store: Store) -> Store:
    for number, value in enumerate((50, 50, 60, 75, 75, 1000), start=1):
        store.put(*platelets_trial(number, value=value))
    store.put(
        *platelets_trial(7, value=20, conditions=("Asthma",), condition_mesh=(), condition_ancestors=())
    )
    return store


def platelets(store: Store, **asked: object):  # type: ignore[no-untyped-def]
    found = landscape(store, conditions=["lupus"], concepts=["plt"], **asked)  # type: ignore[arg-type]
    return found.rows[0]


def test_the_distribution_of_a_threshold(some: Store) -> None:
    row = platelets(some)
    assert (row.stating, row.trials, row.lowest, row.median, row.highest) == (6, 6, 50, 67.5, 1000)
    assert row.counts == ((50, 2), (60, 1), (75, 2), (1000, 1))


def test_outliers_are_named(some: Store) -> None:
    assert platelets(some).outliers == (("NCT99000006", 1000),)


def test_few_trials_have_no_outliers(store: Store) -> None:
    for number, value in enumerate((50, 50, 50, 1000), start=1):
        store.put(*platelets_trial(number, value=value))
    assert platelets(store).outliers == ()


def test_how_a_trial_of_the_subject_stands(some: Store) -> None:
    standing = platelets(some, trial_id="NCT99000003").standing
    assert (standing.looser, standing.same, standing.stricter) == (2, 0, 3)


def test_how_a_trial_outside_the_subject_stands(some: Store) -> None:
    row = platelets(some, trial_id="NCT99000007")
    assert (row.trials, row.standing.looser, row.standing.stricter) == (6, 0, 6)


def test_a_maximum_is_stricter_when_it_is_lower(some: Store) -> None:
    row = next(
        row
        for row in landscape(some, conditions=["lupus"], trial_id="NCT99000001").rows
        if row.concept == "qtc"
    )
    assert (row.side, row.standing is not None and row.standing.same) == ("max", 5)


def test_an_unknown_subject_is_said(some: Store) -> None:
    with pytest.raises(BadQuestion, match="no stored trial is about gout"):
        landscape(some, conditions=["gout"])


def test_one_limit_in_two_units_is_one_value(store: Store) -> None:
    for number, value in enumerate((221, 221, 221.004, 221.0021, 222, 176.8034), start=1):
        store.put(*platelets_trial(number, value=value))
    row = platelets(store)
    assert row.counts == ((176.8, 1), (221, 4), (222, 1))  # 222 was written: it is not joined
