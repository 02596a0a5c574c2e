"""Text in another language: which lines are, and which stretches of an English line are."""

from __future__ import annotations

import re

from nlp.model import Span

_LETTER = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0400-\u052f\u0590-\u06ff\u0e00-\u0e7f\u0900-\u097f"
_FOREIGN = re.compile(f"[{_LETTER}]")
_LATIN = re.compile(r"[A-Za-z]{2,}")
# A gloss: a bracket that holds nothing but another script's words, numbers and signs.
_GLOSS = re.compile(rf"[(（][^()（）A-Za-z\n]{{0,30}}[{_LETTER}][^()（）A-Za-z\n]{{0,30}}[)）]")
# A stretch of foreign words with the numbers and signs between them.
_STRETCH = re.compile(rf"[{_LETTER}](?:[^A-Za-z\n{_LETTER}]{{0,12}}[{_LETTER}])*")
_ENOUGH = 4  # letters: fewer stand for a unit or a sign ("70 岁")


def language(text: str) -> str:
    """``other`` where letters of another script outweigh the Latin words outside of glosses, else ``en``."""
    if text.isascii() or not _FOREIGN.search(text):
        return "en"
    plain = _GLOSS.sub("", text)
    foreign, latin = len(_FOREIGN.findall(plain)), len(_LATIN.findall(plain))
    if not latin and not foreign:
        return "other"  # nothing but a gloss
    return "other" if foreign >= _ENOUGH and foreign > 4 * latin else "en"


def foreign_parts(text: str) -> tuple[str, list[Span]] | None:
    """What is left to read of an English line, of the same length, and its stretches of another language.

    A gloss in brackets repeats what the line says: it is blanked and not among the stretches. None for
    a line without such parts.
    """
    if text.isascii() or not _FOREIGN.search(text):
        return None
    glosses = [match.span() for match in _GLOSS.finditer(text)]
    stretches = [
        match.span()
        for match in _STRETCH.finditer(text)
        if len(_FOREIGN.findall(match[0])) >= _ENOUGH
        and not any(start <= match.start() < end for start, end in glosses)
    ]
    if not glosses and not stretches:
        return None
    letters = list(text)
    for start, end in (*glosses, *stretches):
        letters[start:end] = " " * (end - start)
    return "".join(letters), stretches
