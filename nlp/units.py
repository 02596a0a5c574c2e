"""Units of measure: a closed table, a fast reader of their spellings, and conversion.

``nlp/data/units.jsonl`` holds one *atom* a line (``mg``, ``dL``, ``{copies}``, ``(24.h)`` ...) with its
spellings, its dimension and its factor to the base of that dimension. Compound units (``mg/kg/d``,
``{copies}/mL``) are atoms joined by ``/``, so their factor follows from the atoms. Nothing outside
the table is ever read as a unit. The tests prove each row, and the compounds in use, against
ucumvert and pint; those are not used at run time (slow, and they read ``K/uL`` as kelvin).

UCUM: https://ucum.org/ucum. Bases: gram, metre, second, mole, kelvin-sized degree Celsius, pascal, ...
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from nlp.errors import VocabularyError

RelativeTo = Literal["ULN", "LLN", "LLOD", "baseline", "predicted"]
DATA = Path(__file__).parent / "data" / "units.jsonl"

PLACES = ("any", "alone", "denominator", "before /", "suffix", "suffix of g")
ROW_KEYS = frozenset(
    [
        "code",
        "surfaces",
        "cased",
        "dimension",
        "factor",
        "offset",
        "place",
        "time",
        "count",
        "only_between",
        "log10_of",
        "note",
    ]
)


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Atom:
    """One row of the table. ``factor``: one of it is ``factor`` of its dimension's base unit
    (``value * factor + offset`` for a temperature)."""

    code: str
    surfaces: tuple[str, ...]
    cased: tuple[str, ...]
    dimension: Mapping[str, int]
    factor: float
    offset: float
    place: str
    time: bool
    count: bool
    only_between: Mapping[str, tuple[float, float]]
    log10_of: str | None


@dataclass(frozen=True, slots=True)
class Measure:
    """What a UCUM code means: dimension (sorted exponents), factor and offset to the base."""

    dimension: tuple[tuple[str, int], ...]
    factor: float
    offset: float = 0.0
    log10: bool = False


class ConceptFacts(Protocol):
    """What conversion must know of a concept."""

    @property
    def molar_mass(self) -> float | None:
        """Molar mass in g/mol."""

    @property
    def valence(self) -> int | None:
        """Charge counted by milliequivalents."""

    @property
    def unit(self) -> str | None:
        """Canonical UCUM unit."""

    @property
    def units(self) -> tuple[str, ...]:
        """Accepted UCUM units."""


def read_rows(path: Path) -> list[Atom]:
    """The rows of a units file. Raises VocabularyError (file, line, key) for any fault in it."""
    atoms: list[Atom] = []
    seen: dict[tuple[bool, str], int] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        where = f"{path.name} line {number}"
        if not line.strip():
            raise VocabularyError(f"{where}: an empty line; take it out")
        try:
            row = json.loads(line)
        except ValueError as error:
            raise VocabularyError(f"{where}: not JSON ({error}); write one object a line") from error
        atoms.append(_atom(row, where))
        for surface in (*atoms[-1].surfaces, *atoms[-1].cased):
            key = (atoms[-1].place == "before /" or atoms[-1].place.startswith("suffix"), surface)
            if key in seen:
                raise VocabularyError(f"{where}: key surfaces: {surface!r} is also on line {seen[key]}")
            seen[key] = number
    return atoms


def _atom(row: Any, where: str) -> Atom:
    if not isinstance(row, dict) or not isinstance(row.get("code"), str):
        raise VocabularyError(f"{where}: key code: a row is an object with a UCUM code")
    unknown = sorted(row.keys() - ROW_KEYS)
    if unknown:
        raise VocabularyError(f"{where}: key {unknown[0]}: unknown; known are {', '.join(sorted(ROW_KEYS))}")
    if row.get("place", "any") not in PLACES:
        raise VocabularyError(f"{where}: key place: {row['place']!r} is none of {', '.join(PLACES)}")
    factor = row.get("factor")
    if not isinstance(factor, (int, float)) or isinstance(factor, bool) or factor <= 0:
        raise VocabularyError(f"{where}: key factor: a number above 0 is needed")
    for surface in row.get("surfaces", []):
        if surface != surface.lower():
            raise VocabularyError(f"{where}: key surfaces: {surface!r} has capitals; put it under cased")
    return Atom(
        code=row["code"],
        surfaces=tuple(row.get("surfaces", ())),
        cased=tuple(row.get("cased", ())),
        dimension=row.get("dimension", {}),
        factor=float(factor),
        offset=float(row.get("offset", 0.0)),
        place=row.get("place", "any"),
        time=bool(row.get("time", False)),
        count=bool(row.get("count", False)),
        only_between={k: (float(v[0]), float(v[1])) for k, v in row.get("only_between", {}).items()},
        log10_of=row.get("log10_of"),
    )


# ------------------------------------------------------------------ patterns


def trie_pattern(words: Iterable[str]) -> str:
    """One regular expression for all words, longest first, factored by common prefixes (so the time
    for a match grows with the length of the word, not with the number of words)."""
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
            body = build(node[char])
            # A blank in a spelling stands for one or two blanks in the text.
            branches.append((" {1,2}" if char == " " else re.escape(char)) + body)
        if not branches:
            return ""
        joined = branches[0] if len(branches) == 1 and not optional else "(?:" + "|".join(branches) + ")"
        return joined + "?" if optional else joined

    return build(root)


_EDGE = r"(?![a-z^]|(?<=[a-z])\d)"
_LEAD = re.compile(r"[ \t]{0,2}(?:-[ \t]?)?")
_LIMIT_WORDS = (
    r"(?:the|its|their|an|institutional|institution(?:'?s)?|local|laborator(?:y|ies)(?:'s)?|lab(?:'?s)?|central|reference"
    r"|respective|site|site's|age|age-?adjusted|gender-?specific|sex-?specific|age-?specific|specified|standard"
    r"|corresponding|assay(?:'s)?|study|clinical|hospital(?:'s)?|and|or|defined|current|for|each|relevant|established|testing)"
)
_ULN = (
    rf"(?:{_LIMIT_WORDS}[ -]{{1,2}}){{0,5}}"
    r"(?:i?uln['s]{0,2}\b|unl\b|uln(?=[a-z])|uper limit of normal|(?:upper|maximum|highest|top)[ -]{1,2}(?:normal[ -]|reference[ -]|laboratory[ -]|institutional[ -]){0,2}"
    r"(?:limits?|range|end|bound(?:ary)?|levels?|values?|normal)(?: (?:of|or|for|in) {1,2}(?:(?:the|institutional|laboratory|local|lab|reference|normal|respective|healthy|central|a|our|each|assay's?|this|testing|institution's?) ){0,4}"
    r"(?:normal|reference|laboratory|lab|range|institution(?:'s)?|center|test|assay|value|values|limits?)\b)?(?: (?:normal|reference) (?:range|limits?|values?|interval))?(?: normal\b)?"
    r"|normal (?:upper|maximum) (?:limits?|values?)|limits? of (?:the )?upper (?:limit of )?normal)"
    r"(?: {0,2}[\[(] {0,1}(?:i?uln|unl|upper limit of normal|x ?uln|as uln) {0,1}[\])])?"
    r"(?: (?:range|ranges|values?|limits?|level|of normal|of the normal range|interval|reference range|reference)\b)*"
    r"(?: (?:for|of|at|per|by|according to) (?:the )?(?:age|(?:local |central |testing |respective |reference |study |participating )*(?:laborator(?:y|ies)|lab|institution|site|center)(?: range| standards| reference range)?)\b)*"
)
_LLN = (
    rf"(?:{_LIMIT_WORDS}[ -]{{1,2}}){{0,5}}"
    r"(?:lln\b|(?:lower|minimum)[ -]{1,2}(?:normal[ -]|reference[ -]|laboratory[ -]|institutional[ -]){0,2}(?:limits?|range|end|bound(?:ary)?) of (?:(?:the|institutional|laboratory|local|lab|reference) ){0,3}normal(?: range| values?| limits?)?"
    r"|lower normal limits?|normal lower limits?)(?: {0,2}\( {0,1}lln {0,1}\))?"
)
_LLOD = (
    r"(?:the )?(?:llod\b|lloq\b|lod\b|(?:lower )?limits? of (?:detection|quantification|quantitation|detectability|assay detection)|lower limit (?:value )?of (?:the )?(?:detection|assay|test)(?: reagent| kit)?"
    r"|(?:lower )?detection limits?|(?:minimum|lower) detection (?:limit|threshold|value))(?: {0,2}\( {0,1}(?:llod|lloq|lod) {0,1}\))?"
)
_TIMES = (
    r"(?:-?[ -]{0,2}(?:x|\*|times?|fold|-fold|folds|multiples? of)(?![a-z](?<!xu)(?<!xn)(?<!xl))[ -]{0,2}"
    r"(?:(?:the )?(?:higher|greater|more|above|over|of|than|upper than|or greater|larger|as high as|that of|increase(?:d)?) ?){0,3}(?:than |of |above |over )?)"
)


class UnitTable:
    """The table, its reader and its conversions. Build one with :func:`load`."""

    def __init__(self, atoms: Iterable[Atom], concepts: Mapping[str, ConceptFacts] | None = None) -> None:
        self.atoms: Mapping[str, Atom] = {atom.code: atom for atom in atoms}
        self.concepts: Mapping[str, ConceptFacts] = concepts or {}
        self._exact: dict[str, Atom] = {}
        self._folded: dict[str, Atom] = {}
        self._exact_before: dict[str, Atom] = {}
        self._folded_before: dict[str, Atom] = {}
        for atom in self.atoms.values():
            if atom.place.startswith("suffix"):
                continue
            before = atom.place == "before /"
            (self._exact_before if before else self._exact).update(dict.fromkeys(atom.cased, atom))
            (self._folded_before if before else self._folded).update(dict.fromkeys(atom.surfaces, atom))
        self._compile()
        self._read: dict[str, tuple[str | None, RelativeTo | None, float]] = {}

    def _compile(self) -> None:
        def words(*places: str) -> str:
            chosen = [atom for atom in self.atoms.values() if atom.place in places]
            folded = trie_pattern(surface for atom in chosen for surface in atom.surfaces)
            cased = trie_pattern(surface for atom in chosen for surface in atom.cased)
            return f"{folded}|(?-i:{cased})" if cased else folded

        numerator = words("any")
        alone = words("alone")
        denominator = words("any", "denominator")
        power_volume = trie_pattern(
            surface for code in ("L", "mL", "uL", "mm3", "dL", "kg") for surface in self.atoms[code].surfaces
        )
        before = [atom for atom in self.atoms.values() if atom.place == "before /"]
        cased = "|".join(re.escape(surface) for atom in before for surface in atom.cased)
        million = trie_pattern(surface for atom in before for surface in atom.surfaces) + f"|(?-i:{cased})"
        cells = trie_pattern(self.atoms["{cells}"].surfaces)
        slash = r"(?: {0,2}(?:/|\bper\b|a(?= )) {0,2}| {0,1}each )"
        dot = r" {0,1}[.*\u00b7\u22c5] {0,1}| {1,2}"
        tail = rf"(?:{slash}\(? {{0,1}}(?:{denominator}){_EDGE}(?:\))?|(?:{dot})(?:{denominator})\^?-1\b)"
        # "ml/(min.1.73 m2)", "mL/min*1.73m2": a second denominator after a point or a star
        second = r"(?: {0,1}[.*x\u00b7] {0,1}|-| {1,2}(?:per )?)1[.,]73 {0,2}m ?\^?2?\)?(?![a-z0-9])"
        daily = r" {0,2}/? {0,1}(?:once )?(?:daily|qd|q\.d\.|every day|each day|a day|per diem|od|o\.d\.)\b| (?:once )?(?:weekly|every week|each week)\b| monthly\b"
        power = (
            r"(?:[x*] {0,2})?10 {0,1}(?:\^|\*{1,2}|e|\^\(|\() {0,1}\+?(?P<p1>\d{1,2})\)?|[x*] {0,2}10(?P<p2>\d{1,2})|10 {1,2}(?P<p3>[369]|12)|10(?P<p5>[69]|12)"
            r"|e {0,1}\+?(?P<p4>\d{1,2})"
        )
        self._power = re.compile(
            rf"(?:{power}) {{0,2}}(?:(?:{cells}){_EDGE} {{0,2}})?(?:/|per\b) {{0,2}}(?P<v>{power_volume}){_EDGE}(?: of blood)?",
            re.IGNORECASE | re.ASCII,
        )
        self._unit = re.compile(
            rf"(?P<alone>{alone}){_EDGE}"
            rf"|(?P<scale>{million}){_EDGE}(?: {{1,2}}(?:{cells}){_EDGE})? {{0,2}}(?:/|per\b) {{0,2}}(?P<sv>{power_volume}){_EDGE}"
            rf"|(?P<n>{numerator}){_EDGE}(?P<tails>(?:{tail}){{0,3}})(?:(?<=[n)a-z])(?P<second>{second}))?(?P<daily>{daily})?"
            rf"|(?:/|per\b) {{0,2}}(?P<d>{denominator}){_EDGE}(?:(?: of blood)|(?P<d2>{tail}))?",
            re.IGNORECASE | re.ASCII,
        )
        self._tail = re.compile(
            rf"(?:{slash}|{dot})\(? {{0,1}}(?P<u>{denominator}){_EDGE}\)?(?:\^?-1)?", re.IGNORECASE | re.ASCII
        )
        self._relative = re.compile(
            rf"(?:{_TIMES})?(?:(?P<uln>{_ULN})|(?P<lln>{_LLN})|(?P<llod>{_LLOD}))"
            rf"|{_TIMES}(?:(?P<normal>(?:{_LIMIT_WORDS} ){{0,3}}normal(?: (?:range|ranges|limits?|levels?|values?))?(?: for age)?\b)|(?P<base>(?:the |their |his )?base-?line(?: values?| levels?)?\b))",
            re.IGNORECASE | re.ASCII,
        )
        self._percent = re.compile(
            rf" {{0,2}}-?(?:(?P<pred>(?:of )?(?:the )?(?:(?:age |normal |their |patient's )?predict(?:ed|ive)|pred\b\.?|expected)(?: normal)?(?: values?| volume)?\b(?: for age)?)"
            rf"|of (?P<uln>{_ULN})|of (?P<lln>{_LLN})|of (?:the )?(?P<base>base-?line)(?: values?)?\b)",
            re.IGNORECASE | re.ASCII,
        )
        self._age = re.compile(
            r"(?:[ -]{1,2}(?:old\b|of age\b|in age\b|olds\b)(?: of age\b)?)", re.IGNORECASE | re.ASCII
        )
        self._multiplier = re.compile(r"(?P<w>million|thousand|billion)s?(?![a-z])", re.IGNORECASE)

    # ------------------------------------------------------------- reading

    def match(self, text: str, pos: int) -> UnitMatch | None:
        """The longest unit that starts at ``pos`` of the folded text (see nlp.text), after at most two
        blanks and a hyphen; None where there is none. Never reads past a line's end."""
        lead = _LEAD.match(text, pos)
        start = lead.end() if lead else pos
        if start >= len(text):
            return None
        best: UnitMatch | None = None
        first = text[start]
        if first in "x*1eE":
            best = self._match_power(text, start)
            if best:
                return best
        found = self._unit.match(text, start)
        if found:
            best = self._from_table(text, found, pos)
        if best is None or first in "xX*tTfFuUiI":
            relative = self._match_relative(text, start)
            if relative and (best is None or relative.end > best.end):
                best = relative
        if best is None:
            word = self._multiplier.match(text, start)
            if word:
                best = self._scaled(text, word)
        return best

    def _scaled(self, text: str, word: re.Match[str]) -> UnitMatch:
        scale = {"thousand": 1e3, "million": 1e6, "billion": 1e9}[word["w"].lower()]
        inner = self._unit.match(text, min(word.end() + 1, len(text)))
        after = self._from_table(text, inner, word.end()) if inner else None
        if after and after.ucum:
            return UnitMatch(
                after.ucum, word.start(), after.end, after.relative_to, scale, text[word.start() : after.end]
            )
        return UnitMatch(None, word.start(), word.end(), None, scale, word[0])

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
        found = self._relative.match(text, start)
        if not found:
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
        known = self._read.get(surface)
        if known is None:
            code = self._code(found)
            known = (code, None, 1.0)
            if len(self._read) < 20_000:
                self._read[surface] = known
        code, relative, scale = known
        if code is None:
            return self._shorter(text, found, pos)
        if not self._number_allows(surface, text, pos):
            return None
        if code in ("%", "{percentile}") or code in ("a", "mo", "wk", "d"):
            code, relative, scale, end = self._qualified(text, code, end)
        if code == "mm3" and (_number_before(text, pos) or 0) >= 100:
            code = "/uL"  # "platelets < 75,000 mm3": the stroke is lost; no lesion's volume is bounded so
        end = self._restated(text, code, end)
        return UnitMatch(code, start, end, relative, scale, text[start:end])

    def _shorter(self, text: str, found: re.Match[str], pos: int) -> UnitMatch | None:
        """The compound is none: its numerator alone, if that is a unit of its own."""
        head = found["n"]
        if head is None:
            return None
        atom = self._lookup(head)
        if atom is None or not self._number_allows(head, text, pos):
            return None
        end = found.start() + len(head)
        return UnitMatch(atom.code, found.start(), end, None, 1.0, text[found.start() : end])

    def _number_allows(self, surface: str, text: str, pos: int) -> bool:
        atom = self._exact.get(surface) or self._folded.get(surface.lower())
        limits = atom.only_between.get(surface) if atom else None
        if limits is None:
            return True
        number = _number_before(text, pos)
        return number is not None and limits[0] <= number <= limits[1]

    def _qualified(self, text: str, code: str, end: int) -> tuple[str, RelativeTo | None, float, int]:
        """ "% predicted", "% of ULN", "years of age"."""
        if code != "%":
            age = self._age.match(text, end)
            return code, None, 1.0, age.end() if age else end
        found = self._percent.match(text, end)
        if not found:
            return code, None, 1.0, end
        stop = end + len(found[0].rstrip())
        if found["pred"]:
            return "%", "predicted", 1.0, stop
        if found["base"]:
            return "%", "baseline", 1.0, stop
        return "%", "ULN" if found["uln"] else "LLN", 1.0, stop

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
            tails = [found["d"], *self._tails(found["d2"] or "")]
            codes = [self._denominator(tail) for tail in tails]
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
        if atom is None or per is None:
            return None
        volume_code = "uL" if per.code == "mm3" else per.code
        if head == "G" and volume_code != "L":
            return None
        if atom.code == "{cells}":
            return f"/{volume_code}"
        return f"{atom.code}/{volume_code}"

    # ---------------------------------------------------------- conversion

    def measure(self, code: str) -> Measure | None:
        """What a UCUM code of this table means; None for any other code."""
        return _measure(self, code)

    def convert(self, value: float, from_unit: str, to_unit: str, concept: str | None = None) -> float | None:
        """``value`` of ``from_unit`` in ``to_unit``; None where no conversion is sure.

        With a concept: mass to amount of substance by its molar mass, milliequivalents by its valence,
        HbA1c between NGSP % and IFCC mmol/mol, "mm3" of a count as "/uL". mL/min is never made
        mL/min/1.73 m2 (it needs the patient's surface), multiples of a limit are never units.
        """
        if from_unit == to_unit:
            return value
        facts = self.concepts.get(concept) if concept is not None else None
        if concept == "hba1c":
            affine = _hba1c(value, from_unit, to_unit)
            if affine is not None:
                return affine
        a, b = (
            self.measure(_UNIT_SYNONYM.get(from_unit, from_unit)),
            self.measure(_UNIT_SYNONYM.get(to_unit, to_unit)),
        )
        if a is None or b is None:
            return None
        base = a.factor * 10.0**value if a.log10 else value * a.factor + a.offset
        dimension = a.dimension
        if dimension != b.dimension:
            ratio = _bridge(dimension, b.dimension, facts)
            if ratio is None:
                return None
            base *= ratio
        if b.log10:
            return None  # a linear bound is not turned into a logarithm: its digits would not be the text's
        return _tidy((base - b.offset) / b.factor)

    def canonical(self, concept: str, value: float, unit: str | None) -> tuple[float, str] | None:
        """Value and unit in the concept's canonical unit; None for an unknown concept, a concept without
        one, or where no conversion is sure. A unitless number fits only a concept whose unit is a
        mere annotation such as ``{score}``."""
        facts = self.concepts.get(concept)
        if facts is None or facts.unit is None:
            return None
        if unit is None:
            return (value, facts.unit) if _is_annotation(facts.unit) else None
        if unit == "{score}" and _is_annotation(facts.unit):
            return value, facts.unit
        converted = self.convert(value, unit, facts.unit, concept)
        return None if converted is None else (converted, facts.unit)


def load(path: Path | None = None, concepts: Mapping[str, ConceptFacts] | None = None) -> UnitTable:
    """The table of ``nlp/data/units.jsonl`` (or of ``path``). Raises VocabularyError."""
    return UnitTable(read_rows(path or DATA), concepts)


_UNIT_SYNONYM = {"[IU]/L": "[iU]/L", "[IU]/mL": "[iU]/mL", "m[IU]/mL": "m[iU]/mL", "m[IU]/L": "m[iU]/L"}
_NUMBER_BEFORE = re.compile(r"(\d[\d,]*(?:\.\d+)?)[ \t-]{0,2}$")


def _number_before(text: str, pos: int) -> float | None:
    found = _NUMBER_BEFORE.search(text, max(0, pos - 16), pos)
    return float(found[1].replace(",", "")) if found else None


def _is_annotation(code: str) -> bool:
    return code.startswith("{") and code.endswith("}") and code.count("{") == 1


def _tidy(value: float) -> float:
    """Round away the noise of binary factors: 12 significant digits are far beyond any assay."""
    return float(f"{value:.12g}")


def _hba1c(value: float, from_unit: str, to_unit: str) -> float | None:
    """NGSP % = 0.09148 x IFCC + 2.152 (IFCC master equation, www.ngsp.org/ifcc.asp)."""
    if from_unit == "mmol/mol" and to_unit == "%":
        return _tidy(0.09148 * value + 2.152)
    if from_unit == "%" and to_unit == "mmol/mol":
        return _tidy((value - 2.152) / 0.09148)
    return None


_Dimension = tuple[tuple[str, int], ...]


def _bridge(a: _Dimension, b: _Dimension, facts: ConceptFacts | None) -> float | None:
    """The factor from a base value of dimension ``a`` to one of ``b``, where chemistry or a
    laboratory's habit gives one; None otherwise. Bases: gram, mole, equivalent, enzyme unit, IU."""
    left, right = dict(a), dict(b)
    kinds = {"mass", "amount", "equivalent", "unit", "iu", "arb"}
    rest_left = {k: v for k, v in left.items() if k not in kinds}
    rest_right = {k: v for k, v in right.items() if k not in kinds}
    changed_left = {k: v for k, v in left.items() if k in kinds}
    changed_right = {k: v for k, v in right.items() if k in kinds}
    if rest_left != rest_right or len(changed_left) != 1 or len(changed_right) != 1:
        return None
    (source, power), (target, other) = next(iter(changed_left.items())), next(iter(changed_right.items()))
    if power != 1 or other != 1:
        return None
    pair = {source, target}
    if pair == {"unit", "iu"}:
        return 1.0  # laboratories print U/L and IU/L for the same enzyme activity
    if facts is None:
        return None
    if pair in ({"unit", "arb"}, {"iu", "arb"}):
        return 1.0 if facts.unit is not None and facts.unit.startswith("[arb'U]") else None
    per_mole = {"amount": 1.0, "mass": facts.molar_mass, "equivalent": facts.valence}
    if source not in per_mole or target not in per_mole:
        return None
    x, y = per_mole[source], per_mole[target]
    return None if not x or not y else y / x


@functools.lru_cache(maxsize=4096)
def _measure(table: UnitTable, code: str) -> Measure | None:
    dimension: dict[str, int] = {}
    factor, offset, log10 = 1.0, 0.0, False
    parts = code.split("/")
    for index, part in enumerate(parts):
        if part in ("", "1") and index == 0:
            continue
        power = 1 if index == 0 else -1
        atom = table.atoms.get(part)
        exponent = re.fullmatch(r"10\*(-?\d{1,2})", part)
        if atom is None and exponent is None:
            for suffix in ("{FEU}", "{Hb}"):
                if part.endswith(suffix) and part[: -len(suffix)] in table.atoms:
                    atom = table.atoms[part[: -len(suffix)]]
                    dimension[suffix] = dimension.get(suffix, 0) + power
        if exponent is not None:
            factor *= 10.0 ** (int(exponent[1]) * power)
            continue
        if atom is None:
            return None if not _is_annotation(part) else Measure(((code, 1),), 1.0)
        factor *= atom.factor**power
        offset = atom.offset if len(parts) == 1 else 0.0
        if atom.log10_of is not None:
            source = table.atoms[atom.log10_of]
            log10, atom = True, source
        for name, count in atom.dimension.items():
            dimension[name] = dimension.get(name, 0) + count * power
    return Measure(tuple(sorted((k, v) for k, v in dimension.items() if v)), factor, offset, log10)
