"""Find a unit of measure in folded text (see nlp.text), from the spellings of the unit table.

A few compiled patterns, built from the table's rows as tries, so that the time for a match grows with
the unit's length and not with the size of the table, and nothing in them can backtrack far. In front
of them stands a lookup of whole words ("mg/dL", "years") that were read before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from nlp.limit_patterns import FLAGS, PERCENT, RELATIVE, TWICE, TWICE_NORMAL
from nlp.record import record

if TYPE_CHECKING:
    from nlp.units import Atom

RelativeTo = Literal["ULN", "LLN", "LLOD", "baseline", "predicted"]


@record
class UnitMatch:
    """A unit found in a text.

    ``ucum`` is the UCUM code or None (a bare multiple of a limit, or a bare "million"); ``start`` and
    ``end`` are offsets of the unit's own characters; the number must be multiplied by ``scale``.
    """

    ucum: str | None
    start: int
    end: int
    relative_to: RelativeTo | None = None
    scale: float = 1.0
    surface: str = ""


def trie_pattern(words: Iterable[str]) -> str:
    """One regular expression for all words, longest first, factored by common prefixes."""
    root: dict[str, Any] = {}
    for word in words:
        node = root
        for char in word:
            node = node.setdefault(char, {})
        node[""] = {}

    def build(node: dict[str, Any]) -> str:
        optional = "" in node
        branches = []
        for char in sorted(k for k in node if k):
            # A blank in a spelling stands for one or two blanks in the text.
            branches.append((" {1,2}" if char == " " else re.escape(char)) + build(node[char]))
        if not branches:
            return ""
        joined = branches[0] if len(branches) == 1 and not optional else "(?:" + "|".join(branches) + ")"
        return joined + "?" if optional else joined

    return build(root)


# After a unit that ends in a letter or a digit no letter may follow; after one that ends in a sign any may.
EDGE = r"(?:(?<![a-z0-9])|(?![a-z^]|(?<=[a-z])\d))"
_LEAD = re.compile(r"[ \t]{0,2}(?:-[ \t]?)?")

_AGE = re.compile(r"[ -]{1,2}(?:olds?\b|of age\b|in age\b)(?: of age\b)?", FLAGS)
_OFTEN = re.compile(
    r"(?:consecutive|gestational|completed?|full|continuous|further|additional|whole|cumulative|calendar|post-?natal) {1,2}",
    FLAGS,
)
_MULTIPLIER = re.compile(r"(?P<w>million|thousand|billion)s?(?![a-z])", re.IGNORECASE)
_NUMBER_BEFORE = re.compile(r"(\d[\d,]*(?:\.\d+)?)[ \t-]{0,2}$")
_DAILY = (
    r" {0,2}/? {0,1}(?:once )?(?:daily|qd|q\.d\.|every day|each day|a day|per diem|od|o\.d\.)\b"
    r"| (?:once )?(?:weekly|every week|each week)\b| monthly\b"
)
_ABBREVIATION = r"(?: {0,1}\([a-z%]{1,5}\)(?= {0,1}/| {1,2}per\b))?"
# "mg of prednisone per day", "g alcohol/day": the substance stands between the amount and the time.
_RATE = re.compile(
    r" {1,2}(?:of {1,2})?(?:(?:[a-z][a-z-]{2,}|or|its?|an?)(?: {1,2}|(?=/))){1,5}?(?:\((?:or )?[a-z -]{3,24}\) {0,2})?"
    r"(?P<how>daily\b|(?:/|per|a|each|every) {0,2}(?:day|d)\b|/ ?24 ?h\b|weekly\b|(?:/|per|a|each) {0,2}(?:week|wk)\b)",
    FLAGS,
)
_RATED = frozenset(("mg", "g", "ug", "U", "[iU]", "mL", "L", "kcal"))
# A word that may be a whole unit, and what may follow it so that nothing after it belongs to it.
_WORD = re.compile(r"[A-Za-z%/][A-Za-z0-9/%^]*")
_ENDS = frozenset("),;:")
# What no spelling of a unit begins with, the end of the text among it.
_CLOSES = frozenset(("", ")", "]", ",", ".", ";", ":"))


@record
class _Word:
    """What one word reads as where it stands alone; ``length`` 0: no unit. ``slow``: the patterns
    must look at what follows it; ``openers``: first letters of a next word that may belong to it;
    ``ends_text``: a full stop behind it that ends the text does not belong to it."""

    openers: tuple[str, ...] = ()
    slow: bool = False
    code: str | None = None
    relative_to: RelativeTo | None = None
    length: int = 0
    ends_text: bool = False


class UnitReader:
    """Reads units off a text. Built from the table's atoms; see :meth:`match`."""

    def __init__(self, atoms: Mapping[str, Atom]) -> None:
        self._atoms = atoms
        self._exact: dict[str, Atom] = {}
        self._folded: dict[str, Atom] = {}
        self._exact_before: dict[str, Atom] = {}
        self._folded_before: dict[str, Atom] = {}
        for atom in atoms.values():
            if atom.place.startswith("suffix"):
                continue
            before = atom.place == "before /"
            (self._exact_before if before else self._exact).update(dict.fromkeys(atom.cased, atom))
            (self._folded_before if before else self._folded).update(dict.fromkeys(atom.surfaces, atom))
        self._suffixes = tuple(
            (re.compile(rf" {{0,2}}(?:{trie_pattern(atom.surfaces)})\b", FLAGS), atom)
            for atom in atoms.values()
            if atom.place.startswith("suffix")
        )
        self._openers = self._second_words()
        self._compile()
        self._codes: dict[str, str | None] = {}
        self._words: dict[str, _Word] = {}

    def _second_words(self) -> Mapping[str, tuple[str, ...]]:
        """For the first word of a spelling of several words, the first three letters of the second."""
        found: dict[str, set[str]] = {}
        for table in (self._exact, self._folded, self._exact_before, self._folded_before):
            for surface in table:
                first, blank, rest = surface.lower().partition(" ")
                if blank:
                    found.setdefault(first, set()).add(rest[:3])
        return {first: tuple(sorted(seconds)) for first, seconds in found.items()}

    def _compile(self) -> None:
        def words(*places: str) -> str:
            chosen = [atom for atom in self._atoms.values() if atom.place in places]
            folded = trie_pattern(surface for atom in chosen for surface in atom.surfaces)
            cased = trie_pattern(surface for atom in chosen for surface in atom.cased)
            return f"{folded}|(?-i:{cased})" if cased else folded

        denominator = words("any", "denominator")
        volume = trie_pattern(
            surface
            for code in ("L", "mL", "uL", "mm3", "dL", "kg", "[HPF]")
            for surface in self._atoms[code].surfaces
        )
        before = [atom for atom in self._atoms.values() if atom.place == "before /"]
        cased = "|".join(re.escape(surface) for atom in before for surface in atom.cased)
        many = trie_pattern(surface for atom in before for surface in atom.surfaces) + f"|(?-i:{cased})"
        cells = trie_pattern(self._atoms["{cells}"].surfaces)
        slash = r"(?: {0,2}(?:/|\bper\b|a(?= )) {0,2}| {0,1}each )"
        dot = r" {0,1}[.*\u00b7\u22c5] {0,1}| {1,2}"
        tail = rf"(?:{slash}\(? {{0,1}}(?:{denominator}){EDGE}\)?|(?:{dot})(?:{denominator})\^?-1\b)"
        # "ml/(min.1.73 m2)", "mL/min*1.73m2": a second denominator after a point or a star
        second = r"(?:(?<=\.)| {0,1}[.*x\u00b7] {0,1}|-| {1,2}(?:per )?)1[.,]73 {0,2}m ?\^?2?\)?(?![a-z0-9])"
        power = (
            r"(?:[x*] {0,2})?10 {0,1}(?:\^|\*{1,2}|e|\^\(|\() {0,1}\+?(?P<p1>\d{1,2})\)?"
            r"|[x*] {0,2}10(?P<p2>\d{1,2})|10 {1,2}(?P<p3>[369]|12)|10(?P<p5>[69]|12)|e {0,1}\+?(?P<p4>\d{1,2})"
        )
        self._power = re.compile(
            rf"(?:{power}) {{0,2}}(?:(?:{cells}){EDGE} {{0,2}})?(?:/|per\b) {{0,2}}(?P<v>{volume}){EDGE}(?: of blood)?",
            FLAGS,
        )
        self._unit = re.compile(
            rf"(?P<alone>{words('alone')}){EDGE}"
            rf"|(?P<scale>{many}){EDGE}(?: {{1,2}}(?:{cells}){EDGE})? {{0,2}}(?:/|per\b) {{0,2}}(?P<sv>{volume}){EDGE}"
            rf"|(?P<n>{words('any')}){EDGE}{_ABBREVIATION}(?P<tails>(?:{tail}){{0,3}})"
            rf"(?:(?<=[n)a-z.])(?P<second>{second}))?(?P<daily>{_DAILY})?"
            rf"|(?:/|per\b) {{0,2}}(?P<d>{denominator}){EDGE}(?:(?: of blood)|(?P<d2>{tail}))?",
            FLAGS,
        )
        self._tail = re.compile(
            rf"(?:{slash}|{dot})\(? {{0,1}}(?P<u>{denominator}){EDGE}\)?(?:\^?-1)?", FLAGS
        )

    def match(self, text: str, pos: int) -> UnitMatch | None:
        """The longest unit that starts at ``pos`` of the folded text, after at most two blanks and a
        hyphen; None where there is none."""
        char = text[pos : pos + 1]
        start = pos + 1 if char == " " else pos
        word = _WORD.match(text, start)
        if word is None:
            # no spelling begins with a sign that closes: most numbers without a unit end here
            return None if text[start : start + 1] in _CLOSES else self._match_slow(text, pos)
        surface = word[0]
        known = self._words.get(surface)
        if known is None:
            known = self._learn(surface)
        end = word.end()
        after = text[end : end + 5]
        if known.slow or not (
            after == ""
            or (after[0] in _ENDS and not surface[-1].isdigit())
            or (after == "." and known.ends_text)
            or (
                after[0] == " "
                and (behind := after.lstrip(" "))[:1] not in _SIGNS
                and not behind.lower().startswith(known.openers)
            )
        ):
            return self._match_slow(text, pos)
        if known.length == 0:
            return None
        return UnitMatch(
            known.code, start, start + known.length, known.relative_to, 1.0, surface[: known.length]
        )

    def _learn(self, surface: str) -> _Word:
        """What a word is when nothing after it belongs to it, kept for the next time."""
        folded = surface.lower()
        limited = any(key.lower() == folded for atom in self._atoms.values() for key in atom.only_between)
        if limited or folded in _GO_ON or folded.endswith("/") or re.match(r"[xe]\d", folded):
            word = _Word(slow=True)
        else:
            openers = (*_COMMON_OPENERS, *self._openers.get(re.split(r"[/%]", folded)[-1], ()))
            found = self._match_slow(surface, 0)
            dotted = self._match_slow(f"{surface}.", 0)
            ends_text = dotted == found
            word = _Word(openers, ends_text=ends_text)
            if found is not None:
                word = _Word(openers, False, found.ucum, found.relative_to, found.end, ends_text)
        if len(self._words) < _REMEMBERED:
            self._words[surface] = word
        return word

    def _match_slow(self, text: str, pos: int) -> UnitMatch | None:
        lead = _LEAD.match(text, pos)
        start = lead.end() if lead else pos
        if start >= len(text):
            return None
        first = text[start]
        if first in "xX*1eE":
            power = self._match_power(text, start)
            if power:
                return power
        best: UnitMatch | None = None
        often = _OFTEN.match(text, start)
        found = self._unit.match(text, often.end() if often else start)
        if found:
            best = self._from_table(text, found, pos)
            if often and best and self._atoms[(best.ucum or "%").split("/")[0] or "%"].time is False:
                best = None
        if best is None or first in "xX*tTfFuUiI-":
            relative = self._match_relative(text, start)
            if relative and (best is None or relative.end > best.end):
                best = relative
        if best is None:
            word = _MULTIPLIER.match(text, start)
            if word:
                best = self._scaled(text, word)
        return best

    def rate_after(self, text: str, found: UnitMatch) -> tuple[str, int, int] | None:
        """The time that an amount is given in where its substance stands between: for "20 mg of
        prednisone per day", after the match of "mg", the code ``mg/d`` and the span of "per day"."""
        if found.ucum not in _RATED:
            return None
        rate = _RATE.match(text, found.end)
        if rate is None:
            return None
        how = rate["how"].lower()
        return f"{found.ucum}/{'wk' if 'w' in how else 'd'}", rate.start("how"), rate.end("how")

    def _scaled(self, text: str, word: re.Match[str]) -> UnitMatch:
        scale = {"thousand": 1e3, "million": 1e6, "billion": 1e9}[word["w"].lower()]
        inner = self._unit.match(text, min(word.end() + 1, len(text)))
        after = self._from_table(text, inner, word.end()) if inner else None
        end = after.end if after and after.ucum else word.end()
        code = after.ucum if after else None
        return UnitMatch(
            code, word.start(), end, after.relative_to if after else None, scale, text[word.start() : end]
        )

    def _match_power(self, text: str, start: int) -> UnitMatch | None:
        found = self._power.match(text, start)
        if not found:
            return None
        exponent = int(found["p1"] or found["p2"] or found["p3"] or found["p4"] or found["p5"])
        volume = self._lookup(found["v"])
        if volume is None or exponent > 15:
            return None
        code = f"10*{exponent}/{'uL' if volume.code == 'mm3' else volume.code}"
        return UnitMatch(code, start, found.end(), None, 1.0, found[0])

    def _match_relative(self, text: str, start: int) -> UnitMatch | None:
        found = RELATIVE.match(text, start)
        if not found:
            if text[start : start + 1] in "nNtT" and TWICE.search(text, max(0, start - 9), start):
                twice = TWICE_NORMAL.match(text, start)
                if twice:
                    return UnitMatch(None, start, twice.end(), "ULN", 1.0, twice[0])
            return None
        relative: RelativeTo = "ULN"
        if found["lln"]:
            relative = "LLN"
        elif found["llod"]:
            relative = "LLOD"
        elif found["base"]:
            relative = "baseline"
        end = start + len(found[0].rstrip())
        return UnitMatch(None, start, end, relative, 1.0, text[start:end])

    def _lookup(self, surface: str) -> Atom | None:
        surface = surface.replace("  ", " ")
        return self._exact.get(surface) or self._folded.get(surface.lower())

    def _from_table(self, text: str, found: re.Match[str], pos: int) -> UnitMatch | None:
        start, end = found.span()
        surface = found[0]
        if surface in self._codes:
            code = self._codes[surface]
        else:
            code = self._code(found)
            if len(self._codes) < _REMEMBERED:
                self._codes[surface] = code
        if code is None:
            return self._shorter(text, found, pos)
        if not self._number_allows(surface, text, pos):
            return None
        relative: RelativeTo | None = None
        if code in _QUALIFIED:
            relative, end = self._qualified(text, code, end)
        if code == "mm3" and (_number_before(text, pos) or 0) >= 100:
            code = "/uL"  # "platelets < 75,000 mm3": the stroke is lost; no lesion's volume is bounded so
        for pattern, atom in self._suffixes:
            suffix = pattern.match(text, end)
            if suffix and code.endswith(_SUFFIXED[atom.code]):
                code, end = code + atom.code, suffix.end()
        end = self._restated(text, code, end)
        return UnitMatch(code, start, end, relative, 1.0, text[start:end])

    def _shorter(self, text: str, found: re.Match[str], pos: int) -> UnitMatch | None:
        """The compound is none: its numerator alone, if that is a unit of its own."""
        head = found["n"]
        atom = self._lookup(head) if head else None
        if atom is None or not self._number_allows(head, text, pos):
            return None
        end = found.start() + len(head)
        return UnitMatch(atom.code, found.start(), end, None, 1.0, text[found.start() : end])

    def _number_allows(self, surface: str, text: str, pos: int) -> bool:
        atom = self._lookup(surface)
        limits = atom.only_between.get(surface) if atom else None
        if limits is None:
            return True
        number = _number_before(text, pos)
        return number is not None and limits[0] <= number <= limits[1]

    def _qualified(self, text: str, code: str, end: int) -> tuple[RelativeTo | None, int]:
        """ "% predicted", "% of ULN", "years of age"."""
        if code != "%":
            age = _AGE.match(text, end)
            return None, age.end() if age else end
        found = PERCENT.match(text, end)
        if not found:
            return None, end
        stop = end + len(found[0].rstrip())
        if found["pred"]:
            return "predicted", stop
        if found["base"]:
            return "baseline", stop
        return "ULN" if found["uln"] else "LLN", stop

    def _restated(self, text: str, code: str | None, end: int) -> int:
        """Past "(mg/dL)" after "milligrams per deciliter": the same unit again, in brackets."""
        gap = end + 1 if text[end : end + 1] == " " else end
        if text[gap : gap + 1] not in ("(", "["):
            return end
        inner = self._unit.match(text, gap + 1)
        if inner and text[inner.end() : inner.end() + 1] in (")", "]") and self._code(inner) == code:
            return inner.end() + 1
        return end

    def _code(self, found: re.Match[str]) -> str | None:
        """The UCUM code of what ``_unit`` matched, or None where its parts do not make a unit."""
        if found["alone"]:
            atom = self._lookup(found["alone"])
            return atom.code if atom else None
        if found["scale"]:
            return self._count_code(found["scale"], found["sv"])
        if found["d"]:
            codes = [self._denominator(tail) for tail in (found["d"], *self._tails(found["d2"] or ""))]
            return None if None in codes else "/" + "/".join(str(code) for code in codes)
        head = self._lookup(found["n"])
        if head is None:
            return None
        parts = [head.code]
        for tail in self._tails(found["tails"] or ""):
            code = self._denominator(tail)
            if code is None:
                return None
            parts.append(code)
        if found["second"]:
            parts.append("{1.73_m2}")
        if found["daily"]:
            word = found["daily"].lower()
            parts.append("wk" if "week" in word else "mo" if "month" in word else "d")
        return "/".join(parts)

    def _tails(self, tails: str) -> list[str]:
        return [match["u"] for match in self._tail.finditer(tails)]

    def _denominator(self, surface: str) -> str | None:
        atom = self._lookup(surface)
        if atom is None or atom.code == "%":
            return None
        return "uL" if atom.code == "mm3" else atom.code

    def _count_code(self, head: str, volume: str) -> str | None:
        atom = self._exact_before.get(head) or self._folded_before.get(head.lower().replace("  ", " "))
        per = self._lookup(volume)
        if atom is None or per is None or (head == "G" and per.code != "L"):
            return None
        volume_code = "uL" if per.code == "mm3" else per.code
        return f"/{volume_code}" if atom.code == "{cells}" else f"{atom.code}/{volume_code}"


_SIGNS = frozenset("/([-.*x")
# Words after which a unit may go on at length, or whose meaning hangs on the number before them.
_GO_ON = frozenset((
    "additional", "age", "age-adjusted", "an", "and", "assay", "assay's", "base", "baseline", "billion",
    "calendar", "central", "clinical", "complete", "completed", "consecutive", "continuous",
    "corresponding", "cumulative", "current", "defined", "detection", "each", "established", "fold",
    "folds", "for", "full", "further", "gender", "gestational", "highest", "his", "hospital",
    "hospital's", "institution", "institution's", "institutional", "institutions", "its", "iuln", "lab",
    "lab's", "laboratories", "laboratory", "laboratory's", "labs", "limit", "limits", "local", "log",
    "log10", "lower", "maximum", "million", "millions", "minimum", "mm3", "mm^3", "multiple",
    "multiples", "normal", "or", "per", "post", "reference", "relevant", "respective", "sex", "site",
    "site's", "specified", "standard", "study", "testing", "the", "their", "thousand", "thousands",
    "time", "times", "top", "uper", "upper", "whole", "x",
))  # fmt: skip
_COMMON_OPENERS = (
    "per", "a ", "eac", "dai", "onc", "wee", "eve", "mon", "old", "of ", "in a", "qd", "q.d", "od", "o.d", "pre",
    "nor", "exp", "feu", "fib", "hb", "hgb", "hem", "hae", "1.7", "1,7", "l-1", "l^-", "dl-", "ml-", "kg-", "min", "m-2", "cm-",
)  # fmt: skip
_REMEMBERED = 50_000
_QUALIFIED = frozenset(("%", "a", "mo", "wk", "d"))
_SUFFIXED = {"{FEU}": ("mg/L", "ug/mL", "ng/mL", "ug/L"), "{Hb}": ("/g",)}


def _number_before(text: str, pos: int) -> float | None:
    found = _NUMBER_BEFORE.search(text, max(0, pos - 16), pos)
    return float(found[1].replace(",", "")) if found else None
