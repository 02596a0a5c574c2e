from __future__ import annotations

import pytest

from kb.api import KnowledgeBase
from kb.describe import describe, describe_columns
from kb.errors import QueryInvalid
from kb.plain_sql import run_sql
from kb.store import Store
from tests.kb.samples import platelets_trial


def test_every_table_and_view_can_be_asked(store: Store) -> None:
    found = describe(store)
    assert {"trial_view", "criterion_view", "threshold_view", "nodes", "edges"} <= {
        one.name for one in found if one.kind == "view"
    }
    for one in found:
        assert (
            run_sql(store, f"SELECT {', '.join(one.columns)} FROM {one.name} LIMIT 1").columns == one.columns
        )


def test_the_meaning_is_what_the_schema_says(store: Store) -> None:
    meanings = {one.name: one.meaning for one in describe(store)}
    assert meanings["criterion"] == "one node of the criteria tree"
    assert {one.name: one.meaning for one in describe_columns(store, "Review")}["line_hash"] == "line.hash"
    columns = {one.name: one for one in describe_columns(store, "concept")}
    assert columns["category_id"].refers_to == "category.id"
    assert (columns["plausible_low"].type, columns["plausible_low"].meaning) == ("REAL", "in canonical_unit")


def test_a_notebook_can_ask_too(store: Store) -> None:
    assert KnowledgeBase(store).describe() == describe(store)


def test_an_unknown_name_is_told(store: Store) -> None:
    with pytest.raises(QueryInvalid, match="no table or view"):
        describe_columns(store, "thresholds")


def test_the_views_follow_a_past_day(store: Store) -> None:
    store.put(*platelets_trial(1, value=50, last_update_posted="2026-01-01"))
    store.put(*platelets_trial(1, value=30, version="b" * 64, last_update_posted="2026-05-01"))
    ask = "SELECT min_value FROM threshold_view WHERE concept = 'plt'"
    assert run_sql(store, ask).rows == ((30.0,),)
    with Store.open(store.path, as_of="2026-02-01") as past:
        assert run_sql(past, ask).rows == ((50.0,),)
        assert run_sql(past, "SELECT version_date FROM trial_view").rows == (("2026-01-01",),)
        assert len(run_sql(past, "SELECT * FROM criterion_view").rows) == 2
    with Store.open(store.path, as_of="2025-02-01") as before:
        assert run_sql(before, "SELECT * FROM trial_view").rows == ()
