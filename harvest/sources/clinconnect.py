"""ClinConnect (clinconnect.io): pages for people, read by their visible headings and the order of the text.

Only the text of six pages was ever seen, never the site's HTML. So the page is read as a sequence of text
lines, no class names and no tag names are relied on, and every word that the reading hangs on is a constant
below, with the line it must match. A page without one of the headings that must be there is an
UnexpectedShape, which keeps the raw page.

The registry is the better source: a ClinConnect page is a dated copy. Its summary is machine-written and is
never evidence for a threshold, so it is not part of ``eligibility_text``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bs4 import BeautifulSoup
from bs4.element import NavigableString

from harvest import codes
from harvest.canonical import encode, sha256
from harvest.errors import RecordNotFound, RegistryError, UnexpectedShape
from harvest.http import Answer, Client
from harvest.model import RawRecord, Sponsor, Trial
from harvest.page_text import Line, visible_lines
from harvest.redact import MAIL_ADDRESS, REMOVED
from harvest.sources.base import Prepared
from harvest.sources.ctgov_record import utc_now
from harvest.trial_id import is_synthetic, nct_id

NAME = "clinconnect"
DEFAULT_URL = "https://clinconnect.io"
PUBLIC_URL = "https://clinconnect.io/trials/{id}"
# Several seconds between pages: one page every five seconds, over one connection.
PACE = 0.2

# "Search / Trial NCT06886919"
CRUMB = re.compile(r"Search\s*/\s*Trial\s+(NCT[0-9]{8})", re.IGNORECASE)
# "Launched by BEIJING IMMUNOCHINA MEDICAL SCIENCE & TECHNOLOGY CO., LTD. · Mar 14, 2025"
LAUNCHED = re.compile(r"Launched by\s+(?P<sponsor>.+?)\s*[·•|]\s*(?P<date>[A-Z][a-z]{2,8}\.? \d{1,2}, \d{4})")
# "Current as of July 27, 2025"
CURRENT = re.compile(r"Current as of\s+(?P<date>[A-Z][a-z]{2,8}\.? \d{1,2}, \d{4})")
# Headings, in the order of the page. The ones in MUST_HAVE are what makes it a trial page.
INFORMATION = "Trial Information"
KEYWORDS = "Keywords"
SUMMARY = "ClinConnect Summary"
GENDER = "Gender"
ELIGIBILITY = "Eligibility criteria"
ABOUT = re.compile(r"About\s+(?P<sponsor>.+)")  # "About Beijing Immunochina ... Co., Ltd."
LOCATIONS = "Locations"
APPLIED = "Patients applied"
OFFICIALS = "Trial Officials"
TIMELINE = "Timeline"
MUST_HAVE = (INFORMATION, ELIGIBILITY)
HEADINGS = (INFORMATION, KEYWORDS, SUMMARY, GENDER, ELIGIBILITY, LOCATIONS, APPLIED, OFFICIALS, TIMELINE)

# Bounds on what a page may cost to read; the largest record text of the registry is 19,020 characters.
MAX_PAGE_BYTES = 4 * 1024 * 1024
MAX_TAGS = 20_000
BULLET = "• "


@dataclass(frozen=True, slots=True)
class _Page:
    soup: BeautifulSoup
    lines: tuple[Line, ...]

    def section(self, heading: str) -> tuple[Line, ...]:
        """The lines under a heading, up to the next heading; empty where the heading is not there."""
        start = self._find(heading)
        if start is None:
            return ()
        end = start + 1
        while end < len(self.lines) and not is_heading(self.lines[end].text):
            end += 1
        return self.lines[start + 1 : end]

    def _find(self, heading: str) -> int | None:
        return next((i for i, line in enumerate(self.lines) if same_words(line.text, heading)), None)

    def has(self, heading: str) -> bool:
        """Whether the heading stands in a line of its own."""
        return self._find(heading) is not None


def same_words(text: str, heading: str) -> bool:
    """Whether a line is that heading, whatever its case, spaces and closing colon."""
    return " ".join(text.split()).rstrip(":").casefold() == heading.casefold()


def is_heading(text: str) -> bool:
    """Whether a line is one of the page's headings, so that a section ends before it."""
    return any(same_words(text, heading) for heading in HEADINGS) or (
        # "About ..." also opens sentences; the heading is short and does not end like a sentence.
        ABOUT.fullmatch(text) is not None and len(text) < 150 and "\n" not in text
    )


def read_page(body: bytes, where: str) -> _Page:
    """The lines of a page as a reader sees them. Raises UnexpectedShape for what is too large or no HTML."""
    if len(body) > MAX_PAGE_BYTES:
        raise UnexpectedShape(f"{where}: {len(body)} bytes, too large for a trial page", b"", where)
    if body.count(b"<") > MAX_TAGS:
        raise UnexpectedShape(f"{where}: {body.count(b'<')} tags, too many for a trial page", body, where)
    soup = BeautifulSoup(body, "html.parser")
    try:
        return _Page(soup, tuple(visible_lines(soup)))
    except RecursionError as error:
        raise UnexpectedShape(f"{where}: HTML nested too deeply", body, where, "text/html") from error


def parse_page(body: bytes, where: str, identifier: str | None = None) -> Trial:
    """A page -> Trial, with the criteria as bulleted lines in ``eligibility_text``.

    ``identifier`` is the id that was asked for; a page about another one is an error. Raises
    UnexpectedShape, with the raw page.
    """
    page = read_page(body, where)
    return _trial(page, body, where, identifier)


def _trial(page: _Page, body: bytes, where: str, identifier: str | None) -> Trial:
    def unexpected(what: str) -> UnexpectedShape:
        return UnexpectedShape(
            f"{where}: {what}; not a ClinConnect trial page, or its layout changed (the page is kept)",
            body, where, "text/html",
        )  # fmt: skip

    for heading in MUST_HAVE:
        if not page.has(heading):
            raise unexpected(f"no heading {heading!r}")
    crumb = next((i for i, line in enumerate(page.lines) if CRUMB.search(line.text)), None)
    if crumb is None:
        raise unexpected("no line 'Search / Trial NCT...'")
    match = CRUMB.search(page.lines[crumb].text)
    found = nct_id(match.group(1)) if match else ""
    if identifier is not None and found != identifier:
        raise unexpected(f"a page about {found}, not about {identifier}")
    title, launched = _title(page, crumb)
    if not title:
        raise unexpected("no title between 'Search / Trial' and 'Launched by'")
    criteria = page.section(ELIGIBILITY)
    if not criteria:
        raise unexpected("nothing under 'Eligibility criteria'")
    status, unknown = _status(page)
    sex, known_sex = _first_code("sex", page.section(GENDER))
    keywords = tuple(line.text for line in page.section(KEYWORDS))
    sponsor = Sponsor(launched.group("sponsor")) if launched else None
    eligibility = "\n".join(BULLET + line.text if line.is_item else line.text for line in criteria)
    if not known_sex and sex is not None:
        unknown = (*unknown, f"sex:{sex}")
    fields = {
        "id": found, "title": title, "status": status, "sex": sex, "keywords": list(keywords),
        "sponsor": sponsor.name if sponsor else None, "eligibility": eligibility,
    }  # fmt: skip
    return Trial(
        source=NAME,
        source_id=found,
        url=PUBLIC_URL.format(id=found),
        version=sha256(encode(fields)),
        title=title,
        eligibility_text=eligibility,
        status=status,
        keywords=keywords,
        sponsors=(sponsor,) if sponsor else (),
        sex=sex,
        first_posted=_iso(launched.group("date")) if launched else None,
        last_update_posted=_current_as_of(page),
        brief_summary="\n".join(line.text for line in page.section(SUMMARY)) or None,
        synthetic=is_synthetic(found),
        unknown_tokens=unknown,
    )


def _title(page: _Page, crumb: int) -> tuple[str, re.Match[str] | None]:
    """The lines between the crumb and "Launched by", and the match of that."""
    for index in range(crumb + 1, len(page.lines)):
        launched = LAUNCHED.search(page.lines[index].text)
        if launched or is_heading(page.lines[index].text):
            return " ".join(line.text for line in page.lines[crumb + 1 : index]), launched
    return "", None


def _current_as_of(page: _Page) -> str | None:
    match = next((m for line in page.lines if (m := CURRENT.search(line.text))), None)
    return _iso(match.group("date")) if match else None


def _status(page: _Page) -> tuple[str | None, tuple[str, ...]]:
    """The first line of the information that is a known status; else what follows "Current as of"."""
    lines = [line.text for line in page.section(INFORMATION) if not CURRENT.search(line.text)]
    for text in lines:
        token, known = codes.canonical("status", text)
        if known:
            return token, ()
    return (lines[0], (f"status:{lines[0]}",)) if lines else (None, ())


def _first_code(field_name: str, lines: tuple[Line, ...]) -> tuple[str | None, bool]:
    return codes.canonical(field_name, lines[0].text) if lines else (None, False)


def _iso(text: str) -> str | None:
    """ "Mar 14, 2025" or "July 27, 2025" -> 2025-03-14; None for what is no date."""
    cleaned = text.replace(".", "")
    for pattern in ("%b %d, %Y", "%B %d, %Y"):
        try:
            return datetime.strptime(cleaned, pattern).date().isoformat()
        except ValueError:
            continue
    return None


def redact_page(page: _Page) -> tuple[str, ...]:
    """Take the named officials, and mail and telephone links, out of a page, in place; what was removed."""
    removed: set[str] = set()
    for line in page.section(OFFICIALS):
        removed.add("trial officials")
        for node in line.nodes:
            node.replace_with("")
    for link in page.soup.find_all("a", href=re.compile(r"^\s*(mailto|tel):", re.IGNORECASE)):
        removed.add("contact links")
        link.decompose()
    for text in page.soup.find_all(string=MAIL_ADDRESS):
        removed.add("mail addresses in text")
        text.replace_with(NavigableString(MAIL_ADDRESS.sub(REMOVED, text)))
    return tuple(sorted(removed))


def prepare_page(
    body: bytes,
    *,
    where: str,
    identifier: str | None = None,
    url: str = "",
    fetched_at: str | None = None,
    validators: Mapping[str, str] | None = None,
    keep_contacts: bool = False,
) -> Prepared:
    """A page as it came -> what the archive stores. Raises UnexpectedShape, with the page redacted."""
    page = read_page(body, where)
    removed: tuple[str, ...] = ()
    if not keep_contacts:
        removed = redact_page(page)
        body = str(page.soup).encode("utf-8", "replace")
        page = read_page(body, where)
    trial = _trial(page, body, where, identifier)
    raw = RawRecord(
        source=NAME,
        source_id=trial.source_id,
        url=url or trial.url,
        fetched_at=fetched_at or utc_now(),
        sha256=sha256(body),
        media_type="text/html; charset=utf-8",
        body=body,
        data_timestamp=trial.last_update_posted,
        redacted=removed,
    )
    rest = sha256("\n".join(line.text for line in page.lines).encode("utf-8", "replace"))
    return Prepared(
        raw,
        trial.version,
        rest,
        trial.last_update_posted,
        trial.aliases,
        lambda: trial,
        dict(validators or {}),
    )


def parse(raw: RawRecord) -> Trial:
    """The trial on an archived page. Raises UnexpectedShape."""
    return parse_page(raw.body, f"{raw.source} {raw.source_id}", raw.source_id)


@dataclass
class ClinConnect:
    """ClinConnect behind ``base_url``. Give it a client with :data:`PACE`."""

    client: Client
    base_url: str = DEFAULT_URL
    name: str = field(default=NAME, init=False)

    def data_version(self) -> str | None:
        """None: each page has a date of its own, the site has none."""
        return None

    def fetch(self, identifier: str) -> Prepared:
        """One page. Raises InvalidTrialId, RecordNotFound, UnexpectedShape, RegistryError."""
        prepared = self.fetch_if_changed(identifier, {})
        if prepared is None:
            raise RegistryError(f"{self.base_url}: 304 to a request without a condition")
        return prepared

    def fetch_if_changed(
        self, identifier: str, validators: Mapping[str, str], *, keep_contacts: bool = False
    ) -> Prepared | None:
        """One page, or None where the host says that it is the one with these validators (304)."""
        identifier = nct_id(identifier)
        conditions = {
            header: validators[key]
            for header, key in (("If-None-Match", "etag"), ("If-Modified-Since", "last-modified"))
            if key in validators
        }
        url = f"{self.base_url.rstrip('/')}/trials/{identifier}"
        answer = self.client.get(url, headers={"Accept": "text/html", **conditions}, obey_robots=True)
        if answer.status == 304:
            return None
        if answer.status in (404, 410):
            raise RecordNotFound(f"{identifier}: ClinConnect has no such page ({answer.url})")
        if answer.status != 200:
            raise RegistryError(f"{answer.url}: unexpected status {answer.status} {answer.text()}")
        return prepare_page(
            answer.body,
            where=answer.url,
            identifier=identifier,
            url=answer.url,
            validators=_validators(answer),
            keep_contacts=keep_contacts,
        )

    def parse(self, raw: RawRecord) -> Trial:
        """See :func:`parse`."""
        return parse(raw)


def _validators(answer: Answer) -> dict[str, str]:
    return {key: answer.headers[key] for key in ("etag", "last-modified") if key in answer.headers}
