"""How well comparable trials are found, on real records, beside random, length, BM25 and TF-IDF cosine.

    python benchmarks/comparable.py [--records FILE.jsonl.gz] [--most-of-a-condition 25]

Labels that no scorer sees: two trials share an intervention MeSH term (2), a condition MeSH term (1), both
(3); and pairs of one sponsor's trials of one product. The registry fields that hold them (conditions,
keywords, interventions, MeSH, sponsors, arms) are taken out, and their words are masked from title, summary
and criteria, so that nobody finds a trial by the name of its drug. Sampled so that no condition dominates.
nDCG@10 (gain 2^rel - 1), MRR of the first trial with the same intervention (and of the same sponsor and
product), 95 % bootstrap intervals over the asked trials, and paired differences to TF-IDF cosine. Since the
weights were chosen on records like these, "out of fold" tells what is left when they are chosen on four
fifths of the asked trials and judged on the fifth.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from commands.knowledge_feed import the_reading  # noqa: E402
from harvest.model import Trial  # noqa: E402
from harvest.sources import ctgov_record  # noqa: E402
from kb.build import TrialRecord, build  # noqa: E402
from kb.comparable import grades_by_topic, rank_by_topic, stored_subject  # noqa: E402
from kb.lines import name_key  # noqa: E402
from kb.store import Store  # noqa: E402
from kb.terms import trial_text  # noqa: E402

Scores = npt.NDArray[np.float64]
RECORDS = ROOT.parent / "shared" / "data" / "registry" / "ctgov-v2-studies.jsonl.gz"
_WORD = re.compile(r"[^\W_][\w\-]*")
_TOKEN = re.compile(r"\w\w+")
_KEPT = """and of the with in type disease diseases syndrome disorder disorders cell cells therapy treatment
for to or placebo"""
GRID: dict[str, tuple[float, ...]] = {
    "text": (1.0,),
    "themes": (0.0, 0.1, 0.2, 0.3, 0.5),
    "concepts": (0.0, 0.01, 0.03, 0.1),
    "intervention": (0.0, 0.03, 0.08, 0.2),
}
"""Weights tried out of fold, those of the parts that masked records have."""
_UNMASKED = frozenset(_KEPT.split())


def read_trials(path: Path) -> list[Trial]:
    """The records of a .jsonl.gz file, parsed as an import parses them."""
    with gzip.open(path, "rb") as lines:
        return [
            ctgov_record.prepare(json.loads(line), where=f"{path.name}:{number}").trial
            for number, line in enumerate(lines, start=1)
        ]


def sample(trials: Iterable[Trial], most: int, seed: int) -> list[Trial]:
    """Trials with a condition MeSH term and a text, at most ``most`` of any one condition."""
    listed = sorted(trials, key=lambda trial: trial.source_id)
    random.Random(seed).shuffle(listed)
    taken: Counter[str] = Counter()
    chosen = []
    for trial in listed:
        if trial.condition_mesh and len(trial.eligibility_text) >= 200:
            ids = [mesh.id for mesh in trial.condition_mesh]
            if max(taken[one] for one in ids) < most:
                taken.update(ids)
                chosen.append(trial)
    return chosen


def label_words(trial: Trial) -> set[str]:
    """The words of a trial's own condition, intervention, keyword and sponsor names."""
    names = [*trial.conditions, *trial.keywords, *(one.name for one in trial.sponsors)]
    names += [mesh.term for mesh in (*trial.condition_mesh, *trial.intervention_mesh)]
    for one in trial.interventions:
        names += [one.name, *one.other_names]
    words: set[str] = set()
    for name in names:
        for word in _WORD.findall(name.lower()):
            words.update(part for part in (word, *word.split("-")) if len(part) > 2 and part not in _UNMASKED)
    return words


def masked(trial: Trial) -> Trial:
    """The trial without its labels, in fields and words."""
    hidden = label_words(trial)

    def mask(text: str | None) -> str:
        def one(match: re.Match[str]) -> str:
            word = match.group().lower()
            forms = {word, word.rstrip("s"), f"{word}s", *word.split("-")}
            return "" if forms & hidden else match.group()

        return _WORD.sub(one, text or "")

    return Trial(
        source=trial.source,
        source_id=trial.source_id,
        url=trial.url,
        version=trial.version,
        title=mask(trial.title),
        official_title=mask(trial.official_title) or None,
        brief_summary=mask(trial.brief_summary) or None,
        eligibility_text=mask(trial.eligibility_text),
    )


def relevance(trials: Sequence[Trial]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """(graded relevance, same sponsor and product) of every pair."""
    conditions = [{mesh.id for mesh in trial.condition_mesh} for trial in trials]
    products = [{mesh.id for mesh in trial.intervention_mesh} for trial in trials]
    named = [
        {name_key(one.name) for one in trial.interventions} | products[i] for i, trial in enumerate(trials)
    ]
    sponsors = [{one.name for one in trial.sponsors if one.role == "lead"} for trial in trials]
    size = len(trials)
    graded = np.zeros((size, size), np.int64)
    family = np.zeros((size, size), bool)
    for i in range(size):
        for j in range(i + 1, size):
            value = 2 * bool(products[i] & products[j]) + bool(conditions[i] & conditions[j])
            graded[i, j] = graded[j, i] = value
            family[i, j] = family[j, i] = bool(sponsors[i] & sponsors[j]) and bool(named[i] & named[j])
    return graded, family


def counts(texts: Sequence[str]) -> tuple[list[Counter[str]], dict[str, int], Counter[str]]:
    """Token counts of each text, the columns, the document frequencies."""
    counted = [Counter(_TOKEN.findall(text.lower())) for text in texts]
    frequency = Counter(token for one in counted for token in one)
    return counted, {token: place for place, token in enumerate(frequency)}, frequency


def tf_idf(texts: Sequence[str]) -> Scores:
    """Cosine of (1 + ln tf) x (ln((1 + N) / (1 + df)) + 1)."""
    counted, columns, frequency = counts(texts)
    matrix = np.zeros((len(texts), len(columns)))
    for row, one in enumerate(counted):
        for token, number in one.items():
            idf = math.log((1 + len(texts)) / (1 + frequency[token])) + 1
            matrix[row, columns[token]] = (1 + math.log(number)) * idf
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True) + 1e-12
    scores: Scores = matrix @ matrix.T
    return scores


def bm25(texts: Sequence[str], k: float = 1.2, b: float = 0.75) -> Scores:
    """Okapi BM25, the asked text's distinct tokens as the query."""
    counted, columns, frequency = counts(texts)
    mean = float(np.mean([one.total() for one in counted]))
    documents = np.zeros((len(texts), len(columns)))
    queries = np.zeros_like(documents)
    for row, one in enumerate(counted):
        length = k * (1 - b + b * one.total() / mean)
        for token, number in one.items():
            idf = math.log(1 + (len(texts) - frequency[token] + 0.5) / (frequency[token] + 0.5))
            documents[row, columns[token]] = idf * number * (k + 1) / (number + length)
            queries[row, columns[token]] = 1
    scores: Scores = queries @ documents.T
    return scores


def ours(trials: Sequence[Trial]) -> tuple[Scores, dict[str, Scores]]:
    """The finding score of every pair, from a knowledge base of the masked trials; and the grades of its parts."""
    reading = the_reading()
    place = {trial.source_id: number for number, trial in enumerate(trials)}
    scores = np.full((len(trials), len(trials)), -1.0)
    parts = {name: np.zeros_like(scores) for name in GRID}
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "kb.sqlite", "write") as store:
        build(store, (TrialRecord(trial) for trial in trials), reading)
        ids = {version: place[trial_id] for version, trial_id in store.current_versions()}
        for trial in trials:
            row, subject = place[trial.source_id], stored_subject(store, trial.source_id)
            for version, score, _ in rank_by_topic(store, subject):
                scores[row, ids[version]] = score
            for version, grades in grades_by_topic(store, subject).items():
                for name in GRID:
                    parts[name][row, ids[version]] = grades.get(name, 0.0)
    return scores, parts


def out_of_fold(parts: dict[str, Scores], graded: npt.NDArray[np.int64], seed: int, folds: int = 5) -> Scores:
    """nDCG@10 of each asked trial under the weights of :data:`GRID` that are best for the other folds."""
    fold = np.random.default_rng(seed).integers(0, folds, len(graded))
    tried = np.array([
        ndcg(rankings(sum((weight * parts[name] for name, weight in zip(GRID, weights, strict=True)), np.zeros(graded.shape))), graded)
        for weights in product(*GRID.values())
    ])  # fmt: skip
    found = np.full(len(graded), np.nan)
    for one in range(folds):
        best = int(np.nanmean(tried[:, fold != one], axis=1).argmax())
        found[fold == one] = tried[best, fold == one]
    return found


def rankings(scores: Scores) -> npt.NDArray[np.int64]:
    """For each asked trial the others, best first; equal scores by place."""
    shown = scores.copy()
    np.fill_diagonal(shown, -np.inf)
    order: npt.NDArray[np.int64] = np.argsort(-shown, axis=1, kind="stable")[:, :-1]
    return order


def ndcg(order: npt.NDArray[np.int64], graded: npt.NDArray[np.int64], cut: int = 10) -> Scores:
    """nDCG at ``cut`` of each asked trial; nan where nothing is relevant."""
    gains = 2.0 ** np.take_along_axis(graded, order, 1)[:, :cut] - 1
    best = np.sort(2.0**graded - 1, axis=1)[:, ::-1][:, :cut]
    discount = 1 / np.log2(np.arange(2, cut + 2))
    ideal = best @ discount
    values: Scores = np.divide(gains @ discount, ideal, out=np.full(len(order), np.nan), where=ideal > 0)
    return values


def reciprocal_rank(order: npt.NDArray[np.int64], right: npt.NDArray[np.bool_]) -> Scores:
    """1 / rank of the first right trial; nan where there is none."""
    hits = np.take_along_axis(right, order, 1)
    values: Scores = np.where(hits.any(axis=1), 1 / (1 + hits.argmax(axis=1)), np.nan)
    return values


def interval(values: Scores, seed: int = 1, rounds: int = 2000) -> tuple[float, float, float]:
    """Mean and 95 % bootstrap interval over the asked trials."""
    kept = values[~np.isnan(values)]
    drawn = np.random.default_rng(seed).integers(0, len(kept), (rounds, len(kept)))
    means = kept[drawn].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(kept.mean()), float(low), float(high)


def main() -> int:
    """Print the table; exit code 1 where ours is worse than TF-IDF cosine by more than 0.01 nDCG@10."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--most-of-a-condition", type=int, default=25)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    if not arguments.records.is_file():
        print(f"skipped: {arguments.records} is not there; name a .jsonl.gz of v2 records with --records")
        return 0
    trials = sample(read_trials(arguments.records), arguments.most_of_a_condition, arguments.seed)
    graded, family = relevance(trials)
    hidden = [masked(trial) for trial in trials]
    texts = [trial_text(trial) for trial in hidden]
    lengths = np.array([float(len(text)) for text in texts])
    scorers: dict[str, Callable[[], Scores]] = {
        "random": lambda: np.random.default_rng(arguments.seed).random((len(texts), len(texts))),
        "text length": lambda: -np.abs(np.log(lengths[:, None] / lengths[None, :])),
        "BM25": lambda: bm25(texts),
        "TF-IDF cosine": lambda: tf_idf(texts),
        "ours": lambda: kept[0],
    }
    kept = ours(hidden)
    print(
        f"{len(trials)} trials, {int((graded >= 2).sum() // 2)} pairs of one intervention, "
        f"{int(((graded == 1) | (graded == 3)).sum() // 2)} of one condition, {int(family.sum() // 2)} of one sponsor and product"
    )
    measured: dict[str, tuple[Scores, Scores, Scores]] = {}
    for name, scorer in scorers.items():
        began = time.perf_counter()
        order = rankings(scorer())
        measured[name] = (
            ndcg(order, graded),
            reciprocal_rank(order, graded >= 2),
            reciprocal_rank(order, family),
        )
        print(f"{name:14s}", *(
            f"{label} {mean:.3f} [{low:.3f}, {high:.3f}]"
            for label, (mean, low, high) in zip(("nDCG@10", "MRR intervention", "MRR sponsor+product"),
                                               map(interval, measured[name]), strict=True)
        ), f"{time.perf_counter() - began:.1f} s")  # fmt: skip
    lowest = 0.0
    for place, label in enumerate(("nDCG@10", "MRR intervention", "MRR sponsor+product")):
        mean, low, high = interval(measured["ours"][place] - measured["TF-IDF cosine"][place])
        print(f"paired difference ours - TF-IDF cosine, {label}: {mean:+.3f} [{low:+.3f}, {high:+.3f}]")
        lowest = mean if place == 0 else lowest
    apart = out_of_fold(kept[1], graded, arguments.seed)
    for name, values in (
        ("nDCG@10", apart),
        ("paired difference to TF-IDF cosine", apart - measured["TF-IDF cosine"][0]),
    ):
        mean, low, high = interval(values)
        print(f"weights chosen out of fold, {name}: {mean:.3f} [{low:+.3f}, {high:+.3f}]")
    return int(lowest < -0.01)


if __name__ == "__main__":
    sys.exit(main())
