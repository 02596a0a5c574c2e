"""Which values are ages, and what names them."""

from __future__ import annotations

import re

from nlp.linking import Link
from nlp.reading import TIME_AFTER, Reading
from nlp.value import Value

_AGE_UNITS = ("a", "mo", "wk", "d")
_AGE_SURFACE = re.compile(r"\b(?:old|age|aged|olds|y/o|yo|y\.o)", re.I)
_AGE_COMPARATOR = re.compile(r"\b(?:older|younger|elder|olds?|age)\b", re.I)
_DURATION = re.compile(
    r"durat|histor|interval|experience|since|for\s*$|last|within|period|every|follow|surviv|expectancy|diagnos",
    re.I,
)
_GESTATION = re.compile(r"gestation|pregnan|menstrual|postmenstrual|conception|GA\b", re.I)


_AT_ENTRY = re.compile(
    r"\s*(?:at|on)\s+(?:the\s+)?(?:(?:time|day|date)\s+of\s+)?(?:the\s+|study\s+|first\s+)?"
    r"(?:inclusion|enrol|screening|consent|entry|registration|randomi[sz]ation)",
    re.I,
)
_FINDING = re.compile(
    r"diagnos[ei]s|biops\w+|scans?|imaging|images?|x-?rays?|results?|tests?|reports?|samples?|specimens?|injur\w+"
    r"|fractures?|wounds?|lesions?|records?",
    re.I,
)


class AgeReading(Reading):
    """Reads ages: "18 years or older", "patients 18-65", "under the age of 5"."""

    def _is_age(self, value: Value, floor: int) -> bool:
        unit = value.unit
        if unit is not None and (unit.ucum not in _AGE_UNITS or unit.relative_to):
            return (
                unit.ucum == "h"
                and self.codes[max(floor, value.first - 2) : value.first].rstrip("f")[-1:] == "a"
            )
        if value.windowed or value.comparator == "set":
            return False
        codes = self.codes
        inside = codes[value.first : value.last]
        surface = unit.surface if unit is not None else ""
        said = self.text[value.start : value.end]
        tail = self.text[value.end : value.end + 60]
        if unit is not None and _GESTATION.search(tail[:30]):
            return False
        if "a" in inside or (surface and _AGE_SURFACE.search(surface)):
            return True
        if re.match(r"[\s,(-]*(?:of age|old\b|in age|years of age|y/?o\b)", tail):
            return True
        if unit is not None and value.explicit and (self._whose(value) or self._at_entry(value, tail)):
            return True
        near = self._near_age(value, floor)
        if near is not None:
            return not (unit is None and self._linked_tighter(value, floor, near))
        if unit is not None and _AGE_COMPARATOR.search(said):
            return not self._of_finding(value, floor)
        if (unit is not None and unit.ucum == "a") or (unit is None and self._person_number(value)):
            if unit is None and _AGE_COMPARATOR.search(said):
                return True
            if TIME_AFTER.match(tail):
                return False
            if codes[max(0, value.first - 1) : value.first] == "h" or "h" in inside:
                return True
            left = codes[max(floor, value.first - 3) : value.first].rstrip(
                "fv(:," if unit is not None else "fv(:"
            )
            if left.endswith("h"):
                return True
            if unit is not None and self._age_range(value, floor):
                return True
            if unit is not None and (left == "" or left == "n") and value.first - floor <= 2 and floor == 0:
                return value.explicit or self._ends_here(value)
            if unit is not None and self.lexemes.codes[value.last : value.last + 1] == "h":
                return True
        return unit is None and bool(_AGE_COMPARATOR.search(said))

    def _age_range(self, value: Value, floor: int) -> bool:
        """A range of years as wide as ages go, where no word speaks of a duration."""
        if value.low is None or value.high is None or value.high - value.low < 8 or value.high > 120:
            return False
        start = self.lexemes.starts[max(floor, value.first - 8)] if value.first > floor else value.start
        return not _DURATION.search(self.text[start : value.start])

    def _person_number(self, value: Value) -> bool:
        numbers = [number for number in (value.low, value.high) if number is not None]
        return all(10 <= number <= 99 and number == int(number) for number in numbers) and value.explicit

    def _ends_here(self, value: Value) -> bool:
        return value.last >= len(self.codes) or self.codes[value.last] in ".,)"

    def _near_age(self, value: Value, floor: int) -> int | None:
        """The lexeme of an age word that governs the value from the left, if one does."""
        codes = self.codes
        at = value.first - 1
        steps = 0
        while at >= floor and steps < 9:
            code = codes[at]
            if code == "a":
                return None if self._adjusted(at) else at
            if code == "k" and "age" in self.lexemes.values[at]:
                return at
            if code not in "fhn:(cbgx=&|,w-)irp":
                return None
            if code == "w" and steps > 3:
                return None
            at -= 1
            steps += 1
        if at >= 0 and at < floor and self.before is not None and self.before[2] == "Age":
            between = codes[self.before[0].last : value.first]
            if value.unit is None and "|" not in between:
                return None  # "... up to the age of 50 years and >= 4 for those above"
            if all(code in "&|,fc(hgnbr" for code in between):
                return at
        return None

    def _whose(self, value: Value) -> bool:
        """Whether the bound says for whom another holds, by years alone: "> 50 if < 12 months"."""
        if not value.first or value.ucum not in ("a", "mo"):
            return False
        if self.lexemes.word(value.first - 1).lower() not in ("if", "when"):
            return False
        follows = self.codes[value.last : value.last + 1]
        return follows == "" or follows in ".,)&|"

    def _at_entry(self, value: Value, tail: str) -> bool:
        """Years at the time of inclusion that no noun before them claims: "and < 21 years at inclusion"."""
        before = self.codes[value.first - 1 : value.first] if value.first else ""
        return value.ucum == "a" and before not in ("w", "k", "m", "t") and bool(_AT_ENTRY.match(tail))

    def _of_finding(self, value: Value, floor: int) -> bool:
        """Whether a finding is what is old: "the diagnosis is older than 12 months"."""
        near = [self.lexemes.word(at).lower() for at in range(max(floor, value.first - 3), value.first)]
        return any(_FINDING.fullmatch(word) for word in near)

    def _adjusted(self, at: int) -> bool:
        """Whether the age word says what a score is corrected for: "comorbidity index adjusted to age"."""
        near = [self.lexemes.word(k).lower() for k in range(max(0, at - 2), at)]
        return any(word.startswith(("adjust", "correct", "standardi", "normali")) for word in near)

    def _linked_tighter(self, value: Value, floor: int, near: int) -> bool:
        """Whether a concept or a noun stands between the age word and a number without a unit."""
        between = self.codes[near + 1 : value.first]
        return "k" in between or between.count("w") > 2

    def _age(self, value: Value, floor: int) -> bool:
        if (
            self.before is not None
            and self.before[2] == "Age"
            and (not value.explicit or (value.low, value.high) == (self.before[0].low, self.before[0].high))
        ):
            between = self.text[self.before[0].end : value.start]
            if len(between) < 40 and "includ" in between.lower():
                return True  # "14-70 years old (including 14, 70 years old)": the bounds again
        codes = self.codes
        at = self._near_age(value, floor)
        if at is not None and at >= floor and at < value.first:
            link = Link("age", self.lexemes.starts[at], self.lexemes.ends[at], at)
        else:
            link = self._age_words(value, floor)
        if value.unit is None:
            value.flags.append("unit_assumed")
        if not value.explicit:
            value.flags.append("lost_comparator")
        end = value.last
        if end < len(codes) and codes[end] == "a":
            value.end = self.lexemes.ends[end]
        return self._emit(value, [link], "Age")

    def _age_words(self, value: Value, floor: int) -> Link:
        """Where no age word stands to the left: one inside or behind the value, else the person."""
        codes = self.codes
        for at in range(value.first, min(value.last + 3, len(codes))):
            if codes[at] == "a":
                return Link("age", self.lexemes.starts[at], self.lexemes.ends[at], at)
        for at in range(value.first, value.last):
            if codes[at] == "u":
                return Link("age", self.lexemes.starts[at], self.lexemes.ends[at], at)
        for at in range(value.first - 1, max(floor, value.first - 4) - 1, -1):
            if codes[at] == "h":
                return Link("age", self.lexemes.starts[at], self.lexemes.ends[at], at)
        return Link("age", value.start, value.end)
