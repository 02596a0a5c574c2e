"""Build expressions: conjunction, disjunction, negation, precedence, and limits that replace each other."""

from __future__ import annotations

from collections.abc import Sequence

from nlp.clauses import Join
from nlp.draft import Draft
from nlp.model import All, AnyOf, Expression, Fact, If, Leaf, Not, Section, Unread

TRUE: Expression = All(())
FALSE: Expression = AnyOf(())
_LEVELS = (("define", True), ("or", True), ("and", True), ("or", False), ("and", False))


class Clause:
    """One assertion, how it hangs on the one before it, and the drafts that it speaks of.

    ``exception`` is another way to meet it (or, in an exclusion, out of it); ``branches`` counts the limits
    for groups that were worked in. (A plain class for the same reason as :class:`nlp.clauses.Token`.)
    """

    __slots__ = (
        "branches", "condition", "demanded", "drafts", "exception", "expression", "join", "strong",
    )  # fmt: skip

    def __init__(
        self,
        expression: Expression,
        join: Join = "",
        strong: bool = False,
        condition: Expression | None = None,
        demanded: bool = False,
    ) -> None:
        self.expression: Expression = expression
        self.join: Join = join
        self.strong = strong
        self.condition: Expression | None = condition
        self.exception: Expression | None = None
        self.drafts: tuple[int, ...] = ()
        self.demanded = demanded
        self.branches = 0


class Statement:
    """The clauses between two full stops or semicolons, and the force with which they are said:
    named, demand, prohibition, exclude or allowance. ``also``: "are also eligible"."""

    __slots__ = ("also", "alternative", "clauses", "condition", "force")

    def __init__(
        self,
        clauses: list[Clause],
        force: str = "named",
        condition: Expression | None = None,
        alternative: bool = False,
        also: bool = False,
    ) -> None:
        self.clauses: list[Clause] = clauses
        self.force = force
        self.condition: Expression | None = condition
        self.alternative = alternative
        self.also = also


def is_true(expression: Expression) -> bool:
    """Whether the expression demands nothing."""
    return isinstance(expression, All) and not expression.parts


def all_of(parts: Sequence[Expression]) -> Expression:
    """The conjunction, flat; a single part stays itself."""
    if len(parts) == 1 and not isinstance(parts[0], All):
        return parts[0]
    flat: list[Expression] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, All) else (part,))
    return flat[0] if len(flat) == 1 else All(tuple(flat))


def any_of(parts: Sequence[Expression]) -> Expression:
    """The disjunction, flat; a single part stays itself."""
    if len(parts) == 1 and not isinstance(parts[0], AnyOf):
        return parts[0]
    flat: list[Expression] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, AnyOf) else (part,))
    return flat[0] if len(flat) == 1 else AnyOf(tuple(flat))


def both(one: Expression | None, other: Expression, join: Join) -> Expression:
    """Two conditions of one limit: "if A or if B", "A, if B"."""
    if one is None:
        return other
    return any_of([one, other]) if join in ("or", "andor") else all_of([one, other])


def negate(expression: Expression) -> Expression:
    """What holds where the expression does not, with one ``not`` for each alternative.

    An unread demand stays unread: turned or not, its answer is unknown.
    """
    if isinstance(expression, Fact | Leaf):  # most are
        return Not(expression)
    match expression:
        case Not(part):
            return part
        case AnyOf(parts):
            return all_of([negate(part) for part in parts])
        case All(()):
            return FALSE
        case All(parts) if all(isinstance(part, Not) for part in parts):
            return any_of([negate(part) for part in parts])
        case Unread():
            return expression
        case If(condition, then, otherwise):
            return If(condition, negate(then), negate(otherwise))
    return Not(expression)


def tree(parts: Sequence[Clause], section: Section) -> Expression:
    """Join clauses by precedence: ``with`` binds closest, then ``and``, ``or``, ``, and``, ``, or``."""
    if len(parts) == 1:
        return all_of([parts[0].expression])
    return _split([part.expression for part in parts], _resolve(parts, section), 0)


def _split(expressions: Sequence[Expression], joins: Sequence[tuple[str, bool]], level: int) -> Expression:
    if len(expressions) < 2:
        return all_of(expressions)
    inner = joins[1:]
    if inner.count(inner[0]) == len(inner):  # most: one join, or the same throughout
        pieces = [
            all_of([expression]) if isinstance(expression, All) else expression for expression in expressions
        ]
        return any_of(pieces) if inner[0][0] == "or" else all_of(pieces)
    while level < len(_LEVELS) and _LEVELS[level] not in inner:
        level += 1
    if level == len(_LEVELS):
        return all_of(expressions)
    join = _LEVELS[level]
    pieces = []
    low = 0
    for index in range(1, len(expressions)):
        if joins[index] == join:
            pieces.append(_split(expressions[low:index], joins[low:index], level + 1))
            low = index
    pieces.append(_split(expressions[low:], joins[low:], level + 1))
    return any_of(pieces) if join[0] == "or" else all_of(pieces)


def _resolve(parts: Sequence[Clause], section: Section) -> list[tuple[str, bool]]:
    """The join before each clause as (and | or | with, strong); a comma takes the next join's kind.

    In an exclusion "A, B, and C" names three things, and so does "A and B" where neither is measured.
    """
    each = section == "exclusion" and (
        any(part.join == "comma" for part in parts) or not any(part.drafts for part in parts)
    )
    following = ("or" if section == "exclusion" else "and", False)
    joins: list[tuple[str, bool]] = []
    for part in reversed(parts):
        if part.join in ("or", "andor"):
            following = ("or", part.strong)
        elif part.join in ("and", "but"):
            following = ("or" if each and part.join == "and" else "and", part.strong)
        elif part.join != "comma":
            joins.append(("define", True) if part.join == "define" else ("with", False))
            continue
        joins.append(following)
    joins.reverse()
    return joins


def one_branch(parts: Sequence[Expression]) -> list[Expression]:
    """Demands that hang on the same condition, brought under one ``if`` (no answer changes by it)."""
    if len(parts) < 2:
        return list(parts)
    out: list[Expression] = []
    for part in parts:
        last = out[-1] if out else None
        if isinstance(part, If) and isinstance(last, If) and last.condition == part.condition:
            otherwise = [branch for branch in (last.otherwise, part.otherwise) if branch != TRUE]
            out[-1] = If(part.condition, all_of([last.then, part.then]), all_of(otherwise))
        else:
            out.append(part)
    return out


def complementary(one: Expression, other: Expression, drafts: Sequence[Draft]) -> bool:
    """Whether two conditions are each other's contrary: the two sexes, or the two sides of one value."""
    if isinstance(one, Fact) and isinstance(other, Fact):
        return {one.concept, other.concept} == {"female", "male"}
    if isinstance(one, Leaf) and isinstance(other, Leaf):
        first, second = drafts[int(one.item)], drafts[int(other.item)]
        if first.unit != second.unit or first.concept != second.concept:
            return False
        if {first.comparator, second.comparator} in ({">=", "<"}, {">", "<="}):
            return bound(first) == bound(second)
    return False


def bound(draft: Draft) -> float | None:
    """The one number of a one-sided draft."""
    return draft.low if draft.low is not None else draft.high
