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
    """Document frequencies by term hash (ascending), out of ``documents``; and the length of each current
    version's vector (``versions`` ascending)."""

    documents: int
    hashes: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.int64]
    versions: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.float32]

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
    return Frequencies(
        int(arrays["documents"]), arrays["hashes"], arrays["counts"], arrays["versions"], arrays["lengths"]
    )


def _count(connection: sqlite3.Connection) -> Arrays:
    total = connection.execute("SELECT count(*) FROM current_version").fetchone()[0]
    step = max(1, -(-total // SAMPLE))
    sampled = connection.execute(f"{_VECTORS} WHERE v.id % ? = 0", (step,)).fetchall()
    found = [np.zeros(0, np.uint32), *(decode(blob)[0] for _, blob in sampled)]
    hashes, counts = np.unique(np.concatenate(found), return_counts=True)
    known = Frequencies(len(sampled), hashes, counts, np.zeros(0, np.int64), np.zeros(0, np.float32))
    versions, lengths = [], []
    cursor = connection.execute(f"{_VECTORS} ORDER BY v.id")
    while batch := cursor.fetchmany(2000):
        versions += [row[0] for row in batch]
        _, values, owner = weighted([row[1] for row in batch], known)
        lengths.append(np.sqrt(np.bincount(owner, values**2, minlength=len(batch))).astype(np.float32))
    return {
        "documents": np.array(len(sampled)), "hashes": hashes, "counts": counts,
        "versions": np.array(versions, np.int64), "lengths": np.concatenate([np.zeros(0, np.float32), *lengths]),
    }  # fmt: skip


_VECTORS = "SELECT v.id, t.terms FROM current_version v JOIN term_vector t ON t.version_id = v.id"


def weighted(
    blobs: Sequence[bytes], known: Frequencies
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Every stored term of these vectors: its hash, its weight, and the place of its vector among them."""
    vectors = [decode(blob) for blob in blobs]
    owner = np.repeat(np.arange(len(blobs)), [len(vector[0]) for vector in vectors])
    counts = np.concatenate([np.zeros(0, np.uint16), *(vector[1] for vector in vectors)])
    hashes = np.concatenate([np.zeros(0, np.uint32), *(vector[0] for vector in vectors)])
    return hashes, (1 + np.log(counts)) * known.idf(hashes), owner


def cosines(store: Store, words: Sequence[str], version_ids: Sequence[int]) -> npt.NDArray[np.float64]:
    """The cosine of the text with these words to each of these versions, from 0 to 1."""
    scores = np.zeros(len(version_ids))
    known = frequencies(store)
    asked, counts = decode(encode(words))
    if not len(asked) or not len(version_ids):
        return scores
    weights = (1 + np.log(counts)) * known.idf(asked)
    idf = known.idf(asked)
    weights /= np.linalg.norm(weights)
    for start in range(0, len(version_ids), 4000):  # bounds the memory of one step to some 20 MB
        part = version_ids[start : start + 4000]
        vectors = [decode(blob) for blob in load_vectors(store.connection, part)]
        owner = np.repeat(np.arange(len(part)), [len(vector[0]) for vector in vectors])
        hashes = np.concatenate([vector[0] for vector in vectors])
        places = np.minimum(np.searchsorted(asked, hashes), len(asked) - 1)
        hit = np.flatnonzero(asked[places] == hashes)
        tf = 1 + np.log(np.concatenate([vector[1] for vector in vectors])[hit])
        dots = np.bincount(owner[hit], tf * idf[places[hit]] * weights[places[hit]], minlength=len(part))
        at = np.searchsorted(known.versions, part)
        lengths = known.lengths[at].astype(np.float64)
        np.divide(dots, lengths, out=scores[start : start + len(part)], where=lengths > 0)
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
