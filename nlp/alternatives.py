"""A line that holds nothing but "OR": which lines around it are the alternatives."""

from __future__ import annotations

from nlp.model import Section

LONE = frozenset(
    (
        "or",
        "OR",
        "Or",
        "or:",
        "OR:",
        "or,",
        "OR,",
        "or;",
        "OR;",
        "and/or",
        "AND/OR",
        "And/or",
        "**OR**",
        "*OR*",
    )
)


def join_alternatives(
    texts: list[str], parents: list[int], section: Section, anywhere: set[int]
) -> tuple[list[int], set[int], set[int], set[int]]:
    """Put the lines around each lone "OR" below it, as its alternatives. ``parents`` is changed.

    Returns the order of the entries with each "OR" before its first alternative; the "OR"s that say
    nothing of their own (in an exclusion, where each line excludes by itself; below one of
    ``anywhere``, the entries whose parts are alternatives already; between alternatives joined
    before); those whose reach is not sure; and the lines that begin a run of several.

    The lines right before and behind are joined; where the lines before and behind begin alike, one by
    one, each run of them is one alternative ("Age >= 60, untreated OR Age >= 18, relapsed").
    """
    order = list(range(len(texts)))
    idle: set[int] = set()
    unsure: set[int] = set()
    runs: set[int] = set()
    lone = [index for index, text in enumerate(texts) if text in LONE]
    for at in lone:
        if at + 1 >= len(texts) or at == 0:
            continue
        parent = parents[at + 1]
        if section == "exclusion" or parent in anywhere or _below(at, parents, anywhere):
            idle.add(at)
            continue
        before = at - 1
        while before >= 0 and parents[before] != parent:
            before = parents[before]
        if before < 0 or (before in lone and before not in order[: order.index(at)]):
            continue
        if texts[before] in LONE:
            parents[at + 1] = before  # "A OR B OR C"
            idle.add(at)
            continue
        ahead = [i for i in range(before + 1) if parents[i] == parent and i not in lone]
        behind = [i for i in range(at + 1, len(texts)) if parents[i] == parent and i not in lone]
        if not ahead or not behind:
            continue  # an "OR" with nothing but another one beside it joins nothing
        length = _alike(texts, ahead, behind)
        parents[at] = parent
        first = ahead[-max(1, length)]
        for run in (ahead[-max(1, length) :], behind[: max(1, length)]):
            parents[run[0]] = at
            for i in run[1:]:
                parents[i] = run[0]
                runs.add(run[0])
        if not length and len(ahead) > 1 and len(behind) > 1:
            unsure.add(at)
        order.remove(at)
        order.insert(order.index(first), at)
    return order, idle, unsure, runs


def _below(index: int, parents: list[int], anywhere: set[int]) -> bool:
    while (index := parents[index]) >= 0:
        if index in anywhere:
            return True
    return False


def _alike(texts: list[str], ahead: list[int], behind: list[int]) -> int:
    """How many lines before the "OR" begin like as many lines behind it, one by one; 0 if none does."""
    for length in range(min(len(ahead), len(behind), 8), 0, -1):
        pairs = zip(ahead[-length:], behind[:length], strict=True)
        if all(_head(texts[a]) == _head(texts[b]) for a, b in pairs):
            return length
    return 0


def _head(text: str) -> str:
    return text.split(None, 1)[0].lower().strip(",;:.()")
