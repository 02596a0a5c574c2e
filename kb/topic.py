"""What a trial is about, in comparable form, and how near two trials are in each respect."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from harvest.model import Trial
from kb.lines import name_key
from kb.similarity import Finding
from kb.topics import topics_of
from nlp.model import Extraction, Fact, leaves


@dataclass(slots=True)
class Features:
    """The topic of one trial. ``conditions`` and ``mesh``/``ancestors`` map keys to names as written."""

    conditions: dict[str, str] = field(default_factory=dict)
    mesh: dict[str, str] = field(default_factory=dict)
    ancestors: dict[str, str] = field(default_factory=dict)
    topics: dict[str, set[str]] = field(default_factory=dict)
    concepts: set[str] = field(default_factory=set)

    def of(self, kind: str) -> set[str]:
        """The topic values of a kind: product, target, modality, type."""
        return self.topics.get(kind, set())


@dataclass(frozen=True, slots=True)
class Grade:
    """How near two trials are in one respect: 0 to 1, its name, and what it rests on."""

    value: float
    name: str
    because: str


NOTHING = Grade(0.0, "none", "")


def features_of(trial: Trial, extraction: Extraction) -> Features:
    """The features of a trial that need not be stored (a draft)."""
    topics: dict[str, set[str]] = {}
    for topic in topics_of(trial):
        topics.setdefault(topic.kind, set()).add(topic.value)
    concepts = {f"{item.section}:{item.concept}" for item in extraction.items if item.concept}
    for criterion in extraction.criteria:
        for leaf in leaves(criterion.expression):
            if isinstance(leaf, Fact) and leaf.concept:
                concepts.add(f"{criterion.section}:{leaf.concept}")
    return Features(
        {name_key(name): name for name in (*trial.conditions,)},
        {mesh.id: mesh.term for mesh in trial.condition_mesh},
        {mesh.id: mesh.term for mesh in trial.condition_ancestors},
        topics,
        concepts,
    )


def load_features(
    connection: sqlite3.Connection, version_ids: Sequence[int], asked: Features
) -> dict[int, Features]:
    """The features of stored versions, as far as they can meet those of ``asked``: their own conditions'
    names, and of MeSH terms and topics those that ``asked`` has too. Concepts are left out (see
    :func:`load_concepts_of`)."""
    listed = json.dumps(list(version_ids))
    found = {version_id: Features() for version_id in version_ids}
    for version_id, relation, key, name, mesh_id in connection.execute(
        "SELECT l.version_id, l.relation, n.name_key, n.name, n.mesh_id FROM trial_condition l JOIN condition n"
        " ON n.id = l.condition_id WHERE l.version_id IN (SELECT value FROM json_each(:listed)) AND (l.relation = 'condition'"
        " OR (l.relation != 'keyword' AND n.mesh_id IN (SELECT value FROM json_each(:mesh))))",
        {"listed": listed, "mesh": json.dumps([*asked.mesh, *asked.ancestors])},
    ):
        features = found[version_id]
        if relation == "condition":
            features.conditions[key] = name
        else:
            (features.mesh if relation == "mesh" else features.ancestors)[mesh_id] = name
    topics = [f"{kind}:{value}" for kind, values in asked.topics.items() for value in values]
    for version_id, kind, value in connection.execute(
        "SELECT version_id, kind, value FROM trial_topic WHERE version_id IN (SELECT value FROM json_each(:listed))"
        " AND kind || ':' || value IN (SELECT value FROM json_each(:topics))",
        {"listed": listed, "topics": json.dumps(topics)},
    ):
        found[version_id].topics.setdefault(kind, set()).add(value)
    return found


def load_concepts_of(connection: sqlite3.Connection, version_id: int) -> set[str]:
    """The "section:concept" of a stored version."""
    rows = connection.execute(
        "SELECT DISTINCT section, concept_id FROM threshold WHERE version_id = ? AND concept_id IS NOT NULL",
        (version_id,),
    )
    return {f"{section}:{concept}" for section, concept in rows}


def learn_mesh(connection: sqlite3.Connection, features: Features, too_general: Collection[str] = ()) -> None:
    """Give a trial without MeSH terms those whose name stands in one of its conditions' names, and their
    ancestors: those that every stored trial of the term has.

    "Refractory Systemic Lupus Erythematosus" holds the heading "Lupus Erythematosus, Systemic", turned as
    it is spoken; of "Lupus Nephritis" and "Nephritis" the longer counts.
    """
    if features.mesh or not features.conditions:
        return
    named: dict[str, tuple[str, str]] = {}
    for mesh_id, name in connection.execute(
        "SELECT mesh_id, name FROM condition WHERE mesh_id != '' ORDER BY 1"
    ):
        if name not in too_general:
            named |= dict.fromkeys((name_key(name), name_key(_spoken(name))), (mesh_id, name))
    for condition in features.conditions:
        said = f" {condition} "
        held = [key for key in named if key in condition and f" {key} " in said]
        for key in held:
            if not any(key != other and f" {key} " in f" {other} " for other in held):
                mesh_id, name = named[key]
                features.mesh[mesh_id] = name
    for mesh_id in tuple(features.mesh):
        features.ancestors |= dict(connection.execute(_ANCESTORS, {"mesh": mesh_id}).fetchall())


def _spoken(heading: str) -> str:
    """A MeSH heading in the order of speech: "Lupus Erythematosus, Systemic" turned round."""
    return " ".join(reversed(heading.split(", ")))


_ANCESTORS = """
WITH of_term AS (
  SELECT DISTINCT l.version_id FROM condition n JOIN trial_condition l ON l.condition_id = n.id
  WHERE n.mesh_id = :mesh AND l.relation = 'mesh'
)
SELECT n.mesh_id, n.name FROM trial_condition l JOIN condition n ON n.id = l.condition_id
WHERE l.relation = 'ancestor' AND l.version_id IN (SELECT version_id FROM of_term)
GROUP BY n.id HAVING count(DISTINCT l.version_id) = (SELECT count(*) FROM of_term)
"""


def condition_grade(one: Features, other: Features, finding: Finding) -> Grade:
    """Same condition, parent or child, same branch, or none; symmetric."""
    grades = finding.condition
    same = _named(one.mesh, other.mesh) or _named(one.conditions, other.conditions)
    if same:
        return Grade(grades["same"], "same condition", same)
    near = (
        _named(one.mesh, other.ancestors, finding.too_general)
        or _named(other.mesh, one.ancestors, finding.too_general)
        or _wording(one.conditions, other.conditions)
    )
    if near:
        return Grade(grades["parent_or_child"], "parent or child condition", near)
    branch = _named(one.ancestors, other.ancestors, finding.too_general)
    if branch:
        return Grade(grades["same_branch"], "same branch of conditions", branch)
    return NOTHING


def _named(one: Mapping[str, str], other: Mapping[str, str], unsaid: frozenset[str] = frozenset()) -> str:
    """The names of shared keys, three at most, without those that say too little."""
    shared = one.keys() & other.keys()
    return ", ".join(sorted({one[key] for key in shared} - unsaid)[:3]) if shared else ""


def _wording(one: Mapping[str, str], other: Mapping[str, str]) -> str:
    """A condition whose name holds the other's whole ("refractory lupus nephritis", "lupus nephritis")."""
    for mine, my_name in sorted(one.items()):
        for theirs, their_name in sorted(other.items()):
            shorter, longer = sorted((mine, theirs), key=len)
            if len(shorter) >= 4 and f" {shorter} " in f" {longer} ":
                return f"{my_name} / {their_name}"
    return ""


def intervention_grade(one: Features, other: Features, finding: Finding) -> Grade:
    """Same product, same target and modality, same modality, same type, or none; symmetric."""
    grades = finding.intervention
    product = one.of("product") & other.of("product")
    if product:
        return Grade(grades["same_product"], "same product", _listed(product))
    target, modality = one.of("target") & other.of("target"), one.of("modality") & other.of("modality")
    if target and modality:
        return Grade(
            grades["same_target_and_modality"],
            "same target and modality",
            f"{_listed(target)} {_listed(modality)}",
        )
    if modality:
        return Grade(grades["same_modality"], "same modality", _listed(modality))
    kind = one.of("type") & other.of("type")
    if kind:
        return Grade(grades["same_type"], "same type", _listed(kind))
    return NOTHING


def _listed(values: Iterable[str]) -> str:
    return ", ".join(sorted(values)[:3])


def concept_words(
    one: Iterable[str], other: Iterable[str], weights: Mapping[str, float], names: Mapping[str, str]
) -> tuple[str, str]:
    """(how many criterion concepts are shared, the rarest of them), inclusion and exclusion kept apart."""
    mine, theirs = set(one), set(other)
    shared = sorted(mine & theirs, key=lambda key: (-weights.get(key, 0.0), key))
    if not shared:
        return "none", ""
    return f"{len(shared)} of {len(mine | theirs)} criterion concepts shared", "; ".join(
        f"{names.get(concept, concept)} ({section})"
        for section, _, concept in (key.partition(":") for key in shared[:5])
    )
