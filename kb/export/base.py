"""The protocol that a format implements, and the registry of formats: one line each.

A new format is one file beside this one, one line in ``_FORMATS``, one page ``docs/export-<name>.md`` and its
tests; ``tests/export/test_formats.py`` fails while a part is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

from kb.export.errors import UnknownFormat
from kb.export.model import Context, Loss, Rendered, TrialRecord
from kb.store import Store


class Described(Protocol):
    """What every format says of itself."""

    name: str
    version: str
    title: str
    reader: str
    """Who reads it."""
    suffix: str
    """Of the file, with its dot; empty where the format is a folder of files."""
    extra: str | None
    """The optional dependency that WRITING needs (``pip install 'trialkb[extra]'``), or None."""


@runtime_checkable
class TrialFormat(Described, Protocol):
    """A format that holds one trial after another; each trial can be written anew by itself."""

    joins: bool
    """Whether one file may hold many trials (the head once, then each trial's text)."""

    def head(self, context: Context) -> str:
        """What comes before the first trial of a file; may be empty."""

    def render(self, record: TrialRecord, context: Context) -> Rendered:
        """One trial, and one loss line for each of its criteria. Pure: same input, same text."""

    def validate(self, text: str) -> list[str]:
        """What is wrong with a text of this format (head and trials); empty where nothing is."""


@runtime_checkable
class SetFormat(Described, Protocol):
    """A format of the whole selection: a graph, a set of tables."""

    def write(self, store: Store, versions: Sequence[int], folder: Path, context: Context) -> list[str]:
        """Write these trial versions into an empty folder; return the names of the files, sorted.

        Raises MissingExtra where a package is not installed, BadOption where the selection is too large.
        """

    def state(self, store: Store, versions: Sequence[int]) -> str:
        """A digest of what its files hold beyond the selected trials' records; "" where that is nothing."""

    def losses(self, record: TrialRecord, context: Context) -> Iterable[Loss]:
        """One loss line for each criterion of a trial."""

    def validate_folder(self, folder: Path) -> list[str]:
        """What is wrong with the files of an export; empty where nothing is."""


Format = TrialFormat | SetFormat

# name -> module and class. Modules are loaded on use, so that a listing stays quick.
_FORMATS: dict[str, str] = {
    "jsonl": "kb.export.canonical:Canonical",
    "csv": "kb.export.flat:Flat",
    "circe": "kb.export.circe:Circe",
    "fhir": "kb.export.fhir:Fhir",
    "fhir-group": "kb.export.fhir_group:FhirGroup",
    "kgx": "kb.export.graph_files:Kgx",
    "graphml": "kb.export.graph_files:GraphMl",
    "neo4j": "kb.export.graph_files:Neo4j",
    "parquet": "kb.export.parquet:Parquet",
}


def names() -> tuple[str, ...]:
    """The registered formats, in the order of the registry."""
    return tuple(_FORMATS)


def load(name: str) -> Format:
    """The format of that name. Raises UnknownFormat."""
    target = _FORMATS.get(name)
    if target is None:
        raise UnknownFormat(f"unknown export format {name!r}; the formats are: {', '.join(_FORMATS)}")
    module, attribute = target.split(":")
    made: Format = getattr(import_module(module), attribute)()
    return made
