"""What changed over many trials since a day, by the registry's own dates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kb.diff import Difference, diff, stored_state
from kb.store import Store
from kb.subject import as_json


@dataclass(frozen=True, slots=True)
class TrialChange:
    """One trial. ``difference`` None: it was first posted after the day, or nothing is stored of before.
    ``lines`` counts its criteria by what happened to them."""

    version_id: int
    difference: Difference | None
    lines: Counter[str]


def changes_since(
    store: Store, since: str, versions: Sequence[int], *, everything: bool = False
) -> list[TrialChange]:
    """Compare each of these current versions with the newest one of its trial not later than ``since``
    (``YYYY-MM-DD``), by trial id.

    Trials without such a version count as new if they were first posted after that day; else nothing is
    known of their past, and they are left out. Without ``everything``, trials whose thresholds, criteria
    and registry fields say the same are left out, however their words moved.
    """
    rows = store.connection.execute(
        "SELECT v.id, v.first_posted, (SELECT o.id FROM trial_version o WHERE o.trial_id = v.trial_id"
        "   AND o.version_date <= :since ORDER BY o.version_date DESC, o.fetched_at DESC, o.version DESC LIMIT 1)"
        " FROM trial_version v JOIN trial t ON t.id = v.trial_id"
        " WHERE v.id IN (SELECT value FROM json_each(:versions)) AND v.version_date > :since ORDER BY t.source_id",
        {"since": since, "versions": as_json(versions)},
    ).fetchall()
    found = []
    for version, first_posted, before in rows:
        if before is None:
            if first_posted is not None and first_posted > since:
                found.append(TrialChange(version, None, Counter()))
            continue
        difference = diff(stored_state(store, before), stored_state(store, version))
        counted = Counter(line.what for line in difference.lines)
        told = difference.demands_changed or difference.fields
        if told or (everything and (difference.lines or difference.thresholds)):
            found.append(TrialChange(version, difference, Counter({str(k): n for k, n in counted.items()})))
    return found
