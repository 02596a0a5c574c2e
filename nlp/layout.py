"""Lay out what was found in one text as lexemes: a string of one-letter codes with offsets and meanings.

Most tokens mean the same wherever they stand (:func:`plain` says which): stretches of them are copied
as they are. Numbers with their units, signs, and words that depend on their neighbours are read one by
one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from nlp import numbers
from nlp.lexemes import Lexemes
from nlp.lexicon import Word
from nlp.units import UnitMatch

_PUNCTUATION = {
    ",": ",", ";": ".", ":": ":", "(": "(", "[": "(", "{": "(", ")": ")", "]": ")", "}": ")",
    "?": ".", "!": ".", "•": ".", "·": "w", "|": "|", "\\": "w",
}  # fmt: skip
# A comparator's word that no number, limit or scale follows is an adjective: "lower extremities".
_UNBOUND = re.compile(r"c(?![fvsat:()ckn]{0,6}[0L])")
_SIGNS = (">", ">=", "<", "<=", "=", "?")
_DATE = re.compile(r"(?:\d{1,2}[/-]\d{1,2}[/-](?:19|20)\d\d|(?:19|20)\d\d[/-]\d{1,2}[/-]\d{1,2})(?!\d)")
_ABBREVIATED = frozenset(
    [
        "conc",
        "approx",
        "max",
        "min",
        "vs",
        "no",
        "inj",
        "resp",
        "incl",
        "excl",
        "dr",
        "fig",
        "ca",
        "temp",
        "wt",
        "ht",
        "avg",
        "est",
    ]
)
_WEAK = frozenset("fswhx")
"""Codes of words that give way to a concept of the same length."""
_CELL_COUNTS = ("/uL", "/mm3", "{cells}/uL", "{copies}/mL", "/L", "{cells}/mm3")


ASK = "!"
"""The code of a token whose lexeme depends on its neighbours."""


class Token(NamedTuple):
    """What one word means by itself: the code and value of its lexeme (:data:`ASK` where that depends on
    the words around it), its number in spaCy's vocabulary, its row of the lexicon, the concepts it names."""

    code: str
    value: Any
    orth: int
    word: Word | None
    concepts: tuple[str, ...]


def plain(word: str, lexical: Word | None, concepts: tuple[str, ...]) -> tuple[str, Any]:
    """Code and value of a word's lexeme; :data:`ASK` as code where the words around it decide."""
    first = word[0]
    if first.isdigit() or first in "<>≤≥=":
        return ASK, None
    if concepts and (lexical is None or lexical.code in _WEAK):
        return "k", concepts
    if lexical is not None:
        asks = lexical.code in "0pt" or word in "-/+" or word in numbers.ROMAN
        asks = asks or (lexical.code == "c" and lexical.value == "=")
        return (ASK, None) if asks else (lexical.code, lexical)
    if first.isalpha():
        return (ASK, None) if word in numbers.ROMAN else ("w", None)
    return (ASK, None) if word in "._)" else (_PUNCTUATION.get(word, "w"), None)


class Layout:
    """One pass over the tokens of one text that lays out its lexemes.

    ``lexical`` and ``concepts`` are the phrases of several words: where one begins, where it ends, what
    it means.
    """

    def __init__(
        self,
        match_unit: Callable[[str, int], UnitMatch | None],
        text: str,
        words: list[str],
        starts: list[int],
        ends: list[int],
        tokens: list[Token],
    ) -> None:
        self.match_unit = match_unit
        self.text = text
        self.words = words
        self.starts = starts
        self.ends = ends
        self.tokens = tokens
        self.lexical: dict[int, tuple[int, Word]] = {}
        self.concepts: dict[int, tuple[int, tuple[str, ...]]] = {}
        self.codes: list[str] = []
        self.out = Lexemes(text)

    def run(self) -> Lexemes:
        """Stretches of tokens that mean the same anywhere are copied; the others are asked in turn."""
        tokens, out, codes = self.tokens, self.out, self.codes
        found = [token[0] for token in tokens]
        for phrases in (self.lexical, self.concepts):
            for at in phrases:
                found[at] = ASK
        marks = "".join(found)
        meanings = [token[1] for token in tokens]
        starts, ends = self.starts, self.ends
        count = len(marks)
        at = 0
        while at < count:
            asked = marks.find(ASK, at)
            if asked < 0:
                asked = count
            if asked > at:
                codes.extend(marks[at:asked])
                out.starts += starts[at:asked]
                out.ends += ends[at:asked]
                out.values += meanings[at:asked]
            at = self._token(asked, self.words[asked]) if asked < count else count
        out.codes = "".join(codes)
        if "c" in out.codes:
            values = out.values
            out.codes = _UNBOUND.sub(lambda match: "c" if values[match.start()] in _SIGNS else "w", out.codes)
        return out

    def _lexical(self, at: int) -> tuple[int, Word | None]:
        """The longest phrase of the lexicon that begins here, and where it ends."""
        return self.lexical.get(at) or (at + 1, self.tokens[at].word)

    def _token(self, at: int, word: str) -> int:
        """Lay out the token at ``at``; the index of the next one to look at."""
        first = word[0]
        token = self.tokens[at]
        if first.isdigit():
            if token.concepts or at in self.concepts:  # "6MWD": the number belongs to the name
                return self._known(at)
            return self._date(at) or self._number(at)
        if first in "<>≤≥=":
            return self._comparator(at)
        if token.word is not None or token.concepts or at in self.lexical or at in self.concepts:
            return self._known(at)
        if first.isalpha():
            return self._word(at)
        return self._punctuation(at)

    def _emit(self, code: str, first: int, last: int, value: Any = None) -> None:
        self.codes.append(code)
        out = self.out
        out.starts.append(self.starts[first])
        out.ends.append(self.ends[last - 1])
        out.values.append(value)

    def _known(self, at: int) -> int:
        """A word of the lexicon or a concept: the longer one, the lexicon's where both are equal."""
        last, word = self._lexical(at)
        end, ids = self.concepts.get(at) or (at + 1, self.tokens[at].concepts)
        if word is None or (ids and (end > last or (end == last and word.code in _WEAK))):
            self._emit("k", at, end, ids)
            return end
        if word.code == "0":
            return self._number_word(at, last, float(word.value))
        if self.words[at] in numbers.ROMAN and self.codes and self._after_scale():
            return self._word(at)  # "class III, IV or V": no visit
        if word.code == "r" and self.words[at] == "-" and self._is_minus(at):
            return self._number(at + 1, negative=True)
        code = word.code
        if code == "p" and last < len(self.words) and self._goes_on(last):
            return self._conjunction(at)
        if code == "c" and word.value == "=" and self._completes_sign(self.ends[last - 1]):
            return last
        if code == "r" and self.words[at] == "-" and self._is_hyphen(at):
            code = "w"
        elif code == "t" and word.label == "window":
            self._emit("t", at, last, word)
            return self._time_word(last)
        if code == "|" and self.words[at] == "/" and self.codes and self.codes[-1] in "wkhs":
            code = "/"
        if code == "p" and self.words[at] == "+" and not (self.codes and self.codes[-1] in "0u"):
            code = "w"
        self._emit(code, at, last, word)
        if code == "p" and self.codes[-2:-1] == ["0"]:
            return self._unit(last)  # "20 or greater breaths/min"
        return last

    def _goes_on(self, at: int) -> bool:
        """Whether "or more", "and younger" goes on to another bound: "than 80", "or equal", "5"."""
        word = self.words[at].lower()
        return word in ("than", "then", "that", "the", "age") or word[0].isdigit()

    def _conjunction(self, at: int) -> int:
        """Only the "or", "and" of such words; what follows is read by itself."""
        joined = self.words[at].lower()
        self._emit("&" if joined in ("and", "&") else "|", at, at + 1)
        return at + 1

    def _completes_sign(self, end: int, sign: str = "=") -> bool:
        """``> or =``, ``> or equal to`` and ``= / <`` are one sign in three pieces."""
        joined = len(self.codes) > 1 and self.codes[-1] == "|" and self.codes[-2] == "c"
        if not joined and not (self.codes and self.codes[-1] == "c"):
            return False
        before = self.out.values[-2 if joined else -1]
        before = before if isinstance(before, str) else (before.value if joined else None)
        if before is None or before == "?" or (before == "=") == (sign == "="):
            return False
        both = sign if before == "=" else before
        if joined:
            del self.codes[-1], self.out.starts[-1], self.out.ends[-1], self.out.values[-1]
        self.out.values[-1] = both[0] + "="
        self.out.ends[-1] = end
        return True

    def _comparator(self, at: int) -> int:
        sign = _sign(self.words[at])
        if not self._completes_sign(self.ends[at], sign):
            self._emit("c", at, at + 1, sign)
        return at + 1

    def _time_word(self, at: int) -> int:
        """Behind "within the past", a unit of time without a number is one of it: "year"."""
        if at >= len(self.words) or not self.words[at][0].isalpha():
            return at
        unit = self.match_unit(self.text, self.ends[at - 1])
        if unit is None or unit.ucum not in ("a", "mo", "wk", "d", "h") or unit.end - unit.start < 3:
            return at
        return self._emit_unit("U", unit, at)

    def _is_hyphen(self, at: int) -> bool:
        """A dash between two letters, both touching it, joins one word: "health-related"."""
        return (
            0 < at < len(self.words) - 1
            and self.starts[at] == self.ends[at - 1]
            and self.starts[at + 1] == self.ends[at]
            and self.words[at - 1][0].isalpha()
            and self.words[at + 1][0].isalpha()
            and not (self.codes and self.codes[-1] in "u0")
        )

    def _is_minus(self, at: int) -> bool:
        """A dash is a minus sign when a number touches it and nothing before it could begin a range."""
        following = at + 1
        if following >= len(self.words) or self.starts[following] != self.ends[at]:
            return False
        if not self.words[following][0].isdigit():
            return False
        before = self.codes[-1] if self.codes else "."
        return before in "cbgr:&|" or (before in "(f" and self.starts[at] > 0)

    def _number_word(self, at: int, last: int, value: float) -> int:
        """A number in words, with the same number in digits behind it in brackets: "three (3)"."""
        end = last
        if last + 2 < len(self.words) and self.words[last] == "(" and self.words[last + 2] == ")":
            repeated = numbers.read(self.words[last + 1]) if self.words[last + 1][0].isdigit() else None
            if repeated == (value,):
                end = last + 3
        if self.words[at].lower() in ("twice", "thrice"):
            self._emit("0", at, end, (value,))
            return self._unit(end)
        self._emit("0", at, end, (value,))
        return self._unit(end)

    def _date(self, at: int) -> int:
        """Behind a calendar date (10/31/2019) as one word; 0 if none begins here."""
        if at + 1 >= len(self.words) or self.words[at + 1] not in "/.-":
            return 0
        match = _DATE.match(self.text, self.starts[at])
        if match is None:
            return 0
        last = at + 1
        while last < len(self.words) and self.starts[last] < match.end():
            last += 1
        self._emit("w", at, last)
        return last

    def _number(self, at: int, negative: bool = False) -> int:
        read = numbers.read(self.words[at])
        if read is None or self._part_of_name(at):
            self._emit("w", at, at + 1)
            return at + 1
        end = at + 1
        if (  # a blank as thousands separator: "45 000/mm3"
            end < len(self.words)
            and len(self.words[at]) <= 3
            and self.words[at].isdecimal()
            and len(self.words[end]) == 3
            and self.words[end].isdecimal()
            and self.starts[end] == self.ends[at] + 1
            and self.text[self.ends[at]] == " "
        ):
            following = self.match_unit(self.text, self.ends[end])
            if following is not None:
                read = (float(self.words[at] + self.words[end]),)
                end += 1
        end = self._repeated_in_words(end, read)
        first = at - 1 if negative else at
        if negative:
            read = tuple(-value for value in read)
        self._emit("0", first, end, read)
        return self._unit(end)

    def _repeated_in_words(self, end: int, read: tuple[float, ...]) -> int:
        """A number in digits with the same number in words behind it in brackets: "5 (five)"."""
        if end + 2 < len(self.words) and self.words[end] == "(" and len(read) == 1:
            last, word = self._lexical(end + 1)
            closed = last < len(self.words) and self.words[last] == ")"
            if closed and word is not None and word.code == "0" and word.value == read[0]:
                return last + 1
        return end

    def _part_of_name(self, at: int) -> bool:
        """A digit that touches the letters before it belongs to a name: CD19, FEV1, B12, IL-6."""
        start = self.starts[at]
        if start == 0 or at == 0:
            return False
        before = self.text[start - 1]
        if before.isalpha():
            word = self.words[at - 1]
            if self.codes and self.codes[-1] in "kac":
                long = self.out.ends[-1] - self.out.starts[-1] > 2
                return not long or (self.ends[at] < len(self.text) and self.text[self.ends[at]].isalpha())
            return len(word) < 8
        if before == "-" and start > 1 and self.text[start - 2].isalpha():
            return not (len(self.codes) > 1 and self.codes[-2] in "ksau")
        return False

    def _unit(self, at: int) -> int:
        """The unit behind the number just emitted, if one stands there; the next token's index."""
        end = self.out.ends[-1]
        unit = self.match_unit(self.text, end)
        if unit is None or unit.end <= end:
            return at
        values = self.out.values
        if unit.scale != 1.0:
            values[-1] = tuple(value * unit.scale for value in values[-1])
        elif unit.ucum in _CELL_COUNTS:
            dotted = numbers.dotted_thousands(self.out.word(len(values) - 1))
            dotted = dotted if dotted is not None else _three_decimals(self.out.word(len(values) - 1))
            if dotted is not None:
                values[-1] = (dotted,)
        if unit.ucum is None and unit.relative_to is None:
            self.out.ends[-1] = unit.end
        else:
            return self._emit_unit("u", unit, at)
        while at < len(self.words) and self.starts[at] < unit.end:
            at += 1
        return at

    def _word(self, at: int) -> int:
        word = self.words[at]
        if word in numbers.ROMAN and self.codes and self._after_scale():
            self._emit("0", at, at + 1, (numbers.ROMAN[word],))
            return at + 1
        self._emit("w", at, at + 1)
        return at + 1

    def _after_scale(self) -> bool:
        """Roman numerals count only behind a scale's word or another of its numbers."""
        before = self.codes[-1]
        if before in "sk":
            return True
        if before in "r|&,/(c" and len(self.codes) > 1:
            return self.codes[-2] in "0sk"
        return False

    def _punctuation(self, at: int) -> int:
        word = self.words[at]
        if word == ".":
            following = at + 1
            if at and self.words[at - 1].lower() in _ABBREVIATED:
                ends_here = False
            elif following < len(self.words):
                gap = self.starts[following] > self.ends[at]
                ends_here = gap and not self.words[following][0].islower()
            else:
                ends_here = True
            self._emit("." if ends_here else "w", at, at + 1)
            return at + 1
        if word == "_" and self.codes and self.codes[-1] in "0u" and at + 1 < len(self.words):
            self._emit("r" if self.words[at + 1][0].isdigit() else "w", at, at + 1)
            return at + 1
        self._emit(_PUNCTUATION.get(word, "w"), at, at + 1)
        if word == ")" and self.codes[-2:-1] == ["0"]:
            return self._unit_behind_bracket(at + 1)
        return at + 1

    def _unit_behind_bracket(self, at: int) -> int:
        """ "(16-24) weeks": the unit of the numbers in brackets."""
        unit = self.match_unit(self.text, self.ends[at - 1])
        if unit is None or unit.ucum is None or unit.start - self.ends[at - 1] > 1:
            return at
        return self._emit_unit("u", unit, at)

    def _emit_unit(self, code: str, unit: UnitMatch, at: int) -> int:
        """Lay out a unit; the first token behind it, from ``at`` on."""
        self.codes.append(code)
        self.out.starts.append(unit.start)
        self.out.ends.append(unit.end)
        self.out.values.append(unit)
        while at < len(self.words) and self.starts[at] < unit.end:
            at += 1
        return at


def _three_decimals(token: str) -> float | None:
    """``50.000`` or ``1.500`` before a unit of cell counts: a point between thousands."""
    whole, point, rest = token.partition(".")
    return float(whole + rest) if point and len(rest) == 3 and len(whole) <= 3 and rest.isdigit() else None


def _sign(word: str) -> str:
    """The operator that a run of comparator signs means: ``=/>`` and ``>_`` are ``>=``."""
    more = ">" in word or "≥" in word
    less = "<" in word or "≤" in word
    if more and less:
        return "?"
    equal = "=" in word or "≥" in word or "≤" in word or "_" in word or "/" in word
    if more:
        return ">=" if equal else ">"
    if less:
        return "<=" if equal else "<"
    return "="
