"""The cue words of criteria text: what joins, conditions, excepts, demands, negates, allows.

``data/cues.jsonl`` holds one cue family a line: ``id``; ``effect`` (one of :data:`EFFECTS`); ``words``
(lower-case phrases, matched at word boundaries, one space for any run of white space); ``examples``
(texts in which at least one of the words stands); ``concept`` (for the effects ``concept``:
the phrase is the concept, and ``topic``: a phrase that holds it speaks of it).
This module is the only reader of that file; a row that is not exactly so fails the load.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

from nlp.errors import VocabularyError

EFFECTS = (
    "and", "or", "andor", "but", "with", "without", "relative", "condition", "population", "exception",
    "example", "definition", "allowance", "exclude", "demand", "prohibition", "monitoring", "assay", "anyof",
    "allof", "subject", "link", "opener", "article", "negation", "note", "reference", "adequacy", "context",
    "concept", "topic", "sexes", "term", "method",
)  # fmt: skip


BETWEEN = " ,:-\"'*"
"""Signs that may stand between the cues at the beginning of a phrase."""


class CueError(VocabularyError):
    """A row of ``cues.jsonl`` is not what the loader's contract says."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One family of cue words and what they do to the text around them."""

    id: str
    effect: str
    words: tuple[str, ...]
    examples: tuple[str, ...]
    concept: str | None = None


def load(lines: Iterable[str]) -> tuple[Cue, ...]:
    """Read cue rows. Raises CueError naming the line for any unknown key, effect, or a word said twice
    within one effect, or a family of which no word stands in an example."""
    cues: list[Cue] = []
    ids: set[str] = set()
    said: dict[tuple[str, str], str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            cue = _cue(json.loads(line))
        except (KeyError, ValueError, TypeError) as error:
            raise CueError(f"cues.jsonl line {number}: {error}") from error
        if cue.id in ids:
            raise CueError(f"cues.jsonl line {number}: id {cue.id!r} stands twice")
        ids.add(cue.id)
        for word in cue.words:
            other = said.setdefault((cue.effect, word), cue.id)
            if other != cue.id:
                raise CueError(f"cues.jsonl line {number}: {word!r} is already in {other!r}")
        cues.append(cue)
    return tuple(cues)


def _cue(row: Mapping[str, Any]) -> Cue:
    """One row, checked. Raises ValueError saying what is wrong."""
    unknown = set(row) - {"id", "effect", "words", "examples", "concept"}
    if unknown:
        raise ValueError(f"unknown key {sorted(unknown)[0]!r}")
    cue = Cue(row["id"], row["effect"], tuple(row["words"]), tuple(row["examples"]), row.get("concept"))
    if cue.effect not in EFFECTS:
        raise ValueError(f"unknown effect {cue.effect!r}")
    if (cue.effect in ("concept", "topic")) != (cue.concept is not None):
        raise ValueError("a concept is named by the effects 'concept' and 'topic', and by no other")
    if not cue.words or any(word != " ".join(word.lower().split()) for word in cue.words):
        raise ValueError("words must be lower-case phrases with single spaces")
    if len(set(cue.words)) != len(cue.words):
        raise ValueError("a word stands twice")
    if not cue.examples or not all(_holds(example, cue.words) for example in cue.examples):
        raise ValueError("each example must hold one of the words")
    return cue


def _holds(example: str, words: Iterable[str]) -> bool:
    """Whether one of the phrases stands in the example as words of its own."""
    spaced = " ".join(example.lower().split())
    for word in words:
        at = spaced.find(word)
        while at >= 0:
            end = at + len(word)
            if not (spaced[at - 1 : at].isalnum() or spaced[end : end + 1].isalnum()):
                return True
            at = spaced.find(word, at + 1)
    return False


def phrase_pattern(words: Iterable[str]) -> str:
    """A regular expression that matches the longest of the phrases and the end of a word after it.

    The phrases are folded into a trie, so that the cost of a search does not grow with their number.
    The caller sees to the start of the word.
    """
    trie: dict[str, Any] = {}
    for word in words:
        node = trie
        for char in word:
            node = node.setdefault(char, {})
        node[""] = {}
    return _trie_pattern(trie)


def _trie_pattern(node: dict[str, Any]) -> str:
    branches = []
    for char, child in sorted(node.items(), key=lambda pair: pair[0] == ""):
        if char == "":
            branches.append(r"(?![^\W_])")
        else:
            branches.append((" +" if char == " " else re.escape(char)) + _trie_pattern(child))
    return branches[0] if len(branches) == 1 else "(?:" + "|".join(branches) + ")"


@cache
def cues() -> tuple[Cue, ...]:
    """The cues that come with the package, in file order."""
    source = resources.files("nlp").joinpath("data/cues.jsonl")
    return load(source.read_text(encoding="utf-8").splitlines())


def words_of(*effects: str) -> list[str]:
    """All words whose cue has one of the effects."""
    return [word for cue in cues() if cue.effect in effects for word in cue.words]


def words_for(concept: str) -> list[str]:
    """All words whose cue names the concept."""
    return [word for cue in cues() if cue.concept == concept for word in cue.words]


class CueMatcher:
    """Finds the words of some effects in lower-case text, in one pass."""

    def __init__(self, *effects: str) -> None:
        """``effects`` in order of precedence, should one word have two of them."""
        self.effects: dict[str, str] = {}
        for effect in effects:
            for word in words_of(effect):
                self.effects.setdefault(word, effect)
        self._many_spaces = re.compile(" {2,}")

    # Each of these takes a while to build, and most matchers are asked in one way only.

    @cached_property
    def _inside(self) -> re.Pattern[str]:
        # A set as the first thing in the pattern lets the search skip from word start to word start
        # (of all white space, a folded text holds the blank only).
        return re.compile(r"[ \t\n\r(\[,;:/\-.\"'](" + phrase_pattern(self.effects) + ")")

    @cached_property
    def _here(self) -> re.Pattern[str]:
        return re.compile(phrase_pattern(self.effects))

    @cached_property
    def _stems(self) -> tuple[str, ...]:
        return _stems(self.effects)

    def find(self, lower: str) -> list[tuple[int, int, str]]:
        """(start, end, effect) of every cue, none inside another."""
        effects = self.effects
        found = []
        for match in self._inside.finditer(" " + lower):
            phrase = match[1]
            end = match.end() - 1
            found.append((end - len(phrase), end, effects.get(phrase) or self.effect(phrase)))
        return found

    def may_find(self, lower: str) -> bool:
        """False only where no cue stands in any part of the text: a cheap question before many searches."""
        for stem in self._stems:  # noqa: SIM110 - asked often: a generator would cost more than the loop
            if stem in lower:
                return True
        return False

    def at(self, lower: str, start: int, end: int) -> tuple[int, str] | None:
        """(end, effect) of the longest cue that begins at ``start``, or None."""
        match = self._here.match(lower, start, end)
        if match is None:
            return None
        phrase = match[0]
        return start + len(phrase), self.effects.get(phrase) or self.effect(phrase)

    def covers(self, lower: str) -> bool:
        """Whether the whole text is one cue, however it is spaced."""
        if "  " in lower:
            lower = self._many_spaces.sub(" ", lower)
        return lower in self.effects

    def effect(self, phrase: str) -> str:
        """The effect of a phrase that was matched, however it is spaced."""
        known = self.effects.get(phrase)
        return known if known is not None else self.effects[" ".join(phrase.split())]


def _stems(phrases: Iterable[str]) -> tuple[str, ...]:
    """A few words of which at least one stands in each of the phrases, found greedily."""
    left = set(phrases)
    stems: list[str] = []
    while left:
        words = {word for phrase in left for word in phrase.split()}
        best = max(sorted(words), key=lambda word: (sum(word in phrase for phrase in left), len(word)))
        stems.append(best)
        left = {phrase for phrase in left if best not in phrase}
    return tuple(stems)


def run_pattern(effects: Collection[str], telling: Collection[str]) -> re.Pattern[str]:
    """A run of cues of the ``effects`` and of the signs between them, up to the first cue that may have an
    effect that is ``telling``: the one group takes part in the match where there is such a cue."""
    stop = phrase_pattern(words_of(*telling))
    body = phrase_pattern(words_of(*(effect for effect in effects if effect not in telling)))
    signs = "[" + re.escape(BETWEEN) + "]*"
    return re.compile(f"(?:{signs}(?!{stop}){body})*{signs}({stop})?")


@cache
def matcher(*effects: str) -> CueMatcher:
    """The matcher for these effects, built once."""
    return CueMatcher(*effects)


@cache
def slugs() -> dict[str, str]:
    """Phrase to concept slug, for the facts that other rooms know by name."""
    return {word: cue.concept for cue in cues() for word in cue.words if cue.concept}
