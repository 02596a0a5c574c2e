"""``trialkb extract``, ``explain``, ``vocabulary``: what the readers make of a text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from commands.extract_rows import SECTIONS, in_one, in_processes
from commands.output import CommandError, Output, Provenance, Table, output_options

if TYPE_CHECKING:
    from nlp.model import Item


@click.command()
@click.option(
    "--jsonl", is_flag=True, required=True, help="Read and write JSON Lines (the one machine interface)."
)
@click.option(
    "--processes", default=1, show_default=True, type=click.IntRange(1, 64), help="How many processes read."
)
@click.argument("source", type=click.File("rb", lazy=False), default="-")
def extract(jsonl: bool, processes: int, source: IO[bytes]) -> None:
    """Read criteria texts: every threshold, and what each criterion demands.

    SOURCE (a file, or - for standard input) holds one object a line:
    {"doc_id": "...", "section": "inclusion|exclusion|full|unknown", "text": "..."}. Out comes one object a
    line, in the same order: {"doc_id", "items", "criteria"}.

    \b
    Example:
      echo '{"doc_id": "a", "section": "inclusion", "text": "Platelets >= 50 x 10^9/L"}' | trialkb extract --jsonl
    """
    del jsonl
    if processes > 1:
        answers = in_processes(source, processes)
    else:
        from nlp.pipeline import build

        answers = in_one(build(), source)
    name = getattr(source, "name", "-")
    faulty = 0
    for answer in answers:
        for number, error in answer.faults:
            faulty += 1
            click.echo(f"{name}, line {number}: {error}; the line was left out", err=True)
        sys.stdout.write(answer.output)
    sys.stdout.flush()
    if faulty:
        raise CommandError(f"{faulty} line(s) of {name} are no rows; all others were read")


def _text_of(output: Output, what: str) -> tuple[str, Provenance]:
    """The text that is to be explained: a file's, standard input's, or a stored trial's criteria."""
    from kb.store import Store, canonical_trial_id

    if what == "-":
        return sys.stdin.read(), Provenance()
    path = Path(what)
    if path.is_file():
        try:
            return path.read_text("utf-8"), Provenance()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"cannot read {what}: {error}") from error
    trial_id = canonical_trial_id(what)
    with Store.open(output.db) as store:
        trial = store.trial(store.version_id(trial_id))
        return trial.eligibility_text, Provenance((trial.source,), store.data_timestamp())


@click.command()
@click.option(
    "--section", type=click.Choice(SECTIONS), default="full", show_default=True, help="What the text is."
)
@click.argument("what")
@output_options
def explain(output: Output, section: str, what: str) -> None:
    """Show each stage of reading: structure, mentions, links, items, expression, flags, and which rule did it.

    WHAT is a text file, - for standard input, or the id of a stored trial.

    \b
    Example:
      echo 'ALT <= 2.5 x ULN (Gilbert syndrome: <= 5 x ULN)' | trialkb explain --section inclusion -
    """
    from commands.explained import explained
    from nlp.explain import explain as stages
    from nlp.explain import sections
    from nlp.pipeline import build

    text, provenance = _text_of(output, what)
    extraction, rows = stages(build(), text, section)
    found = sections(text, section)
    data = {"vocabulary": extraction.vocabulary, "sections": found, "stages": [row.to_json() for row in rows]}
    table = Table(
        ("section", "path", "item", "concept", "reads", "value", "rule", "flags"),
        [
            (
                item.section,
                item.criterion,
                item.id,
                item.concept,
                said_of(item),
                item.value_text,
                item.rule,
                " ".join(item.flags),
            )
            for item in extraction.items
        ],
    )
    if output.for_people:
        shown = explained(found, extraction, rows, text)
        output.emit(data, shown, f"vocabulary {extraction.vocabulary[:12]}", provenance=provenance)
    else:
        output.emit(data, table, provenance=provenance)


def said_of(item: Item) -> str:
    """An item in one short line."""
    from nlp.explain import said

    return said(item)


@click.group()
def vocabulary() -> None:
    """Look into the vocabulary: what it lacks, whether an extension of it is sound, its rule book.

    \b
    Example:
      trialkb vocabulary rules
    """


@vocabulary.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
def check(path: Path) -> None:
    """Validate a file of concepts that extends the vocabulary, line by line.

    \b
    Example:
      trialkb vocabulary check my-concepts.jsonl
    """
    from nlp.vocab import check as problems_of

    if not path.is_file():
        raise CommandError(f"{path} is no file; give a JSON Lines file with one concept a line")
    problems = problems_of(path)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise CommandError(
            f"{len(problems)} problem(s) in {path}; see nlp/data/README.md for the keys of a concept"
        )
    click.echo(f"{path}: sound; it can be used as it is")


@vocabulary.command()
@click.option(
    "--limit", default=30, show_default=True, type=click.IntRange(1, 10_000), help="How many names."
)
@output_options
def gaps(output: Output, limit: int) -> None:
    """List the most frequent names in a knowledge base that have a threshold and no concept.

    \b
    Example:
      trialkb vocabulary gaps --limit 10
    """
    from kb.gaps import gaps as missing
    from kb.store import Store

    with Store.open(output.db) as store:
        found = missing(store, limit)
        when = store.data_timestamp()
    columns = ("name", "thresholds", "trials", "unit", "example")
    data = [dict(zip(columns, row, strict=True)) for row in found]
    output.emit(data, Table(columns, found, widths={"example": 60}), provenance=Provenance((), when))


@vocabulary.command()
def rules() -> None:
    """Print the rule book: every rule with its examples, read by the program as it is now.

    \b
    Example:
      trialkb vocabulary rules
    """
    from nlp.explain import rule_book
    from nlp.pipeline import build

    click.echo(rule_book(build()), nl=False)


COMMANDS: tuple[click.Command, ...] = (extract, explain, vocabulary)
