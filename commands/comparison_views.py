"""How trials look beside each other: the ranking and its reasons, contrasts, comparisons, landscapes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from commands.answer_views import limit_words, quoted, wrapped
from commands.output import Table, table_width

if TYPE_CHECKING:
    from kb.comparable import Match, Reason
    from kb.compare import Comparison, ComparisonRow
    from kb.contrast import ContrastRow, Verdict
    from kb.landscape import Landscape, LandscapeRow
    from kb.limits import Limit

_NAME_WIDTH = 18
_CELL_WIDTH = 14
"""The narrowest column of a trial: an id, "≥ 50 10*9/L" and "strictest min" stand in it unbroken."""
_LONGEST_QUOTE = 30

AS_WRITTEN = (
    '"as written" and "excluded" quote what has no eligible range of its own: a condition, a count, a time,'
    " a value that cannot be."
)

# ------------------------------------------------------------------ comparable


def contrast_words(row: ContrastRow) -> str:
    """One row of a contrast: ``stricter by 25 10*9/L``."""
    from kb.limits import short

    if row.verdict in ("stricter", "looser"):
        if not row.amount:
            return f"{row.verdict} (the same number, exclusive)"
        return f"{row.verdict} by {short(abs(row.amount))} {row.unit}".strip()
    return {"same": "same", "only here": "not stated there", "only there": "not stated here"}[row.verdict]


def _axis_name(row: ContrastRow) -> str:
    scale = (
        "" if row.scale == "absolute" else f" × {row.scale}" if row.scale != "predicted" else " % predicted"
    )
    return f"{row.concept_name} {row.side}{scale}" + (f" (for {row.population})" if row.population else "")


_VERDICTS: tuple[tuple[Verdict, str], ...] = (
    ("same", "same"),
    ("stricter", "stricter"),
    ("looser", "looser"),
    ("only here", "not stated there"),
    ("only there", "not stated here"),
)


def match_rows(matches: Sequence[Match]) -> Table:
    """The ranked trials, a column a count, for --csv."""
    columns = ["rank", "trial", "topic score", "one table", *(words for _, words in _VERDICTS),
               "threshold similarity", "title"]  # fmt: skip
    rows = [
        (one.rank, one.trial.trial, f"{one.score:.3f}", "yes" if one.in_block else "no",
         *(one.contrast.count(verdict) for verdict, _ in _VERDICTS), f"{one.contrast.similarity:.3f}", one.trial.title)
        for one in matches
    ]  # fmt: skip
    return Table(columns, rows)


def match_table(matches: Sequence[Match]) -> Table:
    """The ranked trials, for people."""
    columns = ["rank", "trial", "topic\nscore", "one\ntable", "thresholds", "title"]
    rows = []
    for one in matches:
        count = one.contrast.count
        said = (
            f"{count('same')} same, {count('stricter')} stricter, {count('looser')} looser; not stated:"
            f" {count('only here')} there, {count('only there')} here; similarity {one.contrast.similarity:.3f}"
        )
        near = "yes" if one.in_block else "no"
        rows.append((one.rank, one.trial.trial, f"{one.score:.3f}", near, said, one.trial.title))
    return Table(columns, rows, widths={"trial": 12})


def match_text(match: Match, rows: int) -> list[Table | str]:
    """Why a trial was found, and how its thresholds stand to the asked one's."""
    reasons = Table(
        ["part", "how near", "because", "grade", "weight", "adds"],
        [
            (
                one.part,
                one.grade,
                one.because,
                f"{one.value:.2f}",
                f"{one.weight:.3f}",
                f"{one.contribution:.3f}",
            )
            for one in match.reasons
        ],
        title=wrapped(f"{match.rank}. {match.trial.trial} {match.trial.title}: why it was found"),
    )
    both = [row for row in match.contrast.rows if row.here is not None and row.there is not None]
    thresholds = Table(
        ["concept", "here", "there", "there is", "quoted here", "quoted there"],
        [
            (_axis_name(row), _bound_words(row, row.here), _bound_words(row, row.there), contrast_words(row),
             quoted(row.here), quoted(row.there))
            for row in both[:rows]
        ],
    )  # fmt: skip
    parts: list[Table | str] = [reasons]
    if both:
        parts.append(thresholds)
    if len(both) > rows:
        parts.append(f"{len(both) - rows} more thresholds that both state: --rows shows more.")
    alone = [
        (words, sorted({_axis_name(row) for row in match.contrast.rows if row.verdict == verdict}))
        for words, verdict in (
            ("Stated only by the asked trial", "only here"),
            ("Stated only there", "only there"),
        )
    ]
    parts += [wrapped(f"{words}: {'; '.join(names)}", later="  ") for words, names in alone if names]
    if match.contrast.uncertain:
        parts.append(f"{match.contrast.uncertain} requirements of the two have no eligible range to compare.")
    return parts


def _bound_words(row: ContrastRow, limit: Limit | None) -> str:
    """The bound of one trial on this row's side; an alternative is not demanded by itself, and says so."""
    from kb.limits import side_words

    if limit is None:
        return ""
    return side_words(limit, row.side) + (" (alternative)" if limit.alternative is not None else "")


def _most_first(reason: Reason) -> float:
    return -reason.contribution


# ------------------------------------------------------------------ compare


def _own_words(limit: Limit) -> str:
    """The text's words where a bound's number does not stand in them: it was converted, or is part of a set."""
    from kb.limits import short

    quote = " ".join(limit.evidence.quote.split())
    bounds = [short(bound) for bound in (limit.min_value, limit.max_value) if bound is not None]
    said = re.findall(r"\d+(?:\.\d+)?", quote.replace(",", ""))
    numbers = {float(one) for one in said}
    if not limit.comparable or len(quote) > _LONGEST_QUOTE or all(float(one) in numbers for one in bounds):
        return ""
    return f' ("{quote}")'


def _cell(row: ComparisonRow, place: int, name: str) -> str:
    marks = ", ".join(f"{mark.what} {mark.side}" for mark in row.marks if mark.trial == name)
    said = []
    for number, limit in enumerate(row.cells[place]):
        words = f"{limit_words(limit, population=False)}{_own_words(limit)}"
        words = words.replace("(one of several alternatives)", "(alternative)")
        review = f"\n[review: {limit.evidence.review}]" if limit.evidence.review else ""
        said.append(f"{words}\n{marks}{review}" if marks and not number else f"{words}{review}")
    if name in row.contradictions:
        said.append("(CONTRADICTORY reading: look at the text)")
    return "\n".join(said)


def comparison_rows(comparison: Comparison) -> Table:
    """One row a concept and population, one column a trial, for --csv."""
    names = [line.trial for line in comparison.trials]
    rows: list[tuple[object, ...]] = [
        (row.concept_name, row.population, *(_cell(row, place, name).replace("\n", "; ") for place, name in enumerate(names)))
        for row in comparison.rows
    ]  # fmt: skip
    rows.append(("demands not read", None, *(line.unread for line in comparison.trials)))
    return Table(["concept", "population", *names], rows)


def comparison_tables(comparison: Comparison) -> list[Table | str]:
    """The same for people: as many trials beside each other as the width takes, the rest in further tables."""
    names = [line.trial for line in comparison.trials]
    width = table_width()
    fitting = max(1, (width - _NAME_WIDTH) // (_CELL_WIDTH + 2))
    tables = -(-len(names) // fitting)
    beside = -(-len(names) // tables)
    parts: list[Table | str] = []
    for start in range(0, len(names), beside):
        shown = names[start : start + beside]
        rows: list[tuple[object, ...]] = []
        for row in comparison.rows:
            cells = [_cell(row, start + place, name) for place, name in enumerate(shown)]
            if any(cells):
                rows.append(
                    (row.concept_name + (f", for {row.population}" if row.population else ""), *cells)
                )
        unread = [line.unread for line in comparison.trials[start : start + beside]]
        rows.append(("demands not read", *unread))
        parts.append(Table(["concept", *shown], rows))
    parts.append(
        wrapped(
            "An empty cell: not stated. strictest, loosest: of all compared trials' unconditional limits on one"
            f" scale. (alternative): one of several, none of which is demanded by itself. {AS_WRITTEN}"
            " `trialkb show` marks each in its text."
        )
    )
    return parts


# ------------------------------------------------------------------ landscape


def landscape_table(found: Landscape, rows: Sequence[LandscapeRow], trial_id: str | None) -> Table:
    """One row a threshold: how many state it, how it is distributed, what lies far out."""
    columns = ["threshold", "stated by", "lowest, q1, median, q3, highest", "values (trials)", "outliers"]
    cells = [_landscape_cells(row, 4) for row in rows]
    if trial_id is None:
        cells = [row[:-1] for row in cells]
    else:
        columns.append(f"{trial_id} stands")
    return Table(columns, cells)


def _landscape_cells(row: LandscapeRow, outliers: int) -> tuple[object, ...]:
    from kb.limits import short, side_words

    values = ", ".join(f"{short(value)} ({count})" for value, count in row.counts)
    far = ", ".join(f"{name} {short(value)}" for name, value in row.outliers[:outliers])
    if len(row.outliers) > outliers:
        far += f", {len(row.outliers) - outliers} more"
    stands = ""
    if row.standing is not None:
        stand = row.standing
        stands = f"{side_words(stand.limit, row.side)}: {stand.looser} looser, {stand.same} same, {stand.stricter} stricter"
    elif row.not_stated_by_trial:
        stands = "not stated"
    quartiles = ", ".join(short(value) for value in (row.lowest, row.q1, row.median, row.q3, row.highest))
    name = f"{row.concept_name} {row.side}, {row.unit}" if row.unit else f"{row.concept_name} {row.side}"
    return (name, f"{row.stating}/{row.trials}", quartiles, values, far, stands)


def landscape_rows(rows: Sequence[LandscapeRow], trial_id: str | None) -> Table:
    """The same with a column a number, for --csv."""
    from kb.limits import side_words

    columns = ["concept", "bound", "scale", "unit", "stating", "trials", "lowest", "q1", "median", "q3", "highest",
               "values", "outliers"]  # fmt: skip
    cells: list[tuple[object, ...]] = []
    for row in rows:
        values = "; ".join(f"{value:.12g} ({count})" for value, count in row.counts)
        far = "; ".join(f"{name} {value:.12g}" for name, value in row.outliers)
        cells.append((row.concept, row.side, row.scale, row.unit, row.stating, row.trials, row.lowest, row.q1,
                      row.median, row.q3, row.highest, values, far))  # fmt: skip
    if trial_id is not None:
        columns += [f"{trial_id} states", "looser", "same", "stricter"]
        stands = [row.standing for row in rows]
        cells = [
            (*cell, None, None, None, None) if stand is None
            else (*cell, side_words(stand.limit, row.side), stand.looser, stand.same, stand.stricter)
            for cell, stand, row in zip(cells, stands, rows, strict=True)
        ]  # fmt: skip
    return Table(columns, cells)
