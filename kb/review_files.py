"""Reviews as files: JSON Lines out and in, and test cases made of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, get_args

from kb.lines import line_hash
from kb.review import Review, Verdict, all_reviews, put_review, reading_of
from kb.review_correction import CORRECTABLE, ReviewInvalid, checked_correction
from nlp.model import Extraction


def export_rows(connection: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    """Every review, taken-back ones too, as the JSON rows that :func:`import_rows` takes."""
    for review in all_reviews(connection, undone=True):
        yield asdict(review)


def import_rows(connection: sqlite3.Connection, lines: Iterable[str], name: str) -> tuple[int, int]:
    """Store the reviews of a JSONL file: (how many were new, how many were there already).

    The caller's transaction makes it all or nothing. Raises ReviewInvalid with the line's number.
    """
    counts = [0, 0]
    for number, line in enumerate(lines, start=1):
        if line.strip():
            counts[not put_review(connection, _review_of(line, f"{name}: line {number}"))] += 1
    return counts[0], counts[1]


def _review_of(line: str, where: str) -> Review:
    try:
        row = json.loads(line)
        review = Review(**row)
    except (ValueError, TypeError) as error:
        raise ReviewInvalid(
            f"{where}: not a review ({error}); `trialkb review export` shows the form"
        ) from None
    texts = (review.reviewer, review.reviewed_at, review.line_hash, review.item_key, review.line_text)
    if not all(isinstance(text, str) for text in texts) or not review.reviewer.strip():
        raise ReviewInvalid(
            f"{where}: reviewer, reviewed_at, line_hash, item_key and line_text must be texts"
        )
    if review.verdict not in get_args(Verdict):
        raise ReviewInvalid(
            f"{where}: verdict {review.verdict!r} is not one of {', '.join(get_args(Verdict))}"
        )
    if review.line_hash != line_hash(review.line_text):
        raise ReviewInvalid(f"{where}: line_hash is not that of line_text; one of them was changed")
    if (review.corrected is not None) != (review.verdict == "corrected"):
        raise ReviewInvalid(f"{where}: corrected goes with the verdict 'corrected' and no other")
    if review.corrected is not None:
        if not isinstance(review.corrected, dict):
            raise ReviewInvalid(f"{where}: corrected must be an object")
        try:
            checked_correction({k: v for k, v in review.corrected.items() if k in CORRECTABLE})
        except ReviewInvalid as error:
            raise ReviewInvalid(f"{where}: {error}") from None
    return review


def gold_rows(reviews: Iterable[Review]) -> Iterator[dict[str, Any]]:
    """Test cases: one row a reviewed line, with what must and what must not be read at which place.

    ``expect`` and ``reject`` hold readings: an item's place in the line (``"12-24"``) and its fields. A population that
    the line itself does not name came from a heading above it, which a line by itself does not have.
    """
    lines: dict[str, dict[str, Any]] = {}
    for review in reviews:
        if review.undone_at is not None or review.verdict == "missed" or review.reading is None:
            continue
        row = lines.setdefault(
            review.line_hash,
            {"doc_id": f"review-{review.line_hash}", "text": review.line_text, "expect": [], "reject": []},
        )
        place = review.item_key.partition(":")[0]
        meaning = dict(review.corrected or review.reading)
        if meaning["population"] and meaning["population"] not in review.line_text:
            del meaning["population"]
        row["reject" if review.verdict == "wrong" else "expect"].append({"place": place, **meaning})
    yield from lines.values()


def gold_failures(row: Mapping[str, Any], extract: Callable[[str, str], Extraction]) -> list[str]:
    """Which demands of a test case the reading of its text does not meet; none where it is right.

    ``extract`` takes the text and the section ``unknown`` (the line stands alone).
    """
    found = []
    for item in extract(row["text"], "unknown").items:
        place = f"{item.value_span[0]}-{item.value_span[1]}"
        found.append({"place": place, **reading_of(item)})

    def read(wanted: Mapping[str, Any]) -> bool:
        return any(all(one.get(name) == value for name, value in wanted.items()) for one in found)

    problems = [f"not read: {wanted}" for wanted in row["expect"] if not read(wanted)]
    return problems + [f"read, but rejected: {unwanted}" for unwanted in row["reject"] if read(unwanted)]


def gold_rows_of(lines: Iterable[str], name: str) -> list[dict[str, Any]]:
    """The test cases of a file. Raises ReviewInvalid with the line's number."""
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not {"doc_id", "text", "expect", "reject"} <= set(row):
            raise ReviewInvalid(
                f"{name}: line {number}: not a test case as `trialkb review to-gold` writes them"
            )
        rows.append(row)
    return rows
