"""Finding by what the words are about: themes learned from the knowledge base's own texts.

Latent semantic analysis (S. Deerwester and others, JASIS 41, 1990): the term vectors of the stored trials
(weighted as in :mod:`kb.textual`) are projected on their strongest common directions, so that two trials can
be near that share few words but words of one company ("blast", "marrow"; "leukemia", "relapse"). The number
of directions grows with the square root of the number of texts, which measured best from 142 to 994 trials
(``benchmarks/comparable.py``); from fewer than :data:`LEAST` texts nothing is learned.

Learned from at most :data:`SAMPLE` versions by randomized subspace iteration (N. Halko and others, SIAM
Review 53, 2011) from a fixed seed: the same knowledge base gives the same themes.
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kb.kept_index import Arrays, kept_index
from kb.store import Store
from kb.terms import term_hash
from kb.textual import Frequencies, frequencies, load_vectors, weighted

SAMPLE = 3_000
LEAST = 60
MOST_THEMES = 64
THEMES_BY_ROOT = 1.3
_OVERSAMPLED = 8
_ROUNDS = 4
_STEP = 200
"""Texts taken at once: bounds the memory of a product to some 15 MB."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Themes:
    """The place of each known term (``hashes`` ascending) on each theme: ``vectors`` (terms x themes)."""

    hashes: npt.NDArray[np.uint32]
    vectors: Floats

    @property
    def learned(self) -> bool:
        """Whether there was enough to learn from."""
        return bool(len(self.hashes))

    def of(self, hashes: npt.NDArray[np.uint32]) -> Floats:
        """The vectors of these terms; zeros for an unknown one."""
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        found: Floats = self.vectors[places]
        found[self.hashes[places] != hashes] = 0
        return found


def themes(store: Store) -> Themes:
    """The themes of this knowledge base as it is now, kept or learned anew."""
    arrays = kept_index(store, "themes", lambda: _learn(store.connection, frequencies(store)))
    return Themes(arrays["hashes"], arrays["vectors"])


@dataclass(frozen=True, slots=True)
class _Sparse:
    """A matrix by rows: the ``values`` of row i stand from ``starts[i]`` on, in ``columns``; no row is empty."""

    starts: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    values: Floats

    def times(self, dense: Floats) -> Floats:
        """The product with a dense matrix."""
        ends = np.append(self.starts[1:], len(self.values))
        parts = []
        for first in range(0, len(self.starts), _STEP):
            starts = self.starts[first : first + _STEP]
            here = slice(starts[0], ends[first + len(starts) - 1])
            products = self.values[here, None] * dense[self.columns[here]]
            parts.append(np.add.reduceat(products, starts - starts[0], axis=0))
        found: Floats = np.concatenate(parts)
        return found


def _by_rows(
    rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
) -> _Sparse:
    order = np.argsort(rows, kind="stable")
    _, starts = np.unique(rows[order], return_index=True)
    return _Sparse(starts, columns[order], values[order].astype(np.float32))


def _learn(connection: sqlite3.Connection, known: Frequencies) -> Arrays:
    total = connection.execute("SELECT count(*) FROM current_version").fetchone()[0]
    step = max(1, -(-total // SAMPLE))
    sampled = connection.execute(
        "SELECT t.terms FROM current_version v JOIN term_vector t ON t.version_id = v.id WHERE v.id % ? = 0"
        " AND length(t.terms) > 0 ORDER BY v.id",
        (step,),
    ).fetchall()
    if len(sampled) < LEAST:
        return {"hashes": np.zeros(0, np.uint32), "vectors": np.zeros((0, 1), np.float32)}
    hashes, values, owner = weighted([row[0] for row in sampled], known)
    lengths = np.sqrt(np.bincount(owner, values**2))
    values = values / lengths[owner]
    names, columns, numbers = np.unique(hashes, return_inverse=True, return_counts=True)
    shared = numbers[columns] > 1  # a word of one text keeps no company that could be learned
    names, columns = np.unique(hashes[shared], return_inverse=True)
    _, rows = np.unique(owner[shared], return_inverse=True)
    count = min(MOST_THEMES, round(THEMES_BY_ROOT * math.sqrt(len(sampled))))
    texts = _by_rows(rows, columns, values[shared])
    return {"hashes": names, "vectors": _directions(texts, _by_rows(columns, rows, values[shared]), count)}


def _directions(texts: _Sparse, terms: _Sparse, count: int) -> Floats:
    """The ``count`` strongest right singular vectors of ``texts`` (``terms`` is its transpose), as columns."""
    generator = np.random.default_rng(0)
    size = min(count + _OVERSAMPLED, len(texts.starts), len(terms.starts))
    basis: Floats = generator.standard_normal((len(terms.starts), size)).astype(np.float32)
    for _ in range(_ROUNDS):
        left = np.linalg.qr(texts.times(basis))[0]
        basis = np.linalg.qr(terms.times(left))[0]
    turned = np.linalg.svd(texts.times(basis), full_matrices=False)[2]
    found: Floats = (basis @ turned[:count].T).astype(np.float32)
    return found


def related(store: Store, words: Sequence[str], version_ids: Sequence[int]) -> npt.NDArray[np.float64]:
    """How near the text with these words is to each of these versions in themes, from 0 to 1."""
    scores = np.zeros(len(version_ids))
    known, learned = frequencies(store), themes(store)
    if not learned.learned or not words:
        return scores
    asked = _place(words, known, learned)
    for start in range(0, len(version_ids), _STEP):
        part = version_ids[start : start + _STEP]
        hashes, values, owner = weighted(load_vectors(store.connection, part), known)
        if not len(hashes):
            continue
        weighed = values[:, None].astype(np.float32) * learned.of(hashes)
        present, starts = np.unique(owner, return_index=True)
        places = np.add.reduceat(weighed, starts, axis=0)
        lengths = np.linalg.norm(places, axis=1)
        near = np.divide(places @ asked, lengths, out=np.zeros(len(places)), where=lengths > 0)
        scores[start + present] = np.maximum(near, 0)
    return scores


def _place(words: Sequence[str], known: Frequencies, learned: Themes) -> Floats:
    """The direction of a text in the space of themes, of length one."""
    weights = _text_weights(words, known)
    hashes = np.array([term_hash(word) for word in weights], np.uint32)
    place = np.array(list(weights.values()), np.float32) @ learned.of(hashes)
    length = float(np.linalg.norm(place))
    found: Floats = place / length if length else place
    return found


def _text_weights(words: Sequence[str], known: Frequencies) -> dict[str, float]:
    counts = Counter(words)
    idf = known.idf(np.array([term_hash(word) for word in counts], np.uint32))
    return {
        word: (1 + math.log(number)) * float(rare)
        for (word, number), rare in zip(counts.items(), idf, strict=True)
    }


def related_words(
    store: Store, words: Sequence[str], others: Sequence[str], most: int = 8
) -> list[tuple[str, float]]:
    """The words of ``others`` that stand in the themes of ``words`` without being among them, with their
    share of the nearness (the shares of all words of ``others`` add up to it), the largest first."""
    known, learned = frequencies(store), themes(store)
    if not learned.learned or not words or not others:
        return []
    asked, weights = _place(words, known, learned), _text_weights(others, known)
    vectors = learned.of(np.array([term_hash(word) for word in weights], np.uint32))
    weighed = np.array(list(weights.values()), np.float32)[:, None] * vectors
    length = float(np.linalg.norm(weighed.sum(axis=0))) or 1.0
    own = set(words)
    shares = zip(weights, (weighed @ asked / length).tolist(), strict=True)
    found = [(word, share) for word, share in shares if word not in own and share > 0]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:most]
