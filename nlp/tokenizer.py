"""The tokens of trial text: letters, numbers and single signs, each a token of its own.

spaCy's stock English tokenizer keeps ``ALT<2.5xULN`` as one token and ``AST/ALT>2x`` too, so that no
pattern over tokens can find their parts. Here a token is a run of letters, a number with its inner
points and commas (``2.5``, ``100,000``), a run of comparator signs (``>=``, ``=/>``), or one other
character. :mod:`nlp.mentions` makes spaCy Docs of them, for texts and for the patterns alike.
"""

from __future__ import annotations

import re
from itertools import accumulate
from operator import add

from nlp.numbers import ROMAN

# A token with the one blank behind it, or a run of blanks: the pieces make up the whole text, so that
# offsets are sums of their lengths. Each alternative starts with another class of character: no
# backtracking between them.
_PIECE = re.compile(
    r"(?:[^\W\d_]+"
    r"|\d+(?:[.,]\d+)*"
    r"|(?:[<>≤≥=]|(?<=[<>≤≥=])[/_](?=[<>=])|(?<=[<>])_)+"
    r"|[^\w\s]|_)\s?"
    r"|\s+"
)


def split(text: str) -> tuple[list[str], list[int], list[int]]:
    """The words of the text with their start and end offsets, three lists of one length.

    White space is no word, nor is a hyphen that joins two words of letters: "anti-Smith" is "anti Smith".
    """
    pieces = _PIECE.findall(text)
    words = list(map(str.rstrip, pieces))
    starts = list(accumulate(map(len, pieces), initial=0))
    starts.pop()
    ends = list(map(add, starts, map(len, words)))
    if "-" in text or "" in words:
        kept = [
            at
            for at, word in enumerate(words)
            if word and (word != "-" or not _joins(words, starts, ends, at))
        ]
        if len(kept) < len(words):
            return [words[at] for at in kept], [starts[at] for at in kept], [ends[at] for at in kept]
    return words, starts, ends


def _joins(words: list[str], starts: list[int], ends: list[int], at: int) -> bool:
    """Whether the hyphen touches letters on both sides; between roman numerals it is a range."""
    return (
        0 < at < len(words) - 1
        and starts[at] == ends[at - 1]
        and starts[at + 1] == ends[at]
        and words[at - 1][:1].isalpha()
        and words[at + 1][:1].isalpha()
        and not (words[at - 1] in ROMAN and words[at + 1] in ROMAN)
    )
