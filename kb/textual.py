"""Finding by words: TF-IDF cosine between term vectors, and which words made it.

A term weighs (1 + ln tf) x idf^1.5, idf = ln((1 + N) / (1 + df)) + 1, vectors have length one. The
exponent gives rare words more say than the textbook's 1; measured in ``benchmarks/comparable.py``. Document
frequencies are those of the knowledge base, taken over at most :data:`SAMPLE` versions: beyond that
they no longer move.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kb.kept_index import Arrays, kept_index
from kb.store import Store
from kb.terms import decode, encode, term_hash

SAMPLE = 20_000
IDF_EXPONENT = 1.5


@dataclass(frozen=True, slots=True)
class Frequencies:
    """Document frequencies by term hash (ascending), out of ``documents``."""

    documents: int
    hashes: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.int64]

    def idf(self, hashes: npt.NDArray[np.uint32]) -> npt.NDArray[np.float64]:
        """The idf of each term, raised to :data:`IDF_EXPONENT`."""
        if not len(self.hashes):
            return np.ones(len(hashes))
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        found = np.where(self.hashes[places] == hashes, self.counts[places], 0)
        idf: npt.NDArray[np.float64] = np.log((1 + self.documents) / (1 + found)) + 1
        return idf**IDF_EXPONENT


def frequencies(store: Store) -> Frequencies:
    """Counts over the current versions; of a larger knowledge base, over an even sample of them."""
    arrays = kept_index(store, "words", lambda: _count(store.connection))
    return Frequencies(int(arrays["documents"]), arrays["hashes"], arrays["counts"])


def _count(connection: sqlite3.Connection) -> Arrays:
    total = connection.execute("SELECT count(*) FROM current_version").fetchone()[0]
    step = max(1, -(-total // SAMPLE))
    blobs = [
        row[0]
        for row in connection.execute(
            "SELECT t.terms FROM current_version v JOIN term_vector t ON t.version_id = v.id WHERE v.id % ? = 0",
            (step,),
        )
    ]
    found = [np.zeros(0, np.uint32), *(decode(blob)[0] for blob in blobs)]
    hashes, counts = np.unique(np.concatenate(found), return_counts=True)
    return {"documents": np.array(len(blobs)), "hashes": hashes, "counts": counts}


def cosines(words: Sequence[str], blobs: Sequence[bytes], known: Frequencies) -> npt.NDArray[np.float64]:
    """The cosine of the text with these words to each stored vector, from 0 to 1."""
    scores = np.zeros(len(blobs))
    asked, counts = decode(encode(words))
    if not len(asked) or not blobs:
        return scores
    weights = (1 + np.log(counts)) * known.idf(asked)
    weights /= np.linalg.norm(weights)
    vectors = [decode(blob) for blob in blobs]
    sizes = np.array([len(vector[0]) for vector in vectors])
    hashes = np.concatenate([vector[0] for vector in vectors])
    owner = np.repeat(np.arange(len(blobs)), sizes)
    values = (1 + np.log(np.concatenate([vector[1] for vector in vectors]))) * known.idf(hashes)
    norms = np.sqrt(np.bincount(owner, values**2, minlength=len(blobs)))
    places = np.minimum(np.searchsorted(asked, hashes), len(asked) - 1)
    hit = asked[places] == hashes
    dots = np.bincount(owner[hit], values[hit] * weights[places[hit]], minlength=len(blobs))
    np.divide(dots, norms, out=scores, where=norms > 0)
    return scores


def shared_words(
    words: Sequence[str], others: Sequence[str], known: Frequencies, most: int = 8
) -> list[tuple[str, float]]:
    """The terms that make the cosine of two texts, with their share of it, the largest first.

    All shares add up to the cosine (the ``most`` largest are returned).
    """
    vectors = []
    for text in (words, others):
        counts = Counter(text)
        names = list(counts)
        idf = known.idf(np.array([term_hash(name) for name in names], np.uint32))
        weights = {
            name: (1 + math.log(counts[name])) * float(value) for name, value in zip(names, idf, strict=True)
        }
        length = math.sqrt(sum(weight**2 for weight in weights.values())) or 1.0
        vectors.append({name: weight / length for name, weight in weights.items()})
    shared = {name: vectors[0][name] * vectors[1][name] for name in vectors[0].keys() & vectors[1].keys()}
    return sorted(shared.items(), key=lambda pair: (-pair[1], pair[0]))[:most]


def load_vectors(connection: sqlite3.Connection, version_ids: Sequence[int]) -> list[bytes]:
    """The stored vectors of these versions, in their order; an empty one where none is stored."""
    stored = dict(
        connection.execute(
            "SELECT version_id, terms FROM term_vector WHERE version_id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(version_ids)),),
        ).fetchall()
    )
    return [stored.get(version_id, b"") for version_id in version_ids]
