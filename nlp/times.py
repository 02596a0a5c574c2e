"""Which values are times, and the event that each governs."""

from __future__ import annotations

import re

from nlp.linking import Link
from nlp.reading import TIME_AFTER, Reading
from nlp.value import Value

_TRAILING = frozenset(
    [
        "lasted",
        "lasting",
        "lasts",
        "last",
        "administered",
        "undergone",
        "apart",
        "stable",
        "unstable",
        "persistent",
        "persisting",
        "persists",
        "available",
        "performed",
        "received",
        "given",
        "used",
        "taken",
        "ongoing",
        "occurring",
        "occurred",
        "initiated",
        "started",
        "duration",
        "known",
        "present",
        "period",
        "continued",
        "continuing",
        "continuously",
        "consistently",
        "regularly",
        "completed",
        "documented",
        "least",
        "old",
        "early",
        "recently",
    ]
)
_GESTATION_INSIDE = re.compile(r"\b(gestational|gestation)\b", re.I)
_APART = re.compile(r"\s+apart\b", re.I)
EVENT_REACH = 110
"""How many characters to the left of a time its event may begin."""
EVENT_LENGTH = 46
"""Characters of an event phrase at the most."""
_GESTATION_AFTER = re.compile(
    r"[\s)']*(?:(?:and|or|to)\s[<>≤≥=\s]*\d{1,2}(?:\s?\+\s?\d)?\s*(?:weeks?|wks?)\s+)?"
    r"(?:of\s+|in\s+)?((?:pregnancy|gestation(?:al)?|post-?menstrual|amenorrh\w+)(?:\s+age|\s+weeks?)?)",
    re.I,
)


class TimeReading(Reading):
    """Reads windows, durations and washouts: "stroke within 6 months"."""

    def _timed_measurement(self, value: Value, floor: int) -> Link | None:
        """A known concept that is itself measured in time: QTc, prothrombin time, life expectancy."""
        if value.windowed and value.windowed != "within":
            return None
        if _GESTATION_INSIDE.search(self.text, value.start, value.end):
            return None
        link = self.linker.left(value, floor)
        if link is None or link.concept is None:
            return None
        concept = self.vocabulary.concepts[link.concept]
        if concept.entity_type == "Age" or concept.id == "age":
            return None
        if value.windowed and concept.entity_type == "Temporal":
            return None  # "treated for a malignancy within 5 years": a window, no duration
        if not self.linker.accepts(concept, value.ucum) or not (concept.unit or concept.units):
            return None
        between = self.lexemes.text[link.end : value.start]
        if len(between) > 60:
            return None
        return link

    def _temporal(self, value: Value, floor: int, ceiling: int) -> bool:
        gestation = _GESTATION_AFTER.match(self.text, value.end) or _GESTATION_INSIDE.search(
            self.text, value.start, value.end
        )
        if gestation is not None:
            concept = "gest_age" if "gest_age" in self.vocabulary.concepts else None
            return self._emit(value, [Link(concept, gestation.start(1), gestation.end(1))], "Measurement")
        if not value.explicit and not value.windowed and self._at_time(value) and self._names_measure(value):
            return False  # "Apgar score at 5 minutes > 7": when it is measured
        apart = self.before[1] if self.before and _APART.match(self.text, value.end) else ()
        if apart:  # "on two occasions at least four hours apart": what was found twice
            return self._emit(value, [Link(None, apart[-1].start, apart[-1].end)], "Temporal")
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
            if link is None and not TIME_AFTER.match(follows):
                return False
            value.flags.append("lost_comparator")
        return self._emit(value, [link] if link else [Link(None, -1, -1)], "Temporal")

    def _at_time(self, value: Value) -> bool:
        """Whether the time is a moment of the measurement: "at 5 minutes", "in 1 second"."""
        before = self.lexemes.word(value.first - 1).lower() if value.first else ""
        return before in ("at", "in")

    def _adjectival(self, value: Value) -> bool:
        """Whether number and unit stand as an adjective before a noun: "30-day", "eight week"."""
        if value.unit is None or self.codes[value.last : value.last + 1] not in ("w", "k"):
            return False
        return not value.unit.surface.lower().endswith("s") and not value.explicit

    def _names_measure(self, value: Value) -> bool:
        """Whether the noun behind an adjectival time has a value of its own."""
        at = value.last
        while at < len(self.codes) and self.codes[at] in "wksf()vxhm0" and at - value.last < 10:
            at += 1
        return (at < len(self.codes) and self.codes[at] in "cbg") or self.codes[at - 1] == "0"

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
        concept = self._event_concept(last, value) if named else None
        return Link(concept, starts[first], ends[last], last)

    def _event_concept(self, at: int, value: Value) -> str | None:
        """The concept of an event, where a time can be said of it: not of a grade or of a quantity."""
        concept = self.linker.resolve(at, None, None)
        if concept is None:
            return None
        facts = self.vocabulary.concepts[concept]
        if facts.entity_type == "Temporal":
            return None if value.windowed else concept
        return concept if facts.kind == "qualitative" or facts.entity_type == "Drug dose" else None

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
