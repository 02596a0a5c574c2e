"""What the readers of one text share: its lexemes, its vocabulary, the value before, and the drafts.

The readers of ages (:mod:`nlp.ages`), times (:mod:`nlp.times`), counts and bare numbers
(:mod:`nlp.counts`) build on it; :mod:`nlp.thresholds` puts them in their order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nlp.draft import Draft
from nlp.lexemes import Lexemes
from nlp.linking import DAILY_MASS, PER_DAY, Link, Linker
from nlp.model import Kind, Window
from nlp.units import UnitMatch
from nlp.value import Value
from nlp.vocab import Vocabulary

_STAGE = re.compile(
    r"\b(?:tumou?r|cancer|carcinoma|AJCC|FIGO|TNM|clinical|pathologic\w*|disease|lymphoma) stages?|^stages?\b",
    re.I,
)
_DOSE_UNITS = re.compile(
    r"(?:m|u|n)?g(?:/(?:kg|m2|kg/d|d|wk|mo|m2/d))?|(?:\[IU\]|\[iU\]|U)(?:/(?:d|kg|kg/d))?|ug/.*|mg/.*"
)
_NOT_DOSES = ("g", "kg", "ng")
_ORDINAL = re.compile(
    r"\b(?:grade|class|stage|ECOG|NYHA|ASA|WHO|performance|Child|category|tier|mRS|Rankin)\b", re.I
)
_NORMAL = re.compile(r"\b(?:normal|reference)\s+(?:range|values?|limits?|interval)s?$", re.I)
_ANCHOR = re.compile(
    r"[\s)]*(prior to|before|preceding|prior|previous to|after|following|post|since|of|from)\s+((?:the )?[A-Za-z][A-Za-z0-9 -]{0,50})",
    re.I,
)

TIME_AFTER = re.compile(
    r"[\s)'’]*(?:prior|before|after|since|from|post|preceding|previous|ago|history|duration|following|of (?:the )?"
    r"(?:screening|enrol|random|study|treatment|follow|start|first|disease|symptom|therapy|registration|inclusion"
    r"|baseline|diagnosis|life)|of (?!age)|until|follow|interval|later|post)",
    re.I,
)
"""What may follow a time that is no age: "prior to", "since", "of treatment"."""


LISTED = "Listed"
"""The type of a number that says how many of a list must hold: a count that the list's logic speaks for."""


class Reading:
    """One text being read. ``before`` is the value last kept, its links and its type."""

    def __init__(self, vocabulary: Vocabulary, lexemes: Lexemes, values: list[Value]) -> None:
        self.vocabulary = vocabulary
        self.lexemes = lexemes
        self.text = lexemes.text
        self.codes = lexemes.codes
        self.values = values
        self.linker = Linker(vocabulary, lexemes)
        self.out: list[Draft] = []
        self.before: tuple[Value, list[Link], str] | None = None
        self.limited: tuple[Value, list[Link]] | None = None

    def _value_first(self, value: Value) -> bool:
        """Whether the value opens its bracket or line: what it bounds then follows it."""
        return value.first == 0 or self.codes[value.first - 1] in "(,.:;"

    def _inherited(self, value: Value, timed: bool = False) -> list[Link] | None:
        """The concept of the value before, where only qualifiers stand between: "<5 or >26"."""
        if self.before is None:
            return None
        start = self.before[0].last
        if timed:  # a name behind the value before belongs to that value
            start = max([start, *(link.lexeme + 1 for link in self.before[1])])
        between = self.codes[start : value.first]
        if len(between) > 8 or "k" in between or "." in between:
            return None
        if not all(code in "&|,:fv()hin-xraw" for code in between) or between.count("w") > 3:
            return None
        links, kind = self.before[1], self.before[2]
        if timed:
            return None if kind == "Age" else [Link(None, link.start, link.end) for link in links[-1:]]
        if kind in ("Age", "Temporal"):
            return None
        if any(
            link.concept and not self.linker.accepts(self.vocabulary.concepts[link.concept], value.ucum)
            for link in links
        ):
            return None
        return links

    def _emit(self, value: Value, links: Sequence[Link], entity_type: str | None = None) -> bool:
        self.before = (value, list(links), entity_type or "")
        if value.relative in ("ULN", "LLN") and links and all(link.concept for link in links):
            self.limited = (value, list(links))
        for link in links:
            draft = Draft(
                value_start=value.start,
                value_end=value.end,
                comparator=value.comparator,
                low=value.low,
                high=value.high,
                low_inclusive=value.low_inclusive,
                high_inclusive=value.high_inclusive,
                values=value.values,
                unit=_unit(value.unit),
                unit_text=value.unit.surface if value.unit else None,
                relative_to=value.relative,
                concept=link.concept,
                concept_start=link.start,
                concept_end=link.end,
                rule=value.rule,
                flags=list(value.flags),
            )
            self._finish(draft, value, entity_type)
            self.out.append(draft)
        return True

    def _finish(self, draft: Draft, value: Value, entity_type: str | None) -> None:
        concept = self.vocabulary.concepts.get(draft.concept or "")
        named = self.text[draft.concept_start : draft.concept_end] if draft.concept_start >= 0 else ""
        if entity_type is None:
            entity_type = self._type(draft, concept.entity_type if concept else None, named)
        if entity_type == LISTED:
            entity_type, draft.role = "Count", "definition"
        draft.entity_type = entity_type
        draft.kind = _kind(entity_type, concept.kind if concept else None, named, draft)
        if draft.unit in DAILY_MASS and concept and (concept.unit or "").endswith(PER_DAY):
            draft.unit = f"{draft.unit}{PER_DAY}"
            if "24" not in named and "day" not in named.lower():
                draft.flags.append("unit_assumed")
        if entity_type == "Drug dose" and value.unit is not None:
            rate = self.vocabulary.units.rate_after(self.text, value.unit)
            draft.unit = rate[0] if rate is not None else draft.unit
        if self.text[max(0, value.start - 4) : value.start].rstrip().endswith(("+/-", "\u00b1", "+-")):
            draft.role = "definition"  # a tolerance bounds no patient: "matched for age (± 3 years)"
        if draft.concept is None and _NORMAL.search(named):
            draft.role = "definition"  # "(normal range 4-6 %)": what the laboratory calls normal
        if value.equated and draft.kind not in ("ordinal", "count"):
            # sites turn ">=" into "=": a measured quantity is never asked to be one exact number
            draft.flags.append("lost_comparator")
        if entity_type == "Age" and draft.unit is None:
            draft.unit = "a"
        if value.windowed:
            draft.window = self._window(value)
        if draft.concept and concept and entity_type == "Measurement":
            self._plausible(draft)
        if (
            draft.unit == "%"
            and draft.relative_to == "ULN"
            and (draft.low or 100) < 100
            and draft.high is None
        ):
            draft.flags.append("implausible_value")  # "exceeds 20 % of the ULN" surely means by 20 %

    def _type(self, draft: Draft, declared: str | None, named: str) -> str:
        if _STAGE.search(named):
            return "Stage"
        if declared in ("Temporal", "Count", "Stage"):
            return declared
        unit = draft.unit or ""
        if declared == "Drug dose":
            return "Drug dose" if _DOSE_UNITS.fullmatch(unit) and unit not in ("g/L",) else "Measurement"
        if declared is None and unit not in _NOT_DOSES and unit and _DOSE_UNITS.fullmatch(unit):
            return "Drug dose"
        return "Measurement"

    def _plausible(self, draft: Draft) -> None:
        if draft.relative_to or draft.concept is None:
            return
        for number in (draft.low, draft.high):
            if number is not None and self.vocabulary.plausible(draft.concept, number, draft.unit) is False:
                draft.flags.append("implausible_value")
                return

    def _window(self, value: Value) -> Window:
        tail = self.text[value.end : value.end + 80]
        found = _ANCHOR.match(tail)
        direction = "before" if value.windowed == "past" else "within"
        anchor = None
        if found:
            word = found.group(1).lower()
            if word in ("prior to", "before", "preceding", "prior", "previous to"):
                direction = "before"
            elif word in ("after", "following", "post", "since"):
                direction = "after"
            anchor = found.group(2).strip(" ,.;)") or None
        return Window(value.high, value.ucum, direction, anchor)


def _unit(unit: UnitMatch | None) -> str | None:
    return unit.ucum if unit is not None else None


def _kind(entity_type: str, declared: str | None, named: str, draft: Draft) -> Kind:
    if entity_type == "Temporal":
        return "temporal"
    if entity_type == "Count":
        return "count"
    if entity_type == "Drug dose":
        return "dose"
    graded = draft.unit in ("{grade}", "{class}", "{stage}") or _ORDINAL.search(named) is not None
    if declared == "ordinal" or entity_type == "Stage" or (draft.unit is None and graded):
        return "ordinal"
    return "numeric"
