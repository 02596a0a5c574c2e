from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest

from kb.graph import project, project_trials, write_graphml
from kb.plain_sql import run_sql
from kb.store import Store
from tests.kb.samples import platelets_trial, renal_extraction, trial


@pytest.fixture
def some(store: Store) -> Store:
    store.put(*platelets_trial(1))
    store.put(*platelets_trial(2, value=75))
    line = "creatinine <= 1.5 x ULN or CrCl >= 40 mL/min"
    store.put(trial(3, line), renal_extraction(line, line))
    return store


def test_the_projection_holds_what_the_views_hold(some: Store) -> None:
    graph = project(some, [version for version, _ in some.current_versions()])
    views = {tuple(row) for row in run_sql(some, "SELECT source, target, kind FROM edges").rows}
    projected = {(one, other, kind) for one, other, kind in graph.edges(data="kind")}
    unused = {edge for edge in views if edge[2] == "IN"} - projected
    assert projected == views - unused


def test_alternatives_are_joined(some: Store) -> None:
    graph = project_trials(some, ["NCT99000003"])
    assert sum(kind == "ALTERNATIVE_TO" for _, _, kind in graph.edges(data="kind")) == 2


def test_trials_meet_in_their_concepts(some: Store) -> None:
    graph = project_trials(some, ["NCT99000001", "NCT99000002"], criteria=False)
    first, second = (key for key, kind in graph.nodes(data="kind") if kind == "trial")
    path = nx.shortest_path(graph.to_undirected(), first, second)
    assert len(path) == 3


def test_a_version_supersedes_the_one_before(some: Store) -> None:
    some.put(*platelets_trial(1, value=20, version="b" * 64, last_update_posted="2026-06-01"))
    graph = project(some, [row[0] for row in some.versions("NCT99000001")])
    older, newer = (f"trial:{row[0]}" for row in some.versions("NCT99000001"))
    assert graph.has_edge(newer, older)


def test_graphml_reads_back(some: Store, tmp_path: Path) -> None:
    graph = project_trials(some, ["NCT99000001"])
    write_graphml(graph, tmp_path / "g.graphml")
    again = nx.read_graphml(tmp_path / "g.graphml")
    assert set(again.nodes) == set(graph.nodes)


def test_a_registry_does_not_fit(some: Store) -> None:
    with pytest.raises(ValueError, match="too many"):
        project(some, range(20_001))
