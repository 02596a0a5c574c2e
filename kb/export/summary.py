"""What a run of an export did, and what the files beside it are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kb.export.model import OUTCOMES

MANIFEST = "manifest.json"
LOSSES = "loss.jsonl"
NOTICE = "NOTICE.txt"

Progress = Callable[[str], None]
"""Called with a trial's id once it is done."""


@dataclass(slots=True)
class Summary:
    """What a run did: counts of trials, of criteria by outcome, of reasons, and where the files are."""

    path: Path
    trials: int = 0
    written: int = 0
    unchanged: int = 0
    removed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)

    def count(self, losses: Iterable[Mapping[str, Any]]) -> dict[str, int]:
        """Add loss lines to the counts; return the counts of just these, by outcome."""
        here: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
        for loss in losses:
            here[loss["outcome"]] += 1
            self.reasons.update({reason["code"] for reason in loss["reasons"]})
        self.outcomes.update(here)
        return here
