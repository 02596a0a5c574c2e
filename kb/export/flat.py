"""Flat CSV: one row a leaf (item, fact or unread), with the columns of CTKB first.

CTKB (Columbia's clinical trial knowledge base, J Biomed Inform 2021, PMC8407851) is the best-known prior
knowledge base of criteria; its columns carry their own names here, so that both can be laid side by side:

``conceptId`` is this vocabulary's id (CTKB: an OMOP id), ``neg`` is 1 where an odd number of "not" stands over
the leaf beyond the exclusion itself, ``startIndex``/``endIndex`` count from the start of the criterion's text,
``score`` is the criterion's coverage, ``min``/``max`` are the numbers as written, in ``unit``, and ``times`` names what
they are multiples of (ULN, LLN, ...). The columns after them are this project's own.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

from kb.export.model import Context, Loss, Reason, Rendered, TrialRecord, judge, unread_reasons
from nlp.model import All, AnyOf, Criterion, Expression, Fact, If, Item, Leaf, Not, Unread

CTKB_COLUMNS = (
    "nctid", "include", "lineNum", "conceptId", "conceptName", "domain", "neg", "startIndex", "endIndex",
    "temporalSourceText", "entitySourceText", "score", "beforedays", "afterdays", "numericSourceText",
    "min", "max", "operate", "times", "unit",
)  # fmt: skip
OWN_COLUMNS = (
    "leaf", "section", "criterion", "item", "role", "entity_type", "kind", "low_inclusive", "high_inclusive",
    "values", "canonical_low", "canonical_high", "canonical_unit", "condition", "exception", "population",
    "window_value", "window_unit", "window_direction", "window_anchor", "raw_start", "raw_end", "rule", "flags",
    "unread_why", "review", "criterion_text", "source", "version", "vocabulary", "data_timestamp", "synthetic",
)  # fmt: skip
COLUMNS = CTKB_COLUMNS + OWN_COLUMNS

DAYS = {"d": 1.0, "wk": 7.0, "mo": 30.0, "a": 365.0, "h": 1 / 24, "min": 1 / 1440}
"""Days of a time unit as cohort tools count them: 30 to a month, 365 to a year."""


def window_days(item: Item) -> tuple[float | None, float | None]:
    """``(days before, days after)`` the anchor of an item's window; None where it sets none on that side."""
    window = item.window
    if window is None or window.value is None or window.unit not in DAYS:
        return None, None
    days = window.value * DAYS[window.unit]
    return (None, days) if window.direction == "after" else (days, None)


def _leaves(expression: Expression, negated: bool) -> Iterator[tuple[Leaf | Fact | Unread, bool]]:
    """Every leaf with whether an odd number of nots stands over it."""
    match expression:
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from _leaves(part, negated)
        case Not(part):
            yield from _leaves(part, not negated)
        case If(condition, then, otherwise):
            for part in (condition, then, otherwise):
                yield from _leaves(part, negated)
        case Leaf() | Fact() | Unread():
            yield expression, negated


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _flag(value: bool | None) -> str:
    return "" if value is None else str(int(value))


def _item_cells(item: Item, context: Context) -> dict[str, str]:
    before, after = window_days(item)
    window = item.window
    facts = context.concept(item.concept)
    return {
        "conceptId": item.concept or "",
        "conceptName": item.concept_name or (facts.name if facts else ""),
        "domain": item.entity_type,
        "entitySourceText": item.concept_text or "",
        "beforedays": _number(before),
        "afterdays": _number(after),
        "temporalSourceText": item.value_text if item.kind == "temporal" else "",
        "numericSourceText": item.value_text,
        "min": _number(item.low),
        "max": _number(item.high),
        "operate": item.comparator,
        "times": item.relative_to or "",
        "unit": item.unit or "",
        "item": item.id,
        "role": item.role,
        "entity_type": item.entity_type,
        "kind": item.kind,
        "low_inclusive": _flag(item.low_inclusive),
        "high_inclusive": _flag(item.high_inclusive),
        "values": " ".join(_number(value) for value in item.values or ()),
        "canonical_low": _number(item.canonical_low),
        "canonical_high": _number(item.canonical_high),
        "canonical_unit": item.canonical_unit or "",
        "condition": item.condition.text if item.condition else "",
        "exception": item.exception.text if item.exception else "",
        "population": item.population or "",
        "window_value": _number(window.value) if window else "",
        "window_unit": (window.unit or "") if window else "",
        "window_direction": (window.direction or "") if window else "",
        "window_anchor": (window.anchor or "") if window else "",
        "rule": item.rule,
        "flags": " ".join(item.flags),
    }


class Flat:
    """The flat CSV format."""

    name = "csv"
    version = "1.1"
    title = "flat CSV, one row a leaf, CTKB columns first"
    reader = "Excel, R, pandas, SQL loaders"
    suffix = ".csv"
    joins = True
    extra = None

    def head(self, context: Context) -> str:
        """The header row (notices stand beside the file: CSV has no place for them)."""
        return _csv([COLUMNS])

    def render(self, record: TrialRecord, context: Context) -> Rendered:
        """The trial's rows, in the order of the text."""
        items = record.item_by_id()
        rows: list[tuple[str, ...]] = []
        losses: list[Loss] = []
        told: set[str] = set()
        for number, criterion in enumerate(record.criteria, 1):
            outer = isinstance(criterion.expression, Not) and criterion.section == "exclusion"
            for leaf, negated in _leaves(criterion.expression, False):
                cells, span = _leaf_cells(leaf, items, context)
                told.add(cells.get("item", ""))
                cells |= {"neg": str(int(negated != outer))} | _place(record, criterion, number, span)
                rows.append(_row(record, cells))
            losses.append(_loss(record, criterion))
        rows.extend(self._other_items(record, context, told))
        return Rendered(_csv(rows), tuple(losses))

    def _other_items(
        self, record: TrialRecord, context: Context, told: set[str]
    ) -> Iterator[tuple[str, ...]]:
        """Items that stand in no expression (definitions, allowances, monitoring): they were read as well."""
        places = {(c.section, c.path): (n, c) for n, c in enumerate(record.criteria, 1)}
        for item in record.items:
            if item.id in told:
                continue
            cells = _item_cells(item, context) | {"leaf": "item", "neg": "0", "section": item.section}
            cells["criterion"] = item.criterion
            place = places.get((item.section, item.criterion))
            if place:
                cells |= _place(record, place[1], place[0], item.value_span)
            yield _row(record, cells)

    def validate(self, text: str) -> list[str]:
        """A wrong header, or a row of another width."""
        table = list(csv.reader(io.StringIO(text, newline="")))
        if not table or tuple(table[0]) != COLUMNS:
            return ["the first row is not the header of this version"]
        wrong = [n for n, row in enumerate(table[1:], 2) if len(row) != len(COLUMNS)]
        return [f"row {n} has another number of columns" for n in wrong]


def _leaf_cells(
    leaf: Leaf | Fact | Unread, items: dict[str, Item], context: Context
) -> tuple[dict[str, str], tuple[int, int]]:
    match leaf:
        case Leaf(name):
            item = items[name]
            return _item_cells(item, context) | {"leaf": "item"}, item.value_span
        case Fact(text, span, concept):
            cells = {"leaf": "fact", "conceptId": concept or "", "entitySourceText": text, "domain": "Fact"}
            return cells, span
        case Unread(span, why):
            return {"leaf": "unread", "unread_why": why}, span


def _place(record: TrialRecord, criterion: Criterion, number: int, span: tuple[int, int]) -> dict[str, str]:
    return {
        "include": str(int(criterion.section != "exclusion")),
        "lineNum": str(number),
        "section": criterion.section,
        "criterion": criterion.path,
        "startIndex": str(span[0] - criterion.span[0]),
        "endIndex": str(span[1] - criterion.span[0]),
        "raw_start": str(span[0]),
        "raw_end": str(span[1]),
        "score": f"{criterion.coverage:.4g}",
        "criterion_text": criterion.text,
    }


def _row(record: TrialRecord, cells: dict[str, str]) -> tuple[str, ...]:
    trial = record.trial
    cells = cells | {
        "review": record.said.get(cells.get("item", ""), ""),
        "nctid": record.id,
        "source": trial.source,
        "version": trial.version,
        "vocabulary": record.vocabulary,
        "data_timestamp": record.data_timestamp or "",
        "synthetic": str(int(trial.synthetic)),
    }
    return tuple(cells.get(column, "") for column in COLUMNS)


def _loss(record: TrialRecord, criterion: Criterion) -> Loss:
    """Rows hold leaves, so a criterion is whole only where it is one leaf, plain or excluded, or asks nothing."""
    unread = tuple(unread_reasons(record.trial.eligibility_text, criterion.expression))
    body = criterion.expression
    if isinstance(body, Not) and criterion.section == "exclusion":
        body = body.part
    if isinstance(body, All | AnyOf) and len(body.parts) == 1:
        body = body.parts[0]
    if unread:
        return judge(record, criterion, "degraded", *unread)
    if isinstance(body, Leaf | Fact) or body == All(()):
        return judge(record, criterion, "whole")
    return judge(
        record,
        criterion,
        "degraded",
        Reason("logic", "rows do not say how the leaves are joined (all, any, if)"),
    )


def _csv(rows: Iterable[tuple[str, ...]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
