"""Which trials put requirements on which concepts, as numpy postings by section and concept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kb.kept_index import Arrays, kept_index
from kb.similarity import rarity
from kb.store import Store


@dataclass(frozen=True, slots=True)
class ConceptIndex:
    """``postings`` by "section:concept" are places in ``versions`` (ascending), each trial once."""

    versions: npt.NDArray[np.int64]
    postings: Mapping[str, npt.NDArray[np.int32]]

    def weights(self) -> dict[str, float]:
        """The rarity of each "section:concept"."""
        return {key: rarity(len(self.versions), len(places)) for key, places in self.postings.items()}

    def jaccard(self, concepts: Iterable[str]) -> npt.NDArray[np.float64]:
        """The rarity-weighted Jaccard of these "section:concept" with those of each version."""
        weights = self.weights()
        totals = np.zeros(len(self.versions))
        for key, places in self.postings.items():
            totals[places] += weights[key]
        shared = np.zeros(len(self.versions))
        own = 0.0
        for key in sorted(set(concepts)):
            own += weights.get(key, rarity(len(self.versions), 0))
            if key in self.postings:
                shared[self.postings[key]] += weights[key]
        union = totals + own - shared
        values: npt.NDArray[np.float64] = np.divide(shared, union, out=np.zeros(len(shared)), where=union > 0)
        return values

    def shared(self, concepts: Iterable[str]) -> npt.NDArray[np.int16]:
        """How many of these concepts (ids, whatever the section) each version has."""
        wanted = set(concepts)
        counts = np.zeros(len(self.versions), np.int16)
        for concept in sorted(wanted):
            of_concept = [places for key, places in self.postings.items() if key.partition(":")[2] == concept]
            if len(of_concept) == 1:
                counts[of_concept[0]] += 1
            elif of_concept:
                counts[np.unique(np.concatenate(of_concept))] += 1
        return counts


def concept_index(store: Store) -> ConceptIndex:
    """The index of this knowledge base as it is now, kept or made anew."""
    arrays = kept_index(store, "concepts", lambda: _pack(store.connection))
    bounds, places = arrays["bounds"], arrays["places"]
    postings = {str(name): places[bounds[i] : bounds[i + 1]] for i, name in enumerate(arrays["names"])}
    return ConceptIndex(arrays["versions"], postings)


def _pack(connection: sqlite3.Connection) -> Arrays:
    ids = (row[0] for row in connection.execute("SELECT id FROM current_version ORDER BY id"))
    versions = np.fromiter(ids, np.int64)
    names: list[str] = []
    found: list[npt.NDArray[np.int32]] = []
    for concept, section in connection.execute(
        "SELECT DISTINCT concept_id, section FROM line_threshold WHERE concept_id IS NOT NULL ORDER BY 1, 2"
    ).fetchall():
        rows = connection.execute(
            "SELECT version_id FROM current_threshold WHERE concept_id = ? AND section = ?",
            (concept, section),
        )
        listed = np.unique(np.fromiter((row[0] for row in rows), np.int64))
        if not len(listed):
            continue  # stands in no current version
        names.append(f"{section}:{concept}")
        found.append(np.searchsorted(versions, listed).astype(np.int32))
    return {
        "versions": versions,
        "names": np.array(names or [""])[: len(names)],
        "bounds": np.cumsum([0] + [len(one) for one in found]),
        "places": np.concatenate([np.zeros(0, np.int32), *found]),
    }


def sharing(store: Store, version_id: int, least: int = 5) -> list[tuple[int, int]]:
    """(version_id, number of shared concepts) of the trials that share at least ``least`` concepts with
    this one, the most first."""
    rows = store.connection.execute(
        "SELECT DISTINCT concept_id FROM threshold WHERE version_id = ? AND concept_id IS NOT NULL",
        (version_id,),
    )
    index = concept_index(store)
    counts = index.shared(row[0] for row in rows)
    counts[np.searchsorted(index.versions, version_id)] = 0
    places = np.flatnonzero(counts >= least)
    order = np.lexsort((places, -counts[places]))
    return [(int(index.versions[place]), int(counts[place])) for place in places[order]]
