"""The words of a trial as a compact vector, for finding by text.

A term is a lower-case word of at least two signs that begins with a letter, with its plural folded; stop
words are out, and the parts of a hyphenated word count apart. Counting a longer word by its first letters
too ("leukem…") lowered nDCG in ``benchmarks/comparable.py``: what keeps company is learned instead
(:mod:`kb.themes`). A vector is stored as 32-bit hashes with their counts (``crc32`` of the UTF-8 term: stable
across runs and machines), so that no dictionary has to be kept. At the 10**5 distinct terms of a large
registry about one term in 40,000 shares its hash with another, which no ranking notices.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from harvest.model import Trial

_WORD = re.compile(r"(?<!\w)[^\W\d_]\w+")

_STOP = """a about above after all also am an and any are as at be been before being below between both but by
    can could did do does doing during each either etc few for from further had has have having he her here
    hers him his how if in including into is it its itself may might more most must my no nor not of off on
    once one only or other our out over own per prior same shall she should so some such than that the their
    them then there these they this those through to too under until up upon very was we were what when where
    which while who whom why will with within without would you your
    patient patients subject subjects participant participants study trial inclusion exclusion criteria
    eligible eligibility enrolled enrollment enrolment investigator"""
STOP_WORDS = frozenset(_STOP.split())
"""Function words, and the words that stand in nearly every eligibility text."""

Vector = tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint16]]


def terms(text: str) -> list[str]:
    """The terms of ``text`` in order, repeats kept."""
    return [_singular(word) for word in _WORD.findall(text.lower()) if word not in STOP_WORDS]


@lru_cache(maxsize=200_000)
def _singular(word: str) -> str:
    """Plural endings off: the one folding that never joins two meanings in this field's words."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


@lru_cache(maxsize=400_000)
def term_hash(term: str) -> int:
    """The 32-bit hash under which a term is stored."""
    return zlib.crc32(term.encode())


def trial_text(trial: Trial) -> str:
    """What a trial says about itself, for finding: title, summary and the eligibility text."""
    parts = (trial.title, trial.official_title, trial.brief_summary, trial.eligibility_text)
    return "\n".join(part for part in parts if part)


def encode(words: Iterable[str]) -> bytes:
    """Count and pack: sorted uint32 hashes, then their uint16 counts (little-endian)."""
    counts = Counter(map(term_hash, words))
    hashes = sorted(counts)
    numbers = [min(counts[each], 65535) for each in hashes]
    return np.array(hashes, "<u4").tobytes() + np.array(numbers, "<u2").tobytes()


def decode(blob: bytes) -> Vector:
    """The inverse of :func:`encode`: hashes (uint32, ascending) and counts (uint16)."""
    size = len(blob) // 6
    return np.frombuffer(blob, "<u4", size), np.frombuffer(blob, "<u2", size, offset=4 * size)
