"""The embedded registry: a small HTTP server on loopback that answers as the real hosts do.

ClinicalTrials.gov API v2 under ``/api/v2``, its undocumented history under ``/api/int``, ClinConnect pages
under ``/trials``, each from one folder of fixtures or one file of records. It is what the demo runs on and
the double in the tests; :mod:`harvest.registry_query` says what of the query language it knows,
:mod:`harvest.registry_faults` how it can be told to misbehave.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from harvest import bulk
from harvest.canonical import encode
from harvest.errors import UnexpectedShape, UnreadableFile
from harvest.registry_faults import Fault, FaultPlan
from harvest.registry_misbehaviour import misbehave
from harvest.registry_query import AREAS, FIELDS, SEARCHED, BadParameter, test_of, values
from harvest.registry_reply import Reply, json_reply, plain

log = logging.getLogger(__name__)

API_VERSION = "2.0.5"
DEFAULT_PAGE, LARGEST_PAGE = 10, 1000
ROBOTS = "User-agent: *\nDisallow: /api/\nAllow: /api/int/\nAllow: /trials/\nDisallow: /private/\n"
HISTORY = "history"
_ALIASES = ("protocolSection", "identificationModule", "nctIdAliases")
_SEEN_PATHS = (
    frozenset(path for paths in SEARCHED.values() for path in paths) | frozenset(AREAS.values()) | {_ALIASES}
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One record: its bytes as served, and a view with the parts that can be searched."""

    nct_id: str
    aliases: tuple[str, ...]
    body: bytes
    view: dict[str, Any]


@dataclass
class Holdings:
    """What the registry holds, and the time of its data. All may be changed while it runs."""

    entries: dict[str, Entry] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    pages: dict[str, bytes] = field(default_factory=dict)
    histories: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    data_timestamp: str = ""

    def put(self, record: dict[str, Any]) -> None:
        """Add or replace a record. Raises UnexpectedShape where it has no id."""
        found = next(values(record, *AREAS["NCTId"]), None)
        if found is None:
            raise UnexpectedShape("a record without protocolSection.identificationModule.nctId")
        aliases = tuple(values(record, *_ALIASES))
        self.entries[found] = Entry(found, aliases, encode(record), _view(record))
        self.aliases.update(dict.fromkeys(aliases, found))

    def remove(self, nct_id: str) -> None:
        """Take a record out, as if the registry no longer had it."""
        entry = self.entries.pop(nct_id)
        for alias in entry.aliases:
            self.aliases.pop(alias, None)

    def newest_update(self) -> str:
        """The latest update among the records, as a data timestamp: the same for the same fixtures."""
        days = [
            day for entry in self.entries.values() for day in values(entry.view, *AREAS["LastUpdatePostDate"])
        ]
        return f"{max(days, default='2000-01-01')}T09:00:00"


def _view(record: dict[str, Any]) -> dict[str, Any]:
    """The parts of a record that can be searched."""
    view: dict[str, Any] = {}
    for section, module, *_ in _SEEN_PATHS:
        content = record.get(section, {}).get(module)
        if content is not None:
            view.setdefault(section, {})[module] = content
    return view


def load(path: Path) -> Holdings:
    """The holdings of a fixtures folder (``ctgov/``, ``clinconnect/``, ``history/``) or a file of records.

    Raises UnreadableFile, UnexpectedShape.
    """
    holdings = Holdings()
    if path.is_dir():
        for each in sorted((path / "clinconnect").glob("*.html")):
            holdings.pages[each.stem] = each.read_bytes()
        for each in sorted((path / HISTORY).glob("*.json")):
            holdings.histories[each.stem] = json.loads(each.read_text("utf-8"))
        path = path / "ctgov" if (path / "ctgov").is_dir() else path
    for piece in bulk.pieces(path):
        if not piece.is_html:
            for _, record in bulk.records(piece):
                holdings.put(record)
    if not holdings.entries:
        raise UnreadableFile(f"{path}: no record in it")
    holdings.data_timestamp = holdings.newest_update()
    return holdings


class Registry:
    """Answers requests from holdings; knows nothing of sockets."""

    def __init__(self, holdings: Holdings, plan: FaultPlan | None = None) -> None:
        self.holdings = holdings
        self.plan = plan or FaultPlan()
        self.requests: list[str] = []

    def reply(self, path: str, query: str, headers: Mapping[str, str]) -> Reply:
        """The answer to a GET."""
        parts = [part for part in path.split("/") if part]
        match parts:
            case ["robots.txt"]:
                return plain(200, ROBOTS)
            case ["api", "v2", "version"]:
                return json_reply({"apiVersion": API_VERSION, "dataTimestamp": self.holdings.data_timestamp})
            case ["api", "v2", "studies"]:
                return self._search(dict(parse_qsl(query, keep_blank_values=True)))
            case ["api", "v2", "studies", identifier]:
                return self._study(identifier)
            case ["api", "int", "studies", identifier, "history", *number]:
                return self._history(identifier, number)
            case ["trials", identifier]:
                return self._page(identifier, headers)
        return Reply(404, "text/html", b"<html><body><h1>404 Not Found</h1></body></html>")

    def _study(self, identifier: str) -> Reply:
        if not (
            identifier[:3].upper() == "NCT" and identifier[3:].isdigit() and 0 < int(identifier[3:]) < 10**8
        ):
            return plain(400, f"Invalid value in parameter `nctId`: `{identifier}` has incorrect format")
        canonical = f"NCT{int(identifier[3:]):08d}"
        if canonical in self.holdings.aliases:
            target = self.holdings.aliases[canonical]
            return Reply(301, "text/plain", b"", {"Location": f"/api/v2/studies/{target}"})
        entry = self.holdings.entries.get(canonical)
        if entry is None:
            return plain(404, f"NCT number {canonical} not found")
        return Reply(200, "application/json", entry.body)

    def _search(self, params: dict[str, str]) -> Reply:
        token = params.pop("pageToken", "")
        try:
            size = int(params.get("pageSize") or DEFAULT_PAGE) or DEFAULT_PAGE
            fields = [each for each in params.get("fields", "").replace("|", ",").split(",") if each]
            for each in fields:
                if each not in FIELDS:
                    raise BadParameter(f"Parameter `fields` contains invalid field name: '{each}'")
            start = self._offset(token, params)
            test = test_of(params)
        except BadParameter as error:
            return plain(400, str(error))
        except ValueError:
            return plain(400, f"Invalid value in parameter `pageSize`: `{params['pageSize']}`")
        size = min(size, LARGEST_PAGE)
        found = [entry for entry in list(self.holdings.entries.values()) if test(entry.view)]
        chosen = found[start : start + size]
        bodies = [_only(entry, fields) if fields else entry.body for entry in chosen]
        page = b'{"studies":[' + b",".join(bodies) + b"]"
        if not token and params.get("countTotal") == "true":
            page += b',"totalCount":%d' % len(found)
        if start + size < len(found):
            page += b',"nextPageToken":' + encode(self._token(start + size, params))
        return Reply(200, "application/json", page + b"}")

    def empty_page(self, params: dict[str, str]) -> Reply:
        """A page without records, whose token leads to the records that were due on it."""
        offset = self._offset(params.pop("pageToken", ""), params)
        return json_reply({"studies": [], "nextPageToken": self._token(offset, params)})

    def _token(self, offset: int, params: Mapping[str, str]) -> str:
        """A token that holds for this query and this data only, as the real ones are reported to."""
        return (
            base64.urlsafe_b64encode(f"{offset}:{self._seal(offset, params)}".encode()).decode().rstrip("=")
        )

    def _seal(self, offset: int, params: Mapping[str, str]) -> str:
        kept = {
            key: params[key] for key in sorted(params) if key not in ("countTotal", "pageSize", "pageToken")
        }
        text = f"{offset} {kept} {self.holdings.data_timestamp}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _offset(self, token: str, params: Mapping[str, str]) -> int:
        if not token:
            return 0
        try:
            padded = token + "=" * (-len(token) % 4)
            offset, _, seal = base64.urlsafe_b64decode(padded).decode().partition(":")
            if seal == self._seal(int(offset), params):
                return int(offset)
        except ValueError:
            pass
        raise BadParameter(f"Invalid value in parameter `pageToken`: `{token}`")

    def _history(self, identifier: str, number: list[str]) -> Reply:
        versions = self.holdings.histories.get(identifier)
        if versions is None:
            return plain(404, f"NCT number {identifier} not found")
        if not number:
            changes = [
                {"version": n, "date": each["date"], "moduleLabels": each["moduleLabels"]}
                for n, each in enumerate(versions)
            ]
            return json_reply({"changes": changes})
        if len(number) > 1 or not number[0].isdigit() or int(number[0]) >= len(versions):
            return plain(404, "no such version")
        return json_reply({"studyVersion": int(number[0]), "study": versions[int(number[0])]["study"]})

    def _page(self, identifier: str, headers: Mapping[str, str]) -> Reply:
        body = self.holdings.pages.get(identifier)
        if body is None:
            return Reply(404, "text/html", b"<html><body><h1>Not found</h1></body></html>")
        etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        if headers.get("if-none-match") == etag:
            return Reply(304, "text/html", b"", {"ETag": etag})
        return Reply(200, "text/html; charset=utf-8", body, {"ETag": etag})


def _only(entry: Entry, fields: list[str]) -> bytes:
    """The record with nothing but these pieces."""
    small: dict[str, Any] = {}
    for name in fields:
        *parents, last = FIELDS[name]
        found = next(values(entry.view, *FIELDS[name]), None)
        if found is not None:
            place = small
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = found
    return encode(small)


# ------------------------------------------------------------------- server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "trialkb-local-registry"
    registry: Registry

    def do_GET(self) -> None:
        """Answer one request, through the fault plan."""
        parts = urlsplit(self.path)
        self.registry.requests.append(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.registry.plan.strike(parts.path, parts.query)
        reply = self.registry.reply(parts.path, parts.query, headers)
        try:
            if fault is not None:
                reply = misbehave(reply, fault, self.registry, parts.query)
            self._send(reply, fault)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _send(self, reply: Reply, fault: Fault | None) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.media_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if fault is not None and fault.kind == "cut_connection":
            self.wfile.write(reply.body[: len(reply.body) // 2])
            raise ConnectionAbortedError
        if fault is not None and fault.trickle:
            for start in range(0, len(reply.body), 1024):
                self.wfile.write(reply.body[start : start + 1024])
                self.wfile.flush()
                time.sleep(fault.trickle)
            return
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests go to the log, not to stderr."""
        log.debug(format, *args)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away (or was killed, in the tests) is a line in the log."""
        log.info("request of %s failed", client_address, exc_info=True)


class LocalRegistry:
    """A running registry on 127.0.0.1; a context manager. ``url`` is its address."""

    def __init__(self, holdings: Holdings, *, plan: FaultPlan | None = None, port: int = 0) -> None:
        self.registry = Registry(holdings, plan)
        handler = type("Handler", (_Handler,), {"registry": self.registry})
        self._server = _Server(("127.0.0.1", port), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def serve(self) -> None:
        """Answer in this thread until interrupted."""
        self._server.serve_forever()

    def __enter__(self) -> LocalRegistry:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
