"""Named points at which a test kills the process, to show that the next run puts everything right.

``TRIALKB_FAULT_POINT=archive.before_commit:3`` kills the process (SIGKILL, so that nothing is cleaned up)
the third time it reaches that point. Without the variable, reaching a point costs one comparison.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "network.before_request",
    "network.after_response",
    "archive.after_record",
    "archive.before_commit",
    "archive.after_commit",
    "refresh.after_page",
    "refresh.before_end",
    "database.before_store",
    "database.after_store",
)

_wanted, _, _count = os.environ.get("TRIALKB_FAULT_POINT", "").partition(":")
_left = int(_count) if _count.isdigit() else 1


def reach(point: str) -> None:
    """Pass a fault point; kills this process where the environment asks for it here and now."""
    global _left
    if point != _wanted:
        return
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
