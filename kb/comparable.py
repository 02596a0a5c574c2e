"""Comparable trials: first find by topic, then compare by threshold. The two are never blended.

Finding gives a score whose parts are readable rows: condition, intervention, words, themes (words that keep
company with them), criterion concepts (weights in ``data/similarity.json``). Parts that the asked trial does not have (a draft without registry
conditions) drop out, and the other weights are scaled up. Comparing then puts the asked trial's
thresholds beside those of each trial found (:mod:`kb.contrast`); it orders only when asked to.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harvest.model import Trial
from kb.axes import Axis, AxisIndex, axis_index
from kb.concept_index import concept_index
from kb.concepts import ConceptRow, put_concepts
from kb.contrast import Contrast, axis_limits, contrast
from kb.errors import BadQuestion
from kb.limits import Limit, TrialLine, load_limits, load_trial_lines
from kb.reviewed_limits import reviewed_limits
from kb.similarity import Finding, settings
from kb.store import Store, create_schema
from kb.terms import term_hash, terms, trial_text
from kb.textual import Frequencies, cosines, frequencies, shared_words
from kb.themes import related, related_words, themes
from kb.topic import (
    NOTHING,
    Features,
    Grade,
    concept_words,
    condition_grade,
    features_of,
    intervention_grade,
    learn_mesh,
    load_concepts_of,
    load_features,
)
from kb.writer import TrialWriter
from nlp.model import Extraction

SCAN = 5_000
"""Up to so many trials every one is scored; beyond, those that share a condition, a product or a target
(as many of each), and full-text hits of the rarest words."""

IN_THEMES = 500
"""So many of the best by the other parts are also compared by themes: no other comes near the first pages."""

Order = Literal["topic", "thresholds"]


@dataclass(frozen=True, slots=True)
class Reason:
    """One part of a finding score: ``contribution`` = weight x grade; the reasons add up to the score."""

    part: str
    grade: str
    because: str
    value: float
    weight: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Match:
    """A trial found. ``in_block``: near enough in condition and intervention to be put in one table."""

    rank: int
    trial: TrialLine
    score: float
    in_block: bool
    reasons: tuple[Reason, ...]
    contrast: Contrast


@dataclass(frozen=True, slots=True)
class Subject:
    """The trial that is asked about; ``version_id`` None for a draft that is in no registry."""

    trial: Trial
    extraction: Extraction
    limits: tuple[Limit, ...]
    features: Features
    words: tuple[str, ...]
    version_id: int | None = None


def stored_subject(store: Store, trial_id: str) -> Subject:
    """A stored trial as the subject. Raises TrialNotFound, BadQuestion."""
    version_id = store.version_id(trial_id)
    trial, extraction = store.trial(version_id), store.extraction(version_id)
    features = features_of(trial, extraction)
    learn_mesh(store.connection, features, settings()[0].too_general)
    return Subject(
        trial,
        extraction,
        tuple(reviewed_limits(store.connection, [version_id])),
        features,
        tuple(terms(trial_text(trial))),
        version_id,
    )


def limits_of(trial: Trial, extraction: Extraction, concepts: Sequence[ConceptRow] = ()) -> tuple[Limit, ...]:
    """The limits of a reading that is not stored: it is written to a knowledge base in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        create_schema(connection)
        put_concepts(connection, concepts)
        TrialWriter(connection).put(trial, extraction, None, None, None)
        return tuple(load_limits(connection, [1]))
    finally:
        connection.close()


def rank_by_topic(store: Store, subject: Subject) -> list[tuple[int, float, bool]]:
    """(version_id, score, in_block) of every candidate, best first: the finding alone, unexplained."""
    return [(one.version_id, one.score, one.in_block) for one in _Finder(store, subject).ranked()]


def grades_by_topic(store: Store, subject: Subject) -> dict[int, dict[str, float]]:
    """The grade (0 to 1) of every candidate in each part of finding, by version: what the weights weigh."""
    return {
        one.version_id: {part: grade.value for part, grade, _ in one.grades} | {"themes": one.themes}
        for one in _Finder(store, subject).ranked()
    }


def comparable(
    store: Store,
    subject: Subject,
    *,
    limit: int = 20,
    order: Order = "topic",
    block_only: bool = False,
) -> list[Match]:
    """The ``limit`` trials most comparable to the subject, best first.

    ``order`` ``topic`` sorts by the finding score; ``thresholds`` takes the trials in the block (the
    best ``limit`` by topic where no block can be told) and sorts them by threshold similarity.
    Raises BadQuestion for a subject that says nothing to search by, or a limit below 1.
    """
    if limit < 1:
        raise BadQuestion("the number of trials must be at least 1")
    finder = _Finder(store, subject)
    scored = finder.ranked()
    if block_only:
        scored = [one for one in scored if one.in_block]
    if order == "thresholds":
        scored = [one for one in scored if one.in_block] or scored[: max(limit, 50)]
    else:
        scored = scored[:limit]
    matches = finder.matches(scored)
    if order == "thresholds":
        matches.sort(key=lambda match: (-match.contrast.similarity, match.rank))
        matches = [replace(match, rank=place) for place, match in enumerate(matches[:limit], start=1)]
    return matches


@dataclass(frozen=True, slots=True)
class _Scored:
    version_id: int
    score: float
    in_block: bool
    grades: tuple[tuple[str, Grade, float], ...]
    themes: float = 0.0


def _best_first(one: _Scored) -> tuple[float, int]:
    return -one.score, one.version_id


class _Finder:
    """Scores candidates for one subject."""

    def __init__(self, store: Store, subject: Subject) -> None:
        self.store = store
        self.subject = subject
        self.finding: Finding = settings()[0]
        self.trials: int = store.connection.execute("SELECT count(*) FROM current_version").fetchone()[0]
        self.known: Frequencies = frequencies(store)
        self.weights = self._weights()
        self.rarities = concept_index(store).weights()

    def _weights(self) -> dict[str, float]:
        """The weights of the parts that the subject has, scaled to add up to 1."""
        features = self.subject.features
        has = {
            "condition": bool(features.conditions or features.mesh),
            "intervention": bool(features.topics),
            "text": bool(self.subject.words),
            "themes": bool(self.subject.words) and themes(self.store).learned,
            "concepts": bool(features.concepts),
        }
        present = {part: weight for part, weight in self.finding.weights.items() if has[part]}
        if has["intervention"] and not self._tells_its_intervention():
            present["intervention"] = self.finding.intervention_weight_from_text
        if not present:
            raise BadQuestion("this text names no condition, intervention or criterion to search by")
        total = sum(present.values())
        return {part: weight / total for part, weight in present.items()}

    def _tells_its_intervention(self) -> bool:
        """Whether the record names interventions, or a draft's title says what is tested. A stored record
        without any is another matter: there the title is all that is left, and misleads."""
        named = self.subject.features.of("product") or self.subject.features.of("target")
        return bool(self.subject.trial.interventions or (self.subject.version_id is None and named))

    def ranked(self) -> list[_Scored]:
        """Every candidate with its score, best first; equal scores by version."""
        versions = self._candidates()
        features = load_features(self.store.connection, versions, self.subject.features)
        text = cosines(self.store, self.subject.words, versions)
        index = concept_index(self.store)
        concepts = index.jaccard(self.subject.features.concepts)[np.searchsorted(index.versions, versions)]
        scored = [
            self._score(version, features[version], *values)
            for version, *values in zip(versions, text.tolist(), concepts.tolist(), strict=True)
        ]
        scored.sort(key=_best_first)
        if "themes" in self.weights:
            scored[:IN_THEMES] = sorted(self._with_themes(scored[:IN_THEMES]), key=_best_first)
        return scored

    def _with_themes(self, scored: Sequence[_Scored]) -> list[_Scored]:
        weight = self.weights["themes"]
        near = related(self.store, self.subject.words, [one.version_id for one in scored])
        return [
            replace(one, score=one.score + weight * value, themes=value)
            for one, value in zip(scored, near.tolist(), strict=True)
        ]

    def _score(self, version: int, other: Features, text: float, concepts: float) -> _Scored:
        mine = self.subject.features
        grades = {
            "condition": condition_grade(mine, other, self.finding),
            "intervention": intervention_grade(mine, other, self.finding),
            "text": Grade(text, "shared words", "") if text > 0 else NOTHING,
            "concepts": Grade(concepts, "shared concepts", "") if concepts > 0 else NOTHING,
        }
        block = self.finding.block
        in_block = all(grades[part].value >= block[part] for part in block)
        parts = tuple(
            (part, grade, self.weights[part]) for part, grade in grades.items() if part in self.weights
        )
        return _Scored(version, sum(grade.value * weight for _, grade, weight in parts), in_block, parts)

    def _candidates(self) -> list[int]:
        connection, own = self.store.connection, self.subject.version_id
        if self.trials <= SCAN:
            rows = connection.execute("SELECT id FROM current_version ORDER BY id")
            return [row[0] for row in rows if row[0] != own]
        found: set[int] = set()
        features = self.subject.features
        keys = json.dumps(sorted(features.conditions))
        near = json.dumps(sorted(features.mesh))
        specific = json.dumps(
            sorted(key for key, name in features.ancestors.items() if name not in self.finding.too_general)
        )
        for sql, values in (
            ("n.name_key IN (SELECT value FROM json_each(?)) AND l.relation = 'condition'", (keys,)),
            ("n.mesh_id IN (SELECT value FROM json_each(?)) AND l.relation IN ('mesh', 'ancestor')", (near,)),
            ("n.mesh_id IN (SELECT value FROM json_each(?)) AND l.relation = 'mesh'", (specific,)),
        ):
            found.update(self._some(
                "SELECT l.version_id FROM condition n JOIN trial_condition l ON l.condition_id = n.id"
                f" JOIN current_version v ON v.id = l.version_id WHERE {sql}", values,
            ))  # fmt: skip
        for kind in ("product", "target"):
            found.update(self._some(
                "SELECT l.version_id FROM trial_topic l JOIN current_version v ON v.id = l.version_id"
                " WHERE l.kind = ? AND l.value IN (SELECT value FROM json_each(?))",
                (kind, json.dumps(sorted(features.of(kind)))),
            ))  # fmt: skip
        found.update(self._by_words())
        found.discard(own or -1)
        return sorted(found)

    def _some(self, sql: str, values: Sequence[object]) -> list[int]:
        return [row[0] for row in self.store.connection.execute(f"{sql} LIMIT {SCAN}", tuple(values))]

    def _by_words(self, words: int = 12, most: int = 2000) -> list[int]:
        """Trials with a line that holds one of the subject's rarest words."""
        distinct = sorted(set(self.subject.words))
        idf = self.known.idf(np.array([term_hash(word) for word in distinct], np.uint32))
        rarest = [word for _, word in sorted(zip((-idf).tolist(), distinct, strict=True))[:words]]
        if not rarest:
            return []
        query = " OR ".join('"' + word.replace('"', '""') + '"' for word in rarest)
        return [
            row[0]
            for row in self.store.connection.execute(
                "SELECT DISTINCT k.version_id FROM (SELECT rowid FROM line_fts WHERE line_fts MATCH ? LIMIT ?) f"
                " JOIN criterion k ON k.line_id = f.rowid JOIN current_version v ON v.id = k.version_id LIMIT ?",
                (query, most, most),
            )
        ]

    def matches(self, scored: Sequence[_Scored]) -> list[Match]:
        """The readable answer for the trials that are shown."""
        connection = self.store.connection
        versions = [one.version_id for one in scored]
        lines = load_trial_lines(connection, versions)
        index = axis_index(self.store)
        limits: dict[int, list[Limit]] = {version: [] for version in versions}
        for one in reviewed_limits(connection, versions):
            limits[one.version_id].append(one)
        return [
            Match(
                rank,
                lines[one.version_id],
                one.score,
                one.in_block,
                self._reasons(one),
                contrast(self.subject.limits, limits[one.version_id], index),
            )
            for rank, one in enumerate(scored, start=1)
        ]

    def _concept_names(self) -> dict[str, str]:
        return dict(self.store.connection.execute("SELECT id, name FROM concept"))

    def _reasons(self, scored: _Scored) -> tuple[Reason, ...]:
        reasons = []
        words = self.subject.words
        others = terms(trial_text(self.store.trial(scored.version_id)))
        grades = list(scored.grades)
        if "themes" in self.weights:
            kept = Grade(scored.themes, "related words", "") if scored.themes > 0 else NOTHING
            grades.append(("themes", kept, self.weights["themes"]))
        for part, grade, weight in grades:
            because = grade.because
            if part in ("text", "themes") and grade.value > 0:
                shares = (
                    shared_words(words, others, self.known)
                    if part == "text"
                    else related_words(self.store, words, others)
                )
                because = ", ".join(f"{word} {share:.3f}" for word, share in shares)
            name = grade.name
            if part == "concepts" and grade.value > 0:
                theirs = load_concepts_of(self.store.connection, scored.version_id)
                name, because = concept_words(
                    self.subject.features.concepts, theirs, self.rarities, self._concept_names()
                )
            reasons.append(Reason(part, name, because, grade.value, weight, grade.value * weight))
        return tuple(reasons)


def nearest_by_thresholds(
    store: Store, subject: Subject, limit: int = 20, versions: Sequence[int] | None = None
) -> list[tuple[int, float]]:
    """(version_id, similarity) of the trials nearest in thresholds, over everything or among ``versions``.

    A question of its own, not part of finding: what else asks the like of its patients, whatever it treats.
    """
    index: AxisIndex = axis_index(store)
    scores = index.similar(_positions(subject))
    if subject.version_id is not None:
        scores[index.versions == subject.version_id] = 0
    places = np.arange(len(scores))
    if versions is not None:
        places = np.searchsorted(index.versions, np.array(sorted(versions), np.int64))
    places = places[scores[places] > 0]
    if len(places) > limit:
        places = places[np.argpartition(-scores[places], limit - 1)[:limit]]
    ranked = sorted(
        ((int(index.versions[place]), float(scores[place])) for place in places), key=_nearest_first
    )
    return ranked[:limit]


def _nearest_first(pair: tuple[int, float]) -> tuple[float, int]:
    return -pair[1], pair[0]


def _positions(subject: Subject) -> dict[Axis, float]:
    """The subject's places on the axes of the index."""
    _, comparing = settings()
    values: dict[Axis, float] = {}
    for (axis, population), limit in axis_limits(subject.limits).items():
        bound = limit.bound(axis[1])
        if population is None and bound is not None:
            position = comparing.position(bound, comparing.is_linear(limit.unit, axis[2]))
            if position is not None:
                values[axis] = position
    return values
