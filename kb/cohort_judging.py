"""How a cohort's rows answer leaves and criteria: by the judging of a single patient, remembered by cells.

A leaf looks at a few columns only. What it answers for the cells in them is judged once, by the same code
that answers ``trialkb screen``, and remembered; so is what a criterion makes of its leaves' answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from itertools import product, repeat
from typing import Any

from kb.cohort import REFERENCES, Chunk, Cohort, Column
from kb.evaluate import DROPPED, Answer, Judge, criterion_answer, dated_facts
from kb.judging import Knowledge, item_range
from kb.leaf_fact import applies
from kb.patient import Event, Measurement, Patient, by_concept
from kb.patient_formats import RESULT_WORDS, YES_NO, lab_value
from nlp.model import Criterion, Fact, Item, Leaf, Unread, leaves

Cells = tuple[str, ...]
Code = tuple[bool | None, bool]
"""A leaf's answer: its value, and whether it is about the patient at all."""
Demand = Item | Fact | str
"""What looks at cells: an item, a fact, or the name of a criterion's population."""

# So many answers of one leaf are remembered, then it starts anew: memory stays bounded.
_REMEMBERED = 100_000
# More ways than this to answer a criterion's leaves are not tried out.
_MOST_WAYS = 4096
_NOT_INTERVALS = frozenset(
    {"positive", "negative", "detectable", "undetectable", "positive_or_negative", "set", "within"}
)
_SEXES: Mapping[str, Any] = {"male": "male", "m": "male", "female": "female", "f": "female"}
_WORDS = {word: "positive" if yes else "negative" for word, yes in YES_NO.items() if not word.isdigit()}
# Cells with which it is tried whether a leaf could be answered at all.
_TRIED: Mapping[str, tuple[str, ...]] = {
    "age": ("1", "15", "40", "90"), "sex": ("male", "female"), "value": ("1", "positive", "negative"),
    "event": ("yes", "no"), "population": ("yes", "no"),
}  # fmt: skip


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _day(cell: str) -> date | None:
    try:
        return date.fromisoformat(cell.strip()[:10])
    except ValueError:
        return None


def says(column: Column, cell: str) -> Any:
    """What a cell holds, after the column's role; None where it is empty or says nothing."""
    text = cell.strip()
    match column.role:
        case "sex":
            return _SEXES.get(text.casefold())
        case "value":
            word = _WORDS.get(text.casefold())
            return {"result": word} if word else lab_value(text)
        case "event" | "population":
            result = RESULT_WORDS.get(text.casefold())
            if result is not None:
                return result in ("positive", "detectable")
            number = _number(text)
            return YES_NO.get(text.casefold()) if number is None else {1.0: True, 0.0: False}.get(number)
        case "date" | "start" | "end" | "as_of":
            return _day(text)
        case "id":
            return None
    return _number(text)


def person(columns: Iterable[Column], cells: Cells, today: date) -> Patient:
    """The patient that a row's cells describe; ``today`` is the day of screening where no column names it."""
    found: dict[tuple[str, str], Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        said = says(column, cell)
        if said is not None:
            found[column.role, column.key] = said
    units = {column.key: column.unit for column in columns if column.role == "value"}
    measurements, events = [], []
    for (role, key), said in found.items():
        if role == "value":
            beside: dict[str, Any] = {name: found.get((name, key)) for name in REFERENCES if name != "date"}
            unit = units[key] if "value" in said else None
            measurements.append(
                Measurement(key, unit=unit, day=found.get(("date", key)), **{**beside, **said})
            )
        elif role == "event":
            events.append(Event(key, said, found.get(("start", key)), found.get(("end", key))))
    age = found.get(("age", ""))
    return Patient(
        "",
        found.get(("as_of", ""), today),
        age=None if age is None or age < 0 else (age, "a"),
        sex=found.get(("sex", "")),
        measurements=by_concept(measurements),
        events=tuple(events),
        populations={key: said for (role, key), said in found.items() if role == "population"},
    )


class Remembered(dict[Any, Any]):
    """What a function answers, by its argument; the oldest answers are forgotten all at once."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: Any) -> Any:
        if len(self) >= _REMEMBERED:
            self.clear()
        self[key] = found = self._function(key)
        return found


@dataclass
class _Hull:
    """Where a leaf is known to be true, and from where on it is known to be false."""

    low: float
    high: float
    below: float = -math.inf
    above: float = math.inf

    def __call__(self, value: float) -> bool | None:
        if self.low <= value <= self.high:
            return True
        return False if value <= self.below or value >= self.above else None

    def learn(self, value: float, holds: bool) -> None:
        if holds:
            self.low, self.high = min(self.low, value), max(self.high, value)
        elif value < self.low:
            self.below = max(self.below, value)
        else:
            self.above = min(self.above, value)


@dataclass(eq=False)
class Sight:
    """One leaf before the cohort: ``places`` are the columns it looks at; ``codes`` answers a chunk.

    The set of an interval is an interval in whatever unit or multiple it is asked: between two values
    that it holds it holds, beyond one that it does not it does not. So most new numbers need no judging.
    """

    judge: Callable[[Patient], Code]
    columns: tuple[Column, ...]
    places: tuple[int, ...]
    today: date
    number_at: int | None = None
    _hulls: dict[Cells, _Hull] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._codes = Remembered(self._code)

    def codes(self, chunk: Chunk, rows: int) -> Iterable[Code]:
        """The leaf's answer for each row."""
        if not self.places:
            return repeat(self._codes[()], rows)
        return map(self._codes.__getitem__, zip(*(chunk[place] for place in self.places), strict=True))

    @cached_property
    def possible(self) -> frozenset[Code]:
        """What it answers for some cells in its columns, tried out, and without any."""
        tried = [(*_TRIED.get(column.role, ("1",)), "") for column in self.columns]
        dates = ("date", "start", "end", "as_of")
        tried = [
            (self.today.isoformat(),) if column.role in dates else cells
            for column, cells in zip(self.columns, tried, strict=True)
        ]
        return frozenset({self._judged(("",) * len(self.columns)), *map(self._judged, product(*tried))})

    @property
    def answerable(self) -> bool:
        """Whether some cells in its columns would make it true or false."""
        return any(value is not None for value, _ in self.possible)

    def _code(self, cells: Cells) -> Code:
        number = None if self.number_at is None else _number(cells[self.number_at])
        if number is None or self.number_at is None:
            return self._judged(cells)
        rest = cells[: self.number_at] + cells[self.number_at + 1 :]
        hull = self._hulls.get(rest)
        known = None if hull is None else hull(number)
        if known is not None:
            return known, True
        value, about = self._judged(cells)
        if value is not None and hull is not None:
            hull.learn(number, value)
        elif value:
            if len(self._hulls) >= _REMEMBERED:
                self._hulls.clear()
            self._hulls[rest] = _Hull(number, number)
        return value, about

    def _judged(self, cells: Cells) -> Code:
        return self.judge(person(self.columns, cells, self.today))


@dataclass(frozen=True)
class Sights:
    """The leaves that look at one cohort, each made once."""

    cohort: Cohort
    knowledge: Knowledge
    today: date
    _made: dict[tuple[Demand, bool], Sight] = field(default_factory=dict)

    def of(self, demand: Demand, dated: bool = False) -> Sight:
        """The leaf (or population) before this cohort; ``dated``: see :func:`kb.evaluate.dated_facts`."""
        if (demand, dated) not in self._made:
            judge = self._judging(demand, dated)
            self._made[demand, dated] = self.looking(judge, set(self._places(demand, judge)), demand)
        return self._made[demand, dated]

    def looking(
        self, judge: Callable[[Patient], Code], places: set[int], demand: Demand | None = None
    ) -> Sight:
        """A judgement that looks at these columns; at none, where they could not decide it."""
        chosen = tuple(sorted(places))
        columns = tuple(self.cohort.columns[place] for place in chosen)
        made = Sight(judge, columns, chosen, self.today, _number_at(demand, columns))
        return made if made.answerable else Sight(judge, (), (), self.today)

    def _judging(self, demand: Demand, dated: bool) -> Callable[[Patient], Code]:
        def judge(who: Patient) -> Code:
            match demand:
                case str():
                    return applies(demand, who), True
                case Fact():
                    facts = frozenset({demand}) if dated else frozenset()
                    answer = Judge({}, who, self.knowledge, "", facts)(demand, False)
                case Item(id=name):
                    answer = Judge({name: demand}, who, self.knowledge, "")(Leaf(name), False)
            return answer.value, answer.applies

        return judge

    def _places(self, demand: Demand, judge: Callable[[Patient], Code]) -> Iterator[int]:
        places = self.cohort.places
        if isinstance(demand, Fact):
            yield from places("sex")
            yield from self._events(judge)
            return
        population = demand if isinstance(demand, str) else demand.population
        if population is not None:
            yield from places("age", "sex", "population")
        if isinstance(demand, str):
            return
        if demand.comparator == "within":
            yield from self._events(judge)
        if demand.concept == "age":
            yield from places("age")
        elif demand.concept is not None:
            named = {demand.concept, *self.knowledge.members.get(demand.concept, ())}
            kinds = {kind for kind, above in self.knowledge.broader.items() if named & above}
            for concept in named | kinds:
                if places("value", key=concept):
                    yield from places("value", *REFERENCES, key=concept)
                    if places("date", key=concept):
                        yield from places("as_of")

    def _events(self, judge: Callable[[Patient], Code]) -> Iterator[int]:
        """The columns of the events that the demand asks about: those that could answer it by themselves."""
        for place in self.cohort.places("event"):
            column = self.cohort.columns[place]
            alone = (column, Column("", "start", column.key))
            if Sight(judge, alone, (), self.today).answerable:
                yield place
                dates = self.cohort.places("start", "end", key=column.key)
                yield from dates
                if dates:
                    yield from self.cohort.places("as_of")


def _number_at(demand: Demand | None, columns: Sequence[Column]) -> int | None:
    """Which column holds the number whose side of an interval is all that matters; None: there is no such."""
    if not isinstance(demand, Item) or demand.comparator in _NOT_INTERVALS or item_range(demand) is None:
        return None
    role = "age" if demand.concept == "age" and demand.population is None else "value"
    found = [place for place, column in enumerate(columns) if column.role == role]
    return found[0] if len(found) == 1 else None


@dataclass(eq=False)
class Question:
    """A criterion before the cohort: its name and words, and ``values``, its answer for each row."""

    name: str
    text: str
    sights: tuple[Sight, ...]
    answer: Callable[[tuple[Code, ...]], bool | None]

    def __post_init__(self) -> None:
        self._values = Remembered(self.answer)

    @property
    def open(self) -> bool:
        """Whether the cohort has columns that could answer it."""
        if not any(sight.places for sight in self.sights):
            return False
        ways = [sight.possible for sight in self.sights]
        if math.prod(map(len, ways)) > _MOST_WAYS:
            return True
        return any(self.answer(codes) is not None for codes in product(*ways))

    @property
    def met(self) -> bool:
        """Whether it is true for everyone whatever a column says (it puts no demand)."""
        return self.answer(tuple((None, True) for _ in self.sights)) is True

    def values(self, codes: Mapping[int, Sequence[Code]]) -> list[bool | None]:
        """Its answer for each row; ``codes`` are those of each leaf, by the identity of its sight."""
        return list(
            map(self._values.__getitem__, zip(*(codes[id(sight)] for sight in self.sights), strict=True))
        )


def asked(criterion: Criterion, items: Mapping[str, Item], sights: Sights) -> Question:
    """A criterion of the text as a question to the cohort."""
    parts: list[Leaf | Fact | Unread] = list(dict.fromkeys(leaves(criterion.expression)))
    dated = dated_facts(criterion.expression, items)
    looking: dict[Leaf | Fact | Unread, int] = {}
    found: list[Sight] = []
    if criterion.population is not None:
        found.append(sights.of(criterion.population))
    for part in parts:
        demand = items.get(part.item) if isinstance(part, Leaf) else part
        if isinstance(demand, (Item, Fact)):
            looking[part] = len(found)
            found.append(sights.of(demand, part in dated))

    def answer(codes: tuple[Code, ...]) -> bool | None:
        def judged(part: Leaf | Fact | Unread, excluded: bool) -> Answer:
            if part not in looking:
                return Answer(None)
            value, about = codes[looking[part]]
            return Answer(value) if about else DROPPED

        about = codes[0][0] if criterion.population is not None else True
        return criterion_answer(criterion, about, judged).value

    return Question(f"{criterion.section} {criterion.path}", criterion.text, tuple(found), answer)
