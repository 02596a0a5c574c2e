"""What every test has: the fixtures folder, ../shared where it is at hand, and a guard round the network."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import cli
from harvest.http import Politeness
from harvest.local_registry import LocalRegistry, load

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


@dataclass(frozen=True)
class Run:
    """What a command left: its exit code and its two streams."""

    code: int
    out: str
    err: str


RunCli = Callable[..., Run]


@pytest.fixture
def run_cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> RunCli:
    """Run ``trialkb`` in this process: ``run_cli("show", "NCT06886919", "--db", path)``."""
    monkeypatch.setenv("TRIALKB_PACE", "0")
    # As patient as ever, but without the seconds between the tries.
    monkeypatch.setattr(
        "commands.harvesting.Politeness", partial(Politeness, backoff=0.01, blocked_pause=0.01)
    )

    def run(*words: object) -> Run:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        return Run(int(left.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def registry_url(fixtures: Path) -> Iterator[str]:
    """The address of the embedded registry over the project's fixtures; nothing may change what it holds."""
    with LocalRegistry(load(fixtures)) as server:
        yield server.url


@pytest.fixture(scope="session")
def fixture_kb(tmp_path_factory: pytest.TempPathFactory, registry_url: str) -> Path:
    """A knowledge base of all fixtures, made by ``trialkb refresh`` once; copy it (and its archive) to write."""
    db = tmp_path_factory.mktemp("fixture_kb") / "trialkb.db"
    urls = ("--ctgov-url", registry_url, "--clinconnect-url", registry_url, "--pace", "0", "--db", str(db))
    pages = ("NCT06886919", "NCT99000007", "NCT99000009")
    for words in (("refresh", "--all", *urls), ("refresh", "--source", "clinconnect", *pages, *urls)):
        with pytest.raises(SystemExit) as left:
            cli.main(list(words))
        assert left.value.code == 0
    return db


@pytest.fixture
def own_kb(fixture_kb: Path, tmp_path: Path) -> Path:
    """A copy of :func:`fixture_kb` that a test may change."""
    for path in fixture_kb.parent.iterdir():
        if path.suffix in (".db", ".sqlite"):
            shutil.copy(path, tmp_path / path.name)
    return tmp_path / fixture_kb.name
