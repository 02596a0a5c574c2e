"""Nobody is called eligible while a part of a criterion stands unread, even one that another makes up for."""

from __future__ import annotations

from typing import Any

from kb.patient import Measurement
from kb.screen import TrialAnswer, TrialCriteria, missing, screen_trial
from nlp.model import AnyOf, Criterion, Extraction, Leaf, Unread
from tests.screening.making import KNOWLEDGE, item, patient


def test_never_eligible_while_anything_stands_unread() -> None:
    text = "Inclusion Criteria:\n* Platelets >= 50 x 10^9/L or whatever"
    unread = Unread((50, 58), "words")
    either = AnyOf((Leaf("i1"), unread))
    criterion = Criterion("1", "inclusion", text[22:], (22, len(text)), either, 1.0)
    wanted = item("plt", ">=", 50, unit="10*9/L", value_span=(32, 46))
    trial = TrialCriteria("N", "ctgov", "", "", text, Extraction((wanted,), (criterion,)))

    def answered(*platelets: float, **fields: Any) -> TrialAnswer:
        values = [Measurement("plt", one, "10*9/L") for one in platelets]
        return screen_trial(trial, patient(*values, **fields), KNOWLEDGE)

    (one,) = answered(60).criteria
    assert (answered(60).status, one.value, one.standing[0].quote) == ("undetermined", True, "whatever")
    assert missing(answered(60)) == {"whatever": "whatever"}
    assert answered(60, answers={"whatever": False}).status == "eligible"
    assert answered(60, answers={"N inclusion 1": True}).status == "eligible"
    assert answered(40, answers={"whatever": False}).status == "not eligible"
