"""Limits as answers show them, with the reviewers' decisions applied.

The stored rows stay the machine's reading, which a rebuild makes again; what a reviewer decided on the
line holds in the answer: a corrected limit shows the reviewer's range, a rejected one none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from kb.eligible import Eligible, eligible_ranges
from kb.judging import unitless
from kb.limits import Limit, load_limits
from kb.reader import TrialReader
from kb.review import reviewed
from nlp.model import Extraction, Item


def reviewed_limits(
    connection: sqlite3.Connection, version_ids: Sequence[int], concepts: Sequence[str] | None = None
) -> list[Limit]:
    """As :func:`kb.limits.load_limits`, with the reviewers' decisions applied: what a reviewer corrected to
    one of the ``concepts`` is among them, what was corrected to another is not."""
    decided = decided_versions(connection, version_ids)
    if not decided:
        return load_limits(connection, version_ids, concepts)
    as_read = load_limits(connection, [one for one in version_ids if one not in set(decided)], concepts)
    changed = with_reviews(connection, load_limits(connection, decided))
    if concepts is not None:
        changed = [limit for limit in changed if limit.concept in concepts]
    return sorted([*as_read, *changed], key=_version)


def _version(limit: Limit) -> int:
    return limit.version_id


def with_reviews(connection: sqlite3.Connection, limits: Sequence[Limit]) -> list[Limit]:
    """The limits, each with what a reviewer said of it in its evidence; order and number stay.

    A correction in another unit than the concept's canonical one is shown as the reviewer wrote it, but
    is not compared.
    """
    versions = decided_versions(connection, sorted({limit.version_id for limit in limits}))
    if not versions:
        return list(limits)
    units = dict(connection.execute("SELECT id, canonical_unit FROM concept"))
    names = dict(connection.execute("SELECT id, name FROM concept"))
    said: dict[tuple[int, str, tuple[int, int], str], list[tuple[str, Item, Eligible | None]]] = {}
    for version in versions:
        stored = TrialReader(connection).extraction(version)
        extraction, words = reviewed(connection, stored)
        ranges = eligible_ranges(_canonical(extraction, words, units))
        for before, item in zip(stored.items, extraction.items, strict=True):
            if item.id in words:
                changed = words[item.id].startswith(("corrected", "rejected"))
                place = (version, before.section, before.value_span, before.concept or "")
                said.setdefault(place, []).append(
                    (words[item.id], item, ranges[item.id] if changed else None)
                )
    found = []
    for limit in limits:
        evidence = limit.evidence
        waiting = said.get((limit.version_id, evidence.section, evidence.span, limit.concept or ""))
        found.append(_applied(limit, *waiting.pop(0), names) if waiting else limit)
    return found


def decided_versions(connection: sqlite3.Connection, versions: Sequence[int]) -> list[int]:
    """Those of the versions with a line that a reviewer decided on."""
    rows = connection.execute(
        "SELECT DISTINCT k.version_id FROM review r CROSS JOIN line l ON l.hash = r.line_hash CROSS JOIN line_reading d"
        " ON d.line_id = l.id CROSS JOIN trial_criterion k ON k.reading_id = d.id WHERE r.undone_at IS NULL"
    )
    return sorted({row[0] for row in rows}.intersection(versions))


def _canonical(extraction: Extraction, words: dict[str, str], units: dict[str, str | None]) -> Extraction:
    """Corrected items that are written in the canonical unit have canonical bounds again."""

    def same(item: Item) -> bool:
        unit = units.get(item.concept or "")
        return item.unit == unit or (unitless(item.unit) and unitless(unit))

    items = tuple(
        replace(item, canonical_low=item.low, canonical_high=item.high, canonical_unit=item.unit)
        if words.get(item.id, "").startswith("corrected") and same(item)
        else item
        for item in extraction.items
    )
    return replace(extraction, items=items)


def _applied(limit: Limit, said: str, item: Item, range_: Eligible | None, names: dict[str, str]) -> Limit:
    evidence = replace(limit.evidence, review=said)
    if range_ is None:
        return replace(limit, evidence=evidence)
    concept = item.concept
    return replace(
        limit,
        concept=concept,
        concept_name=names.get(concept or "", item.concept_text or limit.concept_name),
        role=item.role,
        kind=item.kind,
        comparator=item.comparator,
        scale=range_.scale,
        unit=item.unit if range_.scale is not None else limit.unit,
        min_value=range_.min_value,
        min_inclusive=range_.min_inclusive,
        max_value=range_.max_value,
        max_inclusive=range_.max_inclusive,
        status=range_.status,
        turned=range_.turned,
        alternative=range_.alternative,
        branch=range_.branch,
        applies_if=range_.applies_if,
        values=item.values,
        evidence=evidence,
    )
