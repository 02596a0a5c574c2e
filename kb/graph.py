"""A neighbourhood of the knowledge graph as a networkx.MultiDiGraph.

The graph itself is the views ``nodes`` and ``edges`` of schema.sql; bulk questions are SQL. Here only what
the user looks at is projected: the named trials (or the result of another question) with all that hangs
on them. Node keys are those of the views ("trial:12"); every node has ``kind`` and ``label``, every edge
``kind``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import networkx as nx

from kb.store import Store

MOST_TRIALS = 20_000
"""More trials than this do not belong in networkx: ask SQL."""

_TRIALS = (
    "SELECT 'trial:' || v.id, 'trial', t.source_id, v.title, v.status, v.version_date, v.synthetic FROM trial_version v"
    " JOIN trial t ON t.id = v.trial_id WHERE v.id IN (SELECT value FROM json_each(?))"
)
_CRITERIA = (
    "SELECT k.id, k.version_id, k.parent_id, k.section, k.path, k.coverage, k.unread, l.text FROM criterion k"
    " JOIN line l ON l.id = k.line_id WHERE k.version_id IN (SELECT value FROM json_each(?))"
)
_THRESHOLDS = (
    "SELECT id, version_id, criterion_id, concept_id, holds_for, alternative, branch, comparator, scale, min_value,"
    " max_value, canonical_unit, coalesce(concept_text, ''), value_text FROM threshold"
    " WHERE version_id IN (SELECT value FROM json_each(?))"
)
_LINKS = (
    ("condition", "STUDIES", "SELECT l.version_id, n.id, n.name, n.mesh_id FROM trial_condition l JOIN condition n"
     " ON n.id = l.condition_id WHERE l.version_id IN (SELECT value FROM json_each(?)) AND l.relation IN ('condition', 'mesh')"),
    ("intervention", "TESTS", "SELECT l.version_id, n.id, n.name, n.mesh_id FROM trial_intervention l JOIN intervention n"
     " ON n.id = l.intervention_id WHERE l.version_id IN (SELECT value FROM json_each(?)) AND l.relation IN ('intervention', 'mesh')"),
    ("sponsor", "RUN_BY", "SELECT l.version_id, n.id, n.name, '' FROM trial_sponsor l JOIN sponsor n"
     " ON n.id = l.sponsor_id WHERE l.version_id IN (SELECT value FROM json_each(?))"),
)  # fmt: skip

Graph = Any  # networkx.MultiDiGraph; its stubs are generic in a way that its runtime is not


def project(store: Store, version_ids: Sequence[int], *, criteria: bool = True) -> Graph:
    """The graph of these trial versions; ``criteria=False`` joins trials straight to concepts (edge
    ``CONSTRAINS``), which is small enough for communities and paths over thousands of trials.

    Raises ValueError for more than :data:`MOST_TRIALS` versions.
    """
    if len(version_ids) > MOST_TRIALS:
        raise ValueError(
            f"{len(version_ids)} trials are too many for networkx; ask SQL, or narrow the subject"
        )
    graph: Graph = nx.MultiDiGraph()
    wanted = json.dumps(list(version_ids))
    query = store.connection.execute
    for key, kind, label, title, status, dated, synthetic in query(_TRIALS, (wanted,)):
        graph.add_node(
            key, kind=kind, label=label, title=title, status=status or "", version_date=dated or "",
            synthetic=bool(synthetic),
        )  # fmt: skip
    for kind, edge, sql in _LINKS:
        for version, key, name, mesh in query(sql, (wanted,)):
            graph.add_node(f"{kind}:{key}", kind=kind, label=name, **({"mesh": mesh} if mesh else {}))
            graph.add_edge(f"trial:{version}", f"{kind}:{key}", kind=edge)
    if criteria:
        _add_criteria(graph, store, wanted)
    _add_thresholds(graph, store, wanted, criteria)
    _add_concepts(graph, store)
    _add_versions(graph, store, wanted)
    return graph


def _add_criteria(graph: Graph, store: Store, wanted: str) -> None:
    for key, version, parent, section, path, coverage, unread, text in store.connection.execute(
        _CRITERIA, (wanted,)
    ):
        graph.add_node(
            f"criterion:{key}",
            kind="criterion",
            label=text,
            section=section,
            path=path,
            coverage=coverage,
            unread=unread,
        )
        graph.add_edge(f"trial:{version}", f"criterion:{key}", kind="HAS")
        if parent is not None:
            graph.add_edge(f"criterion:{key}", f"criterion:{parent}", kind="PART_OF")


def _add_thresholds(graph: Graph, store: Store, wanted: str, criteria: bool) -> None:
    groups: dict[tuple[int, str], list[tuple[str, int]]] = {}
    for row in store.connection.execute(_THRESHOLDS, (wanted,)):
        (
            key,
            version,
            criterion,
            concept,
            population,
            alternative,
            branch,
            comparator,
            scale,
            low,
            high,
            unit,
        ) = row[:12]
        if not criteria:
            if concept is not None and not graph.has_edge(f"trial:{version}", f"concept:{concept}"):
                graph.add_edge(f"trial:{version}", f"concept:{concept}", kind="CONSTRAINS")
            continue
        facts = {"comparator": comparator, "scale": scale, "min": low, "max": high, "unit": unit}
        graph.add_node(
            f"threshold:{key}", kind="threshold", label=f"{row[12]} {row[13]}".strip(),
            **{name: value for name, value in facts.items() if value is not None},
        )  # fmt: skip
        if criterion is not None:
            graph.add_edge(f"criterion:{criterion}", f"threshold:{key}", kind="STATES")
        if concept is not None:
            graph.add_edge(f"threshold:{key}", f"concept:{concept}", kind="ON")
        if population is not None:
            graph.add_node(f"population:{population}", kind="population", label=population)
            graph.add_edge(f"threshold:{key}", f"population:{population}", kind="FOR")
        if alternative is not None:
            groups.setdefault((version, alternative), []).append((f"threshold:{key}", branch))
    for members in groups.values():
        for one, branch in members:
            for other, other_branch in members:
                if branch != other_branch:
                    graph.add_edge(one, other, kind="ALTERNATIVE_TO")


def _add_concepts(graph: Graph, store: Store) -> None:
    named = [key.removeprefix("concept:") for key in graph if key.startswith("concept:")]
    for key, name, category in store.connection.execute(
        "SELECT id, name, category_id FROM concept WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(named),),
    ):
        graph.add_node(f"concept:{key}", kind="concept", label=name)
        if category is not None:
            graph.add_node(f"category:{category}", kind="category", label=category)
            graph.add_edge(f"concept:{key}", f"category:{category}", kind="IN")


def _add_versions(graph: Graph, store: Store, wanted: str) -> None:
    """SUPERSEDES between those of the projected versions that are states of one trial."""
    rows = store.connection.execute(
        "SELECT id, lead(id) OVER (PARTITION BY trial_id ORDER BY version_date, fetched_at, version) FROM trial_version"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (wanted,),
    )
    for older, newer in rows:
        if newer is not None:
            graph.add_edge(f"trial:{newer}", f"trial:{older}", kind="SUPERSEDES")


def project_trials(store: Store, trial_ids: Sequence[str], *, criteria: bool = True) -> Graph:
    """As :func:`project`, by trial id. Raises TrialNotFound."""
    return project(store, [store.version_id(trial_id) for trial_id in trial_ids], criteria=criteria)


def write_graphml(graph: Graph, path: Path | IO[bytes]) -> None:
    """Write GraphML, which Gephi, yEd, Cytoscape and networkx read."""
    nx.write_graphml(graph, path)
