"""The errors of this room.

NlpError
└── VocabularyError   a file of nlp/data, or a user's extension of it, is not as it must be
"""

from __future__ import annotations


class NlpError(Exception):
    """Base of every error that reading a text or its vocabulary raises on purpose."""


class VocabularyError(NlpError):
    """A vocabulary file is wrong; the message names file, line and key."""
