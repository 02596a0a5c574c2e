"""What reviewers decided about readings: stored against the words of a line, applied wherever they stand.

A review is of one item of one line (``item_key``: where in the line, and which concept), or of
something that was missed there. It holds as long as the line's words and what is read there are the
same as when it was given; another text has another hash, and another reading re-opens the review.
Nothing is deleted: taking a review back marks it as undone.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from kb.lines import item_key, line_hash
from kb.review_correction import CORRECTABLE, READING, ReviewInvalid, corrected_reading
from nlp.model import All, AnyOf, Criterion, Expression, Extraction, If, Item, Leaf, Not, Unread, Window

Verdict = Literal["correct", "wrong", "corrected", "missed"]
Status = Literal["accepted", "rejected", "corrected", "missed", "re-opened"]
_STATUS: Mapping[str, Status] = {
    "correct": "accepted",
    "wrong": "rejected",
    "corrected": "corrected",
    "missed": "missed",
}
_COLUMNS = "reviewer, reviewed_at, reason, line_hash, section, item_key, verdict, corrected, undone_at, line_text, reading"


@dataclass(frozen=True, slots=True)
class Review:
    """One decision, as it is stored and as a JSONL row of import and export.

    ``corrected`` and ``reading`` hold the fields of :data:`READING`: as it should be read, and as it was
    read when it was reviewed. ``section`` None: in whichever section the line stands.
    """

    reviewer: str
    reviewed_at: str
    line_hash: str
    item_key: str
    verdict: Verdict
    line_text: str
    reason: str | None = None
    section: str | None = None
    corrected: Mapping[str, Any] | None = None
    reading: Mapping[str, Any] | None = None
    undone_at: str | None = None


def reading_of(item: Item) -> dict[str, Any]:
    """The meaning of an item, by which a change of the reading is seen."""
    body = item.to_json()
    found = {name: body[name] for name in READING}
    for name in ("condition", "exception"):
        if found[name] is not None:
            found[name] = found[name]["text"]
    return found


# ------------------------------------------------------------------------ store


def _from_row(row: Sequence[Any]) -> Review:
    reviewer, at, reason, digest, section, key, verdict, corrected, undone, text, reading = row
    return Review(
        reviewer,
        at,
        digest,
        key,
        verdict,
        text,
        reason,
        section,
        _loaded(corrected),
        _loaded(reading),
        undone,
    )


def _loaded(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _dumped(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


def all_reviews(connection: sqlite3.Connection, *, undone: bool = False) -> list[Review]:
    """Every review in the order it was given; with ``undone`` those that were taken back too."""
    where = "" if undone else " WHERE undone_at IS NULL"
    return [_from_row(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM review{where} ORDER BY id")]


def put_review(connection: sqlite3.Connection, review: Review) -> bool:
    """Store a review; an earlier one of the same item of the same line is marked as undone by it.

    False where the very same review is there already. The caller owns the transaction.
    """
    same = connection.execute(
        "SELECT 1 FROM review WHERE line_hash = ? AND item_key = ? AND section IS ? AND reviewer = ?"
        " AND reviewed_at = ? AND verdict = ?",
        (
            review.line_hash, review.item_key, review.section, review.reviewer, review.reviewed_at, review.verdict,
        ),
    ).fetchone()  # fmt: skip
    if same is not None:
        return False
    if review.undone_at is None and review.verdict != "missed":
        connection.execute(
            "UPDATE review SET undone_at = ? WHERE line_hash = ? AND item_key = ? AND section IS ?"
            " AND undone_at IS NULL AND verdict != 'missed'",
            (review.reviewed_at, review.line_hash, review.item_key, review.section),
        )
    connection.execute(
        f"INSERT INTO review({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            review.reviewer, review.reviewed_at, review.reason, review.line_hash, review.section,
            review.item_key, review.verdict, _dumped(review.corrected), review.undone_at, review.line_text,
            _dumped(review.reading),
        ),
    )  # fmt: skip
    return True


def undo_review(connection: sqlite3.Connection, digest: str, key: str, when: str) -> int:
    """Mark the reviews of an item of a line as taken back; how many there were."""
    return connection.execute(
        "UPDATE review SET undone_at = ? WHERE line_hash = ? AND item_key = ? AND undone_at IS NULL",
        (when, digest, key),
    ).rowcount


def make_review(
    criterion: Criterion,
    item: Item | None,
    verdict: Verdict,
    reviewer: str,
    reason: str | None = None,
    corrected: Mapping[str, Any] | None = None,
    when: str | None = None,
) -> Review:
    """A review of an item of a criterion (None: of something missed there), as of now (UTC).

    Raises ReviewInvalid where a correction is given without the verdict ``corrected``, or the reverse.
    """
    if (corrected is not None) != (verdict == "corrected"):
        raise ReviewInvalid("a correction needs what to read instead, and nothing else may carry it")
    if not reviewer.strip():
        raise ReviewInvalid("a review needs its reviewer's name")
    whole = None
    if corrected is not None and item is not None:
        whole = corrected_reading(reading_of(item), corrected)
    return Review(
        reviewer.strip(),
        when or datetime.now(UTC).isoformat(timespec="microseconds"),
        line_hash(criterion.text),
        "" if item is None else item_key(item, criterion),
        verdict,
        criterion.text,
        reason,
        None,
        whole,
        None if item is None else reading_of(item),
    )


# ------------------------------------------------------------------------ apply


def _active(connection: sqlite3.Connection, hashes: Iterable[str]) -> dict[tuple[str, str], list[Review]]:
    if connection.execute("SELECT 1 FROM review WHERE undone_at IS NULL LIMIT 1").fetchone() is None:
        return {}
    found: dict[tuple[str, str], list[Review]] = {}
    for digest in set(hashes):
        for row in connection.execute(
            f"SELECT {_COLUMNS} FROM review WHERE line_hash = ? AND undone_at IS NULL ORDER BY id", (digest,)
        ):
            review = _from_row(row)
            found.setdefault((digest, review.item_key), []).append(review)
    return found


def status_of(review: Review, item: Item | None) -> Status:
    """How a review stands today: ``re-opened`` where something else is read now than when it was given."""
    if item is not None and review.reading is not None and dict(review.reading) != reading_of(item):
        return "re-opened"
    return _STATUS[review.verdict]


def reviewed(connection: sqlite3.Connection, extraction: Extraction) -> tuple[Extraction, dict[str, str]]:
    """The extraction with the reviewers' decisions applied, and by item id what each was.

    A corrected item reads as the reviewer says; a rejected one becomes ``unread``, and a line in which
    something was missed gets an ``unread`` demand, so that nothing is called eligible by it. A
    re-opened review changes nothing but is shown.
    """
    hashes = {(c.section, c.path): line_hash(c.text) for c in extraction.criteria}
    active = _active(connection, hashes.values())
    if not active:
        return extraction, {}
    places: dict[tuple[str, str], Criterion] = {
        (criterion.section, criterion.path): criterion for criterion in extraction.criteria
    }
    keys: set[tuple[str, str, str]] = {
        (item.section, item.criterion, _key(item, places)) for item in extraction.items
    }
    said: dict[str, str] = {}
    items: list[Item] = []
    rejected: dict[str, Unread] = {}
    for item in extraction.items:
        place = (item.section, item.criterion)
        review = _latest(active, hashes.get(place, ""), _key(item, places), place, keys)
        if review is not None:
            status = status_of(review, item)
            said[item.id] = f"{status} by {review.reviewer}, {review.reviewed_at[:10]}"
            if status == "rejected":
                rejected[item.id] = Unread(item.value_span, f"the reading was {said[item.id]}")
            elif status == "corrected" and review.corrected is not None:
                item = _corrected(item, review.corrected)
        items.append(item)
    criteria = tuple(
        _applied(c, rejected, active.get((line_hash(c.text), ""), [])) for c in extraction.criteria
    )
    return replace(extraction, items=tuple(items), criteria=criteria), said


def _key(item: Item, places: Mapping[tuple[str, str], Criterion]) -> str:
    return item_key(item, places.get((item.section, item.criterion)))


def _latest(
    active: Mapping[tuple[str, str], list[Review]],
    digest: str,
    key: str,
    place: tuple[str, str],
    keys: set[tuple[str, str, str]],
) -> Review | None:
    """The review of the item with this key; else one of what the same words were read as before (another
    concept), which is re-opened by that."""
    if not key:
        return None
    words = key.partition(":")[0] + ":"
    before = [
        other
        for (line, other) in active
        if line == digest and other.startswith(words) and (*place, other) not in keys
    ]
    for name in (key, *before):
        fitting = [review for review in active.get((digest, name), ()) if review.section in (None, place[0])]
        if fitting:
            return fitting[-1]
    return None


def _corrected(item: Item, fields: Mapping[str, Any]) -> Item:
    values = {name: fields[name] for name in CORRECTABLE if name in fields}
    if values.get("values") is not None:
        values["values"] = tuple(values["values"])
    if values.get("window") is not None:
        values["window"] = Window(**values["window"])
    # The canonical numbers were of the old reading; the flags that made it suspect were its, too.
    return replace(item, canonical_low=None, canonical_high=None, flags=(), **values)


def _applied(criterion: Criterion, rejected: Mapping[str, Unread], missed: Sequence[Review]) -> Criterion:
    expression = _without(criterion.expression, rejected)
    unread = [
        Unread(
            criterion.span,
            f"a reviewer ({review.reviewer}) says that something was missed here: {review.reason}",
        )
        for review in missed
        if review.section in (None, criterion.section)
    ]
    if unread:
        expression = All((expression, *unread))
    return criterion if expression is criterion.expression else replace(criterion, expression=expression)


def _without(expression: Expression, rejected: Mapping[str, Unread]) -> Expression:
    """The expression with the leaves of rejected items replaced; itself where there is none."""
    match expression:
        case Leaf(identifier):
            return rejected.get(identifier, expression)
        case All(parts) | AnyOf(parts):
            changed = tuple(_without(part, rejected) for part in parts)
            same = all(new is old for new, old in zip(changed, parts, strict=True))
            return expression if same else replace(expression, parts=changed)
        case Not(part):
            inner = _without(part, rejected)
            return expression if inner is part else Not(inner)
        case If(condition, then, otherwise):
            branches = [_without(part, rejected) for part in (condition, then, otherwise)]
            same = branches == [condition, then, otherwise]
            return expression if same else If(*branches)
    return expression
