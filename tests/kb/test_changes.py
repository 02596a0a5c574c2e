"""What changed over many trials: by the registry's dates, and by when a version came here."""

from __future__ import annotations

from typing import Any

import pytest

from kb.changes import changes_since
from kb.errors import BadQuestion
from kb.store import Store
from tests.kb.samples import platelets_trial

AMENDED: dict[str, Any] = {"version": "b" * 64, "last_update_posted": "2026-03-01"}


def told(store: Store, since: str, **how: bool) -> list[tuple[str, str]]:
    versions = [version for version, _ in store.current_versions()]
    return [
        (store.trial(one.version_id).source_id, one.what)
        for one in changes_since(store, since, versions, **how)
    ]


def put(store: Store, number: int, at: str, **changes: Any) -> None:
    store.put(*platelets_trial(number, **changes), fetched_at=at)


def test_amended_and_new_since_a_day(store: Store) -> None:
    put(store, 1, "2026-01-11T09:00:00Z", value=75)
    put(store, 1, "2026-03-02T09:00:00Z", value=50, **AMENDED)
    put(store, 2, "2026-03-02T09:00:00Z", value=60)
    put(store, 3, "2026-03-02T09:00:00Z", first_posted="2026-02-20", last_update_posted="2026-02-20")
    assert told(store, "2026-02-01") == [("NCT99000001", "changed"), ("NCT99000003", "new")]
    assert told(store, "2026-12-31") == []


def test_what_was_amended_and_never_seen_before_is_not_passed_over(store: Store) -> None:
    put(store, 1, "2026-03-02T09:00:00Z", first_posted="2025-01-01", last_update_posted="2026-03-01")
    assert told(store, "2026-02-01") == [("NCT99000001", "no earlier version")]


def test_a_change_that_the_registry_dated_before_the_last_run_is_found_by_when_it_came(store: Store) -> None:
    """Amended on the first of March by its date, given by the registry on the third: a run on the second and
    one on the third, each asking for what changed since the day before, must tell it once."""
    put(store, 1, "2026-01-11T16:15:00Z", value=75)
    put(store, 1, "2026-03-03T16:15:00Z", value=50, **AMENDED)
    assert told(store, "2026-03-02") == []
    assert told(store, "2026-03-02", stored=True) == [("NCT99000001", "changed")]
    assert told(store, "2026-03-03", stored=True) == []
    assert told(store, "2026-03-03T16:00:00Z", stored=True) == [("NCT99000001", "changed")]


def test_what_was_not_here_before_is_new_here(store: Store) -> None:
    put(store, 1, "2026-03-03T16:15:00Z", first_posted="2019-01-01")
    assert told(store, "2026-03-02", stored=True) == [("NCT99000001", "new")]


@pytest.mark.parametrize("stored", [False, True])
def test_a_vanished_trial_is_told(store: Store, stored: bool) -> None:
    put(store, 1, "2026-01-11T16:15:00Z")
    store.mark_vanished("ctgov", "NCT99000001", "2026-03-03T16:15:00Z")
    assert told(store, "2026-03-02", stored=stored) == [("NCT99000001", "vanished")]
    assert told(store, "2026-03-03", stored=stored) == []


def test_moved_words_are_told_only_when_asked_for(store: Store) -> None:
    put(store, 1, "2026-01-11T09:00:00Z")
    put(store, 1, "2026-03-02T09:00:00Z", **AMENDED)
    assert told(store, "2026-02-01") == []


@pytest.mark.parametrize(
    ("since", "stored"), [("yesterday", False), ("2026-3-1", True), ("2026-03-01T09:00:00Z", False)]
)
def test_what_is_no_date_is_refused(store: Store, since: str, stored: bool) -> None:
    with pytest.raises(BadQuestion, match="YYYY-MM-DD"):
        told(store, since, stored=stored)
