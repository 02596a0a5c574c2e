"""From mentions to thresholds: what each value bounds, of which type, and what it is worth.

The order is: numbers first (:mod:`nlp.values`), then the type (an age, a time, a count, a dose, a
measurement), and only then the link to a concept, which the type and the unit may veto.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nlp.draft import Draft
from nlp.lexicon import Rule
from nlp.linking import Link, Linker
from nlp.mentions import Lexemes
from nlp.model import Kind, Window
from nlp.units import UnitMatch
from nlp.values import TIME_UNITS, Value, by_first_code, read
from nlp.vocab import Vocabulary

_TRAILING = frozenset(
    ["lasted", "lasting", "lasts", "last", "administered", "undergone", "apart", "stable", "unstable", "persistent", "persisting", "persists", "available", "performed", "received", "given", "used", "taken", "ongoing", "occurring", "occurred", "initiated", "started", "duration", "known", "present", "period", "continued", "continuing", "continuously", "consistently", "regularly", "completed", "documented", "least", "old", "early", "recently"]
)
EVENT_REACH = 110
"""How many characters to the left of a time its event may begin."""
EVENT_LENGTH = 46
"""Characters of an event phrase at the most."""
_AGE_UNITS = ("a", "mo", "wk", "d")
_AGE_SURFACE = re.compile(r"\b(?:old|age|aged|olds|y/o|yo|y\.o)", re.I)
_AGE_COMPARATOR = re.compile(r"\b(?:older|younger|elder|olds?|age)\b", re.I)
_TIME_AFTER = re.compile(
    r"[\s)'’]*(?:prior|before|after|since|from|post|preceding|previous|ago|history|duration|following|of (?:the )?"
    r"(?:screening|enrol|random|study|treatment|follow|start|first|disease|symptom|therapy|registration|inclusion"
    r"|baseline|diagnosis|life)|of (?!age)|until|follow|with(?:out)? |interval|later|post)",
    re.I,
)
_DURATION = re.compile(
    r"durat|histor|interval|experience|since|for\s*$|last|within|period|every|follow|surviv|expectancy|diagnos",
    re.I,
)
_OF_LIST = re.compile(
    r"\s*(?:or more\s+)?of\s+(?:the\s+)?(?:following|these|this|those|below|above|criteria|conditions?\b)",
    re.I,
)
_GESTATION = re.compile(r"gestation|pregnan|menstrual|postmenstrual|conception|GA\b", re.I)
_GESTATION_AFTER = re.compile(
    r"[\s)']*(?:of\s+|in\s+)?((?:pregnancy|gestation(?:al)?|post-?menstrual|amenorrh\w+)(?:\s+age|\s+weeks?)?)",
    re.I,
)
_DOSE_UNITS = re.compile(
    r"(?:m|u|n)?g(?:/(?:kg|m2|kg/d|d|wk|mo|m2/d))?|(?:\[IU\]|\[iU\]|U)(?:/(?:d|kg|kg/d))?|ug/.*|mg/.*"
)
_NOT_DOSES = ("g", "kg", "ng")
_IN_STUDY = re.compile(
    r"follow|period|visit|study|trial|treatment|interval|later|washout|run|course|cycle", re.I
)
_ORDINAL = re.compile(
    r"\b(?:grade|class|stage|ECOG|NYHA|ASA|WHO|performance|Child|category|tier|mRS|Rankin)\b", re.I
)
_STAGE = re.compile(
    r"\b(?:tumou?r|cancer|carcinoma|AJCC|FIGO|TNM|clinical|pathologic\w*|disease|lymphoma) stages?|^stages?\b",
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


class _Reading:
    def __init__(self, vocabulary: Vocabulary, lexemes: Lexemes, values: list[Value]) -> None:
        self.vocabulary = vocabulary
        self.lexemes = lexemes
        self.text = lexemes.text
        self.codes = lexemes.codes
        self.values = values
        self.linker = Linker(vocabulary, lexemes)
        self.out: list[Draft] = []
        self.before: tuple[Value, list[Link], str] | None = None

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

    # ----------------------------------------------------------- one value

    def _one(self, value: Value, floor: int, ceiling: int) -> bool:
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

    # ------------------------------------------------------------------ age

    def _is_age(self, value: Value, floor: int) -> bool:
        unit = value.unit
        if unit is not None and (unit.ucum not in _AGE_UNITS or unit.relative_to):
            return False
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
        near = self._near_age(value, floor)
        if near is not None:
            return not (unit is None and self._linked_tighter(value, floor, near))
        if unit is not None and _AGE_COMPARATOR.search(said):
            return True
        if (unit is not None and unit.ucum == "a") or (unit is None and self._person_number(value)):
            if unit is None and _AGE_COMPARATOR.search(said):
                return True
            if _TIME_AFTER.match(tail):
                return False
            if codes[max(0, value.first - 1) : value.first] == "h" or "h" in inside:
                return True
            left = codes[max(floor, value.first - 3) : value.first].rstrip("fv(:")
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
                return at
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
            if all(code in "&|,fc(hgnbr" for code in between):
                return at
        return None

    def _linked_tighter(self, value: Value, floor: int, near: int) -> bool:
        """Whether a concept or a noun stands between the age word and a number without a unit."""
        between = self.codes[near + 1 : value.first]
        return "k" in between or between.count("w") > 2

    def _age(self, value: Value, floor: int) -> bool:
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

    # ----------------------------------------------------------------- time

    def _timed_measurement(self, value: Value, floor: int) -> Link | None:
        """A known concept that is itself measured in time: QTc, prothrombin time, life expectancy."""
        if value.windowed and value.windowed != "within":
            return None
        link = self.linker.left(value, floor)
        if link is None or link.concept is None:
            return None
        concept = self.vocabulary.concepts[link.concept]
        if concept.entity_type == "Age" or concept.id == "age":
            return None
        if not self.linker.accepts(concept, value.ucum) or not (concept.unit or concept.units):
            return None
        between = self.lexemes.text[link.end : value.start]
        if len(between) > 60:
            return None
        return link

    def _temporal(self, value: Value, floor: int, ceiling: int) -> bool:
        gestation = _GESTATION_AFTER.match(self.text, value.end)
        if gestation is not None:
            concept = "gestational_age" if "gestational_age" in self.vocabulary.concepts else None
            return self._emit(value, [Link(concept, gestation.start(1), gestation.end(1))], "Measurement")
        link = self._washout(value)
        if (
            link is None
            and not value.windowed
            and re.match(r"\s+of (?!age)[A-Za-z]", self.text[value.end : value.end + 9])
        ):
            link = self._event_right(value, ceiling)  # "at least 4 weeks of antiviral treatment"
        if link is None and not value.windowed and self._adjectival(value):
            link = self._event_right(value, ceiling)  # "30-day readmission"
            if self._names_measure(value):
                return False  # "24-hr urine protein > 1 g": part of a name
        link = link or self._event(value, floor)
        if link is None and value.last < len(self.codes):
            inherited = self._inherited(value, timed=True)
            if inherited is not None:
                return self._emit(value, inherited, "Temporal")
        if link is None:
            link = self._event_right(value, ceiling)
        if link is None:
            inherited = self._inherited(value, timed=True)
            if inherited is not None:
                return self._emit(value, inherited, "Temporal")
        if not value.explicit and not value.windowed:
            follows = self.text[value.end : value.end + 40]
            if link is None and not _TIME_AFTER.match(follows):
                return False
            value.flags.append("lost_comparator")
        return self._emit(value, [link] if link else [Link(None, -1, -1)], "Temporal")

    def _adjectival(self, value: Value) -> bool:
        """Whether number and unit stand as an adjective before a noun: "30-day", "eight week"."""
        if value.unit is None or self.codes[value.last : value.last + 1] not in ("w", "k"):
            return False
        return not value.unit.surface.lower().endswith("s") and not value.explicit

    def _names_measure(self, value: Value) -> bool:
        """Whether the noun behind an adjectival time has a value of its own."""
        at = value.last
        while at < len(self.codes) and self.codes[at] in "wksf()vxh" and at - value.last < 10:
            at += 1
        return at < len(self.codes) and self.codes[at] in "cbg0"

    def _washout(self, value: Value) -> Link | None:
        """Half-lives are those of a drug: the one named behind them, else they speak for themselves."""
        if value.ucum != "{half-life}" or value.unit is None:
            return None
        named = re.match(
            r"\s+of (?:the |that |an? )?([A-Za-z][\w -]{2,40}?)(?=[,.;)]|\s(?:prior|before|or|and|have|has)\b|$)",
            self.text[value.end :],
        )
        if named is not None:
            return Link(None, value.end + named.start(1), value.end + named.end(1))
        return Link(None, value.unit.start, value.unit.end)

    def _event(self, value: Value, floor: int) -> Link | None:
        """The phrase to the left that the time governs: what happened, must not have, or must last."""
        codes = self.codes
        starts, ends = self.lexemes.starts, self.lexemes.ends
        last = value.first - 1
        while last >= floor and (codes[last] in "f,:xn(t&|igbv" or self._trailing(last)):
            last -= 1
        if last >= floor and codes[last] == ")":
            opened = self.linker.opening(last, floor)
            last = opened - 1 if opened is not None else last
        first = last + 1
        at = last
        while at >= floor and ends[last] - starts[at] <= EVENT_REACH:
            code = codes[at]
            if code == ")":
                opened = self.linker.opening(at, floor)
                if opened is None:
                    break
                at = opened - 1
                continue
            if code in "wksmL0ua":
                first = at
            elif (code in "xv" and at < last and not self._joins(at)) or code not in "f,&|/()hqn-rxv":
                break
            at -= 1
        if first > last:
            return None
        first, last = self._shorten(first, last)
        named = codes[last] == "k"
        words = {self.lexemes.word(k).lower() for k in range(first, last + 1) if codes[k] in "wks"}
        if not words - {"study", "screening", "baseline", "history"}:
            return None
        concept = self.linker.resolve(last, None, None) if named else None
        return Link(concept, starts[first], ends[last], last)

    def _trailing(self, at: int) -> bool:
        """Words between an event and its time that name neither: "lasting", "administered"."""
        return self.codes[at] == "w" and self.lexemes.word(at).lower() in _TRAILING

    def _joins(self, at: int) -> bool:
        """ "treatment with X" is one phrase; other verbs and relative words end it."""
        return self.lexemes.word(at).lower() in ("with", "with a", "with an")

    def _shorten(self, first: int, last: int) -> tuple[int, int]:
        """A long list loses its first members, a long phrase its tail: its head comes first."""
        starts, ends, codes = self.lexemes.starts, self.lexemes.ends, self.codes
        while ends[last] - starts[first] > EVENT_LENGTH:
            cut = next((at for at in range(first, last) if codes[at] in ",&|v"), None)
            if cut is None:
                break
            first = cut + 1
            while first < last and codes[first] in "f,&|hqn":
                first += 1
        while last > first and ends[last] - starts[first] > EVENT_LENGTH:
            last -= 1
        while last > first and codes[last] in "fv(,":
            last -= 1
        return first, last

    def _event_right(self, value: Value, ceiling: int) -> Link | None:
        codes = self.codes
        starts, ends = self.lexemes.starts, self.lexemes.ends
        at = value.last
        while at < ceiling and codes[at] in "fixt)nv":
            at += 1
        anchor_end = at
        # "within 6 months prior to screening, a stroke": what follows the comma is the event
        comma = codes.find(",", at, min(ceiling, at + 8))
        if value.windowed and comma >= 0:
            anchor_end = comma + 1
            while anchor_end < ceiling and codes[anchor_end] in "fxnv":
                anchor_end += 1
        first = anchor_end
        at = first
        while at < ceiling and codes[at] in "wksmfLh" and ends[at] - starts[first] <= 60:
            at += 1
        last = at - 1
        while last >= first and codes[last] == "f":
            last -= 1
        return Link(None, starts[first], ends[last], first) if last >= first else None

    # ---------------------------------------------------------- measurement

    def _measurement(self, value: Value, floor: int, ceiling: int) -> bool:
        if value.rule == "chained":
            link = self._inside(value)
            return link is not None and self._emit(value, [link])
        tail = self.text[value.end : value.end + 40]
        if value.unit is None and _OF_LIST.match(tail):
            return False  # "at least one of the following" joins a list, it bounds nothing
        link = self.linker.left(value, floor)
        if not value.explicit:
            return self._bare(value, link, floor, ceiling)
        if link is None or (link.concept is None and link.lexeme < 0):
            counted = self._counted(value, link, ceiling)
            if counted is not None:
                return self._emit(value, [counted], "Count")
        if link is None or link.concept is None:
            link = self._scored(value, link, floor) or self._other_side(value, link, ceiling)
        if link is None:
            inherited = self._inherited(value)
            if inherited is not None:
                return self._emit(value, inherited)
            link = self.linker.right(value, ceiling)
        if link is None:
            link = Link(None, -1, -1)
        beside = self.linker.coordinated(value, link, floor) or self.linker.coordinated_right(value, link)
        return self._emit(value, [*beside, link])

    def _other_side(self, value: Value, link: Link | None, ceiling: int) -> Link | None:
        """What follows the value, where that names what it bounds better than what precedes it."""
        tail = self.text[value.end : value.end + 4]
        follows = self.codes[value.last : value.last + 1]
        share = value.ucum == "%" and tail.startswith(" of ")
        graded = "s" in self.codes[max(0, value.first - 1) : value.last] and follows in ("w", "k")
        before = self.codes[value.first - 1 : value.first]
        beside = before == "v" and follows in ("w", "k") and value.unit is not None
        beside = beside or graded
        if not (share or beside or self._value_first(value)):
            return link
        other = self.linker.right(value, ceiling)
        if other is None:
            return link
        return other if other.concept is not None or share or beside else link

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

    def _value_first(self, value: Value) -> bool:
        """Whether the value opens its bracket or line: what it bounds then follows it."""
        return value.first == 0 or self.codes[value.first - 1] in "(,.:;"

    def _inside(self, value: Value) -> Link | None:
        for at in range(value.first, value.last):
            if self.codes[at] == "k":
                concept = self.linker.fits(at, value)
                if concept is not None:
                    return Link(concept, self.lexemes.starts[at], self.lexemes.ends[at], at)
        words = [at for at in range(value.first, value.last) if self.codes[at] in "kwsa"]
        if not words:
            return None
        return Link(None, self.lexemes.starts[words[0]], self.lexemes.ends[words[-1]])

    def _bare(self, value: Value, link: Link | None, floor: int, ceiling: int) -> bool:
        """A number without a comparator is kept beside a known concept only, and flagged."""
        if value.comparator != "set":
            value.flags.append("lost_comparator")
        if self._restates(value):
            return True
        if value.unit is None and value.low is not None and 1900 <= value.low <= 2100:
            return False
        if link is None and value.unit is not None:
            inherited = self._same_again(value)
            if inherited is not None:
                return self._emit(value, inherited)
            first = self._value_first(value) or value.relative == "ULN"
            link = self.linker.right(value, ceiling) if first else None
            if link is None or link.concept is None or link.lexeme > value.last + 2:
                return False
            return self._emit(value, [link, *self.linker.coordinated_right(value, link)])
        if link is None or not self._touches(value, link, floor):
            return False
        concept = self.vocabulary.concepts.get(link.concept or "")
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

    def _restates(self, value: Value) -> bool:
        """The bound before said again in another unit, "221 umol/L (2.5 mg/dL)": one item for both."""
        if self.before is None or not self.out or value.unit is None or value.low is None:
            return False
        last = self.before[0]
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
        if number is None or (last.low is not None and last.high is not None and last.low != last.high):
            return False
        units = self.vocabulary.units
        same = [units.convert(number, last.ucum, value.ucum, link.concept) for link in self.before[1]]
        known = [converted for converted in same if converted is not None]
        if known and not any(0.8 <= value.low / converted <= 1.25 for converted in known if converted):
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
        """ "38.0 C oral, or 38.3 C rectal": the next value of a row in the same unit."""
        if self.before is None or self.before[0].ucum != value.ucum or self.before[2]:
            return None
        between = self.codes[self.before[0].last : value.first]
        if len(between) > 5 or not all(code in "&|,w" for code in between):
            return None
        return self.before[1]

    def _counted(self, value: Value, link: Link | None, ceiling: int) -> Link | None:
        """What a count counts: "at least 5 attacks of migraine", "two or more prior lines"."""
        if value.unit is not None and not (value.ucum or "").startswith("{"):
            return None
        if value.unit is not None and "/" in (value.ucum or ""):
            return None
        if "s" in self.codes[value.first : value.last]:
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
            return Link(None, surface.start, surface.end)
        if at >= ceiling or at > value.last or codes[at] not in "wkhm":
            return self._counted_of(value, link, ceiling)
        right = self.linker.right(value, ceiling)
        if link is not None and not spelled and not self._plural(right):
            return None
        if right is None:
            return Link(None, self.lexemes.starts[at], self.lexemes.ends[at])
        return Link(None, right.start, right.end)

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

    # ----------------------------------------------------------------- emit

    def _emit(self, value: Value, links: Sequence[Link], entity_type: str | None = None) -> bool:
        self.before = (value, list(links), entity_type or "")
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
        draft.entity_type = entity_type
        draft.kind = _kind(entity_type, concept.kind if concept else None, named, draft)
        if entity_type == "Age" and draft.unit is None:
            draft.unit = "a"
        if value.windowed:
            draft.window = self._window(value)
        if draft.concept and concept and entity_type == "Measurement":
            self._plausible(draft)

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


_ANCHOR = re.compile(
    r"[\s)]*(prior to|before|preceding|prior|previous to|after|following|post|since|of|from)\s+((?:the )?[A-Za-z][A-Za-z0-9 -]{0,50})",
    re.I,
)


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
