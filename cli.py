"""``trialkb``: wires the rooms. The one place of exit codes, of logging set-up and of the command table.

A new command is a click command in ``commands/<subject>.py`` (in its ``COMMANDS``) and one line in
:data:`COMMAND_TABLE`: its name, and its one-line help under the module that holds it. Modules are imported
when one of their commands runs, so that ``trialkb --help`` and each command start quickly; a test holds the
table to the modules.
"""

from __future__ import annotations

import errno
import importlib
import json
import logging
import os
import sqlite3
import sys
from collections.abc import Sequence
from typing import Any

import click

from commands.output import (
    EXIT_BAD_INPUT,
    EXIT_DATABASE,
    EXIT_INCOMPLETE,
    EXIT_INTERRUPTED,
    EXIT_REGISTRY,
    EXIT_USAGE,
    CommandError,
)

# (heading in the help, module, {command: one-line help}); the help is the command's own first line.
COMMAND_TABLE: tuple[tuple[str, str, dict[str, str]], ...] = (
    (
        "Harvest",
        "harvesting",
        {
            "refresh": "Fetch trials by id, by search or by subject, and read what is new in them.",
            "import": "Take records from a file or folder: v2 JSON, .jsonl, .gz, the registry's zip, ClinConnect pages.",
            "registry": "Run the embedded registry on this machine and print its address; Ctrl-C ends it.",
            "subject": "Save searches under a name, and refresh them by it.",
            "runs": "List the runs of refresh and import, newest first, with what each found.",
        },
    ),
    (
        "Read",
        "reading",
        {
            "extract": "Read criteria texts: every threshold, and what each criterion demands.",
            "explain": "Show each stage of reading: structure, mentions, links, items, expression, flags, and which rule did it.",
            "vocabulary": "Look into the vocabulary: what it lacks, whether an extension of it is sound, its rule book.",
        },
    ),
    (
        "Ask",
        "answers",
        {
            "show": "Print a trial's criteria as they were read: thresholds marked in the text, evidence, what was not read.",
            "comparable": "Rank the trials that are comparable to one, and say why, in rows that can be checked.",
            "compare": "Put trials side by side: one row a concept and population, in canonical units.",
        },
    ),
    (
        "Ask over many trials",
        "queries",
        {
            "landscape": "Show how each threshold is distributed over a subject: how many state it, range, quartiles, outliers.",
            "find": "Find trials by thresholds, topics and words, in a small query language.",
            "search": "Search the criteria texts; hits stand between « and ».",
            "sql": "Run one SELECT over the knowledge base; nothing can be written.",
            "graph": "Project the named trials, or those of a subject, to a graph, and write it as GraphML.",
        },
    ),
    (
        "Ask what changed",
        "changes",
        {
            "diff": "Compare two versions of a trial: thresholds, criteria, registry fields; and why each differs.",
            "changes": "List what changed since a day over all trials or a subject; exit code 10 if anything did.",
        },
    ),
    (
        "Screen",
        "screening",
        {
            "screen": "Answer for one patient what each trial's criteria say: true, false or unknown, and why.",
            "whatif": "Count how many of a cohort's patients a changed threshold would let in, and what keeps most people out.",
        },
    ),
    (
        "Review",
        "reviewing",
        {
            "review": "Accept, correct or reject readings; a review holds for every trial with the same line.",
        },
    ),
    (
        "Measure",
        "measuring",
        {
            "quality": "Report how well the stored criteria were read: coverage, unread demands, flags, conflicts, and their trend.",
        },
    ),
    (
        "Export",
        "exporting",
        {
            "export": "Write trials in a form that another tool reads, with a report of what that form cannot hold.",
            "schema": "Print the JSON Schema of the canonical export (format jsonl).",
        },
    ),
    (
        "Look after",
        "upkeep",
        {
            "history": "List the stored versions of a trial, oldest first; with --fetch, get past ones from the registry.",
            "conflicts": "Show where ClinConnect pages differ from the registry's records; the registry is what counts.",
            "rebuild": "Read all archived records anew, offline, and replace the knowledge base; reviews are kept.",
            "doctor": "Check the archive's hashes, all references, and that the knowledge base equals a rebuild.",
            "backup": "Write archive and knowledge base, consistent and checked, into one zip file.",
            "restore": "Put back archive and knowledge base from a backup, after checking it.",
        },
    ),
    (
        "Try",
        "demo",
        {
            "demo": "Run the main job on the embedded registry: fetch, show, find comparable trials, compare, export.",
        },
    ),
)

# Exit code by class of a room's errors; the first class of the error's ancestry that stands here decides.
EXIT_CODES: dict[str, int] = {
    "harvest.errors.HarvestError": EXIT_REGISTRY,
    "harvest.errors.BadInput": EXIT_BAD_INPUT,
    "harvest.errors.RecordNotFound": EXIT_BAD_INPUT,
    "harvest.errors.ArchiveError": EXIT_DATABASE,
    "harvest.errors.IncompleteRun": EXIT_INCOMPLETE,
    "kb.errors.KbError": EXIT_BAD_INPUT,
    "kb.errors.StoreError": EXIT_DATABASE,
    "nlp.errors.NlpError": EXIT_BAD_INPUT,
}

# A fault of ours, not of the input: EX_SOFTWARE of sysexits.h.
EXIT_INTERNAL = 70
# What a shell reports for a program that a closed pipe ended: 128 + SIGPIPE.
EXIT_PIPE_CLOSED = 141


def _drop_stdout() -> None:
    """Let nothing be flushed into a closed pipe when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class CommandGroup(click.Group):
    """The group of :data:`COMMAND_TABLE`, which imports a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in the order of the table."""
        return [name for _, _, commands in COMMAND_TABLE for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None where the table has no such name."""
        for _, module, commands in COMMAND_TABLE:
            if cmd_name in commands:
                loaded = importlib.import_module(f"commands.{module}")
                known: tuple[click.Command, ...] = loaded.COMMANDS
                return next((command for command in known if command.name == cmd_name), None)
        return None

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; where its reader (head, less) has gone, end quietly as other tools do."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _drop_stdout()
            ctx.exit(EXIT_PIPE_CLOSED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the table by its headings, without importing a single command."""
        for heading, _, commands in COMMAND_TABLE:
            with formatter.section(heading):
                formatter.write_dl(list(commands.items()))


_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def _added(record: logging.LogRecord) -> dict[str, Any]:
    """What a log call gave by ``extra=``."""
    return {key: value for key, value in vars(record).items() if key not in _STANDARD_FIELDS}


class TextFormatter(logging.Formatter):
    """One line for people: level, message, and what ``extra=`` gave."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line; a traceback, where there is one, under it."""
        added = ", ".join(f"{key} {value}" for key, value in _added(record).items())
        return f"{super().format(record)}{f' ({added})' if added else ''}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, and what ``extra=`` gave."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        entry: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update(_added(record))
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def _set_up_logging(verbose: int, log_json: bool) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_json else TextFormatter("%(levelname)s %(message)s"))
    # Without -v only the one line of an error stands on stderr, not each retry that came before it.
    level = logging.DEBUG if verbose > 1 else logging.INFO if verbose or log_json else logging.ERROR
    logging.basicConfig(level=level, handlers=[handler], force=True)


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="trialkb", prog_name="trialkb")
@click.option("-v", "--verbose", count=True, help="Say more on stderr; twice: each request and rule.")
@click.option("--log-json", is_flag=True, help="Log to stderr as JSON, one object a line.")
def trialkb(verbose: int, log_json: bool) -> None:
    """Read what clinical trials demand of a patient, threshold by threshold, with the evidence.

    Example: trialkb refresh NCT06886919 && trialkb show NCT06886919
    """
    _set_up_logging(verbose, log_json)


def exit_code_of(error: BaseException) -> int | None:
    """The exit code for an error that a user can meet; None for a fault of ours."""
    for cls in type(error).__mro__:
        code = EXIT_CODES.get(f"{cls.__module__}.{cls.__qualname__}")
        if code is not None:
            return code
    if isinstance(error, sqlite3.Error):
        return EXIT_DATABASE
    if isinstance(error, OSError):
        return EXIT_DATABASE if error.errno in (errno.ENOSPC, errno.EROFS) else EXIT_BAD_INPUT
    if isinstance(error, (UnicodeDecodeError, json.JSONDecodeError)):
        return EXIT_BAD_INPUT
    return None


def _complain(message: str) -> None:
    """One line on stderr, however many the message has."""
    print(f"trialkb: {' '.join(message.split())}", file=sys.stderr)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        result = trialkb.main(args=arguments, prog_name="trialkb", standalone_mode=False)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "trialkb"
        _complain(f"{error.format_message()} See '{path} --help'.")
        return EXIT_USAGE
    except click.ClickException as error:
        _complain(error.format_message())
        return error.exit_code
    except CommandError as error:
        _complain(str(error))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _complain("interrupted; what was stored before stays, and the next run goes on from there")
        return EXIT_INTERRUPTED
    except Exception as error:  # the outermost frame: a user never sees a traceback unless asked for
        code = exit_code_of(error)
        if code is not None:
            _complain(str(error) or type(error).__name__)
            return code
        if os.environ.get("TRIALKB_TRACEBACK"):
            raise
        _complain(f"fault in trialkb itself: {error!r}; TRIALKB_TRACEBACK=1 shows where, please report it")
        return EXIT_INTERNAL
    return result if isinstance(result, int) else 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code (README lists them).

    Raises SystemExit always: 0, 1 bad input or nothing found, 2 usage, 3 registry or network, 4 database,
    5 an incomplete run, 10 changes found (where a command says so), 70 a fault of ours, 130 interrupted.
    """
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_stdout()
        code = EXIT_PIPE_CLOSED
    sys.exit(code)


if __name__ == "__main__":
    main()
