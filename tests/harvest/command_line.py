"""The command line as the tests of the harvest run it: in this process, against an embedded registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from harvest.archive import Archive
from harvest.local_registry import Holdings, LocalRegistry
from harvest.registry_faults import Fault, FaultPlan
from kb.digest import content_digest
from tests.harvest.sample_records import SWIFT, state_of


class Result(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Result]


def serve(monkeypatch: pytest.MonkeyPatch, held: Holdings, *faults: Fault) -> LocalRegistry:
    server = LocalRegistry(held, plan=FaultPlan(faults))
    monkeypatch.setenv("TRIALKB_CTGOV_URL", server.url)
    monkeypatch.setenv("TRIALKB_CLINCONNECT_URL", server.url)
    return server


def be_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries without the pauses that a real host is given."""
    swift = replace(SWIFT, backoff=0.001, backoff_cap=0.002, blocked_pause=0.001)
    monkeypatch.setattr("commands.harvesting._politeness", lambda *_: swift)


def content(db: Path) -> tuple[object, ...]:
    """Everything that a command which fails must leave as it was."""
    archive = db.with_name(f"{db.stem}.archive.sqlite")
    states: list[object] = []
    if archive.exists():
        with Archive.open(archive) as opened:
            states.append(state_of(opened))
    return (content_digest(db) if db.exists() else None, *states)
