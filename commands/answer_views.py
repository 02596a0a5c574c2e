"""How the answers of the knowledge base look: tables and texts for people. The data come from kb."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from commands.output import Output, Provenance, Table, table_width

if TYPE_CHECKING:
    from kb.limits import Limit, TrialLine
    from kb.show import Shown, ShownCriterion


def provenance_of(lines: Iterable[TrialLine], notes: Sequence[str] = ()) -> Provenance:
    """Sources, newest data timestamp and invented trials of an answer's trials."""
    listed = list(lines)
    stamps = [line.data_timestamp for line in listed if line.data_timestamp]
    rebuilt = sorted({line.trial for line in listed if line.reconstruction})
    more = list(notes)
    if rebuilt:
        more.append(f"Reconstructed from known facts, not the registry's own record: {', '.join(rebuilt)}.")
    gone = sorted({f"{line.trial} (since {line.vanished[:10]})" for line in listed if line.vanished})
    if gone:
        more.append(f"The registry no longer has {', '.join(gone)}: what it said last is shown.")
    return Provenance(
        sources=tuple(sorted({line.source for line in listed})),
        data_timestamp=max(stamps, default=None),
        synthetic=tuple(sorted({line.trial for line in listed if line.synthetic})),
        notes=tuple(more),
    )


def as_of_note(as_of: str | None) -> tuple[str, ...]:
    """The note under an answer about a past day."""
    if as_of is None:
        return ()
    return (f"As of {as_of}: the registry's state of that day, read with today's vocabulary.",)


def wrapped(text: str, indent: str = "", later: str | None = None) -> str:
    """A text broken into the lines of a table's width, the later ones further in."""
    return textwrap.fill(
        " ".join(text.split()),
        table_width(),
        initial_indent=indent,
        subsequent_indent=indent if later is None else later,
        break_long_words=False,
        break_on_hyphens=False,
    )


# ------------------------------------------------------------------ show


def limit_words(limit: Limit, *, population: bool = True) -> str:
    """A limit with what restricts it: condition, alternative, population, window, exception."""
    parts = [limit.words()]
    if limit.alternative is not None:
        parts.append("(one of several alternatives)")
    if limit.applies_if:
        parts.append(f"if {limit.applies_if}")
    if population and limit.population:
        parts.append(f"for {limit.population}")
    if limit.window:
        parts.append(f"[{limit.window}]")
    if limit.exception:
        parts.append(f"except {limit.exception}")
    return " ".join(parts)


def quoted(limit: Limit | None) -> str:
    """The text's words for a limit, and what a reviewer decided on them."""
    if limit is None:
        return ""
    review = f" · review: {limit.evidence.review}" if limit.evidence.review else ""
    return f"{' '.join(limit.evidence.quote.split())}{review}"


def limit_json(limit: Limit) -> dict[str, Any]:
    """A limit with its evidence, for --json."""
    from dataclasses import asdict

    return asdict(limit) | {"words": limit.words()}


def _reading_line(number: int, limit: Limit) -> str:
    role = "" if limit.role == "requirement" else f" ({limit.role})"
    known = limit.concept or "concept not in the vocabulary"
    side = " [turned: the text names what is excluded]" if limit.turned else ""
    flags = f" flags: {', '.join(limit.evidence.flags)}" if limit.evidence.flags else ""
    review = f" · review: {limit.evidence.review}" if limit.evidence.review else ""
    start, end = limit.evidence.span
    return (
        f"[{number}] {limit.concept_name} {limit_words(limit)}{role}{side} · {known} · rule {limit.evidence.rule}"
        f" · characters {start}-{end}{flags}{review}"
    )


def _criterion_lines(criterion: ShownCriterion) -> list[str]:
    indent = "  " * (criterion.depth + 1)
    below, further = f"{indent}    ", f"{indent}        "
    heading = f"({criterion.heading}) " if criterion.heading and criterion.depth == 0 else ""
    population = f"<{criterion.population}> " if criterion.population else ""
    lines = [wrapped(f"{criterion.path} {population}{heading}{criterion.marked}", indent, f"{indent}  ")]
    lines += [
        wrapped(_reading_line(number, limit), below, further)
        for number, limit in zip(criterion.numbers, criterion.limits, strict=True)
    ]
    lines += [wrapped(f"not read ({one.why}): {one.text}", below, further) for one in criterion.unread]
    return lines


def show_text(shown: Shown) -> str:
    """The whole answer of ``trialkb show`` for people."""
    trial, line = shown.trial, shown.line
    sponsor = next((one.name for one in trial.sponsors if one.role == "lead"), "")
    marks = "".join(
        [" (synthetic)" if line.synthetic else "", " (reconstruction)" if line.reconstruction else ""]
    )
    out = [
        f"{line.trial}{marks}  {trial.title}",
        " · ".join(part for part in (trial.status, "/".join(trial.phases), sponsor) if part),
        f"conditions: {'; '.join(trial.conditions) or 'not stated'}",
        f"interventions: {'; '.join(one.name for one in trial.interventions) or 'not stated'}",
        f"registry fields: age {trial.minimum_age or 'no minimum'} to {trial.maximum_age or 'no maximum'},"
        f" sex {trial.sex or 'not stated'}",
        f"version {trial.version[:12]} of {line.version_date or 'unknown date'}, {line.url}",
    ]
    section = None
    for criterion in shown.criteria:
        if criterion.section != section:
            section = criterion.section
            out.append(f"\n{section.capitalize()} criteria")
        out.extend(_criterion_lines(criterion))
    if shown.loose:
        out.append("\nOutside the criteria")
        out.extend(f"  {limit.concept_name} {limit_words(limit)}" for limit in shown.loose)
    if shown.conflicts:
        out.append("\nCriteria against the registry's own fields")
        out.extend(
            f"  {one.field}: the registry says {one.registry}, the criteria say {one.criteria} ({one.quote!r})"
            for one in shown.conflicts
        )
    limits = sum(len(criterion.limits) for criterion in shown.criteria) + len(shown.loose)
    known = sum(
        limit.concept is not None for criterion in shown.criteria for limit in criterion.limits
    ) + sum(limit.concept is not None for limit in shown.loose)
    out.append(
        f"\n{len(shown.criteria)} criteria, {limits} thresholds ({known} of a known concept),"
        f" {shown.unread} demands not read; vocabulary {shown.vocabulary[:12]}"
    )
    return "\n".join(out)


def show_table(shown: Shown) -> Table:
    """The thresholds of ``trialkb show``, for --csv."""
    columns = ["trial", "section", "criterion", "concept", "concept_name", "limit", "applies_if", "alternative",
               "population", "role", "quote", "start", "end", "rule", "flags"]  # fmt: skip
    limits = [limit for criterion in shown.criteria for limit in criterion.limits] + list(shown.loose)
    rows = [
        (shown.line.trial, one.evidence.section, one.evidence.criterion, one.concept, one.concept_name, one.words(),
         one.applies_if, one.alternative, one.population, one.role, one.evidence.quote, *one.evidence.span,
         one.evidence.rule, ";".join(one.evidence.flags))
        for one in limits
    ]  # fmt: skip
    return Table(columns, rows)


def open_store(output: Output, as_of: str | None = None) -> Any:
    """The knowledge base of a command, for reading."""
    from kb.store import Store

    return Store.open(output.db, as_of=as_of)
