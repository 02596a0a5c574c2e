from __future__ import annotations

import pytest

from kb.digest import content_digest
from kb.errors import QueryInvalid
from kb.plain_sql import run_sql
from kb.search import search
from kb.store import Store
from kb.subject import versions_of
from tests.kb.samples import platelets_trial


@pytest.fixture
def some(store: Store) -> Store:
    for number in (1, 2, 3):
        store.put(*platelets_trial(number, value=10 * number))
    return store


def test_hits_are_marked(some: Store) -> None:
    hit = search(some, "platelets 20")[0]
    assert hit.marked == "«Platelets» >= «20» x 10^9/L"
    assert hit.trial.trial == "NCT99000002"


def test_only_the_subjects_trials_are_searched(some: Store) -> None:
    some.put(*platelets_trial(4, conditions=("Asthma",)))
    hits = search(some, "platelets", versions=versions_of(some, ["asthma"]))
    assert [hit.trial.trial for hit in hits] == ["NCT99000004"]


def test_a_line_that_was_amended_away_is_not_found(some: Store) -> None:
    some.put(*platelets_trial(2, value=75, version="b" * 64, last_update_posted="2027-01-01"))
    assert search(some, "platelets 20") == []


@pytest.mark.parametrize("words", ["...", '"open quote', "AND AND"])
def test_a_broken_query_is_refused(some: Store, words: str) -> None:
    with pytest.raises(QueryInvalid):
        search(some, words)


@pytest.mark.parametrize("words", ["qtc >", "10^9/L", "x -- 10^9"])
def test_signs_are_no_syntax(some: Store, words: str) -> None:
    assert search(some, words)


def test_sql_reads_the_views(some: Store) -> None:
    answer = run_sql(
        some, "SELECT trial, min_value, line FROM threshold_view WHERE concept = 'plt' ORDER BY trial"
    )
    assert answer.columns == ("trial", "min_value", "line")
    assert answer.rows[0] == ("NCT99000001", 10.0, "Platelets >= 10 x 10^9/L")


@pytest.mark.parametrize("view", ["trial_view", "criterion_view", "threshold_view", "nodes", "edges"])
def test_every_view_answers(some: Store, view: str) -> None:
    assert run_sql(some, f"SELECT * FROM {view}").rows


def test_edges_end_in_nodes(some: Store) -> None:
    lost = "SELECT * FROM edges WHERE source NOT IN (SELECT id FROM nodes) OR target NOT IN (SELECT id FROM nodes)"
    assert run_sql(some, lost).rows == ()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM trial",
        "DROP TABLE trial",
        "INSERT INTO trial(source, source_id) VALUES ('a', 'b')",
        "ATTACH '/tmp/other.db' AS other",
        "PRAGMA query_only = OFF",
        "SELECT 1; DELETE FROM trial",
        "SELEC 1",
        "SELECT * FROM nowhere",
        "",
    ],
)
def test_sql_only_reads(some: Store, statement: str) -> None:
    before = content_digest(some)
    with pytest.raises(QueryInvalid):
        run_sql(some, statement)
    assert content_digest(some) == before


def test_sql_is_stopped_in_time(some: Store) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(QueryInvalid, match="stopped after"):
        run_sql(some, endless, seconds=0.2)


def test_sql_says_that_it_was_cut(some: Store) -> None:
    assert run_sql(some, "SELECT * FROM threshold_view", limit=2).cut


def test_sql_reaches_the_full_text(store: Store) -> None:
    store.put(*platelets_trial(1, value=50))
    ask = "SELECT k.path FROM line_fts f JOIN criterion k ON k.line_id = f.rowid WHERE line_fts MATCH 'platelets'"
    assert run_sql(store, ask).rows == (("1",),)
