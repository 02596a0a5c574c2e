"""The knowledge graph as files: KGX JSON Lines, GraphML, Neo4j CSV.

Nodes and edges are those of the views ``nodes`` and ``edges`` (projected by :mod:`kb.graph`, one trial at a time), under
ids that stay the same when the knowledge base is built anew: ``criterion:NCT06886919/inclusion/7.1`` instead of a row
number.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import networkx as nx

from kb.export.errors import BadOption
from kb.export.model import Context, Loss, Reason, TrialRecord, judge, unread_reasons
from kb.export.notices import notices
from kb.graph import MOST_TRIALS, project
from kb.limits import load_limits
from kb.reviewed_limits import decided_versions, with_reviews
from kb.store import Store
from nlp.model import All, AnyOf, Criterion, Expression, Fact, Leaf, Not, leaves

Node = dict[str, Any]
Edge = tuple[str, str, str]

CATEGORIES = {
    "trial": "biolink:ClinicalTrial",
    "criterion": "biolink:InformationContentEntity",
    "threshold": "biolink:InformationContentEntity",
    "concept": "biolink:ClinicalMeasurement",
    "category": "biolink:InformationContentEntity",
    "condition": "biolink:DiseaseOrPhenotypicFeature",
    "intervention": "biolink:ClinicalIntervention",
    "sponsor": "biolink:Agent",
    "population": "biolink:Cohort",
}
PREDICATES = {"HAS": "biolink:has_part", "PART_OF": "biolink:part_of", "STATES": "biolink:has_part"}
"""Biolink's words where it has one; any other edge is ``biolink:related_to``, and ``kind`` says which it is."""

COLUMNS = {
    "label": "string", "title": "string", "status": "string", "version_date": "string", "synthetic": "boolean",
    "section": "string", "path": "string", "coverage": "float", "unread": "int", "mesh": "string", "comparator": "string",
    "scale": "string", "min": "float", "max": "float", "unit": "string", "review": "string",
}  # fmt: skip
"""What a node may say, with the type that Neo4j's header names."""


def graph_parts(store: Store, versions: Sequence[int]) -> Iterator[tuple[list[Node], list[Edge]]]:
    """``(nodes, edges)`` trial by trial, sorted; a node that trials share comes with the first that has it."""
    seen: set[str] = set()
    told: set[Edge] = set()
    for version in versions:
        graph = project(store, [version])
        names = _stable_names(store, version, graph)
        nodes = {names[key]: {"id": names[key], **_plain(data)} for key, data in graph.nodes(data=True)}
        edges = {(names[one], names[other], data["kind"]) for one, other, data in graph.edges(data=True)}
        if decided_versions(store.connection, [version]):
            _apply_reviews(store, version, nodes, edges)
        yield (
            [nodes[name] for name in sorted(nodes.keys() - seen)],
            sorted(edges - told),
        )
        seen.update(name for name in nodes if not name.startswith(("criterion:", "threshold:")))
        told.update(edge for edge in edges if edge[2] == "IN")


def _apply_reviews(store: Store, version: int, nodes: dict[str, Node], edges: set[Edge]) -> None:
    """What a reviewer decided on a threshold, in place: its node says so, and holds what was decided.

    A rejected one keeps its node without numbers; a corrected concept moves its edge.
    """
    trial = store.trial(version).source_id
    ids: dict[tuple[str, int, int, str], list[str]] = {}
    for item, section, start, end, concept in store.connection.execute(
        "SELECT item_id, section, value_start, value_end, coalesce(concept_id, '') FROM threshold"
        " WHERE version_id = ? ORDER BY ordinal",
        (version,),
    ):
        ids.setdefault((section, start, end, concept), []).append(f"threshold:{trial}/{item}")
    before = load_limits(store.connection, [version])
    for old, new in zip(before, with_reviews(store.connection, before), strict=True):
        name = ids[old.evidence.section, *old.evidence.span, old.concept or ""].pop(0)
        if new.evidence.review is None:
            continue
        facts = {"comparator": new.comparator, "scale": new.scale, "min": new.min_value, "max": new.max_value,
                 "unit": new.unit if new.scale else None, "review": new.evidence.review}  # fmt: skip
        kept = {key: value for key, value in nodes[name].items() if key not in facts}
        nodes[name] = _plain(kept | facts)
        if new.concept != old.concept:
            edges.discard((name, f"concept:{old.concept}", "ON"))
            if new.concept is not None:
                concept = f"concept:{new.concept}"
                nodes.setdefault(concept, {"id": concept, "kind": "concept", "label": new.concept_name})
                edges.add((name, concept, "ON"))


def _stable_names(store: Store, version: int, graph: Any) -> dict[str, str]:
    """The key of each projected node as an id that no rebuild changes."""
    trial = store.trial(version).source_id
    items = dict(
        store.connection.execute("SELECT id, item_id FROM threshold WHERE version_id = ?", (version,))
    )
    names = {}
    for key, data in graph.nodes(data=True):
        kind, _, number = key.partition(":")
        match kind:
            case "trial":
                names[key] = f"trial:{trial}"
            case "criterion":
                names[key] = f"criterion:{trial}/{data['section']}/{data['path']}"
            case "threshold":
                names[key] = f"threshold:{trial}/{items[int(number)]}"
            case "condition" | "intervention" | "sponsor":
                names[key] = f"{kind}:{data.get('mesh') or data['label']}"
            case _:
                names[key] = key
    return names


def _plain(data: dict[str, Any]) -> Node:
    """Only what says something: GraphML takes no null."""
    return {name: value for name, value in data.items() if value is not None and value != ""}


def _whole(expression: Expression, section: str) -> bool:
    """Whether nodes and edges say all of it: thresholds that all hold, alternatives of single ones, one excluded one."""
    match expression:
        case Leaf():
            return True
        case Not(part):
            return section == "exclusion" and isinstance(part, Leaf)
        case All(parts):
            return all(_whole(part, section) for part in parts)
        case AnyOf(parts):
            return all(isinstance(part, Leaf) for part in parts)
    return False


def criterion_loss(record: TrialRecord, criterion: Criterion) -> Loss:
    """What the graph loses of a criterion. Its words always stand in its node."""
    reasons = list(unread_reasons(record.trial.eligibility_text, criterion.expression))
    if any(isinstance(leaf, Fact) for leaf in leaves(criterion.expression)):
        reasons.append(Reason("text_only", "a fact stands in the criterion's words only, and is no node"))
    if not reasons and not _whole(criterion.expression, criterion.section):
        reasons.append(Reason("logic", "edges do not say how its thresholds are joined (not, if, nesting)"))
    return judge(record, criterion, "degraded" if reasons else "whole", *reasons)


class _Graph:
    """What the three graph formats share."""

    version = "1.1"
    suffix = ""
    extra: str | None = None

    def state(self, store: Store, versions: Sequence[int]) -> str:
        """Nothing but the trials and their concepts is in it."""
        return ""

    def losses(self, record: TrialRecord, context: Context) -> Iterable[Loss]:
        """One line for each criterion."""
        return [criterion_loss(record, criterion) for criterion in record.criteria]


def _dangling(ids: set[str], ends: Iterable[tuple[str, str]]) -> list[str]:
    missing = sorted({end for edge in ends for end in edge} - ids)
    return [f"an edge names {name}, and there is no such node" for name in missing]


class Kgx(_Graph):
    """KGX-style JSON Lines."""

    name = "kgx"
    title = "graph as KGX JSON Lines: nodes.jsonl, edges.jsonl"
    reader = "KGX tools, networkx, any script"

    def write(self, store: Store, versions: Sequence[int], folder: Path, context: Context) -> list[str]:
        """Write both files, trial after trial."""
        with _open(folder / "nodes.jsonl") as nodes, _open(folder / "edges.jsonl") as edges:
            for some_nodes, some_edges in graph_parts(store, versions):
                for node in some_nodes:
                    body = {"id": node["id"], "category": [CATEGORIES[node["kind"]]], "name": node["label"]}
                    rest = {key: value for key, value in node.items() if key not in ("id", "label")}
                    nodes.write(json.dumps(body | rest, ensure_ascii=False) + "\n")
                for subject, target, kind in some_edges:
                    edge = {
                        "id": f"{subject}|{kind}|{target}",
                        "subject": subject,
                        "predicate": PREDICATES.get(kind, "biolink:related_to"),
                        "object": target,
                        "kind": kind,
                    }
                    edges.write(json.dumps(edge, ensure_ascii=False) + "\n")
        return ["edges.jsonl", "nodes.jsonl"]

    def validate_folder(self, folder: Path) -> list[str]:
        """Nodes without the keys that KGX needs, ids that are there twice, edges without their nodes."""
        nodes = [json.loads(line) for line in (folder / "nodes.jsonl").read_text("utf-8").split("\n") if line]
        edges = [json.loads(line) for line in (folder / "edges.jsonl").read_text("utf-8").split("\n") if line]
        problems = [f"node {each.get('id')}: no category" for each in nodes if not each.get("category")]
        problems += [f"edge {each.get('id')}: no predicate" for each in edges if not each.get("predicate")]
        ids = {each["id"] for each in nodes}
        if len(ids) != len(nodes):
            problems.append("two nodes have one id")
        return problems + _dangling(ids, ((each["subject"], each["object"]) for each in edges))


class GraphMl(_Graph):
    """GraphML."""

    name = "graphml"
    title = "graph as GraphML"
    reader = "Gephi, yEd, Cytoscape, networkx"

    def write(self, store: Store, versions: Sequence[int], folder: Path, context: Context) -> list[str]:
        """One file; networkx holds the whole graph, so very large selections are refused (BadOption)."""
        if len(versions) > MOST_TRIALS:
            raise BadOption(
                f"{len(versions)} trials are too many for GraphML: narrow the selection, or use kgx or neo4j"
            )
        found = notices(context.sources, context.data_timestamp, synthetic=context.synthetic)
        graph: Any = nx.MultiDiGraph(notice=" ".join(found))
        for nodes, edges in graph_parts(store, versions):
            for node in nodes:
                graph.add_node(node["id"], **{key: value for key, value in node.items() if key != "id"})
            for source, target, kind in edges:
                graph.add_edge(source, target, key=kind, kind=kind)
        nx.write_graphml(graph, folder / "graph.graphml")
        return ["graph.graphml"]

    def validate_folder(self, folder: Path) -> list[str]:
        """Whether networkx reads it, and every node and edge has its kind."""
        graph: Any = nx.read_graphml(folder / "graph.graphml", force_multigraph=True)
        problems = [f"node {key} has no kind" for key, data in graph.nodes(data=True) if "kind" not in data]
        return problems + [
            f"edge {a} {b} has no kind" for a, b, data in graph.edges(data=True) if "kind" not in data
        ]


class Neo4j(_Graph):
    """CSV files for ``neo4j-admin database import``."""

    name = "neo4j"
    title = "graph as Neo4j import CSV: nodes.csv, edges.csv"
    reader = "neo4j-admin database import, LOAD CSV"

    header = ("id:ID", "kind:LABEL", *(f"{name}:{kind}" for name, kind in COLUMNS.items()))

    def write(self, store: Store, versions: Sequence[int], folder: Path, context: Context) -> list[str]:
        """Write both files, trial after trial."""
        with _open(folder / "nodes.csv") as nodes, _open(folder / "edges.csv") as edges:
            node_rows, edge_rows = (csv.writer(file, lineterminator="\n") for file in (nodes, edges))
            node_rows.writerow(self.header)
            edge_rows.writerow((":START_ID", ":END_ID", ":TYPE"))
            for some_nodes, some_edges in graph_parts(store, versions):
                for node in some_nodes:
                    cells = [_cell(node.get(name)) for name in COLUMNS]
                    node_rows.writerow((node["id"], node["kind"].capitalize(), *cells))
                edge_rows.writerows(some_edges)
        return ["edges.csv", "nodes.csv"]

    def validate_folder(self, folder: Path) -> list[str]:
        """A wrong header, rows of another width, ids that are there twice, edges without their nodes."""
        with (folder / "nodes.csv").open(encoding="utf-8", newline="") as file:
            nodes = list(csv.reader(file))
        with (folder / "edges.csv").open(encoding="utf-8", newline="") as file:
            edges = list(csv.reader(file))
        problems = [] if tuple(nodes[0]) == self.header else ["nodes.csv has another header"]
        problems += [
            f"nodes.csv row {n}: another width"
            for n, row in enumerate(nodes, 1)
            if len(row) != len(self.header)
        ]
        ids = {row[0] for row in nodes[1:]}
        if len(ids) != len(nodes) - 1:
            problems.append("two nodes have one id")
        return problems + _dangling(ids, ((row[0], row[1]) for row in edges[1:]))


def _open(path: Path) -> IO[str]:
    return path.open("w", encoding="utf-8", newline="")


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
