"""What a trial tests: product, target, modality, type, read from registry fields and title.

The rules are data (``data/topics.jsonl``); this module is their only reader. A line is one of::

    {"kind": "modality", "value": "CAR-T", "patterns": ["car[- ]?t\\b", ...], "implies": ["cell therapy"]}
    {"kind": "target",   "value": "CD19",  "patterns": ["cd[- ]?19\\b", ...]}
    {"kind": "product",  "value": "rituximab", "patterns": [...], "target": ["CD20"], "modality": ["antibody"]}

Patterns are regular expressions, tried on lower-case text at a word's beginning. Targets and modalities
are read from intervention names, other names, descriptions, arm labels, keywords and titles; products
also are the names of the registry's interventions themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from harvest.model import Trial
from kb.lines import name_key

TESTED_TYPES = frozenset({"DRUG", "BIOLOGICAL", "GENETIC", "COMBINATION_PRODUCT", "DEVICE", "PROCEDURE",
                          "RADIATION", "BEHAVIORAL", "DIETARY_SUPPLEMENT", "DIAGNOSTIC_TEST"})  # fmt: skip

CONDITIONING = ("fludarabine", "cyclophosphamide", "mesna", "tocilizumab", "bendamustine")
"""Given before or after a cell product (lymphodepletion, cytokine release): there, they are not what is
tested, and two trials are not alike for sharing them."""

_READ_OF_DESCRIPTION = 600
"""Characters of an intervention's description that are read: what it is stands at its beginning; further
on come doses, schedules and the drugs given beside it."""

_NOT_TESTED = re.compile(
    r"^(placebo\b|sham\b|saline\b|normal saline\b|standard (of )?(care|treatment|therapy)\b|usual care\b|"
    r"no (intervention|treatment)\b|best supportive care\b|control\b|observation\b)"
)


@dataclass(frozen=True, slots=True)
class Topic:
    """One feature and the words it was read from. ``kind``: product, target, modality or type."""

    kind: str
    value: str
    evidence: str


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: str
    value: str
    patterns: tuple[str, ...]
    pattern: re.Pattern[str]  # any of them, at the start of a word
    needed: tuple[str, ...]  # one of these stands in every text that the pattern matches; (): unknown
    implied: tuple[tuple[str, str], ...]


@lru_cache(maxsize=1)
def _rules() -> tuple[_Rule, ...]:
    rules = []
    for line in (files("kb") / "data" / "topics.jsonl").read_text("utf-8").splitlines():
        if not line.strip():
            continue
        entry = json.loads(line)
        implied = [("modality", value) for value in entry.get("modality", ()) or entry.get("implies", ())]
        implied += [("target", value) for value in entry.get("target", ())]
        pattern = re.compile(r"(?<![a-z0-9])(?:" + "|".join(entry["patterns"]) + ")")
        needed = [_literal(one) for one in entry["patterns"]]
        rules.append(
            _Rule(
                entry["kind"],
                entry["value"],
                tuple(entry["patterns"]),
                pattern,
                tuple(needed) if all(needed) else (),
                tuple(implied),
            )
        )
    return tuple(rules)


_OPTIONAL = re.compile(r"\([^()]*\)[?*]?|\[[^\]]*\](?:\{[^}]*\}|[?*+])?|\\\w|[^\W_][?*]|[^a-z0-9]")


def _literal(pattern: str) -> str:
    """The longest run of letters and digits that any match of a pattern must hold; "" for none.

    Most texts hold none of a rule's runs, and looking for a run is a hundred times quicker than trying
    the pattern.
    """
    if "|" in re.sub(r"\([^()]*\)", "", pattern) or re.search(r"\([^()]*\(", pattern):
        return ""
    return max(_OPTIONAL.sub(" ", pattern).split(), key=len, default="")


def topics_of(trial: Trial) -> tuple[Topic, ...]:
    """The topic features of a trial, each once, sorted."""
    found: dict[tuple[str, str], str] = {}
    for intervention in trial.interventions:
        if intervention.type:
            found.setdefault(("type", intervention.type), intervention.name)
        name = name_key(intervention.name)
        if name and not _NOT_TESTED.match(name):
            found.setdefault(("product", name), intervention.name)
    for mesh in trial.intervention_mesh:
        found.setdefault(("product", name_key(mesh.term)), mesh.term)
    for topic in read_topics("\n".join(_texts(trial))):
        found.setdefault((topic.kind, topic.value), topic.evidence)
    if ("modality", "cell therapy") in found:
        for drug in CONDITIONING:
            found.pop(("product", drug), None)
    return tuple(sorted((Topic(kind, value, words) for (kind, value), words in found.items()), key=_order))


def _order(topic: Topic) -> tuple[str, str]:
    return topic.kind, topic.value


def _texts(trial: Trial) -> Iterator[str]:
    yield trial.title
    if trial.official_title:
        yield trial.official_title
    for intervention in trial.interventions:
        yield intervention.name
        yield from intervention.other_names
        if intervention.description:
            yield intervention.description[:_READ_OF_DESCRIPTION]
    for arm in trial.arms:
        yield arm.label
    yield from trial.keywords


def read_topics(text: str) -> Iterable[Topic]:
    """The products, targets and modalities that a text names (a title, a draft's heading)."""
    folded = text.lower()
    by_start, others = _by_start()
    found: dict[int, re.Match[str]] = {}
    for word in _WORD_START.finditer(folded):
        begins = word[0]
        for start in (begins, begins[:2]) if len(begins) > 2 else (begins,):
            for number, rule in by_start.get(start, ()):
                if number not in found and (match := rule.pattern.match(folded, word.start())):
                    found[number] = match
    for number, rule in others:
        for run in rule.needed:
            if run in folded:
                break
        else:
            if rule.needed:
                continue
        last = rule.pattern.search(folded)
        if last is not None:
            found[number] = last
    rules = _rules()
    for number, match in sorted(found.items()):
        rule = rules[number]
        words = text[match.start() : match.end()]
        yield Topic(rule.kind, rule.value, words)
        for kind, value in rule.implied:
            yield Topic(kind, value, words)


_WORD_START = re.compile(r"(?<![a-z0-9])[a-z0-9]{2,3}")
_Numbered = list[tuple[int, _Rule]]


@lru_cache(maxsize=1)
def _by_start() -> tuple[dict[str, _Numbered], _Numbered]:
    """The rules by the first three (or two) signs of what they match, and those that can begin with anything: most
    words of a text begin no rule."""
    starting: dict[str, _Numbered] = {}
    others: _Numbered = []
    for number, rule in enumerate(_rules()):
        starts = set[str]().union(*map(_starts, rule.patterns))
        if "" in starts:
            others.append((number, rule))
            continue
        for start in sorted(starts):
            starting.setdefault(start, []).append((number, rule))
    return starting, others


_GROUP = re.compile(r"\(\?:([a-z0-9]{2}[a-z0-9 -]*(?:\|[a-z0-9]{2}[a-z0-9 -]*)*)\)(?![?*{])")
_ANTI = "(?:anti-?)?"


def _starts(pattern: str) -> set[str]:
    """The three (or two) signs with which a match of a pattern can begin; "" among them where it does not say so."""
    pattern = pattern.removeprefix(r"\b")
    if "|" in re.sub(r"\([^()]*\)", "", pattern):
        return {""}
    if pattern.startswith(_ANTI):
        return {"ant"} | _starts(pattern.removeprefix(_ANTI))
    group = _GROUP.match(pattern)
    if group is not None:
        return {re.match(r"[a-z0-9]{2,3}", one)[0] for one in group[1].split("|")}  # type: ignore[index]
    sure = re.match(r"([a-z0-9]{3}|[a-z0-9]{2})(?![?*{])", pattern)
    return {"" if sure is None else sure[1]}
