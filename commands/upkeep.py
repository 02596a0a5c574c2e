"""Commands that look after what is stored: history, conflicts, rebuild, doctor, backup, restore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from commands.harvest_options import progress_bar, registry_options
from commands.knowledge_feed import catch_up, sync_vanished, the_reading
from commands.output import (
    EXIT_CHANGES,
    EXIT_DATABASE,
    CommandError,
    Output,
    Provenance,
    Table,
    as_nct_id,
    output_options,
)
from harvest import feed
from harvest.archive import Archive
from harvest.archive_rows import Version
from harvest.conflicts import archived_conflicts
from harvest.errors import RecordNotFound
from harvest.http import Client, Politeness
from harvest.run_lock import run_lock
from harvest.sources import ctgov_record

if TYPE_CHECKING:
    from commands.rereading import Moved


@click.command()
@click.argument("nct_id", type=as_nct_id)
@click.option("--fetch", is_flag=True, help="Ask the registry for past versions (undocumented endpoint).")
@click.option("--every", is_flag=True, help="With --fetch: also versions that did not touch the criteria.")
@click.option(
    "--record",
    "wanted",
    metavar="HASH",
    help="Print one stored record as it is: how its version or content begins.",
)
@registry_options
@output_options
def history(
    nct_id: str,
    fetch: bool,
    every: bool,
    wanted: str | None,
    ctgov_url: str,
    clinconnect_url: str,
    pace: float | None,
    contact: str | None,
    output: Output,
) -> None:
    """List the stored versions of a trial, oldest first; with --fetch, get past ones from the registry.

    Example: trialkb history NCT06886919
    """
    message = ""
    if fetch:
        message = _fetch_history(nct_id, every, ctgov_url, pace, contact, output)
    with Archive.open(output.archive) as archive:
        versions = [
            each
            for source in (ctgov_record.NAME, "clinconnect")
            for each in archive.versions(archive.resolve(source, nct_id), source)
        ]
        if not versions:
            raise RecordNotFound(f"{nct_id}: not in the archive; 'trialkb refresh {nct_id}' fetches it")
        if wanted is not None:
            click.echo(_stored_record(archive, versions, nct_id, wanted))
            return
    rows = [
        [
            each.record_date or "", each.source,
            "" if each.registry_version is None else each.registry_version + 1,
            each.origin, each.version[:12], each.sha256[:12], each.fetched_at, "current" if each.is_head else "",
        ]
        for each in versions
    ]  # fmt: skip
    columns = ["date", "source", "registry's no.", "by", "version", "content", "fetched", ""]
    data = [{field: getattr(each, field) for field in each.__slots__} for each in versions]
    provenance = Provenance(
        tuple(dict.fromkeys(each.source for each in versions)),
        max((each.data_timestamp for each in versions if each.data_timestamp), default=None),
        notes=(message,) if message else (),
    )
    output.emit(data, Table(columns, rows, nct_id), provenance=provenance)


def _stored_record(archive: Archive, versions: list[Version], nct_id: str, wanted: str) -> bytes:
    """The bytes of the newest stored record whose version or content begins so. Raises CommandError."""
    fitting = [
        each
        for each in versions
        if wanted and wanted.lower() in (each.version[: len(wanted)], each.sha256[: len(wanted)])
    ]
    if not fitting:
        raise CommandError(f"{nct_id} has no record {wanted!r}; 'trialkb history {nct_id}' lists them")
    return archive.raw(fitting[-1].record).body


def _fetch_history(
    nct_id: str, every: bool, ctgov_url: str, pace: float | None, contact: str | None, output: Output
) -> str:
    from harvest.history import ClinicalTrialsGovHistory, fetch_history

    politeness = Politeness(pace=1.0 if pace is None else pace, contact=contact)
    with (
        run_lock(output.archive, "history"),
        Archive.open(output.archive, write=True) as archive,
        Client((ctgov_url,), politeness) as client,
        progress_bar("Fetching versions") as step,
    ):
        source = ClinicalTrialsGovHistory(client, ctgov_url)
        report = fetch_history(archive, source, nct_id, every=every, progress=step)
        catch_up(output.db, archive, the_reading())
    return report.message


@click.command()
@click.argument("nct_id", type=as_nct_id, required=False)
@output_options
def conflicts(nct_id: str | None, output: Output) -> None:
    """Show where ClinConnect pages differ from the registry's records; the registry is what counts.

    Example: trialkb conflicts NCT06886919
    """
    with Archive.open(output.archive) as archive:
        if nct_id is not None:
            nct_id = archive.resolve(ctgov_record.NAME, nct_id)
            # Raises RecordNotFound: "no difference" would be said of a trial that is not there.
            archive.latest(ctgov_record.NAME, nct_id)
        found = list(archived_conflicts(archive, nct_id))
    rows = [[each.source_id, each.field, each.registry, each.page, each.page_date] for each in found]
    columns = ["trial", "field", "registry", "page", "page of"]
    data = [{field: getattr(each, field) for field in each.__slots__} for each in found]
    text: Table | str = Table(columns, rows, widths={"registry": 40, "page": 40})
    if not found and output.for_people:
        text = "No difference between the registry's records and ClinConnect's pages."
    output.emit(data, text, provenance=Provenance(("ClinicalTrials.gov", "ClinConnect")))


@click.command()
@click.option(
    "--preview", is_flag=True, help="Only show which thresholds would move; exit code 10 if any do."
)
@output_options
def rebuild(preview: bool, output: Output) -> None:
    """Read all archived records anew, offline, and replace the knowledge base; reviews are kept.

    Example: trialkb rebuild --preview
    """
    from commands.rereading import preview as preview_of
    from commands.rereading import read_anew
    from kb.store import Store

    reading = the_reading()
    with run_lock(output.archive, "rebuild"), Archive.open(output.archive, write=True) as archive:
        if preview:
            moved, otherwise = preview_of(output.db, archive, reading)
            _answer_preview(output, moved, otherwise)
            raise SystemExit(EXIT_CHANGES if moved or otherwise else 0)
        report, digest = read_anew(output.db, archive, reading)
        with Store.open(output.db, "write", purpose="rebuild") as store:
            sync_vanished(store, archive)
            feed.write_mark(archive, store.meta("made") or "", reading.vocabulary, feed.end_mark(archive))
    output.emit(
        {"versions": report.total, "digest": digest, "vocabulary": reading.vocabulary},
        f"Read {report.total} versions anew. Content digest {digest}.",
    )


def _answer_preview(output: Output, moved: Sequence[Moved], otherwise: Sequence[str]) -> None:
    notes = []
    if otherwise:
        notes.append(
            f"Read differently in something else than a threshold (conditions, logic, unread words): "
            f"{len(otherwise)} trials, {', '.join(otherwise[:10])}{' ...' if len(otherwise) > 10 else ''}."
        )
    if moved or otherwise:
        notes.append("Nothing was changed: 'trialkb rebuild' accepts the new reading.")
    columns = ["trial", "section", "threshold", "direction", "in the text"]
    rows = [[each.trial, each.section, each.threshold, each.direction, each.text] for each in moved]
    text: Table | str = Table(columns, rows, widths={"threshold": 50, "in the text": 50})
    if not moved and output.for_people:
        text = "No threshold moves."
    data = {"thresholds": [asdict(each) for each in moved], "otherwise": list(otherwise)}
    output.emit(data, text, provenance=Provenance(notes=tuple(notes)))


@click.command()
@click.option("--quick", is_flag=True, help="Leave out the rebuild, which reads every text again.")
@output_options
def doctor(quick: bool, output: Output) -> None:
    """Check the archive's hashes, all references, and that the knowledge base equals a rebuild.

    Example: trialkb doctor --quick
    """
    from commands.doctoring import checks

    rows: list[list[object]] = []
    problems = 0
    for name, findings in checks(output, quick=quick):
        problems += len(findings)
        rows.append([name, "ok" if not findings else f"{len(findings)} problems"])
        rows += [["", finding] for finding in findings[:20]]
    output.emit([{"check": row[0], "result": row[1]} for row in rows], Table(["check", "result"], rows))
    if problems:
        raise CommandError(
            f"{problems} problems: 'trialkb rebuild' mends the knowledge base, 'trialkb restore' the archive",
            EXIT_DATABASE,
        )


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@output_options
def backup(target: Path, output: Output) -> None:
    """Write archive and knowledge base, consistent and checked, into one zip file.

    Example: trialkb backup trialkb-2026-03-02.zip
    """
    from commands.doctoring import write_backup

    # Opened once before the lock, which would leave its file where there is no archive.
    Archive.open(output.archive).close()
    with run_lock(output.archive, "backup"):
        manifest = write_backup(output, target)
    output.emit(manifest, f"{target}: {manifest['trials']} trials, {target.stat().st_size} bytes.")


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace what is there.")
@output_options
def restore(source: Path, force: bool, output: Output) -> None:
    """Put back archive and knowledge base from a backup, after checking it.

    Example: trialkb restore trialkb-2026-03-02.zip
    """
    from commands.doctoring import read_backup

    with run_lock(output.archive, "restore"):
        manifest = read_backup(output, source, force=force)
    output.emit(manifest, f"Restored {manifest['trials']} trials as of {manifest['made_at']} to {output.db}.")


COMMANDS: tuple[click.Command, ...] = (history, conflicts, rebuild, doctor, backup, restore)
