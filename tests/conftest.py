"""What every test has: the fixtures folder, ../shared where it is at hand, and a guard round the network."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


class OutsideContact(RuntimeError):
    """A test tried to speak to another machine: the embedded registry on loopback is the only host."""


def _stays_inside(host: object) -> bool:
    if host in ("", "localhost", None):
        return True
    try:
        return ipaddress.ip_address(str(host).split("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[None]:
    """Refuse every connection and every name look-up that would leave this machine."""
    guard = pytest.MonkeyPatch()
    connect, connect_ex, look_up = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def checked(call: Callable[..., Any]) -> Callable[..., Any]:
        def inner(self: socket.socket, address: Any, /) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _stays_inside(address[0]):
                raise OutsideContact(f"connection to {address}")
            return call(self, address)

        return inner

    def checked_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _stays_inside(host.decode() if isinstance(host, bytes) else host):
            # The error of a machine without a network, so that a test may show what a user there sees.
            raise socket.gaierror(socket.EAI_NONAME, f"look-up of {host!r} in a test")
        return look_up(host, *args, **kwargs)

    guard.setattr(socket.socket, "connect", checked(connect))
    guard.setattr(socket.socket, "connect_ex", checked(connect_ex))
    guard.setattr(socket, "getaddrinfo", checked_look_up)
    yield
    guard.undo()


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The project's own fixtures."""
    return ROOT / "fixtures"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The developers' shared folder; a test that asks for it is skipped where it is missing."""
    path = Path(os.environ.get("TRIALKB_SHARED") or ROOT.parent / "shared")
    if not path.is_dir():
        pytest.skip(f"needs the shared folder ({path} is missing; TRIALKB_SHARED names another)")
    return path
