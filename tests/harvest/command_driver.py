"""A process that loads the vocabulary once and runs each command it is given in a fork, to be killed there.

Reads one JSON object a line from stdin (``words``; ``point``: the fault point to be killed at, or "") and
answers each with one JSON object: the exit code (minus the signal where one ended it) and what was printed.
Run by test_crash_commands.py: loading the vocabulary takes longer than the command.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

import cli
from commands.knowledge_feed import the_reading
from harvest import fault_points


def run(words: list[str], point: str) -> dict[str, object]:
    """One command in a fork."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            fault_points.arm(point)
            try:
                cli.main(words)
            except SystemExit as ended:
                os._exit(int(ended.code or 0))
            os._exit(99)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return {"code": code, "out": out.read().decode(), "err": err.read().decode()}


if __name__ == "__main__":
    the_reading()
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(run(job["words"], job["point"])), flush=True)
