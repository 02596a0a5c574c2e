"""Commands of the harvest: refresh, import, the embedded registry, subjects, runs."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from commands.harvest_options import progress_bar, query_options, registry_options
from commands.knowledge_feed import catch_up, the_reading
from commands.output import (
    EXIT_BAD_INPUT,
    EXIT_INCOMPLETE,
    CommandError,
    Output,
    Provenance,
    Table,
    output_options,
)
from harvest import quarantine, run_log
from harvest.archive import Archive
from harvest.http import Client, Politeness
from harvest.refresh import refresh_query
from harvest.refresh_ids import refresh_ids
from harvest.report import Report
from harvest.run_lock import is_held, run_lock
from harvest.sources import clinconnect, ctgov
from harvest.sources.base import Query
from harvest.sources.ctgov_record import utc_now
from harvest.trial_id import nct_ids
from kb.build import BuildReport

SOURCES = {"ctgov": "ClinicalTrials.gov", "clinconnect": "ClinConnect", "files": "files"}
FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"


def _politeness(pace: float | None, contact: str | None, default_pace: float) -> Politeness:
    return Politeness(pace=default_pace if pace is None else pace, contact=contact)


def _fill_knowledge_base(output: Output, archive: Archive) -> BuildReport:
    reading = the_reading()
    with progress_bar("Reading criteria") as step:
        return catch_up(output.db, archive, reading, step)


def _summary(report: Report) -> str:
    if report.up_to_date and not (report.new or report.changed):
        return f"Nothing to do: {report.message}; {report.unchanged} trials unchanged."
    told = (report.new, report.changed, report.vanished, report.drifted, report.older, report.left)
    if not any(told) and report.state == "complete":
        if not report.unchanged:
            return "The registry has no trial for this search."
        return f"Nothing changed: {report.unchanged} trials as they were."
    lines = [
        f"{label:<10}{len(ids):>6}{': ' + _shortened(ids) if ids else ''}"
        for label, ids in (
            ("new", report.new),
            ("changed", report.changed),
            ("vanished", report.vanished),
            ("missing", report.missing),
            ("left", report.left),
        )
        if ids or label in ("new", "changed", "vanished")
    ]
    lines.insert(2, f"{'unchanged':<10}{report.unchanged:>6}")
    if report.drifted:
        lines.insert(3, f"{'of these':<10}{len(report.drifted):>6} with other derived data, sites or results")
    if report.older:
        lines.append(f"{'older':<10}{report.older:>6} versions stored beside newer ones")
    return "\n".join(lines)


def _shortened(ids: tuple[str, ...], most: int = 20) -> str:
    return ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")


def _answer(output: Output, reports: list[Report], built: BuildReport) -> None:
    """Print what was done; the exit code says whether it was all."""
    data = [
        {**{field: getattr(report, field) for field in report.__slots__}, "read": dict(built.counts)}
        for report in reports
    ]
    timestamps = [report.data_version for report in reports if report.data_version]
    output.emit(
        data[0] if len(data) == 1 else data,
        *(_summary(report) for report in reports),
        Table(["outcome", "trials"], [[k, v] for k, v in sorted(built.counts.items())], "")
        if output.form == "csv"
        else "",
        provenance=Provenance(
            tuple(SOURCES[report.source] for report in reports), max(timestamps, default=None)
        ),
    )
    problems = "; ".join(report.message for report in reports if report.state != "complete")
    if problems:
        raise CommandError(f"incomplete: {problems}", EXIT_INCOMPLETE)


@click.command()
@click.argument("ids", nargs=-1, metavar="[NCT_ID]...")
@query_options
@click.option("--all", "everything", is_flag=True, help="The whole registry.")
@click.option("--subject", "subject_name", help="A saved search, see 'trialkb subject'.")
@click.option(
    "--source", type=click.Choice(["ctgov", "clinconnect"]), default="ctgov", show_default=True,
    help="ClinConnect takes ids only.",
)  # fmt: skip
@click.option("--full", is_flag=True, help="Read all records again, whatever the registry's data version.")
@click.option("--keep-contacts", is_flag=True, help="Store names and addresses of contacts too.")
@registry_options
@output_options
def refresh(
    ids: tuple[str, ...],
    cond: str,
    intr: str,
    term: str,
    sponsor: str,
    status: tuple[str, ...],
    advanced: str,
    everything: bool,
    subject_name: str | None,
    source: str,
    full: bool,
    keep_contacts: bool,
    ctgov_url: str,
    clinconnect_url: str,
    pace: float | None,
    contact: str | None,
    output: Output,
) -> None:
    """Fetch trials by id, by search or by subject, and read what is new in them.

    Example: trialkb refresh --cond lupus --intr CAR-T
    """
    query = Query(cond, intr, term, sponsor, tuple(each.upper() for each in status), advanced, everything)
    wanted = nct_ids(ids)
    given = [bool(wanted), not query.is_empty() or everything, subject_name is not None]
    if sum(given) != 1:
        raise click.UsageError("Give ids, or a search (--cond, --intr, ..., --all), or --subject.")
    if source == "clinconnect" and not wanted:
        raise click.UsageError("ClinConnect cannot be searched: give ids.")
    with run_lock(output.archive, "refresh"), Archive.open(output.archive, write=True) as archive:
        if subject_name is not None:
            query = _saved(archive, subject_name).query
        with progress_bar("Fetching") as step:
            if source == "clinconnect":
                polite = _politeness(pace, contact, clinconnect.PACE)
                with Client((clinconnect_url,), polite) as client:
                    site = clinconnect.ClinConnect(client, clinconnect_url)
                    report = refresh_ids(
                        archive, site, wanted, keep_contacts=keep_contacts, full=full, progress=step
                    )
            else:
                with Client((ctgov_url,), _politeness(pace, contact, 1.0)) as client:
                    registry_ = ctgov.ClinicalTrialsGov(client, ctgov_url)
                    if wanted:
                        report = refresh_ids(
                            archive, registry_, wanted, keep_contacts=keep_contacts, full=full, progress=step
                        )
                    else:
                        report = refresh_query(
                            archive, registry_, query, keep_contacts=keep_contacts, full=full, progress=step
                        )
        built = _fill_knowledge_base(output, archive)
    _answer(output, [report], built)


def _saved(archive: Archive, name: str) -> run_log.Subject:
    saved = run_log.subject(archive, name)
    if saved is None:
        raise CommandError(f"no subject {name!r}; 'trialkb subject list' shows them", EXIT_BAD_INPUT)
    return saved


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--keep-contacts", is_flag=True, help="Store names and addresses of contacts too.")
@output_options
def import_(path: Path, keep_contacts: bool, output: Output) -> None:
    """Take records from a file or folder: v2 JSON, .jsonl, .gz, the registry's zip, ClinConnect pages.

    Example: trialkb import ctg-studies.json.zip
    """
    from harvest.bulk import import_path

    if not path.exists():
        raise CommandError(f"{path}: no such file or folder")
    with run_lock(output.archive, "import"), Archive.open(output.archive, write=True) as archive:
        with progress_bar("Importing") as step:
            report = import_path(archive, path, keep_contacts=keep_contacts, progress=step)
        built = _fill_knowledge_base(output, archive)
    _answer(output, [report], built)


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 = any free port.  [default: 0]")
@click.option(
    "--fixtures", type=click.Path(exists=True, path_type=Path), default=FIXTURES,
    help="A folder of fixtures, or a file of records (.json, .jsonl, .jsonl.gz, .zip).",
)  # fmt: skip
@click.option("--faults", type=click.Path(exists=True, path_type=Path), help="A JSON plan of misbehaviour.")
def registry(port: int, fixtures: Path, faults: Path | None) -> None:
    """Run the embedded registry on this machine and print its address; Ctrl-C ends it.

    Example: trialkb registry --port 8080
    """
    from harvest.local_registry import LocalRegistry, load
    from harvest.registry_faults import read_plan

    holdings = load(fixtures)
    server = LocalRegistry(holdings, plan=read_plan(faults) if faults else None, port=port)
    click.echo(server.url)
    click.echo(
        f"{len(holdings.entries)} records, {len(holdings.pages)} pages, data of {holdings.data_timestamp}."
        f" Use it with --ctgov-url {server.url} --clinconnect-url {server.url} --pace 0",
        err=True,
    )
    sys.stdout.flush()
    server.serve()


@click.group()
def subject() -> None:
    """Save searches under a name, and refresh them by it.

    Example: trialkb subject add lupus-cart --cond lupus --intr CAR-T
    """


@subject.command("add")
@click.argument("name")
@query_options
@output_options
def subject_add(
    name: str,
    cond: str,
    intr: str,
    term: str,
    sponsor: str,
    status: tuple[str, ...],
    advanced: str,
    output: Output,
) -> None:
    """Save a search under NAME.

    Example: trialkb subject add lupus-cart --cond lupus --intr CAR-T
    """
    query = Query(cond, intr, term, sponsor, tuple(each.upper() for each in status), advanced)
    if query.is_empty():
        raise click.UsageError(
            "Give at least one of --cond, --intr, --term, --sponsor, --status, --advanced."
        )
    with run_lock(output.archive, "subject"), Archive.open(output.archive, write=True) as archive:
        run_log.add_subject(archive, name, "ctgov", query, utc_now())
    output.emit({"subject": name, "query": query.to_json()}, f"Saved. Now: trialkb refresh --subject {name}")


@subject.command("list")
@output_options
def subject_list(output: Output) -> None:
    """List the saved searches.

    Example: trialkb subject list
    """
    with Archive.open(output.archive) as archive:
        saved = run_log.subjects(archive)
    rows = [
        [
            each.name,
            each.known,
            each.last_run or "never",
            each.query.words(),
        ]
        for each in saved
    ]
    data = [
        {"name": s.name, "query": s.query.to_json(), "trials": s.known, "last_run": s.last_run} for s in saved
    ]
    output.emit(data, Table(["subject", "trials", "last complete run", "search"], rows))


@subject.command("show")
@click.argument("name")
@output_options
def subject_show(name: str, output: Output) -> None:
    """List the trials that the registry itself returned for a saved search, as of its last complete run.

    Example: trialkb subject show lupus-cart
    """
    with Archive.open(output.archive) as archive:
        saved = _saved(archive, name)
        last = run_log.last_whole(archive, run_log.query_key(saved.source, saved.query))
        heads = [archive.head(saved.source, each) for each in run_log.subject_ids(archive, name)]
    rows = [
        [head.source_id, head.record_date, head.seen_data, head.vanished_at]
        for head in heads
        if head is not None
    ]
    columns = ["trial", "last update", "seen in the data of", "vanished"]
    text: Table | str = Table(columns, rows, name)
    if last is None and output.for_people:
        text = f"Never refreshed: trialkb refresh --subject {name}"
    provenance = Provenance((saved.source,), last.data_after if last else None)
    data = [dict(zip(("trial", "last_update", "seen_data", "vanished_at"), row, strict=True)) for row in rows]
    output.emit(data, text, provenance=provenance)


@subject.command("remove")
@click.argument("name")
@output_options
def subject_remove(name: str, output: Output) -> None:
    """Forget a saved search; its trials stay.

    Example: trialkb subject remove lupus-cart
    """
    with run_lock(output.archive, "subject"), Archive.open(output.archive, write=True) as archive:
        run_log.remove_subject(archive, name)
    output.emit({"removed": name}, f"Subject {name} removed; its trials stay.")


@click.command()
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="So many, newest first."
)
@click.option("--kept", is_flag=True, help="List the pages and records that were no trials, and were kept.")
@click.option("--page", type=click.IntRange(min=1), help="Print one of these as it came, by its number.")
@output_options
def runs(limit: int, kept: bool, page: int | None, output: Output) -> None:
    """List the runs of refresh and import, newest first, with what each found.

    Example: trialkb runs --limit 5
    """
    if kept or page is not None:
        _kept_pages(output, limit, page)
        return
    with Archive.open(output.archive) as archive:
        listed = run_log.runs(archive, limit)
    if any(run.state == "running" for run in listed) and not is_held(output.archive):
        # A process that was killed cannot say so; the next run of the same task goes on there.
        listed = [replace(run, state="cut off") if run.state == "running" else run for run in listed]
    rows = [
        [
            run.id, run.kind, run.task(), run.started_at, run.state, run.data_after or "", run.requests,
            " ".join(f"{name} {count}" for name, count in run.counts.items()), run.message,
        ]
        for run in listed
    ]  # fmt: skip
    columns = ["run", "kind", "task", "started", "state", "data", "requests", "found", "message"]
    data = [{field: getattr(run, field) for field in run.__slots__} for run in listed]
    widths = {"task": 30, "found": 16, "message": 40}
    output.emit(data, Table(columns, rows, widths=widths))


def _kept_pages(output: Output, limit: int, page: int | None) -> None:
    with Archive.open(output.archive) as archive:
        if page is not None:
            body = quarantine.kept_body(archive, page)
            if body is None:
                raise CommandError(f"no page {page} was kept; 'trialkb runs --kept' lists them")
            click.echo(body)
            return
        listed = quarantine.kept(archive, limit)
    columns = ["page", "run", "source", "at", "bytes", "reason"]
    rows = [[each.number, each.run, each.source, each.at, each.size, each.reason] for each in listed]
    data = [{field: getattr(each, field) for field in each.__slots__} for each in listed]
    text: Table | str = Table(columns, rows, widths={"reason": 60})
    if not rows and output.for_people:
        text = "No page was kept: each was a trial."
    output.emit(data, text)


COMMANDS: tuple[click.Command, ...] = (refresh, import_, registry, subject, runs)
