"""Errors of the export room.

ExportError
├── UnknownFormat        no format of that name
├── BadOption            an option that this format cannot follow
├── NothingToExport      the selection holds no trial
├── CannotWrite          the target cannot be written, or is not ours to overwrite
├── MissingExtra         the format needs a package that is not installed
└── NotCanonical         a file that is not a canonical export of a version we read
"""

from __future__ import annotations

from kb.errors import KbError


class ExportError(KbError):
    """Base of all errors of an export; its text is one line: what, where, what to do."""


class UnknownFormat(ExportError):
    """No format of that name is registered."""


class BadOption(ExportError):
    """An option has a value that the format cannot follow."""


class NothingToExport(ExportError):
    """The selection holds no trial."""


class CannotWrite(ExportError):
    """The target cannot be written, or holds something that this export did not write."""


class MissingExtra(ExportError):
    """The format needs a package that is not installed; the text names the extra."""


class NotCanonical(ExportError):
    """A line is not part of a canonical export of a version that this code reads."""
