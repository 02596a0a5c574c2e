"""Write a criterion with marks, get its drafts; write an expression as one short line.

``{...}`` marks a concept, ``<<...>>`` a value: "{ALT} and {AST} <<≤ 3 x ULN>>". A value takes every
concept marked since the last value, or the last concept if there is none. ``<<~...>>`` is a
value whose comparator a site destroyed.
"""

from __future__ import annotations

import re

from nlp.draft import Draft
from nlp.expressions import express
from nlp.model import All, AnyOf, Expression, Fact, If, Leaf, Not, Section

_MARK = re.compile(r"\{([^}]*)\}|<<(~?)(.*?)>>")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SIGNS = {"≥": ">=", "≤": "<=", ">": ">", "<": "<", "=": "="}


def drafts_of(marked: str) -> tuple[str, list[Draft]]:
    """The text without marks, and a draft for each concept of each value."""
    text = ""
    drafts: list[Draft] = []
    concepts: list[tuple[int, int]] = []
    fresh = False
    last = 0
    for match in _MARK.finditer(marked):
        text += marked[last : match.start()]
        last = match.end()
        start = len(text)
        if match.group(1) is not None:
            text += match.group(1)
            concepts = [*(concepts if fresh else []), (start, len(text))]
            fresh = True
            continue
        text += match.group(3)
        for span in concepts or [(-1, -1)]:
            drafts.append(_draft(text, start, span, bool(match.group(2))))
        fresh = False
    return text + marked[last:], drafts


def _draft(text: str, start: int, concept: tuple[int, int], lost: bool) -> Draft:
    value = text[start:]
    name = text[concept[0] : concept[1]].lower() if concept[0] >= 0 else None
    draft = Draft(start, len(text), "=", concept=name, concept_start=concept[0], concept_end=concept[1])
    if lost:
        draft.flags.append("lost_comparator")
    numbers = [float(number) for number in _NUMBER.findall(value)]
    lowered = value.lower()
    if lowered.startswith(("within", "in the past", "for the past", "during the")):
        draft.comparator, draft.entity_type, draft.kind, draft.concept = (
            "within",
            "Temporal",
            "temporal",
            None,
        )
        return draft
    for word in ("positive_or_negative", "positive or negative", "positive", "negative", "detectable"):
        if word in lowered:
            draft.comparator, draft.kind = word.replace(" ", "_"), "qualitative"
            return draft
    signs = [_SIGNS[sign] for sign in value if sign in _SIGNS]
    if len(numbers) == 2 and (len(signs) == 2 or not signs):
        draft.comparator, (draft.low, draft.high) = "range", numbers
    elif signs and numbers:
        draft.comparator = signs[0]
        if signs[0] in (">", ">=", "="):
            draft.low, draft.low_inclusive = numbers[0], signs[0] != ">"
        if signs[0] in ("<", "<=", "="):
            draft.high, draft.high_inclusive = numbers[0], signs[0] != "<"
    if "uln" in lowered:
        draft.relative_to = "ULN"
    if name and name.startswith("age"):
        draft.entity_type, draft.unit = "Age", "a"
    return draft


def show(expression: Expression, text: str, drafts: list[Draft]) -> str:
    """``&`` all, ``|`` any, ``!`` not, ``if ? then : else``, ``[leaf]``, ``'fact'``, ``??unread``."""
    match expression:
        case All(()):
            return "yes"
        case AnyOf(()):
            return "no"
        case All(parts):
            return "(" + " & ".join(show(part, text, drafts) for part in parts) + ")"
        case AnyOf(parts):
            return "(" + " | ".join(show(part, text, drafts) for part in parts) + ")"
        case Not(part):
            return "!" + show(part, text, drafts)
        case If(condition, then, otherwise):
            return (
                "("
                + " ".join(
                    (
                        show(condition, text, drafts),
                        "?",
                        show(then, text, drafts),
                        ":",
                        show(otherwise, text, drafts),
                    )
                )
                + ")"
            )
        case Leaf(item):
            draft = drafts[int(item)]
            concept = (
                text[draft.concept_start : draft.concept_end]
                if draft.comparator != "within" and draft.concept_start >= 0
                else ""
            )
            return "[" + f"{concept} {text[draft.value_start : draft.value_end]}".strip() + "]"
        case Fact(words, (start, end), concept):
            assert set(words.split()) <= set(text[start:end].split())
            return f"'{words}'" + (f"={concept}" if concept else "")
    return "??" + text[expression.span[0] : expression.span[1]]


def read(marked: str, section: Section = "inclusion", logic: str | None = None) -> str:
    """The expression of a marked criterion as one short line, without the outermost brackets."""
    text, drafts = drafts_of(marked)
    return show(express(text, drafts, section, logic=logic).expression, text, drafts)
