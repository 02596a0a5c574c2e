"""The tokens of trial text: letters, numbers and single signs, each a token of its own.

spaCy's stock English tokenizer keeps ``ALT<2.5xULN`` as one token and ``AST/ALT>2x`` too, so that no
pattern over tokens can find their parts. Here a token is a run of letters, a number with its inner
points and commas (``2.5``, ``100,000``), a run of comparator signs (``>=``, ``=/>``), or one other
character. :mod:`nlp.mentions` makes spaCy Docs of them, for texts and for the patterns alike.
"""

from __future__ import annotations

import re

# Runs of white space beyond the single blank behind a token are tokens of their own. Each alternative
# starts with another class of character: no backtracking between them.
TOKEN = re.compile(
    r"[^\W\d_]+"
    r"|\d+(?:[.,]\d+)*"
    r"|(?:[<>≤≥=]|(?<=[<>≤≥=])[/_](?=[<>=])|(?<=[<>])_)+"
    r"|(?<=\s)\s+|^\s+"
    r"|[^\w\s]|_"
)


def split(text: str) -> tuple[list[str], list[int], list[int]]:
    """The words of the text with their start and end offsets, three lists of one length."""
    words: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for match in TOKEN.finditer(text):
        words.append(match.group())
        starts.append(match.start())
        ends.append(match.end())
    return words, starts, ends
