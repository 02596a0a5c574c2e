"""Where a ClinConnect page and the registry's record say different things of one trial.

The registry wins: the page is a dated copy. The difference is worth knowing all the same, since people read
the page. Criteria are compared by their words, without bullets, numbering, escapes and punctuation, for the
page flattens lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from harvest.archive import Archive
from harvest.feed import parse_raw
from harvest.model import Trial
from harvest.sources import clinconnect, ctgov_record

# Words, numbers with their decimals, and the signs that turn a limit round.
_WORDS = re.compile(r"\d+(?:[.,]\d+)*|\w+|[<>≤≥=]")
# "* ", "• ", "1. ", "(2) " at the beginning of a line: numbering that only one of the two may show.
_MARKER = re.compile(r"^[ \t]*(?:[*•·○-][ \t]*)*(?:\(?\d{1,2}\\?[.)][ \t]+)?", re.MULTILINE)
SHOWN_WORDS = 12


@dataclass(frozen=True, slots=True)
class Conflict:
    """One difference; ``registry`` is what counts. ``page_date`` is the page's "Current as of"."""

    source_id: str
    field: str
    registry: str
    page: str
    registry_date: str | None
    page_date: str | None


def words(text: str) -> list[str]:
    """The words by which two forms of one text are compared."""
    plain = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", _MARKER.sub("", text))
    return _WORDS.findall(plain.casefold())


def conflicts_of(record: Trial, page: Trial) -> Iterator[Conflict]:
    """The differences between a registry's record and a page about the same trial."""

    def conflict(field: str, registry: str | None, on_page: str | None) -> Conflict:
        return Conflict(
            record.source_id, field, registry or "(not given)", on_page or "(not given)",
            record.last_update_posted, page.last_update_posted,
        )  # fmt: skip

    for field in ("title", "status", "sex"):
        ours, theirs = getattr(record, field), getattr(page, field)
        if ours and theirs and words(ours) != words(theirs):
            yield conflict(field, ours, theirs)
    if record.sponsors and page.sponsors and words(record.sponsors[0].name) != words(page.sponsors[0].name):
        yield conflict("sponsor", record.sponsors[0].name, page.sponsors[0].name)
    if record.first_posted and page.first_posted and record.first_posted != page.first_posted:
        yield conflict("first posted / launched", record.first_posted, page.first_posted)
    if (
        record.last_update_posted
        and page.last_update_posted
        and record.last_update_posted > page.last_update_posted
    ):
        yield conflict("last update / current as of", record.last_update_posted, page.last_update_posted)
    ours, theirs = words(record.eligibility_text), words(page.eligibility_text)
    for tag, a, b, c, d in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        if tag != "equal":
            yield conflict("criteria", _around(ours, a, b), _around(theirs, c, d))


def _around(sequence: list[str], start: int, end: int) -> str:
    """The words that differ between brackets, with a few before and after them."""
    changed = sequence[start:end]
    if len(changed) > SHOWN_WORDS:
        changed = [*changed[:SHOWN_WORDS], f"... {len(changed) - SHOWN_WORDS} more words"]
    return " ".join(
        [*sequence[max(0, start - 4) : start], f"[{' '.join(changed)}]", *sequence[end : end + 4]]
    )


def archived_conflicts(archive: Archive, source_id: str | None = None) -> Iterator[Conflict]:
    """The differences of all trials of which the archive holds both, or of one; by id."""
    for head in archive.heads(clinconnect.NAME):
        if source_id not in (None, head.source_id):
            continue
        registry = archive.head(ctgov_record.NAME, archive.resolve(ctgov_record.NAME, head.source_id))
        if registry is not None:
            yield from conflicts_of(
                parse_raw(archive.raw(registry.record)), parse_raw(archive.raw(head.record))
            )
