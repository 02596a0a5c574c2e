"""Units of measure: a closed table, a fast reader of their spellings, and conversion.

``nlp/data/units.jsonl`` holds one *atom* a line (``mg``, ``dL``, ``{copies}``, ``(24.h)`` ...) with its
spellings, its dimension and its factor to the base of that dimension. Compound units (``mg/kg/d``,
``{copies}/mL``) are atoms joined by ``/``, so their factor follows from the atoms. Nothing outside
the table is ever read as a unit. The tests prove each row, and the compounds in use, against
ucumvert and pint; those are not used at run time (slow, and they read ``K/uL`` as kelvin).

UCUM: https://ucum.org/ucum. Bases: gram, metre, second, mole, kelvin-sized degree Celsius, pascal, ...
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nlp.errors import VocabularyError
from nlp.unit_reader import RelativeTo, UnitMatch, UnitReader

DATA = Path(__file__).parent / "data" / "units.jsonl"

__all__ = ["Atom", "Measure", "RelativeTo", "UnitMatch", "UnitTable", "load"]
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


class UnitTable:
    """The table, its reader and its conversions. Build one with :func:`load`."""

    def __init__(self, atoms: Iterable[Atom], concepts: Mapping[str, ConceptFacts] | None = None) -> None:
        self.atoms: Mapping[str, Atom] = {atom.code: atom for atom in atoms}
        self.concepts: Mapping[str, ConceptFacts] = concepts or {}
        self._measures: dict[str, Measure | None] = {}
        reader = UnitReader(self.atoms)
        self.match = reader.match
        self.rate_after = reader.rate_after

    # ---------------------------------------------------------- conversion

    def measure(self, code: str) -> Measure | None:
        """What a UCUM code of this table means; None for any other code."""
        if code not in self._measures:
            if len(self._measures) >= 10_000:
                return _measure(self.atoms, code)
            self._measures[code] = _measure(self.atoms, code)
        return self._measures[code]

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
        if "%" in (from_unit, to_unit) and _SCALES.intersection((from_unit, to_unit)):
            # Karnofsky 60 % is 60 points, not 0.6; of a score that nobody writes in percent it is unsure
            return value if facts is not None and "%" in facts.units else None
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


_SCALES = frozenset({"{score}", "{points}", "{percentile}", "{class}", "{grade}"})
"""Units of scales of points: a percentage of them is a number of points, where the scale has 100."""

_UNIT_SYNONYM = {"[IU]/L": "[iU]/L", "[IU]/mL": "[iU]/mL", "m[IU]/mL": "m[iU]/mL", "m[IU]/L": "m[iU]/L"}


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


def _measure(atoms: Mapping[str, Atom], code: str) -> Measure | None:
    whole = atoms.get(code)
    if whole is not None and "/" in code:
        return Measure(tuple(sorted(whole.dimension.items())), whole.factor)
    dimension: dict[str, int] = {}
    factor, offset, log10 = 1.0, 0.0, False
    parts = code.split("/")
    for index, part in enumerate(parts):
        if part in ("", "1") and index == 0:
            continue
        power = 1 if index == 0 else -1
        atom = atoms.get(part)
        exponent = re.fullmatch(r"10\*(-?\d{1,2})", part)
        if atom is None and exponent is None:
            for suffix in ("{FEU}", "{Hb}"):
                if part.endswith(suffix) and part[: -len(suffix)] in atoms:
                    atom = atoms[part[: -len(suffix)]]
                    dimension[suffix] = dimension.get(suffix, 0) + power
        if exponent is not None:
            factor *= 10.0 ** (int(exponent[1]) * power)
            continue
        if atom is None:
            return None if not _is_annotation(part) else Measure(((code, 1),), 1.0)
        factor *= atom.factor**power
        offset = atom.offset if len(parts) == 1 else 0.0
        if atom.log10_of is not None:
            source = atoms[atom.log10_of]
            log10, atom = True, source
        for name, count in atom.dimension.items():
            dimension[name] = dimension.get(name, 0) + count * power
    return Measure(tuple(sorted((k, v) for k, v in dimension.items() if v)), factor, offset, log10)
