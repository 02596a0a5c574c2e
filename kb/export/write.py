"""Writing an export: streaming, atomic, deterministic, incremental, with its manifest and its loss report.

A trial format goes to one file (``PATH``, with ``PATH.loss.jsonl``, ``PATH.manifest.json`` and ``PATH.notice.txt``
beside it) or to a folder with one file a trial; a set format goes to a folder (:mod:`kb.export.write_set`). The
manifest holds, for each trial, the digest of what it was made from and of what was written, so that a second
run makes only the trials that changed (in one file it takes over the others' parts, byte for byte), and
another tool can poll it. A run that finds nothing changed leaves every file as it is. The manifest holds no clock time:
same knowledge base, same bytes. A trial of which only the registry's data timestamp moved is not written
anew (its part keeps the older one). A manifest is written last: what it names is on disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from kb.export.base import Format, SetFormat, TrialFormat
from kb.export.errors import BadOption, CannotWrite, NothingToExport
from kb.export.folders import staged
from kb.export.manifest import (
    atomic,
    file_sha,
    input_digest,
    loss_lines,
    manifest_text,
    notice_text,
    read_manifest,
    sha,
    trial_entry,
    write_text,
)
from kb.export.model import Context, Loss, TrialRecord
from kb.export.summary import LOSSES, MANIFEST, NOTICE, Progress, Summary
from kb.export.write_set import write_set
from kb.store import Store


def export(
    made: Format,
    records: Iterable[TrialRecord],
    path: Path,
    context: Context,
    *,
    source: tuple[Store, Sequence[int]] | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Write ``records`` (sorted by id) in a format to ``path``. A set format reads ``source``: the open knowledge
    base and the version ids of the records.

    Raises NothingToExport, CannotWrite (also where ``path`` holds something no export of this format wrote)
    and BadOption (many trials in one file of a format that holds one).
    """
    records = _first(records)
    try:
        if isinstance(made, SetFormat):
            if source is None:
                raise BadOption(f"{made.name} is made from a knowledge base's tables, and none was given")
            return write_set(made, source, records, path, context, progress)
        if is_folder(path):
            return _write_folder(made, records, path, context, progress)
        return _write_file(made, records, path, context, progress)
    except OSError as error:
        raise CannotWrite(
            f"{error.filename or path}: {error.strerror or error}; nothing there was changed"
        ) from error


def stream(
    made: TrialFormat, records: Iterable[TrialRecord], context: Context
) -> Iterator[tuple[str, tuple[Loss, ...]]]:
    """The same text piece by piece, for a pipe: the head, then each trial with its losses."""
    yield made.head(context), ()
    for record in _first(records):
        rendered = made.render(record, context)
        yield rendered.text, rendered.losses


def is_folder(path: Path) -> bool:
    """Whether a target is meant as a folder: it is one, or its name has no suffix."""
    return path.is_dir() or (not path.exists() and not path.suffix)


def _first(records: Iterable[TrialRecord]) -> Iterator[TrialRecord]:
    """The records; raises NothingToExport before anything is opened if there is none."""
    iterator = iter(records)
    first = next(iterator, None)
    if first is None:
        raise NothingToExport(
            "no trial is selected, so nothing was written; see `trialkb list` for what is stored"
        )

    def chained() -> Iterator[TrialRecord]:
        yield first
        yield from iterator

    return chained()


# ---------------------------------------------------------------- one file


def _write_file(
    made: TrialFormat, records: Iterator[TrialRecord], path: Path, context: Context, progress: Progress | None
) -> Summary:
    """One file for all trials. The loss report stands before the file does, so it marks the file as ours even
    if a run was killed between the two."""
    beside = {
        end: path.with_name(path.name + end) for end in (".loss.jsonl", ".manifest.json", ".notice.txt")
    }
    old = read_manifest(beside[".manifest.json"], made.name)
    if path.exists() and not old and not beside[".loss.jsonl"].exists():
        raise CannotWrite(
            f"{path} exists and was not written by an export; choose another target or remove it"
        )
    summary = Summary(path)
    trials: list[dict[str, Any]] = []
    with (
        _Parts(path, beside[".loss.jsonl"], old) as parts,
        atomic(path) as file,
        atomic(beside[".loss.jsonl"]) as losses,
    ):
        head = made.head(context)
        file.write(head)
        at, loss_at = len(head.encode()), 0
        for record in records:
            if summary.trials and not made.joins:
                raise BadOption(
                    f"{made.name} holds one trial a file, and more are selected: name a folder with -o"
                )
            entry, text, lines = _part(made, record, context, parts, summary)
            file.write(text)
            losses.write(lines)
            ends = at + len(text.encode()), loss_at + len(lines.encode())
            trials.append(entry | {"at": [at, ends[0]], "loss_at": [loss_at, ends[1]]})
            at, loss_at = ends
            summary.trials += 1
            if progress:
                progress(record.id)
    summary.removed = len(parts.known.keys() - {trial["trial"] for trial in trials})
    write_text(beside[".notice.txt"], notice_text(context))
    write_text(beside[".manifest.json"], manifest_text(made, context, trials, [path.name]))
    summary.files = [path.name, *(each.name for each in beside.values())]
    return summary


class _Parts:
    """The trials in a file that an earlier run wrote: a part whose input did not change is taken over as it
    stands. The manifest says where each part lies; what does not have its digest any more is not taken."""

    def __init__(self, path: Path, losses: Path, manifest: Mapping[str, Any]) -> None:
        self.known: dict[str, Any] = {trial["trial"]: trial for trial in manifest.get("trials", ())}
        self._paths = (path, losses)
        self._open = ExitStack()
        self._files: list[IO[bytes]] = []

    def __enter__(self) -> _Parts:
        with suppress(FileNotFoundError):
            self._files = [self._open.enter_context(path.open("rb")) for path in self._paths]
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def of(self, trial: str, digest: str) -> tuple[str, str] | None:
        """The trial's text and its loss lines, None where they have to be made."""
        entry = self.known.get(trial, {})
        if len(self._files) < 2 or entry.get("input") != digest or not {"at", "loss_at"} <= entry.keys():
            return None
        found = []
        for file, place, expected in zip(
            self._files, (entry["at"], entry["loss_at"]), (entry["sha256"], entry["loss_sha256"]), strict=True
        ):
            file.seek(place[0])
            body = file.read(place[1] - place[0])
            if sha(body) != expected:
                return None
            found.append(body.decode())
        return found[0], found[1]


def _part(
    made: TrialFormat, record: TrialRecord, context: Context, parts: _Parts, summary: Summary
) -> tuple[dict[str, Any], str, str]:
    """One trial's entry in the manifest, its text and its loss lines; made only where its input changed."""
    digest = input_digest(made, record, context)
    kept = parts.of(record.id, digest)
    if kept is not None:
        text, lines = kept
        counts = summary.count(map(json.loads, lines.split("\n")[:-1]))
        summary.unchanged += 1
    else:
        rendered = made.render(record, context)
        text, lines = rendered.text, loss_lines(rendered.losses)
        counts = summary.count(loss.to_json() for loss in rendered.losses)
        summary.written += 1
    entry = trial_entry(record, digest, counts)
    return entry | {"sha256": sha(text), "loss_sha256": sha(lines)}, text, lines


# ---------------------------------------------------------------- one file a trial


def _write_folder(
    made: TrialFormat,
    records: Iterator[TrialRecord],
    folder: Path,
    context: Context,
    progress: Progress | None,
) -> Summary:
    """A folder with one file a trial: only what changed is written, what is no longer selected is removed."""
    old = read_manifest(folder / MANIFEST, made.name)
    if not old and folder.is_dir() and any(folder.iterdir()):
        raise CannotWrite(f"{folder} is not empty and was not written by an export; choose another target")
    if old:
        return _refresh_folder(made, records, folder, context, progress, old)
    # The first run is made beside the target, so that a killed one leaves nothing under its name.
    with staged(folder) as work:
        summary = _refresh_folder(made, records, work, context, progress, {})
    summary.path = folder
    return summary


def _refresh_folder(
    made: TrialFormat,
    records: Iterator[TrialRecord],
    folder: Path,
    context: Context,
    progress: Progress | None,
    old: Mapping[str, Any],
) -> Summary:
    """File by file, the manifest last: a killed run leaves whole files, and the next one takes it up."""
    known = {trial["trial"]: trial for trial in old.get("trials", ())}
    summary = Summary(folder)
    trials: list[dict[str, Any]] = []
    with atomic(folder / LOSSES) as losses:
        for record in records:
            entry, text = _one(made, record, folder, context, known.pop(record.id, None), summary)
            losses.write(text)
            trials.append(entry)
            summary.trials += 1
            if progress:
                progress(record.id)
    for gone in known.values():
        for name in (gone["file"], gone["loss_file"]):
            (folder / Path(name).name).unlink(missing_ok=True)
        summary.removed += 1
    write_text(folder / NOTICE, notice_text(context))
    files = [name for trial in trials for name in (trial["file"], trial["loss_file"])]
    write_text(folder / MANIFEST, manifest_text(made, context, trials, [*files, LOSSES, NOTICE]))
    summary.files = [MANIFEST, LOSSES, NOTICE]
    return summary


def _one(
    made: TrialFormat,
    record: TrialRecord,
    folder: Path,
    context: Context,
    known: Mapping[str, Any] | None,
    summary: Summary,
) -> tuple[dict[str, Any], str]:
    """One trial's file and loss file, written anew only where its input or its file changed."""
    digest = input_digest(made, record, context)
    stem = f"{record.trial.source}-{_safe(record.id)}"
    file, loss_file = folder / f"{stem}{made.suffix}", folder / f"{stem}.loss.jsonl"
    if known and known["input"] == digest and file_sha(file) == known["sha256"]:
        with suppress(FileNotFoundError):
            text = loss_file.read_text("utf-8")
            if sha(text) == known["loss_sha256"]:
                summary.unchanged += 1
                summary.count(map(json.loads, text.split("\n")[:-1]))
                return dict(known), text
    rendered = made.render(record, context)
    body = made.head(context) + rendered.text
    text = loss_lines(rendered.losses)
    write_text(file, body)
    write_text(loss_file, text)
    summary.written += 1
    counts = summary.count(loss.to_json() for loss in rendered.losses)
    entry = trial_entry(record, digest, counts)
    entry |= {"file": file.name, "sha256": sha(body), "loss_file": loss_file.name, "loss_sha256": sha(text)}
    return entry, text


def _safe(name: str) -> str:
    """A registry id as part of a file name: anything but letters, digits, dot and dash becomes a dash."""
    return (
        "".join(c if c.isascii() and (c.isalnum() or c in "-.") else "-" for c in name).lstrip(".") or "trial"
    )
