"""What another vocabulary, or other rules, would read differently in the trials that are stored."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from commands.harvest_options import progress_bar
from commands.knowledge_feed import trial_records
from harvest import feed
from harvest.archive import Archive
from kb.build import BuildReport, Reading, rebuild
from kb.diff import diff, stored_state
from kb.store import Store


@dataclass(frozen=True, slots=True)
class Moved:
    """A stored threshold that would be read differently: in words, and the criterion in which it stands."""

    trial: str
    section: str
    threshold: str
    direction: str | None
    text: str


def read_anew(db: Path, archive: Archive, reading: Reading) -> tuple[BuildReport, str]:
    """Rebuild the knowledge base at ``db`` from the archive, with a progress bar; the report and its digest."""
    due = feed.due_records(archive)
    with progress_bar("Reading criteria") as step:
        done = Counter[str]()

        def count() -> None:
            done["records"] += 1
            step(done["records"], len(due))

        return rebuild(db, trial_records(archive, due), reading, count)


def preview(db: Path, archive: Archive, reading: Reading) -> tuple[list[Moved], list[str]]:
    """What a rebuild would move: the thresholds, and the trials whose reading differs in something else.

    Only current versions are compared; nothing is changed. Raises the errors of both rooms.
    """
    moved: list[Moved] = []
    otherwise: list[str] = []
    with tempfile.TemporaryDirectory(prefix="trialkb-") as folder, Store.open(db) as old:
        fresh = Path(folder) / "preview.db"
        read_anew(fresh, archive, reading)
        with Store.open(fresh) as new:
            before = {trial: version for version, trial in old.current_versions()}
            for after, trial in new.current_versions():
                if trial not in before or _same_reading(old, before[trial], new, after):
                    continue
                # Reviews stand in the old file only, and are carried over: what is compared is the reading.
                one = stored_state(old, before[trial], as_read=True)
                changes = diff(one, stored_state(new, after, as_read=True)).thresholds
                told = [change for change in changes if change.cause != "moved"]
                for change in told:
                    limit = change.after or change.before
                    line = limit.evidence.line if limit is not None else ""
                    moved.append(Moved(trial, change.section, change.words, change.direction, line))
                if not told:
                    otherwise.append(trial)
    return moved, otherwise


def _same_reading(old: Store, before: int, new: Store, after: int) -> bool:
    """Whether two stored readings are the same but for the digest of what read them."""
    one, other = old.extraction(before), new.extraction(after)
    return replace(one, vocabulary="") == replace(other, vocabulary="")
