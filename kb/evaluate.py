"""What a criterion's expression answers for a patient: true, false or unknown, and why.

``all``, ``any``, ``not`` and ``if`` follow Kleene's strong three-valued logic; an item, a fact or an
``unread`` that the patient's record does not answer is unknown. A demand on a population to which the
patient does not belong drops out of the expression: it is neither met nor failed (in ``all`` and ``any``
the remaining parts decide; where nothing remains the criterion puts no demand on this patient).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kb.judging import Knowledge, Verdict
from kb.leaf_fact import applies, judge_fact, judge_recency
from kb.leaf_item import judge_item
from kb.patient import Patient, answer_key
from nlp.model import All, AnyOf, Criterion, Expression, Fact, If, Item, Leaf, Not, Span, Unread, leaves


@dataclass(frozen=True, slots=True)
class Finding:
    """What one leaf answered. ``applies`` False: its population is not the patient's. ``excluded``:
    the leaf stands under an odd number of ``not``, so True counts against the patient."""

    leaf: Leaf | Fact | Unread
    value: bool | None
    why: str
    span: Span
    needs: str | None = None
    miss: float | None = None
    applies: bool = True
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """``value`` of the expression, and what decided it.

    ``findings`` are the leaves that carry the answer: those that make it true or false, or, for an
    unknown, those that would have to be known. ``applies`` False: nothing in it is about the patient.
    """

    value: bool | None
    findings: tuple[Finding, ...] = ()
    applies: bool = True


DROPPED = Answer(None, (), applies=False)
"""The answer of what is not about the patient."""

Judged = Callable[[Leaf | Fact | Unread, bool], Answer]
"""What a leaf answers; the flag says whether it stands under an odd number of ``not``."""


@dataclass(frozen=True, slots=True)
class Judge:
    """One patient before one set of items; ``text`` is the raw text that spans point into, ``dated`` the
    facts of which the text says when they were (see :func:`dated_facts`)."""

    items: Mapping[str, Item]
    patient: Patient
    knowledge: Knowledge
    text: str
    dated: frozenset[Fact] = frozenset()

    def __call__(self, expression: Leaf | Fact | Unread, excluded: bool) -> Answer:
        """The leaf's answer."""
        match expression:
            case Fact(_, span):
                verdict = judge_fact(expression, self.patient, self.knowledge, expression in self.dated)
            case Unread(span, why):
                verdict = self._unread(span, why)
            case Leaf(identifier):
                item = self.items.get(identifier)
                if item is None:
                    return Answer(None, (Finding(expression, None, f"no item {identifier}", (0, 0)),))
                span = item.value_span
                if item.concept_span is not None:
                    span = (min(span[0], item.concept_span[0]), max(span[1], item.concept_span[1]))
                about = applies(item.population, self.patient)
                if about is False:
                    return DROPPED
                verdict = self._item(item)
                if about is None:
                    why = f"it is not known whether '{item.population}' means this patient; {verdict.why}"
                    verdict = Verdict(None, why, item.population)
        finding = Finding(
            expression, verdict.value, verdict.why, span, verdict.needs, verdict.miss, True, excluded
        )
        return Answer(verdict.value, (finding,))

    def _item(self, item: Item) -> Verdict:
        recency = judge_recency(item, self.patient, self.knowledge)
        verdict = judge_item(item, self.patient, self.knowledge)
        return recency if recency is not None and verdict.value is None else verdict

    def _unread(self, span: Span, why: str) -> Verdict:
        quoted = " ".join(self.text[span[0] : span[1]].split())
        answer = self.patient.answers_by_key.get(answer_key(quoted)) if quoted else None
        if answer is not None:
            return Verdict(answer, f"'{quoted}': answered {'yes' if answer else 'no'} by the caller", quoted)
        return Verdict(None, f"not understood ({why}): '{quoted}'", quoted or None)


def dated_facts(expression: Expression, items: Mapping[str, Item]) -> frozenset[Fact]:
    """The facts that stand beside a "within the last 4 weeks" in one conjunction: what is over counts, too."""
    match expression:
        case All(parts):
            below = [dated_facts(part, items) for part in parts]
            if any(isinstance(part, Leaf) and _recent(items.get(part.item)) for part in parts):
                below += [
                    frozenset(leaf for leaf in leaves(part) if isinstance(leaf, Fact)) for part in parts
                ]
        case AnyOf(parts):
            below = [dated_facts(part, items) for part in parts]
        case Not(part):
            return dated_facts(part, items)
        case If(condition, then, otherwise):
            below = [dated_facts(part, items) for part in (condition, then, otherwise)]
        case Leaf() | Fact() | Unread():
            return frozenset()
    return frozenset().union(*below)


def _recent(item: Item | None) -> bool:
    return item is not None and item.comparator == "within"


def combined(expression: Expression, judged: Judged, excluded: bool = False) -> Answer:
    """What the leaves' answers make of the expression."""
    match expression:
        case All(parts):
            return _combine([combined(part, judged, excluded) for part in parts], decisive=False)
        case AnyOf(parts):
            return _combine([combined(part, judged, excluded) for part in parts], decisive=True)
        case Not(part):
            inner = combined(part, judged, not excluded)
            value = None if inner.value is None else not inner.value
            return Answer(value, inner.findings, inner.applies)
        case If():
            return _branch(expression, judged, excluded)
        case Leaf() | Fact() | Unread():
            return judged(expression, excluded)


def _branch(expression: If, judged: Judged, excluded: bool) -> Answer:
    condition = combined(expression.condition, judged, excluded)
    if condition.value is False or not condition.applies:
        chosen = combined(expression.otherwise, judged, excluded)
    elif condition.value is True:
        chosen = combined(expression.then, judged, excluded)
    else:
        then = combined(expression.then, judged, excluded)
        otherwise = combined(expression.otherwise, judged, excluded)
        if then.applies == otherwise.applies and then.value == otherwise.value is not None:
            return Answer(then.value, (*then.findings, *otherwise.findings))
        unknown = [part for part in (then, otherwise) if part.value is None]
        return Answer(None, (*condition.findings, *(f for part in unknown for f in part.findings)))
    return Answer(chosen.value, (*condition.findings, *chosen.findings), chosen.applies)


def _combine(parts: list[Answer], *, decisive: bool) -> Answer:
    """Kleene's all (``decisive`` False) and any (``decisive`` True) over the parts that apply."""
    applying = [part for part in parts if part.applies]
    if parts and not applying:
        return DROPPED
    for wanted in (decisive, None):
        carrying = [part for part in applying if part.value is wanted]
        if carrying:
            return Answer(wanted, tuple(finding for part in carrying for finding in part.findings))
    return Answer(not decisive, tuple(finding for part in applying for finding in part.findings))


def evaluate(
    expression: Expression,
    items: Mapping[str, Item],
    patient: Patient,
    knowledge: Knowledge,
    text: str = "",
) -> Answer:
    """The expression's answer for the patient.

    ``items`` are by id; ``text`` is the raw text that spans point into, by which the caller's answers
    to unread demands are found.
    """
    return combined(expression, _judge(expression, items, patient, knowledge, text))


def _judge(
    expression: Expression, items: Mapping[str, Item], patient: Patient, knowledge: Knowledge, text: str
) -> Judge:
    dated = dated_facts(expression, items) if patient.events else frozenset()
    return Judge(items, patient, knowledge, text, dated)


def evaluate_criterion(
    criterion: Criterion,
    items: Mapping[str, Item],
    patient: Patient,
    knowledge: Knowledge,
    text: str = "",
) -> Answer:
    """What the criterion answers: True, the patient meets what is needed to enter.

    A criterion restricted to a population the patient does not belong to puts no demand on the patient
    (``applies`` False, value True); to one of which that is not known, it can at best be unknown.
    """
    judge = _judge(criterion.expression, items, patient, knowledge, text)
    return criterion_answer(criterion, applies(criterion.population, patient), judge)


def criterion_answer(criterion: Criterion, about: bool | None, judged: Judged) -> Answer:
    """The criterion's answer from those of its leaves; ``about``: whether its population is the patient's."""
    answer = DROPPED if about is False else combined(criterion.expression, judged)
    if not answer.applies:
        return Answer(True, answer.findings, applies=False)
    if about is None and answer.value is not True:
        why = f"it is not known whether '{criterion.population}' means this patient"
        leaf = Unread(criterion.span, why)
        return Answer(
            None, (Finding(leaf, None, why, criterion.span, criterion.population), *answer.findings)
        )
    return answer
