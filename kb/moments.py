"""Named moments in this room's writes, told to whoever listens.

The tests kill the process at each of them, to show that the next run puts everything right. This room knows
neither the environment nor signals: the commands connect :func:`listen` to what does.
"""

from __future__ import annotations

from collections.abc import Callable

POINTS = (
    "database.created",
    "database.after_version",
    "database.before_commit",
    "database.after_commit",
    "database.before_replace",
    "database.after_replace",
)

_listener: Callable[[str], None] | None = None


def listen(listener: Callable[[str], None] | None) -> None:
    """Have ``listener`` called with the name of each moment from now on; None: nobody."""
    global _listener
    _listener = listener


def reach(point: str) -> None:
    """Pass a moment, one of :data:`POINTS`; costs one comparison where nobody listens."""
    if _listener is not None:
        _listener(point)
