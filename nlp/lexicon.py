"""The words of the trade: comparators, ranges, number words, cues; and the templates over them.

``nlp/data/lexicon.jsonl`` holds a row a meaning, ``nlp/data/rules.jsonl`` a row a template. Both are
checked when loaded. A spaCy PhraseMatcher finds the words and the concepts' names in one pass; what
it finds becomes a row of one-letter codes (:data:`CODES`), over which the templates are regular
expressions: numbers first, then their comparator and unit, and only then the concept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlp.errors import VocabularyError

DATA = Path(__file__).parent / "data"

CODES = {
    "comparator": "c",
    "comparator_after": "p",
    "number": "0",
    "between": "b",
    "from": "g",
    "range": "r",
    "and": "&",
    "or": "|",
    "negation": "n",
    "filler": "f",
    "verb": "v",
    "scale": "s",
    "name": "m",
    "inclusive": "i",
    "limit": "L",
    "result": "q",
    "window": "t",
    "age": "a",
    "person": "h",
    "stop": "x",
}
"""Label of a lexicon row -> its code. Others: ``u`` unit, ``k`` concept, ``w`` word, ``,`` comma,
``.`` end of a sentence or clause, ``:`` colon, ``(`` ``)`` brackets."""


@dataclass(frozen=True, slots=True)
class Word:
    """One meaning: its label, and what it stands for (an operator, a number, a result)."""

    id: str
    label: str
    code: str
    value: Any
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """One template: the codes it can begin with, a regular expression over codes, the builder that
    reads what matches, its examples."""

    id: str
    begins: str
    pattern: re.Pattern[str]
    source: str
    builder: str
    says: str
    examples: tuple[tuple[str, Any], ...]


def _rows(name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with (DATA / name).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except json.JSONDecodeError as error:
                    raise VocabularyError(f"{name}, line {number}: not JSON: {error.msg}") from None


def load_words() -> tuple[Word, ...]:
    """All rows of lexicon.jsonl. Raises VocabularyError for an unknown key or label, a duplicate id,
    or one word that has two meanings."""
    words: list[Word] = []
    ids: set[str] = set()
    seen: dict[str, str] = {}
    for number, row in _rows("lexicon.jsonl"):
        where = f"lexicon.jsonl, line {number}"
        unknown = set(row) - {"id", "label", "value", "words", "note"}
        if unknown:
            raise VocabularyError(f"{where}: unknown key {sorted(unknown)[0]!r}")
        if row["label"] not in CODES:
            raise VocabularyError(f"{where}: label {row['label']!r} is none of {sorted(CODES)}")
        if row["id"] in ids:
            raise VocabularyError(f"{where}: id {row['id']!r} stands twice")
        ids.add(row["id"])
        for word in row["words"]:
            key = " ".join(word.lower().split())
            if key in seen:
                raise VocabularyError(f"{where}: {word!r} is also a word of {seen[key]!r}")
            seen[key] = row["id"]
        words.append(Word(row["id"], row["label"], CODES[row["label"]], row["value"], tuple(row["words"])))
    return tuple(words)


def load_rules() -> tuple[Rule, ...]:
    """All rows of rules.jsonl, in their order of precedence. Raises VocabularyError as above, and for
    a pattern that is no regular expression or a rule without examples."""
    rules: list[Rule] = []
    for number, row in _rows("rules.jsonl"):
        where = f"rules.jsonl, line {number}"
        unknown = set(row) - {"id", "begins", "pattern", "builder", "says", "examples"}
        if unknown:
            raise VocabularyError(f"{where}: unknown key {sorted(unknown)[0]!r}")
        if not row.get("examples"):
            raise VocabularyError(f"{where}: rule {row['id']!r} has no example")
        try:
            pattern = re.compile(row["pattern"])
        except re.error as error:
            raise VocabularyError(f"{where}: pattern {row['pattern']!r}: {error}") from None
        rules.append(
            Rule(
                row["id"],
                row["begins"],
                pattern,
                row["pattern"],
                row["builder"],
                row["says"],
                tuple((text, reads) for text, reads in row["examples"]),
            )
        )
    return tuple(rules)
