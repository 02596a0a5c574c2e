"""Writing an export: streaming, atomic, deterministic, incremental, with its manifest and its loss report.

A trial format goes to one file (``PATH``, with ``PATH.loss.jsonl``, ``PATH.manifest.json`` and ``PATH.notice.txt``
beside it) or to a folder with one file a trial; a set format goes to a folder, or to its one file. The manifest
holds, for each trial, the digest of what it was made from and of what was written, so that a second run writes
only the trials that changed, and another tool can poll it. It holds no clock time: same knowledge base,
same bytes. A trial of which only the registry's data timestamp moved is not written anew (its file keeps the older one).
A manifest is written last: what it names is on disk.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kb.export.base import Format, SetFormat, TrialFormat
from kb.export.errors import BadOption, CannotWrite, NothingToExport
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
    umask,
    write_text,
)
from kb.export.model import OUTCOMES, Context, Loss, TrialRecord
from kb.store import Store

MANIFEST = "manifest.json"
LOSSES = "loss.jsonl"
NOTICE = "NOTICE.txt"

Progress = Callable[[str], None]
"""Called with a trial's id once it is done."""


@dataclass(slots=True)
class Summary:
    """What a run did: counts of trials, of criteria by outcome, of reasons, and where the files are."""

    path: Path
    trials: int = 0
    written: int = 0
    unchanged: int = 0
    removed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)

    def count(self, losses: Iterable[Mapping[str, Any]]) -> dict[str, int]:
        """Add loss lines to the counts; return the counts of just these, by outcome."""
        here: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
        for loss in losses:
            here[loss["outcome"]] += 1
            self.reasons.update({reason["code"] for reason in loss["reasons"]})
        self.outcomes.update(here)
        return here


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
            return _write_set(made, source, records, path, context, progress)
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
    with atomic(path) as file, atomic(beside[".loss.jsonl"]) as losses:
        file.write(made.head(context))
        for record in records:
            if summary.trials and not made.joins:
                raise BadOption(
                    f"{made.name} holds one trial a file, and more are selected: name a folder with -o"
                )
            rendered = made.render(record, context)
            file.write(rendered.text)
            losses.write(loss_lines(rendered.losses))
            counts = summary.count(loss.to_json() for loss in rendered.losses)
            trials.append(trial_entry(record, input_digest(made, record, context), counts))
            summary.trials += 1
            if progress:
                progress(record.id)
    write_text(beside[".notice.txt"], notice_text(context))
    before = {trial["trial"]: trial["input"] for trial in old.get("trials", ())}
    now = {trial["trial"]: trial["input"] for trial in trials}
    summary.unchanged = sum(before.get(trial) == digest for trial, digest in now.items())
    summary.written = summary.trials - summary.unchanged
    summary.removed = len(before.keys() - now.keys())
    write_text(beside[".manifest.json"], manifest_text(made, context, trials, [path.name]))
    summary.files = [path.name, *(each.name for each in beside.values())]
    return summary


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
    known = {trial["trial"]: trial for trial in old.get("trials", ())}
    summary = Summary(folder)
    trials: list[dict[str, Any]] = []
    folder.mkdir(parents=True, exist_ok=True)
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
                summary.count(map(json.loads, text.splitlines()))
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


# ---------------------------------------------------------------- a set of files


def _write_set(
    made: SetFormat,
    source: tuple[Store, Sequence[int]],
    records: Iterator[TrialRecord],
    path: Path,
    context: Context,
    progress: Progress | None,
) -> Summary:
    """A folder of files made in one go: written beside the target, then put in its place."""
    if path.exists() and not path.is_dir():
        raise CannotWrite(f"{path} is a file, and {made.name} writes a folder; choose another target")
    old = read_manifest(path / MANIFEST, made.name)
    if not old and path.is_dir() and any(path.iterdir()):
        raise CannotWrite(f"{path} is not empty and was not written by an export; choose another target")
    summary = Summary(path)
    trials: list[dict[str, Any]] = []
    path.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        files = made.write(*source, work, context)
        with (work / LOSSES).open("w", encoding="utf-8", newline="") as losses:
            for record in records:
                found = tuple(made.losses(record, context))
                losses.write(loss_lines(found))
                counts = summary.count(loss.to_json() for loss in found)
                trials.append(trial_entry(record, input_digest(made, record, context), counts))
                summary.trials += 1
                if progress:
                    progress(record.id)
        (work / NOTICE).write_text(notice_text(context), "utf-8")
        shas = {name: file_sha(work / name) for name in files}
        before = {trial["trial"]: trial["input"] for trial in old.get("trials", ())}
        now = {trial["trial"]: trial["input"] for trial in trials}
        summary.unchanged = sum(before.get(trial) == digest for trial, digest in now.items())
        summary.written = summary.trials - summary.unchanged
        summary.removed = len(before.keys() - now.keys())
        manifest = json.loads(manifest_text(made, context, trials, [*files, LOSSES, NOTICE])) | {
            "sha256": shas
        }
        (work / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", "utf-8")
        summary.files = [*files, MANIFEST, LOSSES, NOTICE]
        os.chmod(work, 0o777 & ~umask())
        _replace_folder(work, path)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return summary


def _replace_folder(work: Path, path: Path) -> None:
    """Put a finished folder in the place of an earlier export."""
    if not path.exists():
        os.rename(work, path)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
    os.rename(path, aside / path.name)
    try:
        os.rename(work, path)
    except OSError:
        os.rename(aside / path.name, path)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
