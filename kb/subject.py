"""Which trials a subject's words name: the one place that turns "lupus", "CD19 CAR-T" into SQL.

Conditions match by whole words in the registry's conditions, keywords, MeSH terms and their ancestors;
interventions by whole words in the names of interventions and MeSH, and by target and modality as they
were read (:mod:`kb.topics`), so that "CAR-T" also finds "chimeric antigen receptor T cells".
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from kb.errors import BadQuestion
from kb.lines import name_key
from kb.store import Store
from kb.topics import read_topics

Clause = tuple[str, list[object]]
"""An SQL condition on ``v.id`` and its parameters."""

_IMPLIED = frozenset({"cell therapy", "antibody"})
"""Modalities that others imply: asking for CAR-T is not asking for every cell therapy."""


def _words(words: str) -> str:
    key = name_key(words)
    if not key:
        raise BadQuestion(f"{words!r} holds no word to look for")
    return key


def condition_clause(words: str) -> Clause:
    """Trials that study the condition."""
    return (
        "v.id IN (SELECT l.version_id FROM condition n JOIN trial_condition l ON l.condition_id = n.id"
        " WHERE instr(' ' || n.name_key || ' ', ?))",
        [f" {_words(words)} "],
    )


def intervention_clause(words: str) -> Clause:
    """Trials that test the intervention."""
    parts = [
        "v.id IN (SELECT l.version_id FROM intervention n JOIN trial_intervention l ON l.intervention_id = n.id"
        " WHERE instr(' ' || n.name_key || ' ', ?))"
    ]
    values: list[object] = [f" {_words(words)} "]
    topics = {(topic.kind, topic.value) for topic in read_topics(words)}
    specific = {topic for topic in topics if topic[1] not in _IMPLIED} or topics
    products = {topic for topic in specific if topic[0] == "product"}
    wanted = sorted(products or specific)
    if wanted:
        one = "v.id IN (SELECT version_id FROM trial_topic WHERE kind = ? AND value = ?)"
        parts.append("(" + " AND ".join([one] * len(wanted)) + ")")
        values += [part for topic in wanted for part in topic]
    return "(" + " OR ".join(parts) + ")", values


def topic_clause(kind: str, words: str) -> Clause:
    """Trials whose target or modality has this name."""
    return (
        "v.id IN (SELECT version_id FROM trial_topic WHERE kind = ? AND lower(value) = ?)",
        [kind, words.strip().lower()],
    )


def sponsor_clause(words: str) -> Clause:
    """Trials with a lead sponsor or collaborator of this name (any part of it)."""
    return (
        "v.id IN (SELECT l.version_id FROM sponsor s JOIN trial_sponsor l ON l.sponsor_id = s.id"
        " WHERE instr(lower(s.name), ?))",
        [words.strip().lower()],
    )


def status_clause(words: str) -> Clause:
    """Trials in this status: the registry's token, in any case and spelling."""
    token = name_key(words).replace(" ", "_").upper()
    return "v.status = ?", [token]


def phase_clause(words: str) -> Clause:
    """Trials of this phase: ``2``, ``phase 2``, ``PHASE2``, ``early phase 1``; a combined phase matches both."""
    token = name_key(words).replace(" ", "").upper()
    token = token if "PHASE" in token or token == "NA" else f"PHASE{token}"
    token = token.replace("EARLYPHASE", "EARLY_PHASE")
    return "v.id IN (SELECT p.id FROM trial_version p, json_each(p.phases) j WHERE j.value = ?)", [token]


def versions_of(store: Store, conditions: Sequence[str] = (), interventions: Sequence[str] = ()) -> list[int]:
    """The current versions about all the given conditions and interventions, by trial id; all, if none is given."""
    clauses = [condition_clause(words) for words in conditions]
    clauses += [intervention_clause(words) for words in interventions]
    where = " AND ".join(sql for sql, _ in clauses) or "1"
    values = [value for _, part in clauses for value in part]
    rows = store.connection.execute(
        f"SELECT v.id FROM current_version v JOIN trial t ON t.id = v.trial_id WHERE {where} ORDER BY t.source_id",
        values,
    )
    return [row[0] for row in rows]


def as_json(version_ids: Sequence[int]) -> str:
    """Version ids as the parameter of an SQL ``json_each(?)``."""
    return json.dumps(list(version_ids))
