"""The identity of a criterion's words and of what one mention in them says.

A line that stands word for word in many trials has one hash; an item has one key for the same words
of the same line. A reviewer's decision is stored under both, and so holds wherever the line stands.
"""

from __future__ import annotations

import hashlib
import re

from nlp.model import Criterion, Item

_DROPPED = re.compile(r"[^\w]+")


def line_hash(text: str) -> str:
    """The first 24 hex digits (96 bits) of blake2b of the exact text."""
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def item_key(item: Item, criterion: Criterion | None) -> str:
    """Where in its line the item stands and which concept it was read as: ``"12-24:plt"``.

    The offsets are those of the value, from the start of the criterion's text. A second concept that
    shares the value ("ALT and AST <= 3 x ULN") has its own key.
    """
    origin = criterion.span[0] if criterion is not None else 0
    concept = item.concept or name_key(item.concept_text or "")
    return f"{item.value_span[0] - origin}-{item.value_span[1] - origin}:{concept}"


def name_key(name: str) -> str:
    """A name folded for matching: case and punctuation out, single spaces."""
    return _DROPPED.sub(" ", name.casefold().replace("_", " ")).strip()
