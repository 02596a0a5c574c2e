"""What the writer and the reader of trial versions share: columns, order, digest, small conversions."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from harvest.model import Trial

PutResult = Literal["new", "changed", "reread", "unchanged"]

_PLAIN_WORDS = (
    "title acronym status study_type enrollment minimum_age maximum_age sex start_date completion_date"
    " first_posted last_update_posted"
)
PLAIN = tuple(_PLAIN_WORDS.split())
"""Fields of a trial that are stored as they are."""
LONG = ("official_title", "brief_summary")
"""Those that stand in trial_detail."""
NEWEST_FIRST = "coalesce(v.version_date, '') DESC, coalesce(v.fetched_at, '') DESC, v.version DESC"

_LINE_THRESHOLD_WORDS = (
    "item_key section concept_id concept_text concept_start concept_end role entity_type kind comparator low"
    " high low_inclusive high_inclusive value_set unit unit_text canonical_low canonical_high canonical_unit"
    " relative_to value_text value_start value_end condition_text condition_start condition_end exception_text"
    " exception_start exception_end population window rule flags scale min_value min_inclusive max_value"
    " max_inclusive status turned alternative branch applies_if holds_for"
)
LINE_THRESHOLD_COLUMNS = tuple(_LINE_THRESHOLD_WORDS.split())
"""What a reading's item says, wherever it stands."""
THRESHOLD_COLUMNS = ("current", "ordinal", "item_id", *LINE_THRESHOLD_COLUMNS)
"""What the view ``threshold`` says of an item of a trial version."""


def compact(value: Any) -> str:
    """JSON without spaces, non-ASCII kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def record_digest(trial: Trial) -> str:
    """A digest of everything the parsed record says, derived fields included."""
    # repr of frozen dataclasses of plain values names every field, and is ten times quicker than JSON
    return hashlib.blake2b(repr(trial).encode(), digest_size=16).hexdigest()


def flag(value: bool | None) -> int | None:
    """A truth value as SQLite stores it."""
    return None if value is None else int(value)


def boolean(value: int | None) -> bool | None:
    """A stored truth value."""
    return None if value is None else bool(value)
