"""Options that the commands of the harvest share, and their progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from harvest.sources import clinconnect, ctgov


def registry_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where the registries are, and how fast they are asked."""
    for option in reversed(
        (
            click.option(
                "--ctgov-url", envvar="TRIALKB_CTGOV_URL", default=ctgov.DEFAULT_URL, show_default=True,
                show_envvar=True, help="ClinicalTrials.gov, or a registry like it.",
            ),
            click.option(
                "--clinconnect-url", envvar="TRIALKB_CLINCONNECT_URL", default=clinconnect.DEFAULT_URL,
                show_default=True, show_envvar=True, help="ClinConnect, or a host like it.",
            ),
            click.option(
                "--pace", type=click.FloatRange(min=0), envvar="TRIALKB_PACE", show_envvar=True,
                help="Requests a second to one host, 0 = no limit.  [default: 1; ClinConnect 0.2]",
            ),
            click.option(
                "--contact", envvar="TRIALKB_CONTACT", show_envvar=True,
                help="Your mail address or URL, told to the registry with each request.",
            ),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def query_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """A search in the fields of ClinicalTrials.gov."""
    for option in reversed(
        (
            click.option("--cond", default="", help="Condition, e.g. lupus."),
            click.option("--intr", default="", help="Intervention, e.g. CAR-T."),
            click.option("--term", default="", help="Any other words."),
            click.option("--sponsor", default="", help="Sponsor or collaborator."),
            click.option("--status", multiple=True, help="Overall status, e.g. RECRUITING; may be repeated."),
            click.option("--advanced", default="", help="Expression, e.g. 'AREA[Phase]PHASE1'."),
        )
    ):
        command = option(command)
    return command


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on stderr for steps whose number becomes known on the way; silent where that is no terminal."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=1, label=label, file=sys.stderr, hidden=hidden, show_pos=True) as bar:

        def step(done: int, total: int | None) -> None:
            bar.length = max(total or 0, done, 1)
            bar.update(done - bar.pos)

        yield step
