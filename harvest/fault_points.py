"""Named points at which a test kills the process, to show that the next run puts everything right.

``TRIALKB_FAULT_POINT=archive.before_commit:3`` kills the process (SIGKILL, so that nothing is cleaned up)
the third time it reaches that point. Without the variable, reaching a point costs one comparison.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "network.before_request",
    "network.inside_answer",
    "network.after_response",
    "archive.created",
    "archive.after_blob",
    "archive.after_record",
    "archive.after_head",
    "archive.before_commit",
    "archive.after_commit",
    "refresh.after_page",
    "refresh.before_end",
    "refresh.after_end",
    "database.created",
    "database.before_store",
    "database.after_version",
    "database.before_commit",
    "database.after_commit",
    "database.after_store",
    "database.before_mark",
    "database.before_replace",
    "database.after_replace",
    "restore.between_files",
)

_wanted = ""
_left = 0


def arm(wanted: str) -> None:
    """Ask for a kill: ``"point"`` or ``"point:3"``, the third time it is reached; ``""``: for none."""
    global _wanted, _left
    _wanted, _, count = wanted.partition(":")
    _left = int(count) if count.isdigit() else 1


def reach(point: str) -> None:
    """Pass a fault point; kills this process where :func:`arm` asked for it here and now."""
    global _left
    if point != _wanted:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


arm(os.environ.get("TRIALKB_FAULT_POINT", ""))
