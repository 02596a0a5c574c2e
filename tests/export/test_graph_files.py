"""Graph files: read back by networkx and compared with the projected graph, node for node."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import pytest

from kb.export import source
from kb.export.base import SetFormat, load
from kb.export.errors import CannotWrite
from kb.export.graph_files import COLUMNS, GraphMl, Kgx, Neo4j, graph_parts
from kb.export.model import Context, TrialRecord
from kb.export.write import export
from kb.graph import project
from kb.store import Store
from tests.export.bench import fill, small_record

FORMATS = ("kgx", "graphml", "neo4j")


def written(db: Path, folder: Path, name: str, context: Context) -> Path:
    made = load(name)
    with Store.open(db) as store:
        versions = source.select(store, None)
        export(made, source.records(store, versions), folder, context, source=(store, versions))
    assert isinstance(made, SetFormat)
    assert made.validate_folder(folder) == []
    return folder


def read_back(folder: Path, name: str) -> Any:
    """The export as a networkx graph, whatever its format."""
    graph: Any = nx.MultiDiGraph()
    if name == "graphml":
        return nx.read_graphml(folder / "graph.graphml", force_multigraph=True)
    if name == "kgx":
        for line in (folder / "nodes.jsonl").read_text("utf-8").splitlines():
            node = json.loads(line)
            extra = {key: value for key, value in node.items() if key not in ("id", "name", "category")}
            graph.add_node(node["id"], label=node["name"], **extra)
        for line in (folder / "edges.jsonl").read_text("utf-8").splitlines():
            edge = json.loads(line)
            graph.add_edge(edge["subject"], edge["object"], kind=edge["kind"])
        return graph
    types: dict[str, Callable[[str], object]] = {
        "float": float,
        "int": int,
        "string": str,
        "boolean": lambda text: text == "true",
    }
    with (folder / "nodes.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            given = {
                key: types[kind](row[f"{key}:{kind}"])
                for key, kind in COLUMNS.items()
                if row[f"{key}:{kind}"]
            }
            graph.add_node(row["id:ID"], kind=row["kind:LABEL"].lower(), **given)
    with (folder / "edges.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            graph.add_edge(row[":START_ID"], row[":END_ID"], kind=row[":TYPE"])
    return graph


def said(data: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, str(value)) for key, value in data.items() if value not in (None, "")))


@pytest.mark.parametrize("name", FORMATS)
def test_read_back_is_the_projected_graph(name: str, db: Path, tmp_path: Path, context: Context) -> None:
    graph = read_back(written(db, tmp_path / "out", name, context), name)
    with Store.open(db) as store:
        expected = project(store, source.select(store, None))
    assert Counter(said(data) for _, data in graph.nodes(data=True)) == Counter(
        said(data) for _, data in expected.nodes(data=True)
    )

    def edges(one: Any) -> Counter[tuple[str, str, str]]:
        label = one.nodes
        return Counter(
            (label[a]["label"], data["kind"], label[b]["label"]) for a, b, data in one.edges(data=True)
        )

    assert edges(graph) == edges(expected)
    assert graph.number_of_nodes() > 30


@pytest.mark.parametrize("name", FORMATS)
def test_same_knowledge_base_same_bytes(name: str, db: Path, tmp_path: Path, context: Context) -> None:
    one, two = (written(db, tmp_path / each, name, context) for each in ("one", "two"))
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in two.iterdir()
    }


def test_ids_do_not_depend_on_the_order_of_storing(tmp_path: Path, record: TrialRecord) -> None:
    small = small_record("NCT99000002", 50)
    fill(tmp_path / "a.db", record, small)
    fill(tmp_path / "b.db", small, record)
    parts = []
    for name in ("a.db", "b.db"):
        with Store.open(tmp_path / name) as store:
            parts.append(list(graph_parts(store, source.select(store, None))))
    assert parts[0] == parts[1]
    names = {node["id"] for nodes, _ in parts[0] for node in nodes}
    assert {
        "trial:NCT99000002",
        "criterion:NCT99000002/inclusion/1",
        "threshold:NCT99000002/i1",
        "concept:plt",
    } <= names


def test_a_second_run_replaces_the_folder(db: Path, tmp_path: Path, context: Context) -> None:
    folder = written(db, tmp_path / "out", "kgx", context)
    with Store.open(db) as store:
        versions = source.select(store, ["NCT99000002"])
        summary = export(Kgx(), source.records(store, versions), folder, context, source=(store, versions))
    assert (summary.trials, summary.unchanged, summary.removed) == (1, 1, 2)
    assert "NCT99000003" not in (folder / "nodes.jsonl").read_text("utf-8")
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == ["out"]


def test_notices_travel_inside_graphml_and_beside_the_others(
    db: Path, tmp_path: Path, context: Context
) -> None:
    graph = read_back(written(db, tmp_path / "g", "graphml", context), "graphml")
    assert "LOINC" in graph.graph["notice"]
    assert "LOINC" in (written(db, tmp_path / "k", "kgx", context) / "NOTICE.txt").read_text("utf-8")


def test_losses(record: TrialRecord, context: Context) -> None:
    found = {loss.path: [reason.code for reason in loss.reasons] for loss in Kgx().losses(record, context)}
    assert found == {
        "1": [],
        "2": [],
        "3": [],
        "4": ["text_only"],
        "5": ["unread"],
        "6": [],
        "7": ["text_only"],
        "8": [],
    }


def test_kgx_faults_are_named(db: Path, tmp_path: Path, context: Context) -> None:
    folder = written(db, tmp_path / "out", "kgx", context)
    with (folder / "edges.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": "x", "subject": "trial:none", "object": "concept:plt"}\n')
    assert Kgx().validate_folder(folder) == [
        "edge x: no predicate",
        "an edge names trial:none, and there is no such node",
    ]


def test_neo4j_faults_are_named(db: Path, tmp_path: Path, context: Context) -> None:
    folder = written(db, tmp_path / "out", "neo4j", context)
    with (folder / "nodes.csv").open("a", encoding="utf-8") as file:
        file.write("a,b\n")
    assert any("another width" in problem for problem in Neo4j().validate_folder(folder))


def test_graphml_faults_are_named(tmp_path: Path) -> None:
    graph: Any = nx.MultiDiGraph()
    graph.add_edge("a", "b")
    nx.write_graphml(graph, tmp_path / "graph.graphml")
    assert len(GraphMl().validate_folder(tmp_path)) == 3


def test_a_folder_is_not_called_as_a_file(db: Path, tmp_path: Path, context: Context) -> None:
    with pytest.raises(CannotWrite, match=r"folder of files; name one without \.graphml"):
        written(db, tmp_path / "graph.graphml", "graphml", context)
    assert list(tmp_path.glob("*graphml*")) == []
