"""What the embedded registry answers to one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harvest.canonical import encode


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, media type, body, further headers."""

    status: int
    media_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def plain(status: int, text: str) -> Reply:
    """A text: what the real registry gives with an error."""
    return Reply(status, "text/plain", text.encode())


def json_reply(value: object) -> Reply:
    """A JSON document with status 200."""
    return Reply(200, "application/json", encode(value))
