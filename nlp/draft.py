"""An item while it is being read: offsets point into the folded text of one criterion.

:mod:`nlp.pipeline` turns drafts into :class:`nlp.model.Item` with offsets into the raw text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nlp.model import Kind, Role, Window


@dataclass(slots=True)
class Draft:
    """One mention of a threshold. ``start``/``end`` pairs are offsets into the folded text.

    ``value_start:value_end`` holds comparator, number, unit; ``concept_start:concept_end`` the noun
    phrase (both -1 where the text names none).
    """

    value_start: int
    value_end: int
    comparator: str
    low: float | None = None
    high: float | None = None
    low_inclusive: bool | None = None
    high_inclusive: bool | None = None
    values: tuple[float, ...] | None = None
    unit: str | None = None
    unit_text: str | None = None
    relative_to: str | None = None
    concept: str | None = None
    concept_start: int = -1
    concept_end: int = -1
    entity_type: str = "Measurement"
    kind: Kind = "numeric"
    role: Role = "requirement"
    window: Window | None = None
    condition: tuple[int, int] | None = None
    exception: tuple[int, int] | None = None
    population: str | None = None
    rule: str = ""
    flags: list[str] = field(default_factory=list)
