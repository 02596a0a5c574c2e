"""Fuzz extraction for a given time: any text in, no crash, spans hold, JSON comes out, time stays bounded.

    python benchmarks/fuzz.py [--minutes 15] [--seed 1]

Hypothesis builds the texts: pieces that criteria are made of, pieces of real registry records where the shared
folder is at hand, any Unicode, long repeats, and mixtures. A failing text is shrunk and printed; the exit
code is then 1. Each round uses a seed of its own, so a longer run sees other texts, not the same ones again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.accuracy import shared_folder  # noqa: E402
from nlp.model import Extraction, Fact, Item, Leaf, Unread, expression_from_json, leaves  # noqa: E402
from nlp.pipeline import Extractor, build  # noqa: E402

SLOWEST = 200e-6
"""CPU seconds a character that no text of 400 characters or more may exceed: some twenty times the usual."""
WORDS = r"""
ALT AST platelets haemoglobin age aged BMI ECOG NYHA class grade HBsAg HBV-DNA SLEDAI-2K creatinine QTc ≥
<= > < = \> \< &gt; &amp;lt; =/> >/= ~ ± × x * ^ 109/L 10^9/L x10\^9/L ⁹ ² µ μ ULN LLN % mg/dL mg/day
years old months 3M 1.5 2 18 1,000 1.000,5 0,5 .5 1/2 1:80 140/90 III IV ( ) [ ] { } , ; : . - – • ‣ ● 1.
2) a) and or and/or not no without unless except if in patients with within prior to before screening at
least up to between from to inclusive positive negative detectable Gilbert pregnant Inclusion Exclusion
Criteria: include: the following any all either women men donor cohort Arm 年龄 岁 以上 ½ ① Ⅲ ≥≥ >>
"""
PIECES = [
    *WORDS.split(),
    *("\n", "\n\n", "\t", "\u202e", "\ud800", "\udfff", "\x00", "\u0301"),
]


@dataclass(slots=True)
class Seen:
    """What a run has looked at."""

    texts: int = 0
    characters: int = 0
    items: int = 0
    slowest: float = 0.0


def lines_of_records() -> list[str]:
    """Lines of the registry records, or none where the shared folder is missing."""
    try:
        path = shared_folder() / "data" / "registry" / "ctgov-v2-studies.jsonl.gz"
    except FileNotFoundError:
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        texts = [
            json.loads(line)["protocolSection"]["eligibilityModule"]["eligibilityCriteria"] for line in lines
        ]
    return sorted({line.strip() for text in texts for line in text.splitlines() if line.strip()})


def texts(real: list[str]) -> st.SearchStrategy[str]:
    """Any text that a page could hold, and many that none would."""
    anything = st.text(st.characters(exclude_categories=()), max_size=400)
    pieces = st.lists(st.sampled_from(PIECES), max_size=120).map(" ".join)
    glued = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)
    parts = [anything, pieces, glued]
    if real:
        lines = st.sampled_from(real)
        cut = st.tuples(lines, st.integers(0, 200), st.integers(0, 200)).map(
            lambda each: each[0][each[1] :][: each[2]]
        )
        parts += [
            st.lists(lines, max_size=8).map("\n".join),
            st.lists(st.one_of(cut, glued), max_size=12).map("".join),
        ]
    mixed = st.lists(st.one_of(*parts), max_size=5).map("\n".join)
    repeated = st.tuples(st.one_of(pieces, anything), st.integers(2, 60)).map(
        lambda each: each[0][:200] * each[1]
    )
    return st.one_of(*parts, mixed, repeated)


def check(text: str, extraction: Extraction) -> None:
    """Spans point to their own text, leaves to items that are there, and the JSON form leads back."""
    ids = {item.id for item in extraction.items}
    assert len(ids) == len(extraction.items), "two items share an id"
    for item in extraction.items:
        assert text[slice(*item.value_span)] == item.value_text, f"value span of {item.id}"
        assert item.value_text, f"{item.id} has no value text"
        if item.concept_span is not None:
            assert text[slice(*item.concept_span)] == item.concept_text, f"concept span of {item.id}"
        for qualifier in (item.condition, item.exception):
            assert qualifier is None or text[slice(*qualifier.span)] == qualifier.text
        assert Item.from_json(json.loads(json.dumps(item.to_json()))) == item, f"JSON of {item.id}"
    for criterion in extraction.criteria:
        assert text[slice(*criterion.span)] == criterion.text, f"criterion {criterion.path}"
        assert 0.0 <= criterion.coverage <= 1.0, f"coverage of {criterion.path}"
        for leaf in leaves(criterion.expression):
            match leaf:
                case Leaf(item=key):
                    assert key in ids, f"criterion {criterion.path} names {key}, which is no item"
                case Fact(span=(start, end)) | Unread(span=(start, end)):
                    assert 0 <= start <= end <= len(text), f"leaf span of {criterion.path}"
        said = json.loads(json.dumps(criterion.to_json()))["expression"]
        assert expression_from_json(said) == criterion.expression, f"JSON of {criterion.path}"


def timed(extractor: Extractor, text: str, section: str) -> tuple[Extraction, float]:
    """The extraction and its CPU seconds."""
    start = time.process_time()
    extraction = extractor.extract(text, section)
    return extraction, time.process_time() - start


def fuzz(minutes: float, first_seed: int) -> Seen:
    """Run for ``minutes``. Raises the error of the smallest text that fails."""
    extractor = build()
    extractor.extract("ALT <= 3 x ULN", "inclusion")
    seen = Seen()
    end = time.monotonic() + 60 * minutes

    @settings(
        max_examples=500,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(texts(lines_of_records()), st.sampled_from(("full", "inclusion", "exclusion", "unknown")))
    def one(text: str, section: str) -> None:
        if time.monotonic() > end:
            return
        # as `extract --jsonl` gets it: reading JSON joins two halves of a surrogate that stand together
        text = json.loads(json.dumps(text))
        extraction, seconds = timed(extractor, text, section)
        if len(text) >= 400 and seconds > SLOWEST * len(
            text
        ):  # a pause of the collector, or the text itself?
            seconds = min(seconds, *(timed(extractor, text, section)[1] for _ in range(3)))
        check(text, extraction)
        seen.texts += 1
        seen.characters += len(text)
        seen.items += len(extraction.items)
        if len(text) >= 400:
            seen.slowest = max(seen.slowest, seconds / len(text))
            assert seconds / len(text) < SLOWEST, f"{seconds:.2f} s for {len(text)} characters"

    number = first_seed
    while time.monotonic() < end:
        seed(number)(one)()
        number += 1
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    seen = fuzz(options.minutes, options.seed)
    print(
        f"{options.minutes:g} minutes: {seen.texts} texts, {seen.characters} characters, {seen.items} items; no fault. "
        f"Slowest text of 400 characters or more: {seen.slowest * 1e6:.0f} µs a character"
    )


if __name__ == "__main__":
    main()
