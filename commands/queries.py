"""``trialkb landscape``, ``find``, ``search``, ``sql``, ``graph``: questions over many trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from commands import answer_views as views
from commands import comparison_views
from commands.answers import as_of_option
from commands.output import CommandError, Output, Provenance, Table, atomic_write, output_options

if TYPE_CHECKING:
    from kb.find import Found
    from kb.limits import TrialLine
    from kb.store import Store

cond_option = click.option(
    "--cond", multiple=True, help="Trials that study this condition; repeat: all of them."
)
intr_option = click.option(
    "--intr", multiple=True, help="Trials that test this intervention; repeat: all of them."
)


def _units() -> Any:
    from nlp import vocab

    return vocab.load().units


@click.command()
@cond_option
@intr_option
@click.option("--concept", multiple=True, help="Only this concept (id, name or alias); repeat for several.")
@click.option("--trial", "trial_id", help="Say how this trial stands in each distribution.")
@click.option("--least", default=1, show_default=True, type=click.IntRange(min=1),
              help="Only thresholds that so many trials state.")  # fmt: skip
@as_of_option
@output_options
def landscape(
    cond: tuple[str, ...],
    intr: tuple[str, ...],
    concept: tuple[str, ...],
    trial_id: str | None,
    least: int,
    as_of: str | None,
    output: Output,
) -> None:
    """Show how each threshold is distributed over a subject: how many state it, range, quartiles, outliers.

    Example: trialkb landscape --cond lupus --intr CAR-T --concept platelets --trial NCT06886919
    """
    from kb.concepts import resolve_concept
    from kb.landscape import landscape as survey

    with views.open_store(output, as_of) as store:
        wanted = [resolve_concept(store.connection, words) for words in concept] or None
        found = survey(store, conditions=cond, interventions=intr, concepts=wanted, trial_id=trial_id)
    rows = [row for row in found.rows if row.stating >= least]
    asked = None if trial_id is None else trial_id.upper()
    if output.for_people:
        table = comparison_views.landscape_table(found, rows, asked)
    else:
        table = comparison_views.landscape_rows(rows, asked)
    head = (
        f"{len(found.trials)} trials; {len(found.rows)} thresholds of one concept, bound and scale. Limits under a"
        " condition or for some patients only are not counted, of alternatives the strictest is;"
        f" {found.unplaced} requirements have no eligible range."
        + (f" {found.reviewed} limits count as reviewers decided." if found.reviewed else "")
    )
    data = {
        "trials": [line.trial for line in found.trials],
        "unplaced": found.unplaced,
        "reviewed": found.reviewed,
        "rows": [asdict(row) for row in rows],
    }
    output.emit(
        data,
        views.wrapped(head),
        table,
        provenance=views.provenance_of(found.trials, views.as_of_note(as_of)),
    )


@click.command()
@click.argument("query")
@click.option(
    "-n", "--limit", default=50, show_default=True, type=click.IntRange(min=1), help="Trials shown at most."
)
@as_of_option
@output_options
def find(query: str, limit: int, as_of: str | None, output: Output) -> None:
    """Find trials by thresholds, topics and words, in a small query language.

    A threshold is CONCEPT min|max OPERATOR NUMBER UNIT; xULN for multiples. A bare concept asks whether it is
    stated. Fields: cond, intr, target, modality, sponsor, status, phase, text. Then and, or, not, brackets;
    "in exclusion", "if any", "for donor" after a threshold say where, under which condition, for whom.

    Example: trialkb find "platelets min <= 50 10*9/L and lvef min >= 50 % and cond lupus and not csf_wbc"
    """
    from kb.find import find as look

    with views.open_store(output, as_of) as store:
        findings = look(store, query, _units(), limit=limit)
        provenance = _provenance(store, [one.trial for one in findings.found], as_of)
    table = _found_table(findings.found) if output.for_people else _found_rows(findings.found)
    shown = len(findings.found)
    head = f"{findings.total} {'trial' if findings.total == 1 else 'trials'}" + (
        f", the first {shown} shown" if shown < findings.total else ""
    )
    data = {
        "query": query,
        "total": findings.total,
        "concepts": list(findings.concepts),
        "found": [
            asdict(one) | {"limits": [views.limit_json(limit_) for limit_ in one.limits]}
            for one in findings.found
        ],
    }
    parts: tuple[Table | str, ...] = (head, table) if table.rows or not output.for_people else (head,)
    output.emit(data, *parts, provenance=provenance)


def _found_table(found: Sequence[Found]) -> Table:
    """A row a trial: each limit of the concepts asked for with the text's words for it."""
    rows = []
    for one in found:
        said = [
            f"{limit.concept_name} {views.limit_words(limit)} ({limit.evidence.section}: {views.quoted(limit)})"
            for limit in one.limits
        ]
        rows.append((one.trial.trial, one.trial.title, "\n".join(said)))
    return Table(["trial", "title", "limits (quoted)"], rows, widths={"trial": 12, "title": 36})


def _found_rows(found: Sequence[Found]) -> Table:
    """A row a limit, for --csv; a trial without one has a row too."""
    columns = ["trial", "title", "concept", "limit", "section", "criterion", "quote", "review"]
    rows: list[Sequence[object]] = []
    for one in found:
        head = (one.trial.trial, one.trial.title)
        rows += [
            (*head, limit.concept, views.limit_words(limit), limit.evidence.section, limit.evidence.criterion,
             limit.evidence.quote, limit.evidence.review)
            for limit in one.limits
        ] or [(*head, *(None,) * 6)]  # fmt: skip
    return Table(columns, rows)


@click.command()
@click.argument("words")
@cond_option
@intr_option
@click.option(
    "-n", "--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Hits shown at most."
)
@as_of_option
@output_options
def search(
    words: str, cond: tuple[str, ...], intr: tuple[str, ...], limit: int, as_of: str | None, output: Output
) -> None:
    """Search the criteria texts; hits stand between « and ».

    Best first inside a subject (--cond, --intr), else unranked. Plain words must all stand in one criterion; FTS5
    syntax works too: "liver function", hepat*, A OR B.

    Example: trialkb search "lupus nephritis" --cond lupus
    """
    from kb.search import search as look
    from kb.subject import versions_of

    with views.open_store(output, as_of) as store:
        versions = versions_of(store, cond, intr) if cond or intr else None
        hits = look(store, words, limit=limit, versions=versions)
        provenance = _provenance(store, [hit.trial for hit in hits], as_of)
    rows = [(hit.trial.trial, hit.section, hit.path, " ".join(hit.marked.split())) for hit in hits]
    table = Table(["trial", "section", "criterion", "text"], rows, widths={"text": 80})
    parts: tuple[Table | str, ...] = (table,)
    if not rows and output.for_people:
        parts = ("No criterion holds these words.",)
    data = [asdict(hit) for hit in hits]
    output.emit(data, *parts, provenance=provenance)


@click.command()
@click.argument("statement", required=False)
@click.option("--describe", is_flag=False, flag_value="", metavar="[NAME]",
              help="In place of a statement: the tables and views, or the columns of one, explained.")  # fmt: skip
@click.option(
    "-n", "--limit", default=1000, show_default=True, type=click.IntRange(min=1), help="Rows at most."
)
@click.option("--seconds", default=30.0, show_default=True, help="Stop the statement after so long.")
@as_of_option
@output_options
def sql(
    statement: str | None, describe: str | None, limit: int, seconds: float, as_of: str | None, output: Output
) -> None:
    """Run one SELECT over the knowledge base; nothing can be written.

    Start from the views trial_view, criterion_view, threshold_view, nodes and edges; --describe explains them
    and every table. They hold the machine's reading; what reviewers decided stands in the table review.

    Example: trialkb sql "SELECT trial, min_value FROM threshold_view WHERE concept = 'plt' ORDER BY 2"
    """
    from kb.plain_sql import run_sql

    if (statement is None) == (describe is None):
        raise click.UsageError("give either one SELECT or --describe.")
    with views.open_store(output, as_of) as store:
        provenance = _stored_provenance(store)
        if statement is None:
            data, table = _description(store, describe or "")
            output.emit(data, table, provenance=provenance)
            return
        answer = run_sql(store, statement, limit=limit, seconds=seconds)
    notes = (*provenance.notes, *views.as_of_note(as_of))
    if as_of is not None:
        notes += ("The views follow --as-of; the tables hold every version.",)
    if answer.cut:
        notes += (f"Cut at {limit} rows; --limit shows more.",)
    data = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    stated = Provenance(provenance.sources, provenance.data_timestamp, provenance.synthetic, notes)
    output.emit(data, Table(answer.columns, answer.rows), provenance=stated)


def _description(store: Store, name: str) -> tuple[list[dict[str, Any]], Table]:
    """The tables and views of the file, or the columns of one of them."""
    from kb.describe import describe, describe_columns

    if name:
        columns = [asdict(one) for one in describe_columns(store, name)]
        rows = [tuple(one.values()) for one in columns]
        return columns, Table(["column", "type", "refers to", "meaning"], rows)
    found = [asdict(one) for one in describe(store)]
    rows = [(one["name"], one["kind"], _listed(one["columns"]), one["meaning"]) for one in found]
    return found, Table(["name", "kind", "columns", "meaning"], rows)


def _listed(names: Sequence[str], most: int = 12) -> str:
    """Names, cut where they are many: `--describe NAME` has all of them."""
    return ", ".join(names[:most]) + (f", ... ({len(names)})" if len(names) > most else "")


def _provenance(store: Store, lines: Sequence[TrialLine], as_of: str | None) -> Provenance:
    """That of the trials of an answer; an answer without any rests on all that is stored."""
    if lines:
        return views.provenance_of(lines, views.as_of_note(as_of))
    stored = _stored_provenance(store)
    return replace(stored, notes=(*stored.notes, *views.as_of_note(as_of)))


def _stored_provenance(store: Store) -> Provenance:
    """Where the whole knowledge base comes from: rows of a free query cannot be told apart."""
    sources = store.connection.execute(
        "SELECT DISTINCT t.source FROM trial t WHERE t.preferred = 1 ORDER BY 1"
    ).fetchall()
    invented = store.connection.execute(
        "SELECT count(*) FROM current_version WHERE synthetic = 1"
    ).fetchone()[0]
    notes = (
        (f"{invented} of the stored trials are synthetic: trial_view.synthetic tells which.",)
        if invented
        else ()
    )
    return Provenance(tuple(row[0] for row in sources), store.data_timestamp(), notes=notes)


@click.command()
@click.argument("trial_ids", nargs=-1)
@cond_option
@intr_option
@click.option(
    "--trials-only", is_flag=True, help="Join trials straight to concepts, without criteria and thresholds."
)
@click.option("-o", "--output", "target", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write GraphML here.")  # fmt: skip
@as_of_option
@output_options
def graph(
    trial_ids: tuple[str, ...],
    cond: tuple[str, ...],
    intr: tuple[str, ...],
    trials_only: bool,
    target: Path | None,
    as_of: str | None,
    output: Output,
) -> None:
    """Project the named trials, or those of a subject, to a graph, and write it as GraphML.

    Example: trialkb graph NCT06886919 NCT99000001 -o lupus.graphml
    """
    from collections import Counter

    from kb.graph import MOST_TRIALS, project, write_graphml
    from kb.limits import load_trial_lines
    from kb.subject import versions_of

    if not trial_ids and not cond and not intr:
        raise click.UsageError("name trials, or a subject with --cond or --intr.")
    with views.open_store(output, as_of) as store:
        versions = [store.version_id(trial_id) for trial_id in trial_ids]
        versions += versions_of(store, cond, intr) if cond or intr else []
        versions = list(dict.fromkeys(versions))
        if len(versions) > MOST_TRIALS:
            raise CommandError(
                f"{len(versions)} trials are more than a graph in memory takes; narrow the subject"
            )
        if not versions:
            raise CommandError("no stored trial is about this subject")
        made = project(store, versions, criteria=not trials_only)
        lines = load_trial_lines(store.connection, versions)
    nodes = Counter(kind for _, kind in made.nodes(data="kind"))
    edges = Counter(kind for _, _, kind in made.edges(data="kind"))
    if target is not None:
        with atomic_write(target, binary=True) as out:
            write_graphml(made, out)
    rows = [("node", kind, count) for kind, count in sorted(nodes.items())]
    rows += [("edge", kind, count) for kind, count in sorted(edges.items())]
    data = {"nodes": dict(nodes), "edges": dict(edges), "file": str(target) if target else None}
    parts: list[Table | str] = [Table(["part", "kind", "number"], rows)]
    if target is not None:
        parts.append(f"Written to {target}.")
    output.emit(data, *parts, provenance=views.provenance_of(lines.values(), views.as_of_note(as_of)))


COMMANDS: tuple[click.Command, ...] = (landscape, find, search, sql, graph)
