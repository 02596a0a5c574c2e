"""Tie a value to what it bounds: a concept of the vocabulary, or the noun phrase as it stands.

The value is found first (:mod:`nlp.values`); then its concept is looked for in the phrase to its left
within the clause, then to its right, else it inherits the concept of the value before it. The unit
vetoes: a time cannot bound an ALT.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nlp.lexemes import Lexemes
from nlp.record import record
from nlp.value import TIME_UNITS, Value
from nlp.vocab import Concept, Vocabulary

LONGEST_BRACKET = 60
"""How many lexemes of a bracket are skipped between a name and its value."""
DAILY_MASS = ("g", "mg")
PER_DAY = "/(24.h)"
"""A mass beside what is collected over a day ("24-hour urine protein >= 1 g") is the mass of that day."""
REACH = 24
"""How many lexemes a noun phrase may reach to the left; what lies further is another clause."""

_GENERIC = frozenset(
    [
        "score",
        "scores",
        "total",
        "value",
        "values",
        "level",
        "levels",
        "count",
        "counts",
        "result",
        "results",
        "baseline",
        "screening",
        "following",
        "patient",
        "patients",
        "subject",
        "subjects",
        "participant",
        "participants",
        "time",
        "day",
        "visit",
        "least",
        "cut",
        "off",
        "cutoff",
        "threshold",
        "limit",
        "limits",
        "points",
        "study",
        "inclusion",
        "exclusion",
        "criteria",
        "criterion",
        "entry",
        "enrollment",
        "enrolment",
        "randomization",
        "within",
        "have",
        "has",
        "had",
        "during",
        "concentration",
        "history",
        "grade",
        "grades",
        "class",
        "stage",
        "status",
        "presence",
        "there",
    ]
)


@record
class Link:
    """What a value bounds: a concept (or None), and the characters that name it."""

    concept: str | None
    start: int
    end: int
    lexeme: int = -1
    ambiguous: bool = False


_FINDING = re.compile(r"(?:penia|a?emia|tension|uria|cytosis|osis|cardia|pn(?:o|oe)a)$", re.I)
"""Findings named by what was measured share no bound with the test beside them: "hypotension or SBP < 90"."""


class Linker:
    """Links the values of one text; ``lexemes`` are that text's."""

    def __init__(self, vocabulary: Vocabulary, lexemes: Lexemes) -> None:
        self.vocabulary = vocabulary
        self.lexemes = lexemes
        self.codes = lexemes.codes
        self._cache: dict[tuple[int, str | None, str | None], str | None] = {}

    # ------------------------------------------------------------ concepts

    def resolve(self, at: int, unit: str | None, relative: str | None) -> str | None:
        """The concept that the ``k`` lexeme means beside a value of this unit, or None."""
        ids: Sequence[str] = self.lexemes.values[at]
        if len(ids) == 1 and not self.vocabulary.concepts[ids[0]].ambiguous:
            return ids[0]
        key = (at, unit, relative)
        if key in self._cache:
            return self._cache[key]
        words = [
            word
            for near in range(max(0, at - 5), min(len(self.codes), at + 6))
            for word in self.lexemes.word(near).lower().split()
        ]
        found = self.vocabulary.resolve(ids, self.lexemes.word(at), unit, words, relative)
        self._cache[key] = found
        return found

    def accepts(self, concept: Concept, unit: str | None) -> bool:
        """Whether a limit in this unit can bound the concept at all (by dimension)."""
        if unit is None or unit in concept.units or unit == concept.unit:
            return True
        if unit in DAILY_MASS and (concept.unit or "").endswith(PER_DAY):
            return True
        known = concept.units or ((concept.unit,) if concept.unit else ())
        if not known:
            return unit not in TIME_UNITS
        mine = self.vocabulary.units.measure(unit)
        if mine is None:
            return unit not in TIME_UNITS
        for other in known:
            theirs = self.vocabulary.units.measure(other)
            if theirs is not None and theirs.dimension == mine.dimension:
                return True
            if self.vocabulary.units.convert(1.0, unit, other, concept.id) is not None:
                return True
        return False

    def fits(self, at: int, value: Value) -> str | None:
        """The concept of the ``k`` lexeme if the value can bound it."""
        relative = value.relative
        unit = value.ucum
        if unit == "%" and relative in ("ULN", "LLN", "baseline"):
            unit = None  # "creatinine above 120 % of the ULN": a share of a limit is no unit of its own
        concept = self.resolve(at, unit, relative)
        if concept is None:
            return None
        facts = self.vocabulary.concepts[concept]
        if relative in ("ULN", "LLN") and facts.entity_type != "Measurement":
            return None
        if self._cannot_bound(facts, value):
            return None
        return concept if self.accepts(facts, unit) else None

    def _cannot_bound(self, facts: Concept, value: Value) -> bool:
        """Whether the concept is never asked in such a value: a time without a unit of time, a count by a
        grade."""
        if facts.entity_type == "Temporal":
            return value.unit is None
        return facts.entity_type == "Count" and "s" in self.codes[max(0, value.first - 1) : value.last]

    # -------------------------------------------------------------- phrases

    def left(self, value: Value, floor: int) -> Link | None:
        """The phrase to the left of the value, not reaching over lexeme ``floor``."""
        codes = self.codes
        at = value.first - 1
        base = floor
        floor = max(floor, value.first - REACH)
        while at >= floor and codes[at] in "fv(:n,crxgb=&|ti":
            if codes[at] == "x" and self._opens_clause(at):
                if at <= floor or codes[at - 1] != "," or ":" not in codes[at : value.first]:
                    return None
                at -= 1  # "prednisone, if taken: <= 20 mg/day"
            at -= 1
        if at > floor and codes[at] == "q" and codes[at + 1] in "&|,(" and codes[at - 1] in "k)":
            at -= 1  # "HBsAg positive and < 1500 IU/mL"
        if at < floor:
            return None
        if codes[at - 2 : at + 1] == "0r0" and at > floor + 2 and self.lexemes.word(at - 2) == "0":
            at -= 3  # "NRS 0-10 >= 4": the extent of the scale
        if codes[at] == "u" and at > floor + 2 and codes[at - 1] == "0" and codes[at - 2] == "f":
            at -= 3  # "Apgar score at 5 minutes > 7"
        named = codes[at] == "0" and at > floor and codes[at - 1] in "wkm"  # "IGA mod 2011"
        if codes[at] == ")":
            beyond = self._before_bracket(value, at, floor)
            if beyond is not None:
                return beyond
        if codes[at] in "hp.qu0" and not named:
            return None
        found = self._phrase(value, at, floor, base)
        if found is None and codes[at] == "s":
            found = self._graded(value, at, floor, base)
        return found

    def _graded(self, value: Value, at: int, floor: int, base: int) -> Link | None:
        """What a grade set off by a comma is the grade of: "heart failure, class III or IV"."""
        while at > floor and self.codes[at] in "swf":
            at -= 1
        if self.codes[at] != "," or at <= floor or self.codes[at - 1] not in "wk":
            return None
        return self._phrase(value, at - 1, floor, base)

    def beyond(self, value: Value, floor: int) -> Link | None:
        """The nearest known concept to the left that is measured in the value's own unit, where only
        circumstances stand between: "hemoglobin from the most recent blood draw < 7 g/dL", "mRS before
        the encephalitis > 3". Without a unit only a score or an ordinal can be meant."""
        codes = self.codes
        at = value.first - 1
        floor = max(floor, value.first - REACH)
        while at >= floor:
            code = codes[at]
            if code == ")":
                opened = self.opening(at, floor)
                if opened is None:
                    return None
                at = opened - 1
                continue
            if code == "k":
                concept = self.fits(at, value)
                if concept is None or not self.measured_in(concept, value):
                    return None
                start, end = self._noun(floor, at, at)
                return Link(concept, start, end, at)
            if code not in "wfgtxsmhv(:Lar" or (code == "x" and self._opens_condition(at)):
                return None
            at -= 1
        return None

    def measured_in(self, concept: str, value: Value) -> bool:
        """Whether the value's unit speaks for the concept, not only not against it."""
        facts = self.vocabulary.concepts[concept]
        if value.relative in ("ULN", "LLN"):
            return True
        if value.ucum is None:
            return value.unit is None and (facts.kind == "ordinal" or (facts.unit or "").startswith("{"))
        return value.ucum not in TIME_UNITS and bool(facts.unit or facts.units)

    def _opens_condition(self, at: int) -> bool:
        return self.lexemes.word(at).lower() in ("if", "when", "unless", "except", "because")

    def _opens_clause(self, at: int) -> bool:
        return self.lexemes.word(at).lower() in (
            "if",
            "when",
            "unless",
            "except",
            "before",
            "after",
            "because",
        )

    def _before_bracket(self, value: Value, at: int, floor: int) -> Link | None:
        """The name before a bracket that holds a value of its own: "Lansky (age < 16 years) >= 50"."""
        if self.opening(at, floor) is not None:
            return None
        opened = self.opening(at, max(0, at - REACH))
        if opened is None or opened == 0 or self.codes[opened - 1] != "k":
            return None
        concept = self.fits(opened - 1, value)
        if concept is None:
            return None
        return Link(concept, self.lexemes.starts[opened - 1], self.lexemes.ends[opened - 1], opened - 1)

    def _phrase(self, value: Value, last: int, floor: int, base: int) -> Link | None:
        codes = self.codes
        at = last
        first = last + 1
        while at >= floor:
            code = codes[at]
            if code == ")":
                opened = self.opening(at, max(base, at - LONGEST_BRACKET))
                if opened is None:
                    break
                at = opened - 1
                continue
            if code in "wksfLma" or (code == "0" and at > floor and codes[at - 1] in "wkmf"):
                if code != "f":
                    first = at
                at -= 1
                continue
            if code == "q" and first <= last and self.codes[at + 1] == "f":
                at -= 1  # "detected by echocardiography"
                continue
            if code == "u" and at > floor + 1 and codes[at - 1] == "0" and codes[at - 2] == "f":
                at -= 3  # "at 60 dBA", "in 1 s": a condition of the measurement
                continue
            if code == "c" and at > floor and self.lexemes.word(at).isalpha() and first == at + 1:
                at -= 1  # "under earphones": a comparator's word without a number
                continue
            break
        if first > last:
            return None
        return self._link(value, first, last)

    def opening(self, at: int, floor: int) -> int | None:
        """The opening bracket that the closing one at ``at`` belongs to, not before ``floor``."""
        depth = 0
        while at >= floor:
            if self.codes[at] == ")":
                depth += 1
            elif self.codes[at] == "(":
                depth -= 1
                if depth == 0:
                    return at
            at -= 1
        return None

    def _link(self, value: Value, first: int, last: int) -> Link | None:
        lexemes = self.lexemes
        outer, inner = self._named(first, last)
        named = outer + inner
        for at in [*self._specified(outer, inner), *reversed(outer), *reversed(inner)]:
            concept = self.fits(at, value)
            if concept is not None:
                start, end = self._noun(first, last, at)
                return Link(concept, start, end, at)
        words = [lexemes.word(at).lower() for at in range(first, last + 1) if self.codes[at] in "wksLm"]
        if not named and all(word in _GENERIC or not word[0].isalpha() for word in words):
            return None
        return Link(None, *self._trim(first, last))

    def _specified(self, outer: list[int], inner: list[int]) -> list[int]:
        """The name alone in brackets behind the last one says which is meant: "disease activity score
        (SLEDAI-2000)"."""
        if not outer or not inner:
            return []
        at = outer[-1] + 2
        alone = self.codes[at - 1 : at + 2] == "(k)" and at in inner
        if not alone:
            return []
        said, meant = self.resolve(outer[-1], None, None), self.resolve(at, None, None)
        if meant is None or meant == said or self.vocabulary.concepts[meant].members:
            return []
        known = self.vocabulary.concepts.get(said or "")
        return [at] if known is None or known.broader != meant else []

    def _named(self, first: int, last: int) -> tuple[list[int], list[int]]:
        """The concepts of a phrase: those outside brackets, and those inside ("(ALT)")."""
        outer: list[int] = []
        inner: list[int] = []
        depth = 0
        for at in range(first, last + 1):
            code = self.codes[at]
            if code == "(":
                depth += 1
            elif code == ")":
                depth = max(0, depth - 1)
            elif code == "k":
                (inner if depth else outer).append(at)
        return outer, inner

    def _noun(self, first: int, last: int, at: int) -> tuple[int, int]:
        """The characters of a known concept with the modifiers that touch it."""
        begin = at
        while begin > first and at - begin < 9:
            if self.codes[begin - 1] == ")":  # "New York Heart Association (NYHA) class"
                opened = self.opening(begin - 1, first)
                if opened is None or opened == first or self.codes[opened - 1] not in "wk":
                    break
                begin = opened - 1
            elif self.codes[begin - 1] in "wks" and at - begin < 4:
                begin -= 1
            else:
                break
        end = at
        while end < last and self.codes[end + 1] in "ws" and end - at < 3:
            end += 1
        return self.lexemes.starts[begin], self.lexemes.ends[end]

    def _trim(self, first: int, last: int) -> tuple[int, int]:
        codes = self.codes
        while last > first and codes[last] in "f(:,":
            last -= 1
        if last - first > 9:
            first = last - 9
        while first < last and codes[first] in "f)":
            first += 1
        end = self.lexemes.ends[last]
        if codes[last] == ")":
            opened = self.opening(last, first)
            if opened is not None and opened > first:
                end = self.lexemes.ends[opened - 1]
        return self.lexemes.starts[first], end

    def right(self, value: Value, ceiling: int) -> Link | None:
        """The phrase to the right of the value, not reaching over lexeme ``ceiling``."""
        codes = self.codes
        at = value.last
        ceiling = min(ceiling, value.last + REACH, len(codes))
        while at < ceiling and codes[at] in "fi(a":
            at += 1
        first = at
        if at > value.last and at < ceiling and codes[at] == "h":
            return None  # "> 7 drinks for women": whom it holds for
        while at < ceiling and (
            codes[at] in "wksLmh" or (codes[at] in "ft" and (at > first or codes[at] == "t"))
        ):
            at += 1
        last = at - 1
        while last >= first and codes[last] == "f":
            last -= 1
        if last < first:
            return None
        named = [k for k in range(first, last + 1) if codes[k] == "k"]
        for k in named:
            concept = self.fits(k, value)
            if concept is not None:
                return Link(concept, *self._noun(first, last, k), k)
        words = [self.lexemes.word(k).lower() for k in range(first, last + 1) if codes[k] != "f"]
        if all(word in _GENERIC or not word[0].isalpha() for word in words):
            return None
        return Link(None, self.lexemes.starts[first], self.lexemes.ends[min(last, first + 6)])

    def coordinated_right(self, value: Value, link: Link) -> list[Link]:
        """The other names behind a value that precedes them: "> 3 x ULN for AST or ALT"."""
        found: list[Link] = []
        if link.concept is None or link.lexeme < value.last:
            return found
        at = link.lexeme + 1
        joined = False
        taken = {link.concept}
        while at < len(self.codes):
            code = self.codes[at]
            if code in ",&|/":
                joined = True
            elif code == "k" and joined:
                concept = self.fits(at, value)
                if concept is None:
                    break
                if concept not in taken:
                    taken.add(concept)
                    found.append(Link(concept, self.lexemes.starts[at], self.lexemes.ends[at], at))
                joined = False
            elif code == "k" or code in "()s" or (code in "fw" and joined):
                pass
            else:
                break
            at += 1
        if at < len(self.codes) and self.codes[at] in "cbg" and found:
            found.pop()  # the last name has a bound of its own behind it
        return found

    def coordinated(self, value: Value, link: Link, floor: int) -> list[Link]:
        """The other known concepts that share the value with this one: "ALT, AST and ALP <= 3"."""
        found: list[Link] = []
        if link.concept is None or link.lexeme < 0:
            return found
        at = link.lexeme - 1
        taken = {link.concept}
        joined = False
        while at >= floor:
            code = self.codes[at]
            if code == ")":
                opened = self.opening(at, floor)
                if opened is None:
                    break
                at = opened - 1
                continue
            if code in ",&|/" and self.lexemes.word(at).lower() not in ("but", "yet"):
                joined = True
            elif code == "k" and joined:
                concept = self.fits(at, value)
                if concept is None or _FINDING.search(self.lexemes.word(at)):
                    break
                if concept not in taken:
                    taken.add(concept)
                    found.append(Link(concept, self.lexemes.starts[at], self.lexemes.ends[at], at))
                joined = False
            elif code in "fws" and not joined and at > floor:
                # a modifier between a comma and the name: "ALT, serum AST"
                if link.lexeme - at > 12:
                    break
            elif code not in "fs":
                break
            at -= 1
        found.reverse()
        return found
