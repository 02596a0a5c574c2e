"""What a run tells when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harvest.archive import Outcome
from harvest.canonical import encode
from harvest.errors import BadInput, UnexpectedShape

# Problems that the message of a run tells one by one.
PROBLEMS_SHOWN = 5
REPORTED: tuple[Outcome, ...] = ("new", "changed", "drifted", "vanished", "left", "missing")


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did. ``state``: complete, incomplete. Ids sorted; ``unchanged`` is a number."""

    run: int
    source: str
    state: str
    data_version: str | None
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    drifted: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unchanged: int = 0
    older: int = 0
    requests: int = 0
    up_to_date: bool = False
    message: str = ""


def make_report(
    run: int,
    source: str,
    complete: bool,
    data: str | None,
    ids: dict[Outcome, tuple[str, ...]],
    counts: dict[str, int],
    requests: int,
    message: str,
) -> Report:
    """The report of a run that ended, from the ids by outcome and the counts."""
    return Report(
        run=run,
        source=source,
        state="complete" if complete else "incomplete",
        data_version=data,
        unchanged=counts.get("unchanged", 0),
        older=counts.get("older", 0),
        requests=requests,
        message=message,
        new=ids["new"],
        changed=ids["changed"],
        drifted=ids["drifted"],
        vanished=ids["vanished"],
        left=ids["left"],
        missing=ids["missing"],
    )


def refused_body(error: BadInput, record: Any) -> bytes:
    """What is kept of a record that is no trial: the bytes of the error, else its JSON (without contacts)."""
    if isinstance(error, UnexpectedShape):
        return error.body
    return encode(record)


def in_short(problems: Sequence[str]) -> str:
    """The first problems on one line, and how many more there are."""
    shown = list(problems[:PROBLEMS_SHOWN])
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    return "; ".join(shown)
