"""What a fault makes of the embedded registry's right answer."""

from __future__ import annotations

import json
import time
import zlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from harvest.canonical import encode
from harvest.registry_faults import Fault
from harvest.registry_query import AREAS, values
from harvest.registry_reply import Reply, plain

if TYPE_CHECKING:
    from harvest.local_registry import Registry


def misbehave(reply: Reply, fault: Fault, registry: Registry, query: str) -> Reply:
    """The reply as a fault turns it. Raises ConnectionAbortedError where the connection is to be dropped."""
    match fault.kind:
        case "drop":
            raise ConnectionAbortedError
        case "status":
            extra = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
            return Reply(fault.status, "text/plain", fault.body.encode(), extra)
        case "html":
            return Reply(200, "text/html", b"<!doctype html><html><body>Down for maintenance</body></html>")
        case "invalid_json":
            return Reply(200, "application/json", b'{"studies": [}')
        case "truncated_json":
            return Reply(200, "application/json", reply.body[: len(reply.body) // 2])
        case "wrong_encoding":
            return Reply(200, "application/json", reply.body.decode().encode("utf-16"))
        case "stale_token":
            return plain(400, "Invalid value in parameter `pageToken`")
        case "data_moves":
            moved = int(registry.holdings.data_timestamp[-2:]) + 1
            registry.holdings.data_timestamp = f"{registry.holdings.data_timestamp[:-2]}{moved:02d}"
            return reply
        case "gzip_bomb":
            packer = zlib.compressobj(9, wbits=31)
            zeros = b"\0" * (1 << 20)
            pieces = [packer.compress(zeros) for _ in range(max(1, fault.size >> 20))]
            return Reply(
                200, "application/json", b"".join(pieces) + packer.flush(), {"Content-Encoding": "gzip"}
            )
        case "redirect":
            return Reply(302, "text/plain", b"", {"Location": fault.location})
        case "slow":
            time.sleep(fault.seconds)
            return reply
        case "empty_page":
            return registry.empty_page(dict(parse_qsl(query, keep_blank_values=True)))
        case "cut_connection":
            return reply
    return _misbehaving_page(reply, fault)


def _misbehaving_page(reply: Reply, fault: Fault) -> Reply:
    """Faults of a page of records: the reply must be one."""
    page = json.loads(reply.body)
    studies = page["studies"]
    match fault.kind:
        case "duplicate":
            page["studies"] = [each for each in studies for _ in range(2)]
        case "reverse":
            page["studies"] = studies[::-1]
        case "drop_record":
            page["studies"] = [each for each in studies if fault.id not in values(each, *AREAS["NCTId"])]
        case "not_a_trial":
            page["studies"] = [*studies, {"protocolSection": {"statusModule": {}}}]
    return Reply(reply.status, reply.media_type, encode(page))
