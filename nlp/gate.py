"""The gate in front of spaCy: whether a text can hold an item at all. Built from the lexicon itself.

What it must hold is a digit, a roman numeral ("NYHA class III or IV"), a lexicon word that can begin an
item, or a time without a number ("within the past year"). Most texts hold none of the words that any of
these begins with, which a set tells at once; the pattern is asked only where one stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from nlp.lexicon import Word
from nlp.unit_reader import trie_pattern

_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"[A-Za-z]+")
_TIMES = ("past", "last", "previous", "preceding", "prior", "within", "recent")
_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii")


class Searches(Protocol):
    """What a gate must offer; a compiled pattern does too."""

    def search(self, text: str, /) -> object | None:
        """Something true where the text must be read."""


class Gate:
    """Lets a folded text through that may hold an item."""

    def __init__(self, words: Iterable[Word]) -> None:
        triggers = sorted(surface for word in words if word.code in "qL0" for surface in word.words)
        openers = {found[0].lower() for trigger in triggers if (found := _WORD.match(trigger))}
        # A trigger that begins with a sign has no opener: then each text is asked by the pattern.
        self._sure = all(_WORD.match(trigger) for trigger in triggers)
        self._openers = frozenset(openers.union(_TIMES, _ROMAN))
        times = rf"(?:{'|'.join(_TIMES)}|within(?: the| a| one))\s+(?:year|month|week|day|hour)"
        self._pattern = re.compile(
            rf"(?<![A-Za-z])(?:{trie_pattern(triggers)}|{times}|(?-i:I{{1,3}}|IV|VI{{0,3}}))(?![A-Za-z])",
            re.IGNORECASE,
        )

    def search(self, text: str) -> re.Match[str] | None:
        """What lets the text through, or None. Time is linear in its length."""
        found = _DIGIT.search(text)
        if found is not None:
            return found
        if self._sure and text.isascii() and self._openers.isdisjoint(_WORD.findall(text.lower())):
            return None
        return self._pattern.search(text)
