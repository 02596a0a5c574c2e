"""What changed over many trials since a moment, by the registry's own dates or by when it was stored here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from kb.diff import Difference, diff, stored_state
from kb.errors import BadQuestion
from kb.store import Store
from kb.subject import as_json

What = Literal["new", "changed", "vanished", "no earlier version"]

# By the registry's dates, or by the time at which a version first came into the archive.
_DAY_OF = {False: "version_date", True: "fetched_at"}
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?")


@dataclass(frozen=True, slots=True)
class TrialChange:
    """One trial. ``difference`` stands where ``what`` is ``changed``; ``lines`` counts its criteria by what
    happened to them; ``when`` is the date of the state that is compared, or when it vanished."""

    version_id: int
    what: What
    when: str | None = None
    difference: Difference | None = None
    lines: Counter[str] = field(default_factory=Counter)


def checked_moment(since: str, *, stored: bool) -> str:
    """``YYYY-MM-DD``, or with ``stored`` also ``YYYY-MM-DDThh:mm:ssZ`` (UTC). Raises BadQuestion."""
    if not _MOMENT.fullmatch(since) or ("T" in since and not stored):
        raise BadQuestion(
            f"{since!r} is not a date: write YYYY-MM-DD, with --stored also YYYY-MM-DDThh:mm:ssZ (UTC)"
        )
    return since


def changes_since(
    store: Store, since: str, versions: Sequence[int], *, everything: bool = False, stored: bool = False
) -> list[TrialChange]:
    """Compare each of these current versions with the one that stood for its trial on the day ``since``, by id.

    A version belongs to the day of the registry's last update, or with ``stored`` to the day on which it came
    into the archive: then nothing is missed between two runs, however late the registry dated or gave it.
    ``new`` is a trial that was first posted after that day (``stored``: that was not here before), ``vanished``
    one that the registry no longer has since then. ``no earlier version``: it was updated since, and from what
    is not known. Without ``everything``, trials whose thresholds, criteria and registry fields say the same are
    left out, however their words moved. Raises BadQuestion for what is no date.
    """
    checked_moment(since, stored=stored)
    day = _DAY_OF[stored]
    rows = store.connection.execute(
        f"SELECT v.id, v.first_posted, v.version_date, t.vanished, substr(v.{day}, 1, :width) > :since,"
        " (SELECT o.id FROM trial_version o WHERE o.trial_id = v.trial_id"
        f"   AND substr(o.{day}, 1, :width) <= :since"
        "   ORDER BY o.version_date DESC, o.fetched_at DESC, o.version DESC LIMIT 1)"
        " FROM trial_version v JOIN trial t ON t.id = v.trial_id"
        " WHERE v.id IN (SELECT value FROM json_each(:versions))"
        f" AND (substr(v.{day}, 1, :width) > :since OR substr(t.vanished, 1, :width) > :since)"
        " ORDER BY t.source_id",
        {"since": since, "width": len(since), "versions": as_json(versions)},
    ).fetchall()
    found = []
    for version, first_posted, dated, vanished, later, before in rows:
        if vanished is not None and vanished[: len(since)] > since:
            found.append(TrialChange(version, "vanished", vanished))
        elif not later:
            continue
        elif before is None:
            is_new = stored or (first_posted is not None and first_posted > since)
            found.append(TrialChange(version, "new" if is_new else "no earlier version", dated))
        elif (change := _changed(store, before, version, everything=everything)) is not None:
            found.append(change)
    return found


def _changed(store: Store, before: int, version: int, *, everything: bool) -> TrialChange | None:
    """The difference of two versions; None where it is none that is told."""
    difference = diff(stored_state(store, before), stored_state(store, version))
    counted = Counter[str](line.what for line in difference.lines)
    told = difference.demands_changed or difference.fields
    if told or (everything and (difference.lines or difference.thresholds)):
        return TrialChange(version, "changed", difference.after, difference, counted)
    return None
