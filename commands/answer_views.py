"""How the answers of the knowledge base look: tables and texts for people. The data come from kb."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from commands.output import Output, Provenance, Table

if TYPE_CHECKING:
    from kb.comparable import Match
    from kb.compare import Comparison, ComparisonRow
    from kb.contrast import ContrastRow
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


# ------------------------------------------------------------------ show


def limit_words(limit: Limit) -> str:
    """A limit with what restricts it: condition, alternative, population, window, exception."""
    parts = [limit.words()]
    if limit.alternative is not None:
        parts.append("(one of several alternatives)")
    if limit.applies_if:
        parts.append(f"if {limit.applies_if}")
    if limit.population:
        parts.append(f"for {limit.population}")
    if limit.window:
        parts.append(f"[{limit.window}]")
    if limit.exception:
        parts.append(f"except {limit.exception}")
    return " ".join(parts)


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
    heading = f"({criterion.heading}) " if criterion.heading and criterion.depth == 0 else ""
    population = f"<{criterion.population}> " if criterion.population else ""
    lines = [f"{indent}{criterion.path} {population}{heading}{' '.join(criterion.marked.split())}"]
    lines += [
        f"{indent}    {_reading_line(number, limit)}"
        for number, limit in zip(criterion.numbers, criterion.limits, strict=True)
    ]
    lines += [f"{indent}    not read ({one.why}): {' '.join(one.text.split())}" for one in criterion.unread]
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


# ------------------------------------------------------------------ comparable


def contrast_words(row: ContrastRow) -> str:
    """One row of a contrast: ``stricter by 25 10*9/L``."""
    if row.verdict in ("stricter", "looser"):
        if not row.amount:
            return f"{row.verdict} (the same number, exclusive)"
        return f"{row.verdict} by {format(abs(row.amount), '.6g')} {row.unit}".strip()
    return {"same": "same", "only here": "not stated there", "only there": "not stated here"}[row.verdict]


def _axis_name(row: ContrastRow) -> str:
    return f"{row.concept_name}, {row.side}" + (f" ({row.population})" if row.population else "")


def match_table(matches: Sequence[Match]) -> Table:
    """The ranked trials."""
    columns = ["rank", "trial", "topic score", "one table", "same", "stricter", "looser", "not stated there",
               "not stated here", "threshold similarity", "title"]  # fmt: skip
    rows = [
        (one.rank, one.trial.trial, f"{one.score:.3f}", "yes" if one.in_block else "no", one.contrast.count("same"),
         one.contrast.count("stricter"), one.contrast.count("looser"), one.contrast.count("only here"),
         one.contrast.count("only there"), f"{one.contrast.similarity:.3f}", one.trial.title)
        for one in matches
    ]  # fmt: skip
    return Table(columns, rows, widths={"title": 40})


def match_text(match: Match, rows: int) -> list[Table | str]:
    """Why a trial was found, and how its thresholds stand to the asked one's."""
    from kb.limits import side_words

    reasons = Table(
        ["part", "how near", "because", "grade", "weight", "adds"],
        [
            (
                one.part,
                one.grade,
                one.because,
                f"{one.value:.2f}",
                f"{one.weight:.2f}",
                f"{one.contribution:.3f}",
            )
            for one in match.reasons
        ],
        title=f"{match.rank}. {match.trial.trial} {match.trial.title}: why it was found",
        widths={"because": 60},
    )
    both = [row for row in match.contrast.rows if row.here is not None and row.there is not None]
    thresholds = Table(
        ["concept", "here", "there", "there is", "quoted here", "quoted there"],
        [
            (_axis_name(row), side_words(row.here, row.side) if row.here else "",
             side_words(row.there, row.side) if row.there else "", contrast_words(row),
             row.here.evidence.quote if row.here else "", row.there.evidence.quote if row.there else "")
            for row in both[:rows]
        ],
        widths={"concept": 24, "quoted here": 24, "quoted there": 24},
    )  # fmt: skip
    parts: list[Table | str] = [reasons]
    if both:
        parts.append(thresholds)
    alone = [
        (words, sorted({row.concept_name for row in match.contrast.rows if row.verdict == verdict}))
        for words, verdict in (
            ("Stated only by the asked trial", "only here"),
            ("Stated only there", "only there"),
        )
    ]
    parts += [f"{words}: {', '.join(names)}" for words, names in alone if names]
    return parts


# ------------------------------------------------------------------ compare


def _cell(row: ComparisonRow, place: int, name: str) -> str:
    marks = [mark for mark in row.marks if mark.trial == name]
    words = [limit_words(limit) for limit in row.cells[place]]
    said = ", ".join(f"{mark.what} {mark.side}" for mark in marks)
    if said and words:
        words[0] = f"{words[0]} ({said})"
    if name in row.contradictions:
        words.append("(CONTRADICTORY reading: look at the text)")
    return "\n".join(words)


def comparison_table(comparison: Comparison) -> Table:
    """One row a concept and population, one column a trial."""
    names = [line.trial for line in comparison.trials]
    rows: list[tuple[object, ...]] = [
        (row.concept_name, row.population, *(_cell(row, place, name) for place, name in enumerate(names)))
        for row in comparison.rows
    ]
    rows.append(("demands not read", None, *(line.unread for line in comparison.trials)))
    return Table(["concept", "population", *names], rows, widths={"concept": 28, **dict.fromkeys(names, 34)})


def open_store(output: Output, as_of: str | None = None) -> Any:
    """The knowledge base of a command, for reading."""
    from kb.store import Store

    return Store.open(output.db, as_of=as_of)
