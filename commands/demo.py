"""``trialkb demo``: the main job from end to end, through the command line itself, on the embedded registry."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from commands.output import EXIT_INCOMPLETE, CommandError, atomic_write

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
# The registry answers within a second; a loaded machine gets this many.
START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the demo: what it shows, its words, and how many lines of it go on the screen."""

    about: str
    words: tuple[str, ...]
    lines: int = 40


STEPS: tuple[Step, ...] = (
    Step("Fetch the headline trial by its id", ("refresh", "NCT06886919")),
    Step("And its ClinConnect page", ("refresh", "--source", "clinconnect", "NCT06886919")),
    Step("Fetch a subject: trials on lupus with a CAR-T", ("refresh", "--cond", "lupus", "--intr", "CAR-T")),
    Step("The subject again: nothing has changed", ("refresh", "--cond", "lupus", "--intr", "CAR-T")),
    Step("What the trial asks of a patient, with the evidence", ("show", "NCT06886919"), 60),
    Step("Which trials are comparable, and why", ("comparable", "NCT06886919")),
    Step(
        "Three trials side by side, in canonical units",
        ("compare", "NCT06886919", "NCT99000005", "NCT99000009"),
    ),
    Step("Everything as JSON Lines", ("export", "--format", "jsonl", "-o", "trials.jsonl")),
    Step("And as CSV, the flat view", ("export", "--format", "csv", "-o", "thresholds.csv")),
)


def run(words: tuple[str, ...], folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run ``trialkb <words>`` in a folder; its exit code, and what it printed on both streams."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", *words],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    return done.returncode, done.stdout


@contextmanager
def registry(fixtures: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """The embedded registry on a free port of loopback, as a process of its own; yields its address.

    Raises CommandError where it does not come up.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "registry", "--port", "0", "--fixtures", str(fixtures)],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout is not None
    try:
        with process.stdout:
            # It prints its address when it listens, and ends at once (an empty line) when it cannot.
            found = re.search(r"http://[\w.\[\]:]+", process.stdout.readline())
            if not found:
                raise CommandError("the embedded registry did not start; 'trialkb registry' says why")
            yield found[0].rstrip("/")
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)


def _environment(folder: Path) -> dict[str, str]:
    """The caller's environment, but with this demo's own database, and output that no width changes."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("TRIALKB_")}
    return kept | {
        "TRIALKB_DB": str(folder / "demo.db"),
        # The embedded registry is nobody else's: no pause between requests.
        "TRIALKB_PACE": "0",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "110",
        "NO_COLOR": "1",
    }


def _empty(folder: Path) -> None:
    """Make the folder; take away what an earlier demo left in it, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()) and not (folder / "transcript.txt").exists():
        raise CommandError(f"{folder} holds something else than a demo: name another folder with --output")
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    # The mark by which the next demo knows the folder as its own, even if this one is interrupted.
    (folder / "transcript.txt").touch()


@click.command()
@click.option(
    "--output",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    help="The folder for the database, the exports and the transcript.",
)
def demo(folder: Path) -> None:
    """Run the main job on the embedded registry: fetch, show, find comparable trials, compare, export.

    Needs the project's checkout (its fixtures), no network. Each command is run as you would type it.

    Example: trialkb demo --output demo-output
    """
    if not (FIXTURES / "ctgov").is_dir():
        raise CommandError(f"no fixtures in {FIXTURES}: the demo runs in a checkout of the project only")
    folder = folder.resolve()
    _empty(folder)
    environment = _environment(folder)
    transcript: list[str] = []
    failed = []
    with registry(FIXTURES, environment) as address:
        environment |= {"TRIALKB_CTGOV_URL": address, "TRIALKB_CLINCONNECT_URL": address}
        click.echo(f"Embedded registry at {address}; everything goes to {folder}\n")
        for number, step in enumerate(STEPS, start=1):
            command = shlex.join(("trialkb", *step.words))
            click.echo(f"# {step.about}\n$ {command}")
            code, text = run(step.words, folder, environment)
            if code:
                failed.append(f"'{command}' ended with exit code {code}")
            name = f"{number:02d}-{step.words[0]}.txt"
            with atomic_write(folder / name) as file:
                file.write(text)
            transcript.append(f"$ {command}\n{text.rstrip()}\n")
            lines = text.rstrip().split("\n")
            click.echo("\n".join(lines[: step.lines]))
            if len(lines) > step.lines:
                click.echo(f"... {len(lines) - step.lines} more lines: {folder.name}/{name}")
            click.echo()
    with atomic_write(folder / "transcript.txt") as file:
        file.write("\n".join(transcript))
    if failed:
        raise CommandError("; ".join(failed), EXIT_INCOMPLETE)
    click.echo(f"Done. Ask more: trialkb --help, with TRIALKB_DB={folder / 'demo.db'}")


COMMANDS: tuple[click.Command, ...] = (demo,)
