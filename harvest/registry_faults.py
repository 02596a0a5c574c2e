"""How the embedded registry misbehaves when it is told to, so that tests show what the client does.

A plan is a list of faults, in JSON ``[{"kind": "status", "status": 503, "times": 2, "path": "/api/v2/studies"}]``.
A fault strikes the requests whose path and query match, after letting ``after`` of them pass, ``times`` times.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harvest.errors import UnreadableFile

KINDS = (
    "status",  # answer with `status` and `body`; `retry_after` seconds or an HTTP date where given
    "html",  # an HTML page with status 200
    "truncated_json",  # the first half of the body, with its own length
    "cut_connection",  # announce the whole body, send half, close
    "invalid_json",
    "wrong_encoding",  # the body in UTF-16, said to be UTF-8 JSON
    "duplicate",  # each record of the page twice
    "reverse",  # the records of the page in reverse order
    "empty_page",  # no records, but a token that leads on to the same place
    "stale_token",  # refuse the token (400)
    "data_moves",  # the data version changes, and with it all tokens die
    "slow",  # `seconds` before the answer, `trickle` seconds between pieces of it
    "drop",  # close the connection without an answer
    "gzip_bomb",  # `size` bytes of zeros, compressed
    "redirect",  # 302 to `location`
    "drop_record",  # leave out the record `id` from pages, but count it
    "not_a_trial",  # a record without an id in the page
)


@dataclass
class Fault:
    """One misbehaviour; ``path`` and ``query`` are texts that the request must contain."""

    kind: str
    path: str = ""
    query: str = ""
    after: int = 0
    times: int = 1
    status: int = 500
    body: str = ""
    retry_after: str | None = None
    location: str = ""
    seconds: float = 0.0
    trickle: float = 0.0
    size: int = 0
    id: str = ""
    struck: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault {self.kind!r}; there are {', '.join(KINDS)}")


class FaultPlan:
    """The faults still to come; safe to ask from several threads."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.faults = list(faults)
        self._lock = threading.Lock()

    def strike(self, path: str, query: str) -> Fault | None:
        """The first fault that is due for this request, counted as struck; None where none is."""
        with self._lock:
            for fault in self.faults:
                if fault.times == 0 or fault.path not in path or fault.query not in query:
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times -= 1
                fault.struck += 1
                return fault
        return None


def read_plan(path: Path) -> FaultPlan:
    """A plan from a JSON file. Raises UnreadableFile."""
    try:
        rows: Any = json.loads(path.read_text("utf-8"))
        return FaultPlan(Fault(**row) for row in rows)
    except (OSError, ValueError, TypeError) as error:
        raise UnreadableFile(f"{path}: not a fault plan ({error})") from error
