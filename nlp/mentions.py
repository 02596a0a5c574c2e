"""Find the words that matter in one folded text: concepts, numbers, units, comparators, cues.

What a single word means is looked up once and remembered (:class:`_Tokens`). One spaCy PhraseMatcher
holds every name of several words of every concept and of the lexicon; a second one those that must match
in case ("FEV1"). What they find, and the numbers with their units, :mod:`nlp.layout` lays out as lexemes:
a string of one-letter codes (:data:`nlp.lexicon.CODES`) with the offsets and meanings beside it. The
templates of :mod:`nlp.values` run over that string.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spacy.attrs import LOWER  # type: ignore[import-not-found]  # compiled, without stubs
from spacy.matcher import PhraseMatcher
from spacy.tokens import Doc
from spacy.vocab import Vocab

from nlp.layout import Layout, Token, plain
from nlp.lexemes import Lexemes
from nlp.lexicon import Word
from nlp.tokenizer import split
from nlp.units import UnitTable

_REMEMBERED = 50_000
_LONGEST = 40
"""How many words, and up to how many characters each, are remembered."""


class _Tokens(dict[str, Token]):
    """What each word means by itself, found out when it is first met.

    Words that no phrase holds share one number, so that spaCy's vocabulary does not grow with the texts.
    """

    def __init__(self, finder: MentionFinder) -> None:
        super().__init__()
        self.finder = finder

    def __missing__(self, word: str) -> Token:
        token = self.finder.token(word)
        if len(word) <= _LONGEST:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[word] = token
        return token


class MentionFinder:
    """Finds the lexemes of a text; built once from lexicon, concepts and units."""

    def __init__(
        self,
        words: Iterable[Word],
        aliases: Iterable[tuple[str, bool, tuple[str, ...]]],
        units: UnitTable,
    ) -> None:
        self.units = units
        self._words: dict[str, Word] = {}
        self._concepts: dict[str, tuple[str, ...]] = {}
        self._cased: dict[str, tuple[str, ...]] = {}
        for word in words:
            for surface in word.words:
                self._words[_phrase(surface.lower())] = word
        for alias, cased, ids in aliases:
            if cased:
                self._cased[_phrase(alias)] = ids
            else:
                self._concepts[_phrase(self._name(alias.lower()))] = ids
        # No getters but LOWER: a Lexeme's other attributes are never asked for, and cost more than all else.
        self.vocab = Vocab(lex_attr_getters={LOWER: str.lower})
        self._lower, self._lower_words = self._matcher("LOWER", {**self._words, **self._concepts})
        self._exact, self._exact_words = self._matcher("ORTH", self._cased)
        self._folded_words = {word.lower() for word in self._exact_words}
        self._other = self.vocab.strings.add("\0")
        self._tokens = _Tokens(self)

    def _name(self, alias: str) -> str:
        """The alias without a range's or comparator's word at its end: "aged between" is "aged"."""
        words = alias.split()
        while len(words) > 1 and (found := self._words.get(words[-1])) and found.code in "bgcr":
            words.pop()
        return " ".join(words)

    def _matcher(self, attribute: str, phrases: Iterable[str]) -> tuple[PhraseMatcher, set[str]]:
        """A matcher for the phrases of several words, and the words that they hold."""
        several = [phrase.split(" ") for phrase in phrases if " " in phrase]
        matcher = PhraseMatcher(self.vocab, attr=attribute)
        matcher.add("phrase", [Doc(self.vocab, words=words) for words in several])
        return matcher, {word for words in several for word in words}

    def token(self, word: str) -> Token:
        """What the word means by itself."""
        lower = word.lower()
        lexical = self._words.get(lower)
        concepts = self._cased.get(word) or self._concepts.get(lower) or ()
        orth = self._other
        if word in self._exact_words or lower in self._folded_words:
            orth = self.vocab.strings.add(word)
        elif lower in self._lower_words:
            orth = self.vocab.strings.add(lower)
        return Token(*plain(word, lexical, concepts), orth, lexical, concepts)

    def find(self, text: str) -> Lexemes:
        """The lexemes of one folded text, in order; time is linear in its length."""
        words, starts, ends = split(text)
        tokens = list(map(self._tokens.__getitem__, words))
        layout = Layout(self.units.match, text, words, starts, ends, tokens)
        orths: list[Any] = [token[2] for token in tokens]  # Doc takes numbers too; its stub says strings
        doc = Doc(self.vocab, words=orths)
        # A matcher tells the phrases from left to right, from one place the shorter ones first.
        for _, first, last in self._lower(doc):
            phrase = " ".join(words[first:last]).lower()
            if phrase in self._words:
                layout.lexical[first] = (last, self._words[phrase])
            if phrase in self._concepts:
                layout.concepts[first] = (last, self._concepts[phrase])
        for _, first, last in self._exact(doc):
            if first not in layout.concepts or layout.concepts[first][0] <= last:
                layout.concepts[first] = (last, self._cased[" ".join(words[first:last])])
        return layout.run()


def _phrase(surface: str) -> str:
    """A name as its tokens with a blank between them; the vocabulary writes hyphens as blanks."""
    words = split(surface)[0]
    kept = [
        word
        for at, word in enumerate(words)
        if word != "-"
        or not (0 < at < len(words) - 1 and words[at - 1].isalpha() and words[at + 1].isalpha())
    ]
    return " ".join(kept)
