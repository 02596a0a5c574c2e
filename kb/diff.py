"""What changed between two states of a trial, above all in its thresholds, and why.

Lines are matched first by their exact words, then by their words without case and punctuation, then with
the numbers masked, then by likeness. A threshold change then has a cause:

- ``amended``: the words of its criterion, or what stands around them, are not the same;
- ``read differently``: the same words, but the two states were read by other rules or another vocabulary;
- ``moved``: the same limit in words that only moved, were re-punctuated or re-cased. This is no change of
  what is demanded, and is listed apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, TypeVar

from harvest.model import Trial
from kb.errors import BadQuestion
from kb.limits import SIDES, Limit, load_limits
from kb.lines import line_hash, name_key
from kb.reviewed_limits import reviewed_limits
from kb.store import Store

T = TypeVar("T")

Cause = Literal["amended", "read differently", "moved"]

LIKE = 0.6
"""Likeness (difflib ratio) from which two lines are one reworded line and not a removed and an added one."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")

_FIELDS = (
    "status", "phases", "enrollment", "minimum_age", "maximum_age", "sex", "healthy_volunteers", "conditions",
    "start_date", "completion_date", "title",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One criterion line of a state."""

    section: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class State:
    """One state of a trial as it was read. ``name`` is for people: a date, or what read it."""

    name: str
    trial: Trial
    vocabulary: str
    lines: tuple[Line, ...]
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class ThresholdChange:
    """One demand before and after; None where it was not stated. ``words``: "platelets ≥ 75 → ≥ 50 10*9/L"."""

    concept: str | None
    concept_name: str
    section: str
    before: Limit | None
    after: Limit | None
    cause: Cause
    direction: str | None
    words: str


@dataclass(frozen=True, slots=True)
class LineChange:
    """A criterion that was added, removed, reworded, or whose words only moved or were re-punctuated."""

    what: Literal["added", "removed", "reworded", "moved"]
    section: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A registry field before and after."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Difference:
    """All that differs between two states."""

    trial: str
    before: str
    after: str
    thresholds: tuple[ThresholdChange, ...]
    lines: tuple[LineChange, ...]
    fields: tuple[FieldChange, ...]

    @property
    def demands_changed(self) -> bool:
        """Whether what is demanded of patients changed, as far as it was read."""
        return any(one.cause != "moved" for one in self.thresholds) or any(
            one.what != "moved" for one in self.lines
        )


def stored_state(store: Store, version_id: int, name: str | None = None, *, as_read: bool = False) -> State:
    """A stored version as a state, with what reviewers decided: a corrected limit is the reviewer's, a rejected
    one is none; ``as_read`` leaves their decisions out. Raises TrialNotFound."""
    trial, extraction = store.trial(version_id), store.extraction(version_id)
    lines = tuple(Line(one.section, one.path, one.text) for one in extraction.criteria)
    dated = name or trial.last_update_posted or trial.version[:12]
    read = load_limits if as_read else reviewed_limits
    limits = (
        limit
        for limit in read(store.connection, [version_id])
        if as_read or not (limit.evidence.review or "").startswith("rejected")
    )
    return State(dated, trial, extraction.vocabulary, lines, tuple(limits))


def diff_versions(
    store: Store, trial_id: str, start: str | None = None, end: str | None = None
) -> Difference:
    """Compare two stored versions of a trial; by default the last two.

    ``start`` and ``end`` are dates (the newest version not later) or beginnings of a version's hash.
    Raises TrialNotFound, BadQuestion where there is only one version or none fits.
    """
    versions = store.versions(trial_id)
    if start is None and end is None and len(versions) < 2:
        raise BadQuestion(
            f"{trial_id} has one stored version only; `trialkb history {trial_id} --fetch` asks the registry for earlier ones"
        )
    last = _pick(versions, end, trial_id) if end else versions[-1]
    if start is not None:
        first = _pick(versions, start, trial_id)
    else:
        place = versions.index(last)
        if place == 0:
            raise BadQuestion(f"{trial_id}: no version is stored before that of {last[2]}")
        first = versions[place - 1]
    return diff(stored_state(store, first[0], first[2]), stored_state(store, last[0], last[2]))


def _pick(
    versions: Sequence[tuple[int, str, str | None]], wanted: str, trial_id: str
) -> tuple[int, str, str | None]:
    if re.fullmatch(r"\d{4}(-\d{2}){0,2}", wanted):
        fitting = [one for one in versions if one[2] is not None and one[2][: len(wanted)] <= wanted]
    else:
        fitting = [one for one in versions if one[1].startswith(wanted.lower())]
    if not fitting:
        known = ", ".join(f"{one[2] or 'undated'} ({one[1][:8]})" for one in versions)
        raise BadQuestion(f"{trial_id} has no version for {wanted!r}; stored are {known}")
    return fitting[-1]


def diff(before: State, after: State) -> Difference:
    """Compare two states."""
    pairs, changes = _match_lines(before.lines, after.lines)
    return Difference(
        after.trial.source_id,
        before.name,
        after.name,
        tuple(
            _threshold_changes(
                before.limits, after.limits, pairs, reread=before.vocabulary != after.vocabulary
            )
        ),
        tuple(changes),
        tuple(_field_changes(before.trial, after.trial)),
    )


def _field_changes(before: Trial, after: Trial) -> Iterable[FieldChange]:
    for name in _FIELDS:
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            yield FieldChange(name, _said(one), _said(other))


def _said(value: object) -> str:
    if value is None or value == ():
        return "not stated"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


# ------------------------------------------------------------------ lines


def _match_lines(
    before: Sequence[Line], after: Sequence[Line]
) -> tuple[dict[tuple[str, str], str], list[LineChange]]:
    """Pair the lines of two states. Returns (section, text after) -> text before, and what changed."""
    left, right = list(before), list(after)
    pairs: dict[tuple[str, str], str] = {}
    changes: list[LineChange] = []
    keys: tuple[Callable[[Line], object], ...] = (
        lambda line: (line.section, line_hash(line.text)),
        lambda line: (line.section, name_key(line.text)),
        lambda line: (line.section, name_key(_NUMBER.sub("#", line.text))),
    )
    for key in keys:
        for one, other in _pair_off(left, right, key):
            pairs[other.section, other.text] = one.text
            if one.text == other.text:
                continue
            same_words = name_key(one.text) == name_key(other.text)
            changes.append(
                LineChange("moved" if same_words else "reworded", other.section, one.text, other.text)
            )
    for one, other in _most_alike(left, right):
        pairs[other.section, other.text] = one.text
        changes.append(LineChange("reworded", other.section, one.text, other.text))
    changes += [LineChange("removed", line.section, line.text, None) for line in left]
    changes += [LineChange("added", line.section, None, line.text) for line in right]
    return pairs, changes


def _pair_off(left: list[T], right: list[T], key: Callable[[T], object]) -> list[tuple[T, T]]:
    """Take the pairs with equal keys out of both lists, in the order of the text."""
    waiting: dict[object, list[T]] = {}
    for each in left:
        waiting.setdefault(key(each), []).append(each)
    found = []
    for other in list(right):
        same = waiting.get(key(other))
        if same:
            one = same.pop(0)
            left.remove(one)
            right.remove(other)
            found.append((one, other))
    return found


def _most_alike(left: list[Line], right: list[Line]) -> list[tuple[Line, Line]]:
    """Take pairs of like lines of one section out of both lists, the most alike first."""
    scored = []
    for i, one in enumerate(left):
        for j, other in enumerate(right):
            if one.section == other.section:
                matcher = SequenceMatcher(None, one.text, other.text, autojunk=False)
                if matcher.quick_ratio() >= LIKE:
                    ratio = matcher.ratio()
                    if ratio >= LIKE:
                        scored.append((-ratio, i, j))
    found = []
    used_left: set[int] = set()
    used_right: set[int] = set()
    for _, i, j in sorted(scored):
        if i not in used_left and j not in used_right:
            used_left.add(i)
            used_right.add(j)
            found.append((left[i], right[j]))
    left[:] = [line for i, line in enumerate(left) if i not in used_left]
    right[:] = [line for j, line in enumerate(right) if j not in used_right]
    return found


# ------------------------------------------------------------------ thresholds

_Demand = tuple[str, str, str, str, str, str, str]


def _demand(limit: Limit) -> _Demand:
    """What a limit is about, without its number."""
    sides = "".join(side for side in SIDES if limit.bound(side) is not None)
    return (
        limit.concept or f"?{limit.concept_name.casefold()}",
        limit.evidence.section,
        limit.scale or limit.comparator,
        sides,
        limit.applies_if or "",
        limit.population or "",
        limit.role,
    )


def _value(limit: Limit) -> tuple[object, ...]:
    """What a limit demands."""
    if limit.status is not None:
        return (limit.status, limit.turned)
    if not limit.comparable:
        return (name_key(limit.evidence.quote), limit.turned)
    bounds = tuple(
        None if value is None else float(f"{value:.6g}") for value in (limit.min_value, limit.max_value)
    )
    return (*bounds, limit.min_inclusive, limit.max_inclusive, limit.alternative is not None)


def _threshold_changes(
    before: Sequence[Limit],
    after: Sequence[Limit],
    pairs: dict[tuple[str, str], str],
    *,
    reread: bool,
) -> list[ThresholdChange]:
    """``reread``: the two states were read by different rules or vocabularies. Where they were not, the same
    words cannot have been read differently: then the trial was amended around them (a heading, a section)."""
    changes: list[ThresholdChange] = []
    left, right = list(before), list(after)
    for one, other in _pair_off(left, right, lambda limit: (_demand(limit), _value(limit))):
        if one.evidence.line != other.evidence.line and _same_words(one, other):
            changes.append(_change(one, other, "moved"))
    # the same line first: two limits of one concept keep to their own criterion
    keys: tuple[Callable[[Limit], object], ...] = (
        lambda limit: (
            _demand(limit),
            pairs.get((limit.evidence.section, limit.evidence.line), limit.evidence.line),
        ),
        _demand,
        lambda limit: _demand(limit)[:4],
        lambda limit: (limit.concept or f"?{limit.concept_name.casefold()}", limit.evidence.section),
    )
    for key in keys:
        for one, other in _pair_off(left, right, key):
            changes.append(_change(one, other, _cause(reread and _same_words(one, other))))
    texts_before = {name_key(limit.evidence.line) for limit in before}
    texts_before |= {name_key(text) for text in pairs.values()}
    texts_after = {name_key(text) for _, text in pairs}
    changes += [
        _change(limit, None, _cause(reread and name_key(limit.evidence.line) in texts_after))
        for limit in left
    ]
    changes += [
        _change(None, limit, _cause(reread and name_key(limit.evidence.line) in texts_before))
        for limit in right
    ]
    return changes


def _cause(read_differently: bool) -> Cause:
    return "read differently" if read_differently else "amended"


def _same_words(before: Limit, after: Limit) -> bool:
    return name_key(before.evidence.line) == name_key(after.evidence.line)


def _change(before: Limit | None, after: Limit | None, cause: Cause) -> ThresholdChange:
    some = after or before
    assert some is not None
    direction = None
    if before is not None and after is not None and cause != "moved":
        direction = _direction(before, after)
    said, then = _said_limit(before), _said_limit(after)
    words = f"{some.concept_name} {said} → {then}"
    if before is not None and after is not None and said == then:
        words = f"{some.concept_name} {said}: {_beside_the_number(before, after)}"
    return ThresholdChange(
        some.concept, some.concept_name, some.evidence.section, before, after, cause, direction, words
    )


def _beside_the_number(before: Limit, after: Limit) -> str:
    """What differs in two limits that are the same in words: for whom, as what, beside which others."""
    both = tuple(
        (
            ("role", limit.role),
            ("population", limit.population or "all"),
            ("stands", "alone" if limit.alternative is None else "as one of several alternatives"),
        )
        for limit in (before, after)
    )
    told = [f"{name} {one} → {other}" for (name, one), (_, other) in zip(*both, strict=True) if one != other]
    return "; ".join(told) or "said in other words"


def _said_limit(limit: Limit | None) -> str:
    if limit is None:
        return "not stated"
    return limit.words() + (f" if {limit.applies_if}" if limit.applies_if else "")


def _direction(before: Limit, after: Limit) -> str | None:
    """``stricter`` or ``looser`` where the eligible range only shrank or only grew; else None."""
    if not (before.comparable and after.comparable) or before.scale != after.scale:
        return None
    infinity = float("inf")
    shrank = grew = False
    for side, sign in (("min", 1.0), ("max", -1.0)):
        one = before.min_value if side == "min" else before.max_value
        other = after.min_value if side == "min" else after.max_value
        one_in = before.min_inclusive if side == "min" else before.max_inclusive
        other_in = after.min_inclusive if side == "min" else after.max_inclusive
        old = (-infinity if one is None else sign * one, one_in is False)
        new = (-infinity if other is None else sign * other, other_in is False)
        shrank |= new > old
        grew |= new < old
    if shrank == grew:
        return None
    return "stricter" if shrank else "looser"
