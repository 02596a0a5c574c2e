"""A protocol draft that is in no registry, as the subject of a comparison."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from harvest.model import Intervention, Trial
from kb.build import Reading
from kb.comparable import Subject, limits_of
from kb.lines import name_key
from kb.similarity import settings
from kb.store import Store
from kb.terms import terms, trial_text
from kb.topic import features_of, learn_mesh

_HEAD = 600
"""Characters at the beginning of a draft in which the conditions it is about are looked for."""
_LONGEST_NAME = 6


def draft_subject(
    store: Store,
    text: str,
    reading: Reading,
    *,
    title: str | None = None,
    conditions: Sequence[str] = (),
    interventions: Sequence[str] = (),
) -> Subject:
    """Read a draft. Without ``title`` its first line counts as one for finding targets and modalities;
    without ``conditions`` the names of stored conditions are looked for in the title and the head."""
    head = title or next((line.strip() for line in text.splitlines() if line.strip()), "")
    named = tuple(conditions) or tuple(known_conditions(store.connection, f"{head}\n{text[:_HEAD]}"))
    trial = Trial(
        source="draft",
        source_id="draft",
        url="",
        version="",
        title=head,
        eligibility_text=text,
        conditions=named,
        interventions=tuple(Intervention(None, name) for name in interventions),
    )
    extraction = reading.extract(text)
    features = features_of(trial, extraction)
    learn_mesh(store.connection, features, settings()[0].too_general)
    return Subject(
        trial,
        extraction,
        limits_of(trial, extraction, reading.concepts),
        features,
        tuple(terms(trial_text(trial))),
    )


def known_conditions(connection: sqlite3.Connection, text: str) -> list[str]:
    """The stored conditions (registry words and MeSH) that ``text`` names; a name inside a longer
    one that is named too ("lupus" in "lupus nephritis") is left out."""
    words = name_key(text).split()
    phrases = {
        " ".join(words[start : start + length])
        for length in range(1, _LONGEST_NAME + 1)
        for start in range(len(words) - length + 1)
    }
    rows = connection.execute(
        "SELECT DISTINCT n.name_key FROM condition n JOIN trial_condition l ON l.condition_id = n.id"
        " WHERE l.relation IN ('condition', 'mesh') AND length(n.name_key) > 3"
        " AND n.name_key IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(phrases)),),
    )
    found = [str(row[0]) for row in rows]
    return sorted(
        one for one in found if not any(one != other and f" {one} " in f" {other} " for other in found)
    )
