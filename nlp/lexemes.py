"""What the templates of :mod:`nlp.values` run over: the lexemes of one text."""

from __future__ import annotations

from typing import Any


class Lexemes:
    """The lexemes of one text: ``codes[i]`` says what kind the i-th is (:data:`nlp.lexicon.CODES`),
    ``starts[i]``, ``ends[i]`` where it stands, ``values[i]`` what it means (an operator, numbers, a
    UnitMatch, concept ids)."""

    __slots__ = ("codes", "ends", "starts", "text", "values")

    def __init__(self, text: str) -> None:
        self.text = text
        self.codes = ""
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.values: list[Any] = []

    def word(self, index: int) -> str:
        """The lexeme's own characters."""
        return self.text[self.starts[index] : self.ends[index]]
