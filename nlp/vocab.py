"""The vocabulary of concepts: the only reader of ``nlp/data/concepts.jsonl``.

One line of that file is one measurable concept with its aliases, its canonical unit, what decides an
ambiguous alias, and examples that the tests run. :func:`load` checks every line and freezes the whole;
the sha256 over all data files and the code is the vocabulary's digest and part of every result.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nlp import units as units_module
from nlp.errors import VocabularyError
from nlp.model import COMPARATORS, ENTITY_TYPES
from nlp.units import UnitTable

DATA = Path(__file__).parent / "data"
KINDS = ("numeric", "ordinal", "qualitative", "temporal", "count", "dose", "age")
DIRECTIONS = ("min", "max", "either", "range", "qual")
_ID = re.compile(r"[a-z][a-z0-9_]*")
_LOINC = re.compile(r"\d{1,5}-\d")
# A part of an alias: letters, digits, or one sign. Blanks only part.
_TOKEN = re.compile(r"[^\W\d_]+|\d+|[^\w\s]|_")


@dataclass(frozen=True, slots=True)
class Cue:
    """What makes an ambiguous alias mean this concept: one of ``units`` (UCUM) beside it, or one of
    ``words`` (lower case) near it, unless one of ``not_words`` is; ``default`` where nothing decides."""

    units: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    not_words: tuple[str, ...] = ()
    relative: bool = False
    default: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """A text and what is read in it: fields of an item, or None where the alias is not this concept."""

    text: str
    reads: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Concept:
    """One measurable concept. ``unit`` and ``units`` are UCUM; ``molar_mass`` in g/mol; ``plausible``
    the lowest and highest value a limit can sensibly have, in ``unit``; ``valence`` the charge that
    milliequivalents count. ``broader``: a value of this concept also answers for that one;
    ``members``: a text that names this concept means each of those."""

    id: str
    name: str
    category: str
    aliases: tuple[str, ...] = ()
    cased_aliases: tuple[str, ...] = ()
    ambiguous: Mapping[str, Cue] = field(default_factory=dict)
    loinc: tuple[Mapping[str, str], ...] = ()
    loinc_unverified: tuple[str, ...] = ()
    unit: str | None = None
    units: tuple[str, ...] = ()
    molar_mass: float | None = None
    valence: int | None = None
    plausible: tuple[float, float] | None = None
    specimen: str | None = None
    kind: str = "numeric"
    entity_type: str = "Measurement"
    broader: str | None = None
    members: tuple[str, ...] = ()
    direction: str = "either"
    note: str | None = None
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias with every concept that claims it; ``cased``: its case must match."""

    text: str
    cased: bool
    concepts: tuple[str, ...]


@dataclass(frozen=True)
class Vocabulary:
    """All concepts and the unit table, frozen, with the digest of the files they came from."""

    concepts: Mapping[str, Concept]
    aliases: tuple[Alias, ...]
    units: UnitTable
    digest: str

    def resolve(
        self,
        concepts: Sequence[str],
        alias: str,
        unit: str | None = None,
        neighbours: Iterable[str] = (),
        relative_to: str | None = None,
    ) -> str | None:
        """The concept that ``alias`` means here, of those that claim it, or None if nothing decides.

        ``unit`` is the UCUM code beside the value, ``neighbours`` the words around the alias (any
        case). A unit that only one concept accepts decides first, then the words, then the default.
        An alias that one concept claims is declared ambiguous too where it often means something
        that is no concept at all ("PT" = patient): its cue must hold.
        """
        if len(concepts) == 1 and not self.concepts[concepts[0]].ambiguous:
            return concepts[0]
        words = {word.lower() for word in neighbours}
        cues = [(key, _cue(self.concepts[key], alias)) for key in concepts]
        cues = [(key, cue) for key, cue in cues if cue is None or not words.intersection(cue.not_words)]
        if unit is not None:
            by_unit = [
                key for key, cue in cues if self._allows(cue.units if cue else self.concepts[key].units, unit)
            ]
            if len(by_unit) == 1:
                return by_unit[0]
            if by_unit:
                cues = [(key, cue) for key, cue in cues if key in by_unit]
        by_words = [key for key, cue in cues if cue is not None and words.intersection(cue.words)]
        if len(by_words) == 1:
            return by_words[0]
        if relative_to is not None:
            relative = [key for key, cue in cues if cue is not None and cue.relative]
            if len(relative) == 1:
                return relative[0]
        plain = [key for key, cue in cues if cue is None or cue.default]
        return plain[0] if len(plain) == 1 else None

    def _allows(self, allowed: Sequence[str], unit: str) -> bool:
        """Whether ``unit`` is one of ``allowed``, or measures the same as one of them."""
        if unit in allowed:
            return True
        mine = self.units.measure(unit)
        if mine is None or not mine.dimension:
            return False
        return any(
            theirs is not None and theirs.dimension == mine.dimension
            for theirs in (self.units.measure(code) for code in allowed)
        )

    def plausible(self, concept: str, value: float, unit: str | None) -> bool | None:
        """Whether a limit of ``value`` ``unit`` is within the concept's plausible range; None where
        that cannot be told (no range, or no sure conversion)."""
        known = self.concepts.get(concept)
        if known is None or known.plausible is None:
            return None
        canonical = self.units.canonical(concept, value, unit)
        if canonical is None:
            return None
        return known.plausible[0] <= canonical[0] <= known.plausible[1]


def _cue(concept: Concept, alias: str) -> Cue | None:
    if not concept.ambiguous:
        return None
    cue = concept.ambiguous.get(alias)
    if cue is not None:
        return cue
    folded = alias_key(alias)
    for text, candidate in concept.ambiguous.items():
        if alias_key(text) == folded:
            return candidate
    return None


def alias_key(text: str) -> str:
    """An alias as the matcher sees it: its tokens in lower case, parted by one blank."""
    return " ".join(_TOKEN.findall(text.lower()))


# --------------------------------------------------------------------- loading

_KEYS = frozenset(Concept.__dataclass_fields__)
_READS = frozenset(
    [
        "comparator",
        "low",
        "high",
        "low_inclusive",
        "high_inclusive",
        "values",
        "unit",
        "relative_to",
        "concept",
        "entity_type",
        "kind",
        "role",
        "flags",
        "concepts",
    ]
)


def load(extra: Path | None = None) -> Vocabulary:
    """The vocabulary of ``nlp/data``, with the concepts of a user's file ``extra`` added.

    A line of ``extra`` whose id exists adds its aliases, units and examples to that concept; a new id
    is a new concept. Raises VocabularyError, naming file, line and key, for any fault.
    """
    files = [DATA / "concepts.jsonl"]
    known: dict[str, tuple[Concept, str]] = {}
    for concept, where in _read(files[0]):
        if concept.id in known:
            raise VocabularyError(f"{where}: key id: {concept.id!r} is there twice ({known[concept.id][1]})")
        known[concept.id] = (concept, where)
    if extra is not None:
        files.append(extra)
        for concept, where in _read(extra):
            held = known.get(concept.id)
            known[concept.id] = (_extended(held[0], concept) if held else concept, where)
    concepts = {key: concept for key, (concept, _) in known.items()}
    _check_references(known)
    aliases = _aliases(known)
    table = units_module.load(DATA / "units.jsonl", concepts)
    _check_units(known, table)
    return Vocabulary(MappingProxyType(concepts), aliases, table, digest(files[1:]))


def digest(extra: Iterable[Path] = ()) -> str:
    """sha256 over the bytes of all data files (by name), of the extra ones, and of the code that reads them.

    The code is part of it since a changed rule reads the same text differently: what was read by another
    one must be told apart, whichever file the change was in. About a millisecond.
    """
    total = hashlib.sha256(_code_digest())
    for path in [*sorted(DATA.glob("*.jsonl")), *extra]:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


@cache
def _code_digest() -> bytes:
    """sha256 over the sources of this room, by name: they do not change while a process runs."""
    total = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.digest()


def check(path: Path) -> list[str]:
    """What is wrong with a user's extension file, one line each; an empty list if it can be used."""
    problems: list[str] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return [f"{path}: cannot be read ({error}); give a UTF-8 file of JSON lines"]
    for number, line in enumerate(lines, start=1):
        try:
            _concept(line, f"{path.name} line {number}")
        except VocabularyError as error:
            problems.append(str(error))
    if not problems:
        try:
            load(path)
        except VocabularyError as error:
            problems.append(str(error))
    return problems


def _read(path: Path) -> list[tuple[Concept, str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VocabularyError(f"{path}: cannot be read ({error}); give a UTF-8 file of JSON lines") from error
    return [
        (_concept(line, where), where)
        for where, line in ((f"{path.name} line {n}", line) for n, line in enumerate(text.splitlines(), 1))
    ]


def _concept(line: str, where: str) -> Concept:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise VocabularyError(f"{where}: not JSON ({error}); write one object a line") from error
    if not isinstance(row, dict):
        raise VocabularyError(f"{where}: not an object; write one JSON object a line")
    for key in row:
        if key not in _KEYS:
            raise VocabularyError(f"{where}: key {key}: unknown; known are {', '.join(sorted(_KEYS))}")
    for key in ("id", "name", "category"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise VocabularyError(f"{where}: key {key}: a text is needed")
    if not _ID.fullmatch(row["id"]):
        raise VocabularyError(f"{where}: key id: {row['id']!r} must be lower-case letters, digits and _")
    for key in ("aliases", "cased_aliases", "units", "members", "loinc_unverified"):
        values = row.get(key, [])
        if not isinstance(values, list) or not all(isinstance(v, str) and v.strip() for v in values):
            raise VocabularyError(f"{where}: key {key}: a list of texts is needed")
        row[key] = tuple(values)
    for key, allowed in (("kind", KINDS), ("direction", DIRECTIONS), ("entity_type", ENTITY_TYPES)):
        if key in row and row[key] not in allowed:
            raise VocabularyError(f"{where}: key {key}: {row[key]!r} is none of {', '.join(allowed)}")
    row["ambiguous"] = _cues(row.get("ambiguous", {}), where)
    row["loinc"] = _loinc(row.get("loinc", []), where)
    row["plausible"] = _range(row.get("plausible"), where)
    row["examples"] = _examples(row.get("examples", []), where)
    for key in ("molar_mass", "valence"):
        value = row.get(key)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0
        ):
            raise VocabularyError(f"{where}: key {key}: a number above 0 is needed")
    return Concept(**row)


def _cues(value: Any, where: str) -> Mapping[str, Cue]:
    cues: dict[str, Cue] = {}
    if not isinstance(value, dict):
        raise VocabularyError(f"{where}: key ambiguous: an object alias -> cue is needed")
    for alias, cue in value.items():
        if not isinstance(cue, dict) or cue.keys() - Cue.__dataclass_fields__.keys():
            names = ", ".join(Cue.__dataclass_fields__)
            raise VocabularyError(f"{where}: key ambiguous: {alias!r} needs an object with {names}")
        made: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in cue.items()}
        for key in ("words", "not_words"):
            if any(word != word.lower() for word in made.get(key, ())):
                raise VocabularyError(f"{where}: key ambiguous: {key} of {alias!r} must be in lower case")
        cues[alias] = Cue(**made)
    return MappingProxyType(cues)


def _loinc(value: Any, where: str) -> tuple[Mapping[str, str], ...]:
    for entry in value:
        if not isinstance(entry, dict) or entry.keys() != {"code", "name", "source"}:
            raise VocabularyError(f"{where}: key loinc: each entry has code, name and source")
        if not _LOINC.fullmatch(entry["code"]) or not loinc_check_digit(entry["code"]):
            raise VocabularyError(f"{where}: key loinc: {entry['code']!r} fails LOINC's check digit")
    return tuple(MappingProxyType(entry) for entry in value)


def loinc_check_digit(code: str) -> bool:
    """Whether the digit after the hyphen is right (Luhn, "mod 10", LOINC Users' Guide appendix)."""
    number, _, check_digit = code.partition("-")
    total = 0
    for index, char in enumerate(reversed(number)):
        doubled = int(char) * (2 if index % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return (10 - total % 10) % 10 == int(check_digit)


def _range(value: Any, where: str) -> tuple[float, float] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not value[0] < value[1]:
        raise VocabularyError(f"{where}: key plausible: [low, high] with low < high is needed")
    return float(value[0]), float(value[1])


def _examples(value: Any, where: str) -> tuple[Example, ...]:
    examples: list[Example] = []
    for entry in value:
        if not isinstance(entry, dict) or entry.keys() != {"text", "reads"}:
            raise VocabularyError(f"{where}: key examples: each has text and reads (an object or null)")
        reads = entry["reads"]
        if reads is not None:
            unknown = sorted(reads.keys() - _READS)
            if unknown:
                raise VocabularyError(f"{where}: key examples: reads has an unknown key {unknown[0]!r}")
            if reads.get("comparator", "=") not in COMPARATORS:
                raise VocabularyError(f"{where}: key examples: comparator {reads['comparator']!r} is unknown")
        examples.append(Example(entry["text"], None if reads is None else MappingProxyType(reads)))
    return tuple(examples)


def _extended(held: Concept, more: Concept) -> Concept:
    """A packaged concept with a user's additions; what the package says of it stays."""
    values = {name: getattr(held, name) for name in Concept.__dataclass_fields__}
    for name in ("aliases", "cased_aliases", "units", "loinc", "examples", "members"):
        values[name] = (*values[name], *(v for v in getattr(more, name) if v not in values[name]))
    values["ambiguous"] = MappingProxyType({**held.ambiguous, **more.ambiguous})
    return Concept(**values)


def _check_references(known: Mapping[str, tuple[Concept, str]]) -> None:
    for concept, where in known.values():
        for key, targets in (("broader", (concept.broader,)), ("members", concept.members)):
            for target in targets:
                if target is not None and target not in known:
                    raise VocabularyError(f"{where}: key {key}: there is no concept {target!r}")
        spelled = {alias_key(text) for text in (*concept.aliases, *concept.cased_aliases)}
        for alias in concept.ambiguous:
            if alias_key(alias) not in spelled:
                raise VocabularyError(f"{where}: key ambiguous: {alias!r} is none of the aliases")


def _check_units(known: Mapping[str, tuple[Concept, str]], table: UnitTable) -> None:
    for concept, where in known.values():
        for key, codes in (("unit", (concept.unit,)), ("units", concept.units)):
            for code in codes:
                if code is not None and table.measure(code) is None:
                    raise VocabularyError(f"{where}: key {key}: {code!r} is not in units.jsonl")


def _aliases(known: Mapping[str, tuple[Concept, str]]) -> tuple[Alias, ...]:
    """Every alias once, with all concepts that claim it; one that is shared must be declared."""
    claims: dict[str, list[tuple[str, str, bool]]] = {}
    for concept, _ in known.values():
        for cased, texts in ((False, concept.aliases), (True, concept.cased_aliases)):
            for text in texts:
                claims.setdefault(alias_key(text), []).append((concept.id, text, cased))
    aliases: dict[tuple[str, bool], list[str]] = {}
    for key, owners in claims.items():
        for owner, text, cased in owners:
            rivals = [
                other
                for other, other_text, other_cased in owners
                if other != owner and (not (cased and other_cased) or text == other_text)
            ]
            concept, where = known[owner]
            if rivals and _cue(concept, text) is None:
                raise VocabularyError(
                    f"{where}: key ambiguous: the alias {text!r} of {owner} is also one of {rivals[0]}; "
                    "declare on both what decides"
                )
            held = aliases.setdefault((text if cased else key, cased), [])
            if owner not in held:
                held.append(owner)
    return tuple(Alias(text, cased, tuple(owners)) for (text, cased), owners in sorted(aliases.items()))
