"""The tokenizer of trial text: letters, numbers and single signs, each a token of its own.

spaCy's stock English tokenizer keeps ``ALT<2.5xULN`` as one token and ``AST/ALT>2x`` too, so that no
pattern over tokens can find their parts. Here a token is a run of letters, a number with its inner
points and commas (``2.5``, ``100,000``), a run of comparator signs (``>=``, ``=/>``), or one other
character. The Doc is non-destructive: ``doc.text`` is the text.
"""

from __future__ import annotations

import re

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import registry
from spacy.vocab import Vocab

# Runs of white space beyond the single blank that spaCy keeps with the token before it are tokens of
# their own. Each alternative starts with another class of character: no backtracking between them.
TOKEN = re.compile(
    r"[^\W\d_]+"
    r"|\d+(?:[.,]\d+)*"
    r"|(?:[<>≤≥=]|(?<=[<>≤≥=])[/_](?=[<>=])|(?<=[<>])_)+"
    r"|(?<=\s)\s+|^\s+"
    r"|[^\w\s]|_"
)


class TrialTokenizer:
    """``text -> Doc`` with :data:`TOKEN`; set it as ``language.tokenizer``."""

    def __init__(self, vocab: Vocab) -> None:
        self.vocab = vocab

    def __call__(self, text: str) -> Doc:
        """The text as a Doc whose ``text`` equals it."""
        words, _starts, ends = split(text)
        return self.doc(text, words, ends)

    def doc(self, text: str, words: list[str], ends: list[int]) -> Doc:
        """A Doc from words that :func:`split` already found."""
        size = len(text)
        spaces = [end < size and text[end].isspace() for end in ends]
        return Doc(self.vocab, words=words, spaces=spaces)


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


@registry.tokenizers("trialkb.TrialTokenizer.v1")  # type: ignore[untyped-decorator]
def create_tokenizer() -> object:
    """The tokenizer under a name that a spaCy config can use."""

    def create(nlp: Language) -> TrialTokenizer:
        return TrialTokenizer(nlp.vocab)

    return create
