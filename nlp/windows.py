"""Give a measurement the time window that its sentence says: "ALT < 3 x ULN within 7 days of screening".

A window beside an event is a requirement of its own ("no stroke within 6 months"). Beside a value it says
which values count (``window`` of the item, as the extract interface has it). Only words that report a
measurement may stand between the two; any other word would be another event.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nlp.draft import Draft

_REACH = 70
_REPORTED = re.compile(
    r"[\s,()-]*(?:(?:is|was|are|were|be|been|must|should|obtained|measured|documented|performed|assessed|done"
    r"|taken|as|using|via|recorded|confirmed|determined|collected|evaluated|tests?|tested|results?|values?|levels?|at any time"
    r"|both|on|in (?:serum|blood|urine|plasma)|serum|plasma|by (?:ultrasound|echocardiogra\w+|MUGA|ECG|laboratory)"
    r"|per day|a day|daily|or equivalent|equivalent|of prednisone|prednisone|predniso(?:lo)?ne equivalent"
    r"|from samples?|occurring|present)[\s,()-]*)*",
    re.I,
)
_JOINT = re.compile(r"[\s,;]*(?:and|or|and/or|&)?\s*(?:an?\s+|the\s+)?", re.I)

_OPENED = re.compile(r"[,:]\s")
_ENDED = re.compile(r"[.;]\s")


def attach(text: str, drafts: Sequence[Draft]) -> None:
    """Set ``window`` of the measurements, doses and results that a window of the same text governs.

    ``drafts`` are those of one folded text. Time is linear in their number but for the rows that one
    window governs.
    """
    if not any(draft.window is not None for draft in drafts):
        return
    ordered = sorted(drafts, key=lambda draft: draft.value_start)
    for at, draft in enumerate(ordered):
        if draft.window is None or draft.entity_type != "Temporal":
            continue
        if text[: draft.value_start].strip(" ,.:-(*") == "":
            _forward(text, draft, ordered, at)
        else:
            _backward(text, draft, ordered, at)


def _measured(draft: Draft) -> bool:
    return draft.entity_type in ("Measurement", "Drug dose") and draft.role == "requirement"


def _begin(draft: Draft) -> int:
    return min(draft.value_start, draft.concept_start) if draft.concept_start >= 0 else draft.value_start


def _end(draft: Draft) -> int:
    return max(draft.value_end, draft.concept_end)


def _backward(text: str, window: Draft, ordered: Sequence[Draft], at: int) -> None:
    """The value right before the window, and the row of values that it closes."""
    edge = window.value_start
    link = _REPORTED
    for draft in (ordered[index] for index in range(at - 1, -1, -1)):
        if not _measured(draft) or draft.window is not None:
            return
        end = _end(draft)
        joined = end > edge or (edge - end <= _REACH and link.fullmatch(text, end, edge) is not None)
        if not joined:
            return
        draft.window = window.window
        edge = min(edge, _begin(draft))
        link = _JOINT


def _forward(text: str, window: Draft, ordered: Sequence[Draft], at: int) -> None:
    """A window that opens the text governs the values behind its comma or colon: "Within 7 days before
    apheresis, ..."."""
    cut = _OPENED.search(text, window.value_end, window.value_end + _REACH)
    if cut is None:
        return
    edge = cut.end()
    governs = False
    for draft in (ordered[index] for index in range(at + 1, len(ordered))):
        begin = _begin(draft)
        if not _measured(draft) or draft.window is not None or begin < cut.end():
            return
        if _ENDED.search(text, edge, begin):
            return
        draft.window = window.window
        if not governs:
            window.role = "definition"  # it says which values count, and asks nothing else
            governs = True
        edge = _end(draft)
