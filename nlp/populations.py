"""Populations: which arm, cohort, donor, sex or age group a heading or a line's label restricts its text to.

Three places say it: a section's heading ("Exclusion criteria for donors"), a line that heads others
("Cohort A:", "Pediatric participants (12 to 17 years):") and a label in front of a criterion's own
text ("Arm B: platelets ...", "[Expansion Part] ...", "(Part 1 only)" behind it). The last two are read
by a grammar of the whole label, so that a sentence that happens to hold "parents" or "group" names none.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files
from json import loads

_ID = r"(?:[A-Z]?\d{1,2}[A-Za-z]?|[A-Z]\d{0,2}|[IVX]{1,4}[ab]?)"
_IDS = rf"{_ID}\b(?:\s?(?:,|and|&|or|/|to)\s?{_ID}\b){{0,4}}"
_KINDS = r"(?:sub-?)?cohorts?|arms?|groups?|parts?|phases?|sub[- ]?stud(?:y|ies)|strat(?:um|a)|stage|populations?|steps?"
# "Cohort A1", "Arm 2b", "Part B", "Phase III", "LN cohort", "Sub-study A": the text's own name is kept.
_NAMED = re.compile(rf"\b(?:{_KINDS})\s+{_IDS}", re.IGNORECASE)
# One of these is in all that the pattern above finds, in lower case.
_NAMED_STEMS = ("cohort", "arm", "group", "part", "phase", "stud", "strat", "stage", "population", "step")
_NO_NAME = (
    r"(?!(?:will|exclude[ds]?|include[ds]?|of|all|any|who|with|eligible|enrolled|following|other|these|study|and|or|"
    r"must|may|not|no|are|is|the|each|if|from|to|in|vulnerable|potential|selected|treated|for|our|only|specific|key|main|general|overall|both|every|"
    r"age|sex|gender|target|inclusion|exclusion|patient|body|weight|blood|number|type|current|previous|new|prospective|single)\b)"
)
# "For the erectile dysfunction group:", "COVID-19 Survivor Group": the words before cohort, group, patients.
_OWN_NAME = re.compile(
    r"^\W{0,3}(?:(?:additional|specific|key|main|only|for|in|the|our|exclusion from|inclusion in)\s+){0,4}"
    rf"(?P<name>(?:{_NO_NAME}[A-Za-z0-9/\-]{{1,24}}\s){{1,3}}"
    r"(?:sub[- ]?study|cohort|arm|groups?|patients|participants|subjects|volunteers))\s*(?:\([^()]{0,40}\))?\s*[:：]?\s*"
    r"(?:in\b|ex\b|only)?\W{0,3}$",
    re.IGNORECASE,
)
_EVERYONE = re.compile(
    r"\b(?:all|both|each|every|any|the|these|those|enrolled|eligible|study|potential|our|general)\s+(?:(?:study|enrolled|eligible|included|treatment|trial)\s+)?(?:sub[- ]?stud(?:y|ies)|cohorts?|arms?|"
    r"groups?|patients?|participants?|subjects?|volunteers|phases?|parts?)\b",
    re.IGNORECASE,
)
# Whom the words behind "criteria" name: for subjects with a disease, specific to one kind of patients, for participation in R3.
_SECTION_TAIL = re.compile(
    r"\b(?:for|specific to|of)\s+(?:the\s+)?(?:(?P<in>participation in\s+(?:the\s+)?)?)"
    r"(?P<name>(?(in)[^:：.]{1,60}?|(?:[\w\-/]+\s+(?:\([^()]{1,12}\)\s+)?){0,4}(?:subjects?|patients?|participants?|individuals?|volunteers?|sub[- ]?study)"
    r"(?:\s+(?:with|without|who|in|on|undergoing|receiving|treated)\s[^:：();]{1,60}?)?))\s*(?:[:：.(;]|only|$)",
    re.IGNORECASE,
)


@cache
def _rows() -> tuple[re.Pattern[str], tuple[str, ...]]:
    """One pattern with a group for each population of the data file, and their names."""
    text = files("nlp").joinpath("data/headings.jsonl").read_text(encoding="utf-8")
    rows = [
        row for line in text.splitlines() if line.strip() and (row := loads(line))["kind"] == "population"
    ]
    pattern = "|".join(f"({row['words']})" for row in rows)
    return re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), tuple(row["name"] for row in rows)


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def everyone(words: str) -> bool:
    """Whether a heading says that it is about all ("all cohorts", "both phases")."""
    return _EVERYONE.search(words) is not None


def population(words: str) -> str | None:
    """The population that the words of a section's heading restrict it to, or None ("all cohorts" restricts to none)."""
    if not words.strip():
        return None
    lower = words.casefold()  # as the pattern folds case
    if any(stem in lower for stem in _NAMED_STEMS) and (named := _NAMED.search(words)):
        return _capital(named[0])
    pattern, names = _rows()
    groups = {match.lastindex for match in pattern.finditer(words)}
    if groups:
        return names[min(index for index in groups if index) - 1]
    if _EVERYONE.search(words):
        return None
    if own := _OWN_NAME.match(words):
        return _capital(own["name"])
    if tail := _SECTION_TAIL.search(words):
        name = tail["name"].strip()
        if len(name.split()) > 1 or tail["in"]:
            return _capital(name)
    return None


# --------------------------------------------------------- headings of lines, labels

_LEAD = r"(?:(?:an?|additional|specific|key|main|only|applicable|if|for|in|of|the|to|from|exclusion|inclusion|excluding|including|criteria|requirements|patients|participants|subjects|individuals|those|enrolled|entering|treated|assigned|randomi[sz]ed)\s+){0,6}"
_WORD = rf"{_NO_NAME}[A-Za-z0-9/\-+]{{1,24}}"
_GROUP_NOUN = r"(?:sub[- ]?stud(?:y|ies)|(?:sub-?)?cohorts?|arms?|groups?|parts?|stratum|strata)"
_GROWTH = r"(?:expansions?|escalations?)"
_PEOPLE = r"(?:patients?|participants?|subjects?|volunteers?)"
_BEARING = re.compile(r"\s+of\s+(?:child-?\s?bearing|reproductive)\s+(?:potential|age)", re.IGNORECASE)


@cache
def _label() -> re.Pattern[str]:
    """The grammar of a label without its colon: lead, names of groups or of people, brackets, "only"."""
    people = (
        _rows()[0].pattern.removeprefix(r"\b").removesuffix(r"\b").replace("(", "(?:").replace("(?:?", "(?")
    )
    named = rf"(?:{_KINDS})\s+{_IDS}"
    own = rf"(?:{_WORD}\s(?:(?:and|&|or|with)\s)?){{1,5}}(?:study\s)?{_GROUP_NOUN}(?:\s{_GROWTH})?|(?:{_WORD}\s){{0,3}}{_GROWTH}"
    someone = rf"(?:{_WORD}\s){{0,3}}(?:{people})(?:{_BEARING.pattern}|\s+of(?:\s+(?!(?:must|should|shall|will|who|are|is|may|can|have|has)\b)[\w\-]+){{1,5}})?|(?:{_WORD}\s){{1,3}}{_PEOPLE}"
    group = rf"(?:{named}|{own})(?:\s{_GROWTH})?"
    and_ = r"(?:\s*\([^()]{0,40}\))?\s*(?:,|and|&|or|/|\s)\s*"
    return re.compile(
        rf"{_LEAD}(?:(?P<group>{group}(?:{and_}{group}){{0,3}})|(?P<someone>{someone}(?:\s+in\s+(?:the\s+)?{group})?))"
        r"(?P<tail>(?:\s*\([^()]{0,80}\))?(?:\s+[-–]\s[^:]{1,30})?(?:\s*,?\s*only)?(?:\s*\([^()]{0,40}\))?)"
        r"(?:\s+(?:meet|must|should|will|criteria)\b)?\s*",
        re.IGNORECASE,
    )


# Without one of these no line names a group: looked for before the grammar is tried.
_STEMS = (
    "patient", "subject", "part", "group", "cohort", "arm", "phase", "stud", "strat", "stage", "population", "step",
    "expansion", "escalation", "volunteer", "donor", "recipient", "healthy", "control", "care", "parent", "guardian",
    "ediatric", "child", "adolescent", "infant", "neonate", "adult", "male", "men", "wom", "man", "contact", "index",
)  # fmt: skip


def _may_name(text: str, end: int) -> bool:
    """Whether ``text[:end]`` holds a stem without which no group is named; quicker than any pattern."""
    low = text[:end].lower()
    for stem in _STEMS:  # noqa: SIM110 -- a generator would take as long as the search
        if stem in low:
            return True
    return False


_TO_JOIN = re.compile(r"to (?:be|enter|join|participate|take part|qualify)[^,:]{0,60},\s*", re.IGNORECASE)
# Where the topic of a heading that is a sentence ends.
_VERB = re.compile(
    r"\s(?:will|must|should|shall|may|can|who|whose|that|with|without|meets?|meeting|are|is|if|has|have|having|fulfil\w*|satisf\w*)\b",
    re.IGNORECASE,
)
_DUTY = ("must", "should", "shall")
_FOR_SOME = re.compile(
    r"(?:[\w\-]+ ){0,3}?(?:only )?for (?:the )?(?P<name>(?:[\w\-/]+ ){0,3}(?:patients?|participants?|subjects?|individuals?|those) "
    r"(?:with|without|on|in|aged?|receiving|undergoing|treated with|who (?:are|have)) [^:：<>≤≥=;]{2,60}?)(?: only)?\s*(?:\([^()]{0,40}\))?\s*[:：]?\s*$",
    re.IGNORECASE,
)
_ASKS = re.compile(r"\bfollowing\b|\bcriteria\b|\bany of\b|\ball of\b|\bstudy\b", re.IGNORECASE)
_IN_BRACKET = re.compile(
    rf"(?:patients|participants|subjects|volunteers|adults)\b[^()]*\((?P<name>(?:cohort|arm|part|group)\s+{_IDS})\)$",
    re.I,
)
_OTHERS = re.compile(r"\b(?:and|or|/|&)\b|,|/")
_EVERY = re.compile(r"(?:all|both|each|every|any|these|those|study|enrolled|eligible|our)\b", re.IGNORECASE)
# Groups that are one another's opposites: named together they leave nobody out.
_OPPOSED = (
    {"Pediatric patients", "Adult patients"},
    {"Female participants", "Male participants"},
)
_GENERIC = frozenset(
    [
        "a",
        "an",
        "additional",
        "specific",
        "key",
        "main",
        "only",
        "applicable",
        "for",
        "in",
        "the",
        "to",
        "patient",
        "patients",
        "participant",
        "participants",
        "subject",
        "subjects",
        "individual",
        "individuals",
        "those",
        "enrolled",
        "entering",
        "treated",
        "assigned",
        "randomized",
        "randomised",
    ]
)


def _named_people(phrase: str) -> str | None:
    """The name of people in a label: the data file's, or the phrase where it says more ("Eugonadal men")."""
    pattern, names = _rows()
    found = [(names[match.lastindex - 1], match) for match in pattern.finditer(phrase) if match.lastindex]
    kinds = {name for name, _ in found}
    if any(pair <= kinds for pair in _OPPOSED):
        return None
    if not found:
        return _capital(phrase)
    name, match = min(found, key=lambda pair: names.index(pair[0]))
    if len(kinds) > 1 and not _OTHERS.search(phrase):
        return _capital(phrase)
    behind = phrase[match.end() :]
    if name == "Female participants" and _BEARING.fullmatch(behind):
        return _capital(phrase)
    before = [word for word in phrase[: match.start()].lower().split() if word not in _GENERIC]
    after = [word for word in _BEARING.sub("", behind).lower().split() if word not in _GENERIC]
    if (before or after) and len(found) == 1 and not _OTHERS.search(" ".join(before)):
        return _capital(phrase)
    return name


# What a label ends in; the grammar is tried only where it does, or where a phrase may follow the name.
_LABEL_END = re.compile(
    r"(?:cohorts?|arms?|groups?|parts?|stud(?:y|ies)|strat(?:um|a)|expansions?|escalations?|phases?|stages?|populations?|steps?|\d[a-z]?"
    r"|\b[a-z]|[ivx][ab]?|patients?|participants?|subjects?|volunteers?|individuals?|donors?|recipients?|controls?|partners?"
    r"|givers?|parents?|guardians?|children|adolescents?|infants?|neonates?|adults?|males?|m[ae]n|contacts?|cases?|potential|age"
    r"|only|\)|must|should|will|meet|criteria)$",
    re.IGNORECASE,
)


def _of_label(words: str) -> str | None:
    words = words.strip()
    if len(words) > 120 or not (
        _LABEL_END.search(words[-16:]) or " of " in words or " - " in words or "–" in words
    ):
        return None
    found = _label().fullmatch(words)
    if found is None:
        return None
    if group := found["group"]:
        return _capital(group)
    name = _named_people(found["someone"])
    return name and re.sub(r"child[- ]bearing", "childbearing", name.strip())


@lru_cache(maxsize=8192)
def heading(text: str) -> str | None:
    """The population that a line which heads others restricts them to, or None.

    ``text`` is the line, with its colon if it has one. Its topic decides: what stands before the colon,
    a bracket and the verb ("The partner will be included based on:").
    """
    if not _may_name(text, 160):
        return None
    words = text.replace("\\[", "[").replace("\\]", "]").strip(" *_#\u3000\t:：.-–=")
    head = re.split(r"[:：]", words, maxsplit=1)[0].strip(" []【】")
    if joined := _TO_JOIN.match(head):
        head = head[joined.end() :]
    if _EVERY.match(head) or not head:
        return None
    if text[-1] in ".;。；":
        return _topic(text, head)
    if bracket := _IN_BRACKET.search(head):
        return _capital(bracket["name"])
    if (name := _of_label(head)) is not None:
        return name
    if not _ASKS.search(head) and len(head) <= 100 and (some := _FOR_SOME.match(head)):
        return _capital(some["name"].strip())
    return _topic(text, head)


def _topic(text: str, head: str) -> str | None:
    """The population that a sentence is about: "The partner will be included based on:"."""
    topic, _, rest = head.partition(",")
    if rest.lstrip().startswith(("or ", "and ")):
        return None
    verb = _VERB.search(topic)
    if (len(text) > 160 or text[-1] not in ":：") and not (verb and verb[0].lower().strip() in _DUTY):
        return None  # a sentence about men demands that they be men, unless it says what men must do
    if verb:
        topic = topic[: verb.start()]
    if topic == head or len(topic) > 60 or (name := _of_label(topic.strip())) is None:
        return None
    return name if _NAMED.search(topic) or _SURE.match(topic) or _rows()[0].search(topic) else None


def titles(text: str) -> bool:
    """Whether a line does nothing but name the population of what stands below it ("Cohort A (SLE):")."""
    if len(text) > 120 or not _may_name(text, 120) or heading(text) is None:
        return False
    words = text.strip(" *_#\u3000\t:：.-–=").replace("\\[", "[").replace("\\]", "]").strip(" []【】")
    if ":" in words or "：" in words:
        return False
    return (
        _of_label(words) is not None
        or _IN_BRACKET.search(words) is not None
        or _FOR_SOME.match(words) is not None
    )


def heads_people(text: str) -> bool:
    """Whether a heading says whom its part is about, be it one population or all of them."""
    if heading(text) is not None:
        return True
    return _EVERYONE.search(text) is not None and _ASKS_MORE.search(text) is None


_ASKS_MORE = re.compile(r"\b(?:if|must|should|agrees?|uses?|using|aged?|ages|years)\b", re.IGNORECASE)
_AGES = re.compile(r"\b(?:adult|child|p(?:a)?ediatric|adolescent|infant)", re.IGNORECASE)
_AGE_SAID = re.compile(
    r"\s*(?:aged?\b|[≥>≤<=\\]*\s*\d)", re.IGNORECASE
)  # "Adults: 18 years or older" restricts, and is no label
_BRACKET = re.compile(r"\\?\[([^\[\]\\]{3,80})\\?\]\s*[:：]?\s*\S|【([^【】]{3,60})】\s*\S")
_IN_GROUP = re.compile(r"(?:in|for) (?:the )?([A-Za-z0-9][^,:：.;()]{2,60}?)( only)?,\s", re.IGNORECASE)
_SEX = re.compile(r"\b(?:fe)?males?\b|\b(?:wo)?m[ae]n\b", re.IGNORECASE)
_LETTERED = re.compile(
    r"[Gg]roups? [A-Z](?:(?:, | and | or | & )[A-Z])*"
)  # "Group 1" may be the WHO's of a disease
_SURE = re.compile(
    rf"(?:(?:{_WORD}\s){{0,3}}(?:cohorts?|arms?|parts?|sub[- ]?stud(?:y|ies))\b)", re.IGNORECASE
)


_BEGINS = "\\\\[【IiFf"  # "[Part 1] ...", "In cohort A, ...", "For arm B, ..."


def label(text: str) -> str | None:
    """The population that a label restricts a criterion to ("Cohort B (ITP): platelets < 30"), or None."""
    if ":" not in text and text[0] not in _BEGINS and ")" not in text[-2:] and "：" not in text:
        return None
    colon = text.find(":", 2, 90)
    if colon < 0:
        colon = text.find("：", 2, 60)
    if colon > 0 and _may_name(text, colon):
        head = text[:colon].strip(" *_")
        name = None if _EVERY.match(head) else _of_label(head)
        if name is not None and (
            _SURE.match(name) or not (_AGES.search(name) and _AGE_SAID.match(text, colon + 1))
        ):
            return name
    first = text[0]
    if first in "\\[【":
        bracket = _BRACKET.match(text)
        if bracket and _may_name(inner := bracket[1] or bracket[2], 80):
            return _of_label(inner.strip())
    elif (
        first in "IiFf"
        and (place := _IN_GROUP.match(text))
        and (_SURE.search(place[1]) or _NAMED.fullmatch(place[1]))
    ):
        found = _label().fullmatch(place[1])
        return _capital(found["group"]) if found and found["group"] else None
    if ")" in text[-2:]:
        return _behind(text)
    return None


def _behind(text: str) -> str | None:
    """The population in the brackets that end a text: "(Part 1 only)"."""
    opened = text.rfind("(", len(text) - 60 if len(text) > 60 else 0)
    if opened < 0:
        return None
    low = text[opened:].lower()
    if not (
        "cohort" in low or "arm" in low or "part" in low or "group" in low or "stud" in low or " only" in low
    ):
        return None
    only = low.rstrip(" ).").endswith(" only")
    if not only and _NAMED.search(text, 0, opened):
        return None  # "in remission (Group A) or active (Group B)"
    words = text[opened + 1 : text.rfind(")")].strip()
    found = _label().fullmatch(words)
    if found is None or not found["group"]:
        return None
    sure = only or (_SURE.match(words) and _NAMED.search(words)) or _LETTERED.fullmatch(words)
    return _capital(found["group"]) if sure else None


def _sex(name: str | None) -> str:
    """``f`` or ``m`` where the name of a population names one sex, else nothing."""
    found = {match[0][:1].lower().replace("w", "f") for match in _SEX.finditer(name or "")}
    return found.pop() if len(found) == 1 else ""


def other_sex(text: str, outer: str | None) -> str | None:
    """The population of a line that says what men must do, in a list about women that a site forgot to end."""
    if not (sex := _sex(outer)) or not _SEX.match(text.removeprefix("A ").removeprefix("a ")):
        return None
    own = heading(text)
    return own if _sex(own) not in ("", sex) else None


def nested(outer: str | None, inner: str | None) -> str | None:
    """The population of a part inside a part: a cohort inside a part is the cohort's, women inside a cohort are both's."""
    if inner is None or outer is None or inner == outer:
        return inner or outer
    if any({inner, outer.rpartition(", ")[2]} == pair for pair in _OPPOSED):
        return inner  # a list that a site forgot to end
    if (sex := _sex(inner)) and _sex(outer):
        return outer if sex == _sex(outer) and inner in _rows()[1] else inner
    return f"{outer}, {inner}" if inner in _rows()[1] else inner
