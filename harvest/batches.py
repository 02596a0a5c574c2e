"""Asking for many ids at once, and one by one where the registry cannot answer for all of them together."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from harvest.errors import (
    BrokenAnswer,
    QueryRejected,
    ResponseTooLarge,
    ServerFailed,
    UnexpectedShape,
    Unreachable,
)
from harvest.sources.ctgov import ID_BATCH, ClinicalTrialsGov

log = logging.getLogger(__name__)

# What one record can bring about for a whole batch, as users of ctrdata and gregory-ai met it.
BATCH_FAILURES = (ServerFailed, BrokenAnswer, ResponseTooLarge, QueryRejected, Unreachable, UnexpectedShape)
# So many failures one after the other are the host's, not a record's.
FAILURES_IN_A_ROW = 2


def batches(identifiers: Sequence[str]) -> Iterator[Sequence[str]]:
    """The ids in groups of at most :data:`harvest.sources.ctgov.ID_BATCH`."""
    for start in range(0, len(identifiers), ID_BATCH):
        yield identifiers[start : start + ID_BATCH]


def fetch_batch(
    source: ClinicalTrialsGov, identifiers: Sequence[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """``(records, failed)`` of at most a batch of ids: the records that came, and why an id's could not.

    Ids that the registry does not have are in neither. A batch that fails as a whole is asked for record by
    record, so that one record that the registry cannot give does not hold up the others. Raises what the
    source raises where two records in a row fail: then it is the host.
    """
    try:
        return list(source.fetch_many(identifiers)), {}
    except BATCH_FAILURES as error:
        if len(identifiers) == 1:
            raise
        log.warning("a batch failed, asking for its records one by one", extra={"why": str(error)})
    records: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    in_a_row = 0
    for each in identifiers:
        try:
            records.extend(source.fetch_many([each]))
            in_a_row = 0
        except BATCH_FAILURES as error:
            in_a_row += 1
            if in_a_row == FAILURES_IN_A_ROW:
                raise
            failed[each] = str(error)
    return records, failed
