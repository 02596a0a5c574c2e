"""Numbers without a comparator or without a unit: counts, bare values, bounds said twice."""

from __future__ import annotations

import re

from nlp.linking import Link
from nlp.reading import LISTED, Reading
from nlp.value import TIME_UNITS, Value, bounded

_OCCASIONS = re.compile(
    r"\s+(?:(?:separate|different|consecutive|distinct|further)\s+)?(?:occasions?|visits|readings|measurements)\b",
    re.I,
)
_PART_OF = re.compile(r"\s*(?:\(?or more\)?\s*)?\)?\s*of\b", re.I)


class CountReading(Reading):
    """Reads counts ("at least 5 attacks"), bare numbers ("SpO2 94 %") and restated bounds."""

    def _bare(self, value: Value, link: Link | None, floor: int, ceiling: int) -> bool:
        """A number without a comparator is kept beside a known concept only, and flagged."""
        if value.comparator != "set":
            value.flags.append("lost_comparator")
        if self._restates(value):
            return True
        if value.low == 0 and self.codes[value.last : value.last + 2] == "r0":
            return False  # "NRS 0-10": the extent of the scale
        if self._occasions(value):
            found = self.before[1][-1] if self.before is not None else Link(None, -1, -1)
            return self._emit(value, [Link(None, found.start, found.end)], LISTED)
        again = self._count_again(value, ceiling)
        if again is not None:
            return self._emit(value, [again], "Count")
        if value.unit is None and value.low is not None and 1900 <= value.low <= 2100:
            return False
        if value.unit is not None and (link is None or link.concept is None):
            inherited = self._same_again(value)
            if inherited is not None:
                return self._emit(value, inherited)
        if link is None and value.unit is not None:
            first = self._value_first(value) or value.relative == "ULN"
            link = self.linker.right(value, ceiling) if first else None
            if link is None or link.concept is None or link.lexeme > value.last + 2:
                return self._own_name(value, ceiling)
            return self._emit(value, [link, *self.linker.coordinated_right(value, link)])
        if link is None or not self._touches(value, link, floor):
            return self._own_name(value, ceiling)
        concept = self.vocabulary.concepts.get(link.concept or "")
        if concept is not None and self._names(value, concept.kind):
            return False
        if concept is None:
            return self._score_says(value) and self._emit(value, [link])
        if concept.kind == "ordinal" and "." in self.lexemes.word(value.first):
            return False  # "CTCAE 5.0" is a version
        following = self.codes[value.last : value.last + 1]
        if value.unit is None and (
            concept.kind in ("qualitative", "dose") or following in ("w", "k", "h", "/")
        ):
            return False
        return self._emit(value, [*self.linker.coordinated(value, link, floor), link])

    def _names(self, value: Value, kind: str) -> bool:
        """Whether the number is a part of the name: "APACHE IV", the gene "ESR1", "anti-HIV 1/2"."""
        if kind == "ordinal" or value.unit is not None:
            return False
        first = self.lexemes.starts[value.first]
        roman = self.text[first].isalpha()
        return roman or kind == "qualitative" or (first > 0 and self.text[first - 1].isupper())

    def _own_name(self, value: Value, ceiling: int) -> bool:
        """A known concept that stands right behind its number: "or 94 % oxygen saturation on oxygen"."""
        if value.unit is None or self.codes[value.last : value.last + 1] != "k":
            return False
        if (value.ucum or "").startswith("{"):
            return False  # "a 10-point pain scale"
        link = self.linker.right(value, ceiling)
        if link is None or link.concept is None or link.lexeme != value.last:
            return False
        return self.linker.measured_in(link.concept, value) and self._emit(value, [link])

    def _restates(self, value: Value) -> bool:
        """The bound before said again in another unit, "221 umol/L (2.5 mg/dL)": one item for both."""
        if self.before is None or not self.out or value.unit is None:
            return False
        last = self.before[0]
        if value.explicit and (
            value.comparator != last.comparator or self.codes[value.first - 1 : value.first] != "("
        ):
            return False
        between = self.codes[last.last : value.first]
        if between not in ("(", "|", "(|", "|(", ",", "(=", "(f", "(c", "r", "/") or last.unit is None:
            return False
        if (
            value.ucum == last.ucum
            or value.relative
            or last.relative
            or value.ucum is None
            or last.ucum is None
        ):
            return False
        number = last.high if last.high is not None else last.low
        again = value.high if value.high is not None else value.low
        wide = last.low is not None and last.high is not None and last.low != last.high
        if number is None or again is None or (wide and not value.explicit):
            return False
        units = self.vocabulary.units
        same = [units.convert(number, last.ucum, value.ucum, link.concept) for link in self.before[1]]
        known = [converted for converted in same if converted is not None]
        if known and not any(0.8 <= again / converted <= 1.25 for converted in known if converted):
            return False
        if not known and between[0] != "(":
            return False
        if not known and (value.ucum in TIME_UNITS or "/" not in value.ucum or "/" not in last.ucum):
            return False
        for draft in self.out[-len(self.before[1]) :]:
            draft.value_end = max(draft.value_end, value.end)
            if "restated_unit" not in draft.flags:
                draft.flags.append("restated_unit")
        last.last = value.last
        return True

    def _touches(self, value: Value, link: Link, floor: int) -> bool:
        """Whether only brackets and fillers stand between the name and its bare number."""
        at = value.first - 1
        words = 0
        while at > floor and (link.lexeme < 0 or at > link.lexeme):
            code = self.codes[at]
            if code == ")":
                opened = self.linker.opening(at, floor)
                if opened is None:
                    return False
                at = opened - 1
                continue
            if link.lexeme < 0:
                return code in "wskf"
            words += code == "w"
            if code not in "fv:(=sw" or words > 2:
                return False
            at -= 1
        return True

    def _score_says(self, value: Value) -> bool:
        """A bare number belongs to an unknown name only where that calls itself a score."""
        near = [self.lexemes.word(at).lower() for at in range(max(0, value.first - 2), value.first)]
        return value.unit is None and any(word.rstrip(" of").endswith("score") for word in near)

    def _same_again(self, value: Value) -> list[Link] | None:
        """The next value of a row in the same unit: "38.0 C oral, or 38.3 C rectal", ">= 12 g/dL for men
        and 11 g/dL for women". The comparator written before the first holds for the row."""
        if self.before is None or self.before[2]:
            return None
        first = self.before[0]
        if (first.ucum, first.relative) != (value.ucum, value.relative) or value.comparator != "=":
            return None
        if self.codes[value.last : value.last + 1] in ("c", "k"):
            return None  # a name of its own follows: "or 80 mmHg = DBP"
        between = self.codes[first.last : value.first]
        bracketed = between == "(" and value.relative is not None
        if not bracketed and (
            len(between) > 7 or between[-1:] not in ("&", "|", ",") or not set(between) <= set("&|,wfh()")
        ):
            return None
        if first.explicit and first.comparator in (">", ">=", "<", "<="):
            bounded(value, first.comparator, value.low or 0.0)
            value.flags.remove("lost_comparator")
        return self.before[1]

    def _occasions(self, value: Value) -> bool:
        """Whether the number says how often a measurement is repeated: "on two occasions"."""
        if self.before is None or self.before[2] not in ("", "Measurement") or value.values:
            return False
        if self.lexemes.word(value.first - 1).lower() not in ("on", "at", "in"):
            return False
        return _OCCASIONS.match(self.text, self.lexemes.ends[value.first]) is not None

    def _count_again(self, value: Value, ceiling: int) -> Link | None:
        """The next count of a row, whose comparator stands before the first: "at least 1 BILAG A or 2
        BILAG B" """
        if self.before is None or self.before[2] != "Count" or value.unit is not None or value.values:
            return None
        first = self.before[0]
        between = self.codes[first.last : value.first]
        if not first.explicit or first.comparator not in (">", ">=", "<", "<=") or len(between) > 6:
            return None
        if between[-1:] not in ("|", "&") or self.codes[value.last : value.last + 1] not in ("w", "k"):
            return None
        right = self.linker.right(value, ceiling)
        counted = self.text[self.before[1][-1].start : self.before[1][-1].end].lower().split()
        if right is None or not set(counted) & set(self.text[right.start : right.end].lower().split()):
            return None
        bounded(value, first.comparator, value.low or 0.0)
        value.flags.remove("lost_comparator")
        return Link(self._countable(right), right.start, right.end, right.lexeme)

    def _counted(self, value: Value, link: Link | None, ceiling: int) -> Link | None:
        """What a count counts: "at least 5 attacks of migraine", "two or more prior lines"."""
        if value.unit is not None and not (value.ucum or "").startswith("{"):
            return None
        if value.unit is not None and (
            "/" in (value.ucum or "") or value.ucum in ("{titer}", "{percentile}")
        ):
            return None
        if "s" in self.codes[max(0, value.first - 1) : value.last]:
            return None  # "grade 2 bleeding" is a grade, not a count
        spelled = any(
            self.codes[at] == "0" and self.lexemes.word(at)[0].isalpha()
            for at in range(value.first, value.last)
        )
        numbers = [number for number in (value.low, value.high) if number is not None]
        if not numbers or any(number != int(number) for number in numbers) or value.comparator == "set":
            return None
        codes = self.codes
        at = value.last
        while at < ceiling and codes[at] in "f":
            at += 1
        if value.unit is not None:
            surface = value.unit
            if surface.ucum in ("{score}", "{points}", "{grade}"):
                return None
            end = surface.end
            if self.text[end : end + 4] == " of ":  # "attacks of migraine"
                named = self.linker.right(value, ceiling)
                end = max(end, named.end) if named is not None and named.end - end < 60 else end
            return Link(None, surface.start, end)
        if at >= ceiling or at > value.last or codes[at] not in "wkhmt":
            return self._counted_of(value, link, ceiling)
        right = self.linker.right(value, ceiling)
        if link is not None and not spelled and not self._plural(right):
            return None
        if right is None:
            return Link(None, self.lexemes.starts[at], self.lexemes.ends[at])
        return Link(self._countable(right), right.start, right.end, right.lexeme)

    def _how_often(self, value: Value, link: Link) -> bool:
        """Whether a whole number beside no known concept counts how often or how many, and measures
        nothing: "one or more symptoms of", "recurrent (> 1)", "at least 1 of"."""
        numbers = [number for number in (value.low, value.high) if number is not None]
        if (
            value.unit is not None
            or not numbers
            or value.values
            or any(n != int(n) or n > 12 for n in numbers)
        ):
            return False
        if "s" in self.codes[max(0, value.first - 1) : value.last + 1]:
            return False  # a grade, a stage
        if _PART_OF.match(self.text, value.end):
            return True
        spelled = any(
            self.codes[at] == "0" and self.lexemes.word(at)[0].isalpha()
            for at in range(value.first, value.last)
        )
        named = self.text[link.start : link.end].lower() if link.start >= 0 else ""
        return spelled or named.endswith(("recurrent", "multiple", "repeated"))

    def _countable(self, link: Link) -> str | None:
        """The link's concept, if that is one that is counted ("prior lines", "migraine days")."""
        facts = self.vocabulary.concepts.get(link.concept or "")
        return facts.id if facts is not None and facts.entity_type == "Count" else None

    def _counted_of(self, value: Value, link: Link | None, ceiling: int) -> Link | None:
        """ "at least 2 of the 3 signs": a part of a set that the text counts."""
        tail = self.text[value.end : value.end + 30]
        if not re.match(r"\s+of (?:the|these|any|\d)", tail) or (link is not None and link.lexeme >= 0):
            return None
        right = self.linker.right(value, ceiling)
        return Link(None, right.start, right.end) if right is not None else None

    def _plural(self, link: Link | None) -> bool:
        """Whether the phrase counts things: one of its first words is a plural."""
        if link is None:
            return False
        words = self.text[link.start : link.end].split()[:5]
        return any(
            len(word) > 3 and word.rstrip(",.)").endswith("s") and not word.endswith("ss") for word in words
        )
