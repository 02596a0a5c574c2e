"""The blocks of README.md that show output: found, filled from the demo's transcript, written.

A block is preceded by a comment that says what it holds::

    <!-- demo: trialkb show NCT06886919 | /Liver function/../Renal/; /Exclusion/../^$/ -->

that is the command and, after the bar, the parts shown: each from the first line that matches one
expression to the next that matches the other (both may be the same), or a number of lines from the
start. Parts are joined by a line "...". Lines are cut at :data:`WIDTH` characters. ``make readme`` writes
the blocks anew; tests/test_readme.py holds README.md to them.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import cli

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 150
BLOCK = re.compile(r"(<!-- demo: (?P<spec>.+?) -->\n+```console\n)(?P<body>.*?)(```)", re.DOTALL)
COMMANDS = re.compile(r"(<!-- commands -->)\n.*?(<!-- /commands -->)", re.DOTALL)
RANGE = re.compile(r"/(?P<first>[^/]*)/(?:\.\./(?P<last>[^/]*)/)?")


def transcript() -> dict[str, list[str]]:
    """Run the demo in a folder of its own: its lines by command; of a second run as "<command> (again)"."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "cli", "demo", "--output", folder],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"the demo failed: {done.stderr}")
        text = (Path(folder) / "transcript.txt").read_text(encoding="utf-8")
    parts = re.split(r"^\$ (trialkb .*)$", text, flags=re.MULTILINE)[1:]
    outputs: dict[str, list[str]] = {}
    for command, body in zip(parts[::2], parts[1::2], strict=True):
        outputs[f"{command} (again)" if command in outputs else command] = body.strip("\n").split("\n")
    return outputs


def _part(lines: list[str], wanted: str) -> list[str]:
    if wanted.isdigit():
        return lines[: int(wanted)]
    match = RANGE.fullmatch(wanted)
    if match is None:
        raise ValueError(f"not a range of lines: {wanted}")
    first = next((i for i, line in enumerate(lines) if re.search(match["first"], line)), None)
    if first is None:
        raise ValueError(f"no line matches {match['first']!r}")
    last = first
    if match["last"]:
        last = next((i for i, line in enumerate(lines) if i > first and re.search(match["last"], line)), -1)
        if last < 0:
            raise ValueError(f"no line after {match['first']!r} matches {match['last']!r}")
    return lines[first : last + 1]


def filled(spec: str, outputs: dict[str, list[str]]) -> str:
    """The body of a block by its comment. Raises ValueError where the output has no such command or line."""
    command, _, wanted = (part.strip() for part in spec.partition("|"))
    if command not in outputs:
        raise ValueError(f"the demo does not run {command!r}")
    lines = outputs[command]
    parts = [_part(lines, part.strip()) for part in wanted.split(";")] if wanted else [lines]
    shown = [f"$ {command.removesuffix(' (again)')}"]
    for number, part in enumerate(parts):
        if number:
            shown.append("...")
        shown.extend(line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…" for line in part)
    return "\n".join(line.rstrip() for line in shown) + "\n"


def command_list() -> str:
    """All commands by their headings, as a Markdown table."""
    rows = ["| to | commands |", "|---|---|"]
    for heading, _, commands in cli.COMMAND_TABLE:
        rows.append(f"| {heading.lower()} | {' '.join(f'`{name}`' for name in commands)} |")
    return "\n".join(rows)


def rewritten(text: str, outputs: dict[str, list[str]]) -> str:
    """README with the table of commands, and with every block filled from these outputs."""
    text = COMMANDS.sub(lambda match: f"{match[1]}\n{command_list()}\n{match[2]}", text)
    return BLOCK.sub(lambda match: match[1] + filled(match["spec"], outputs) + match[4], text)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(rewritten(readme.read_text(encoding="utf-8"), transcript()), encoding="utf-8")
