"""From mentions to thresholds: what each value bounds, of which type, and what it is worth.

The order is: numbers first (:mod:`nlp.values`), then the type (an age, a time, a count, a dose, a
measurement), and only then the link to a concept, which the type and the unit may veto.
"""

from __future__ import annotations

import re

from nlp.ages import AgeReading
from nlp.counts import CountReading
from nlp.draft import Draft
from nlp.lexemes import Lexemes
from nlp.lexicon import Rule
from nlp.linking import Link
from nlp.reading import LISTED
from nlp.times import TimeReading
from nlp.value import TIME_UNITS, Value
from nlp.values import by_first_code, read
from nlp.vocab import Vocabulary

_OF_LIST = re.compile(
    r"\s*(?:or more\s+)?of\s+((?:the\s+)?(?:following|these|this|those|below|above|criteria|conditions?\b)|(?=an?\s))",
    re.I,
)


_OF_TEST = re.compile(r"\s*\(?(?:for|of|in)\s", re.I)
_BY = re.compile(r"\b(?:by|using|via)\s+$", re.I)
_ON_SCALE = re.compile(r"\s*(?:on|by|using)\s", re.I)
_SCALE = re.compile(
    r"\b(?:scales?|scores?|index|questionnaire|inventory|assessment|classification|checklist|survey|VAS|NRS)\b",
    re.I,
)


class ThresholdReader:
    """Reads the thresholds of one folded criterion after another."""

    def __init__(self, vocabulary: Vocabulary, rules: tuple[Rule, ...]) -> None:
        self.vocabulary = vocabulary
        self.rules = by_first_code(rules)

    def read(self, lexemes: Lexemes) -> list[Draft]:
        """The drafts of one text in its order. Time is linear in the number of its lexemes."""
        values = read(lexemes, self.rules)
        if not values:
            return []
        return _Reading(self.vocabulary, lexemes, values).drafts()


class _Reading(AgeReading, TimeReading, CountReading):
    """One text: each of its values in turn."""

    def drafts(self) -> list[Draft]:
        floor = 0
        clause = 0
        values = self.values
        for index, value in enumerate(values):
            stop = self.codes.rfind(".", clause, value.first)
            if stop >= 0:
                clause = stop + 1
                self.before = None
            following = values[index + 1].first if index + 1 < len(values) else len(self.codes)
            end = self.codes.find(".", value.last, following)
            ceiling = end if end >= 0 else following
            if self._one(value, max(floor, clause), ceiling):
                # a name behind its value is used up: the next value looks behind it
                used = max((link.lexeme for link in (self.before or (None, []))[1]), default=-1)
                floor = max(value.last, used + 1 if used >= value.last else 0)
        return self.out

    def _one(self, value: Value, floor: int, ceiling: int) -> bool:
        if value.explicit and self._restates(value):
            return True
        if value.pressure is not None:
            return self._pressure(value, floor, ceiling)
        if self._is_age(value, floor):
            return self._age(value, floor)
        if value.windowed or value.ucum in TIME_UNITS:
            link = self._timed_measurement(value, floor)
            if link is None:
                return self._temporal(value, floor, ceiling)
            return self._emit(value, [link])
        return self._measurement(value, floor, ceiling)

    def _pressure(self, value: Value, floor: int, ceiling: int) -> bool:
        concept = "sbp" if value.pressure == "systolic" else "dbp"
        if concept not in self.vocabulary.concepts:
            return False
        if value.pressure == "diastolic" and self.before is not None:
            links = [Link(concept, link.start, link.end) for link in self.before[1]]
        else:
            found = self.linker.left(value, floor) or self.linker.right(value, ceiling)
            if found is None and value.ucum != "mm[Hg]":
                return False
            links = [Link(concept, found.start, found.end) if found else Link(concept, -1, -1)]
        return self._emit(value, links)

    def _measurement(self, value: Value, floor: int, ceiling: int) -> bool:
        if value.rule == "chained":
            link = self._inside(value)
            return link is not None and self._emit(value, [link])
        tail = self.text[value.end : value.end + 40]
        listed = _OF_LIST.match(tail) if value.unit is None and value.values is None else None
        if listed is not None:
            start, end = listed.span(
                1
            )  # empty where the list itself follows: "at least one of a rash or ..."
            listing = Link(None, value.end + start, value.end + end) if start < end else Link(None, -1, -1)
            return self._emit(value, [listing], LISTED)
        link = self.linker.left(value, floor)
        if not value.explicit:
            return self._bare(value, link, floor, ceiling)
        known = self.vocabulary.concepts.get(link.concept or "") if link is not None else None
        if value.values and known is not None and known.kind == "qualitative":
            return False  # "HIV 1/2": the types of a virus
        if link is None or (link.concept is None and link.lexeme < 0):
            counted = self._counted(value, link, ceiling)
            if counted is not None:
                return self._emit(value, [counted], "Count")
        if link is None or link.concept is None:
            link = (
                self._scored(value, link, floor)
                or self.linker.beyond(value, floor)
                or self._other_side(value, link, ceiling)
            )
        if link is not None and link.concept is None and self._method(link):
            again = self._inherited_past(value, link)
            if again is not None:
                return self._emit(value, again)
        special = self._special_limit(value, link)
        if special is not None:
            return self._emit(value, special)
        if link is None:
            inherited = self._inherited(value)
            if inherited is not None:
                return self._emit(value, inherited)
            link = self._used_name(value) or self._of_person(value) or self.linker.right(value, ceiling)
        if link is None:
            link = Link(None, -1, -1)
        if link.concept is None and self._how_often(value, link):
            return self._emit(value, [link], "Count")
        beside = self.linker.coordinated(value, link, floor) or self.linker.coordinated_right(value, link)
        return self._emit(value, [*beside, link])

    def _method(self, link: Link) -> bool:
        """Whether the words say by which method the value before was measured: "by flow cytometry"."""
        return _BY.search(self.text, max(0, link.start - 8), link.start) is not None

    def _inherited_past(self, value: Value, link: Link) -> list[Link] | None:
        """The names of the value before, whose method stands between: "> 15 % of the cells by
        immunohistochemistry or > 30 % by flow cytometry"."""
        if self.before is None or self.before[2] or value.unit is None:
            return None
        before = self.before[0]
        if (before.ucum, before.relative) != (value.ucum, value.relative) or before.end > link.start:
            return None
        if not any(joint in self.codes[before.last : value.first] for joint in "|&,"):
            return None
        return self.before[1]

    def _used_name(self, value: Value) -> Link | None:
        """The name that the count or the time before took, where this value is measured in its unit: "no
        more than one viral load >= 50 copies/mL", "past-month alcohol use (> 7 drinks/week)"."""
        if self.before is None or self.before[2] not in ("Count", "Temporal"):
            return None
        return self.linker.beyond(value, self.before[0].last)

    def _of_person(self, value: Value) -> Link | None:
        """ "Male >= 50 kg": a mass beside a person is the person's weight."""
        at = self.codes.rfind("h", max(0, value.first - 3), value.first)
        if at < 0 or value.ucum not in ("kg", "[lb_av]") or "weight" not in self.vocabulary.concepts:
            return None
        return Link("weight", self.lexemes.starts[at], self.lexemes.ends[at])

    def _special_limit(self, value: Value, link: Link | None) -> list[Link] | None:
        """A multiple of the ULN beside words that name no test ("Gilbert syndrome: <= 5 x ULN") is the
        limit of the test before it under another condition."""
        if value.relative not in ("ULN", "LLN") or (link is not None and link.concept is not None):
            return None
        if self.limited is None or self.limited[0].relative != value.relative:
            return None
        between = self.codes[self.limited[0].last : value.first]
        if "k" in between or len(between) > 14 or not between or between[0] not in "(|,.&fxu":
            return None
        return self.limited[1]

    def _other_side(self, value: Value, link: Link | None, ceiling: int) -> Link | None:
        """What follows the value, where that names what it bounds better than what precedes it."""
        tail = self.text[value.end : value.end + 4]
        follows = self.codes[value.last : value.last + 1]
        beside_name = self.codes[value.first - 1 : value.first] in ("w", "k") and not self.lexemes.word(
            value.first - 1
        ).endswith(("ing", "to"))
        share = value.ucum == "%" and tail.startswith(" of ") and not (link is not None and beside_name)
        graded = "s" in self.codes[max(0, value.first - 1) : value.last] and follows in ("w", "k")
        before = self.codes[value.first - 1 : value.first]
        beside = before == "v" and follows in ("w", "k") and value.unit is not None
        beside = beside or graded
        named = self._named_behind(value, link, ceiling)
        if named is not None:
            return named
        if not (share or beside or self._value_first(value)):
            return link
        other = self.linker.right(value, ceiling)
        if other is None:
            return link
        return other if other.concept is not None or share or beside else link

    def _named_behind(self, value: Value, link: Link | None, ceiling: int) -> Link | None:
        """The test or scale that the words behind the value name: "> 3 x ULN for AST", "10 % body
        surface area", "a score of 3 or 4 on the pain rating scale"."""
        follows = self.codes[value.last : value.last + 1]
        if follows not in ("f", "k"):
            return None
        tail = self.text[value.end : value.end + 30]
        other = self.linker.right(value, ceiling)
        if other is None:
            return None
        if other.concept is not None and (
            (follows == "k" and value.ucum == "%") or (value.ucum != "%" and _OF_TEST.match(tail))
        ):
            return other if self.linker.measured_in(other.concept, value) else None
        touching = self.codes[value.first - 1 : value.first] in ("w", "k")
        named = link is not None and (touching or _SCALE.search(self.text, link.start, link.end))
        unitless = value.unit is None or value.ucum in ("{score}", "{points}")
        if (
            not named
            and unitless
            and _ON_SCALE.match(tail)
            and _SCALE.search(self.text, other.start, other.end)
        ):
            return other
        return None

    def _scored(self, value: Value, link: Link | None, floor: int) -> Link | None:
        """A number without a unit that opens a bracket belongs to a score named further left:
        "AUDIT score indicative of dependence (>= 13 for women)"."""
        if value.unit is not None or self.codes[value.first - 1 : value.first] not in ("(", "s", "f"):
            return None
        at = value.first - 1
        while at >= floor and value.first - at < 4 * 8 and self.codes[at] != ".":
            if self.codes[at] == "k":
                concept = self.linker.fits(at, value)
                facts = self.vocabulary.concepts.get(concept or "")
                if concept and facts and (facts.unit or "").startswith("{"):
                    return Link(concept, self.lexemes.starts[at], self.lexemes.ends[at], at)
                return None
            at -= 1
        return None

    def _inside(self, value: Value) -> Link | None:
        first, last = value.named or (value.first, value.last)
        for at in range(first, last):
            if self.codes[at] == "k":
                concept = self.linker.fits(at, value)
                if concept is not None:
                    return Link(concept, self.lexemes.starts[at], self.lexemes.ends[at], at)
        words = [at for at in range(first, last) if self.codes[at] in "kwsa"]
        if not words:
            return None
        return Link(None, self.lexemes.starts[words[0]], self.lexemes.ends[words[-1]])
