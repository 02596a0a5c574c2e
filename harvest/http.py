"""The one way to a registry: honest, paced, bounded, patient. The only importer of requests.

What a caller can rely on:

* every request says who we are (product, version, the operator's contact), never a browser's name;
* at most ``pace`` requests a second to one host (requests-ratelimiter), and robots.txt obeyed (protego)
  where the caller asks for a page meant for people;
* TLS is verified; a redirect is followed only to a configured host, never from https to http;
* a response has at most ``max_bytes`` after decompression and ``deadline`` seconds from first to last byte;
* 429, 5xx and dropped connections are tried again with growing, jittered, capped pauses (urllib3's Retry
  holds the arithmetic), Retry-After honoured up to a cap; 403 is slowed down for once, then final; any
  other 4xx is final at once.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from protego import Protego
from requests_ratelimiter import LimiterSession
from urllib3 import Retry
from urllib3.exceptions import HTTPError as TransportError

from harvest.errors import (
    BadInput,
    Blocked,
    ForeignRedirect,
    RegistryError,
    ResponseTooLarge,
    RobotsDisallow,
    ServerFailed,
    Unreachable,
)
from harvest.fault_points import reach

log = logging.getLogger(__name__)

RETRY_STATUSES = frozenset({429, 500, 502, 503, 504})
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
MAX_REDIRECTS = 5
# Bytes of an error body that are kept for the message: the registry's 400 texts are one line.
ERROR_BODY_BYTES = 4096


def user_agent(contact: str | None = None) -> str:
    """``trialkb/1.2.3 (contact)``: product, version, and the operator's mail or URL where given; never the
    name of a browser. The project has no page of its own that could be named.

    Raises BadInput for a contact that fits into no header.
    """
    if contact is not None and not (contact.isascii() and contact.isprintable()):
        raise BadInput(f"--contact {contact!r}: plain ASCII letters on one line, a mail address or a URL")
    try:
        product = f"trialkb/{version('trialkb')}"
    except PackageNotFoundError:
        product = "trialkb"
    return f"{product} ({contact})" if contact else product


@dataclass(frozen=True, slots=True)
class Politeness:
    """Pace, patience and limits. Seconds and bytes throughout.

    ``pace``: requests a second to one host, 0 = no limit; 1 is what ClinicalTrials.gov's robots.txt asks
    for (Crawl-delay: 1). ``retry_after_cap``: no wait asked for by a host is longer than this.
    """

    pace: float = 1.0
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    deadline: float = 300.0
    max_bytes: int = 256 * 1024 * 1024
    tries: int = 5
    backoff: float = 1.0
    backoff_cap: float = 60.0
    retry_after_cap: float = 300.0
    blocked_pause: float = 30.0
    contact: str | None = None

    def retry(self) -> Retry:
        """A fresh count of tries with this patience."""
        return Retry(
            total=self.tries - 1,
            status_forcelist=RETRY_STATUSES,
            backoff_factor=self.backoff,
            backoff_max=self.backoff_cap,
            backoff_jitter=self.backoff / 2,
            raise_on_status=False,
            retry_after_max=int(self.retry_after_cap),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that was read to its end. ``url`` is where it came from after redirects."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes
    redirected_from: tuple[str, ...] = ()

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case; empty where none was given."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    def text(self) -> str:
        """The body as text on one line, for messages; never fails, at most 300 characters."""
        return " ".join(self.body[:ERROR_BODY_BYTES].decode("utf-8", "replace").split())[:300]


class _TryAgain(Exception):
    """A failure that may pass: why, and the Retry-After seconds that came with it."""

    def __init__(self, why: str, final: RegistryError, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.final = final
        self.retry_after = retry_after


@dataclass
class Client:
    """Gets pages from the configured origins, e.g. ``Client(("https://clinicaltrials.gov",))``.

    ``sleep`` is what waits between tries (tests hand in their own). Use as a context manager, or close.
    """

    origins: Iterable[str]
    politeness: Politeness = field(default_factory=Politeness)
    sleep: Callable[[float], None] = time.sleep
    requests_sent: int = 0

    def __post_init__(self) -> None:
        self._origins = frozenset(_origin(urlsplit(origin)) for origin in self.origins)
        self._session: requests.Session = (
            # burst stretches the window to the time of one request: an even pace, not so many at once.
            LimiterSession(per_second=self.politeness.pace, burst=1 / self.politeness.pace, limit_statuses=())
            if self.politeness.pace > 0
            else requests.Session()
        )
        self._session.headers.update(
            {"User-Agent": user_agent(self.politeness.contact), "Accept-Encoding": "gzip, deflate"}
        )
        self._robots: dict[str, Protego] = {}
        self._last_page: dict[str, float] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close connections and the pace keeper's thread."""
        self._session.close()

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        obey_robots: bool = False,
        check: Callable[[Answer], None] | None = None,
    ) -> Answer:
        """The answer to a GET; 2xx, 304 and final 4xx are returned, the caller reads their meaning.

        ``check`` may raise :class:`harvest.errors.BrokenAnswer` for a 2xx whose body is broken: that is
        tried again like a 5xx. Raises Unreachable, ServerFailed, Blocked, BrokenAnswer, ResponseTooLarge,
        ForeignRedirect, RobotsDisallow.
        """
        full_url = requests.Request("GET", url, params=params).prepare().url or url
        self._require_configured(full_url, full_url)
        if obey_robots:
            self._require_allowed(full_url)
            self._wait_for_crawl_delay(full_url)
        retry = self.politeness.retry()
        blocked_before = False
        while True:
            try:
                answer = self._follow(full_url, headers or {}, check)
                if answer.status != 403:
                    return answer
                failure = _TryAgain(f"403 {answer.text()}", _blocked(full_url, answer))
                if blocked_before:
                    raise failure.final
                blocked_before, pause = True, self.politeness.blocked_pause
            except _TryAgain as error:
                failure = error
                if retry.total is None or retry.total <= 0:
                    raise failure.final from error
                retry = retry.increment("GET", full_url, error=TransportError(str(error)))
                # Retry waits not at all before the second try; a registry that just failed needs a moment.
                pause = max(retry.get_backoff_time(), self.politeness.backoff * random.uniform(0.5, 1.5))
                if error.retry_after is not None:
                    pause = max(pause, min(error.retry_after, self.politeness.retry_after_cap))
            log.warning(
                "trying again", extra={"url": full_url, "why": str(failure), "pause_seconds": round(pause, 2)}
            )
            self.sleep(pause)

    def _follow(self, url: str, headers: Mapping[str, str], check: Callable[[Answer], None] | None) -> Answer:
        """One try, through its redirects."""
        passed: list[str] = []
        while True:
            answer = self._once(url, headers)
            if answer.status not in REDIRECT_STATUSES:
                break
            passed.append(url)
            if len(passed) > MAX_REDIRECTS:
                raise RegistryError(f"{passed[0]}: more than {MAX_REDIRECTS} redirects; nothing was stored")
            target = urljoin(url, answer.headers.get("location", ""))
            self._require_configured(target, url)
            url = target
        answer = Answer(answer.status, answer.url, answer.headers, answer.body, tuple(passed))
        if answer.status in RETRY_STATUSES:
            why = f"{answer.status} {answer.text()}".strip()
            final = ServerFailed(f"{url}: still {why} after {self.politeness.tries} tries; run again later")
            raise _TryAgain(why, final, _retry_after(answer))
        if check is not None and 200 <= answer.status < 300:
            try:
                check(answer)
            except RegistryError as error:
                raise _TryAgain(str(error), error) from error
        return answer

    def _once(self, url: str, headers: Mapping[str, str]) -> Answer:
        """One request and its whole body, within the limits of size and time."""
        started = time.monotonic()
        self.requests_sent += 1
        reach("network.before_request")
        timeout = (self.politeness.connect_timeout, self.politeness.read_timeout)
        try:
            with self._session.get(
                url, headers=dict(headers), timeout=timeout, stream=True, allow_redirects=False
            ) as response:
                body = self._body(response, started)
                reach("network.after_response")
                plain = {name.lower(): value for name, value in response.headers.items()}
                log.debug(
                    "GET",
                    extra={
                        "url": url,
                        "status": response.status_code,
                        "bytes": len(body),
                        "seconds": round(time.monotonic() - started, 3),
                    },
                )
                return Answer(response.status_code, url, plain, body)
        except requests.exceptions.SSLError as error:
            raise Unreachable(f"{url}: its TLS certificate cannot be verified ({_short(error)})") from error
        except (requests.RequestException, TransportError) as error:
            why = _short(error)
            final = Unreachable(
                f"{url}: {why} after {self.politeness.tries} tries; check the network or the --*-url option"
            )
            raise _TryAgain(why, final) from error

    def _body(self, response: requests.Response, started: float) -> bytes:
        body = bytearray()
        # The stream is decompressed piece by piece, so a bomb is cut off at the limit, not after it.
        # read1 gives what has arrived, so that the clock is looked at however slowly bytes trickle in.
        response.raw.decode_content = True
        while piece := response.raw.read1(64 * 1024):
            body += piece
            reach("network.inside_answer")
            if len(body) > self.politeness.max_bytes:
                raise ResponseTooLarge(
                    f"{response.url}: more than {self.politeness.max_bytes} bytes; nothing of it was stored"
                )
            if time.monotonic() - started > self.politeness.deadline:
                raise requests.exceptions.ReadTimeout(
                    f"not complete after {self.politeness.deadline:g} seconds"
                )
        return bytes(body)

    def _require_configured(self, target: str, source: str) -> None:
        parts = urlsplit(target)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInput(f"{target}: not an http or https address; check the --*-url option")
        same_host_to_https = parts.scheme == "https" and any(
            host == parts.hostname and scheme == "http" and parts.port in (None, 443)
            for scheme, host, _ in self._origins
        )
        if _origin(parts) not in self._origins and not same_host_to_https:
            raise ForeignRedirect(
                f"{source}: redirects to {parts.scheme}://{parts.netloc}, which is not a configured registry"
            )

    def _require_allowed(self, url: str) -> None:
        parts = urlsplit(url)
        root = f"{parts.scheme}://{parts.netloc}"
        if root not in self._robots:
            self._robots[root] = self._read_robots(f"{root}/robots.txt")
        if not self._robots[root].can_fetch(url, user_agent(self.politeness.contact)):
            raise RobotsDisallow(f"{url}: robots.txt of this host forbids the page; it was not fetched")

    def _read_robots(self, url: str) -> Protego:
        """The host's robots.txt, read as RFC 9309 says: none (4xx) allows all, a failing host nothing."""
        try:
            answer = self.get(url)
        except Blocked:
            return Protego.parse("")
        except RegistryError as error:
            raise RobotsDisallow(f"{url}: cannot be read, so no page is fetched ({error})") from error
        return Protego.parse(answer.body.decode("utf-8", "replace") if answer.status == 200 else "")

    def _wait_for_crawl_delay(self, url: str) -> None:
        """Keep the pause between pages that the host's robots.txt asks for, up to a cap."""
        parts = urlsplit(url)
        root = f"{parts.scheme}://{parts.netloc}"
        asked = self._robots[root].crawl_delay(user_agent(self.politeness.contact)) or 0.0
        due = self._last_page.get(root, 0.0) + min(float(asked), self.politeness.backoff_cap)
        if root in self._last_page and (pause := due - time.monotonic()) > 0:
            self.sleep(pause)
        self._last_page[root] = time.monotonic()


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, parts.hostname or "", port


def _blocked(url: str, answer: Answer) -> Blocked:
    return Blocked(
        f"{url}: 403, the host blocks this program ({answer.text()[:120] or 'no reason given'}); wait a day, "
        "lower --pace, or use 'trialkb import' on a downloaded file"
    )


def _retry_after(answer: Answer) -> float | None:
    """Seconds of Retry-After, as a number or as an HTTP date; None where absent or unreadable."""
    value = answer.headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(Retry(0).parse_retry_after(value)))
    except TransportError:
        return None


def _short(error: Exception) -> str:
    """The innermost reason of a transport error, on one line."""
    reason: BaseException = error
    while True:
        inner = getattr(reason, "reason", None) or next(
            (arg for arg in reason.args if isinstance(arg, BaseException)), None
        )
        if not isinstance(inner, BaseException):
            break
        reason = inner
    return " ".join(str(reason).split())[:200] or type(reason).__name__
