from __future__ import annotations

import pytest

from harvest.model import Intervention, MeshTerm
from kb.build import Reading
from kb.comparable import comparable, rank_by_topic, stored_subject
from kb.draft import draft_subject, known_conditions
from kb.errors import BadQuestion
from kb.similarity import settings
from kb.store import Store
from nlp.model import Extraction
from tests.kb.samples import CONCEPTS, VOCABULARY, platelets_trial

NEPHRITIS = {
    "conditions": ("Lupus Nephritis",),
    "condition_mesh": (MeshTerm("D008181", "Lupus Nephritis"),),
    "condition_ancestors": (MeshTerm("D008180", "Lupus Erythematosus, Systemic"),),
}
MYOSITIS = {
    "conditions": ("Myositis",),
    "condition_mesh": (MeshTerm("D009220", "Myositis"),),
    "condition_ancestors": (MeshTerm("D001327", "Autoimmune Diseases"),),
}
ASTHMA = {
    "conditions": ("Asthma",),
    "condition_mesh": (MeshTerm("D001249", "Asthma"),),
    "condition_ancestors": (),
}
BELIMUMAB = {
    "interventions": (Intervention("BIOLOGICAL", "Belimumab"),),
    "title": "Belimumab",
    "keywords": (),
}


@pytest.fixture
def some(store: Store) -> Store:
    store.put(*platelets_trial(1, value=50))
    store.put(*platelets_trial(2, value=75))
    store.put(*platelets_trial(3, value=50, **NEPHRITIS, title="CD19 CAR-T in lupus nephritis"))
    store.put(*platelets_trial(4, value=50, **MYOSITIS, title="CD19 CAR-T in myositis"))
    store.put(*platelets_trial(5, value=50, **BELIMUMAB))
    store.put(*platelets_trial(6, value=50, **ASTHMA, **BELIMUMAB))
    return store


def ranked(store: Store, trial_id: str = "NCT99000001") -> list[str]:
    return [match.trial.trial[-1] for match in comparable(store, stored_subject(store, trial_id))]


def test_nearer_topics_come_first(some: Store) -> None:
    assert ranked(some) == ["2", "3", "4", "5", "6"]


def test_the_asked_trial_is_not_among_the_answers(some: Store) -> None:
    assert "3" not in ranked(some, "NCT99000003")


def test_the_reasons_add_up_to_the_score(some: Store) -> None:
    for match in comparable(some, stored_subject(some, "NCT99000001")):
        assert match.score == pytest.approx(sum(reason.contribution for reason in match.reasons))
        assert sum(reason.weight for reason in match.reasons) == pytest.approx(1)


def test_every_part_that_counts_says_what_it_rests_on(some: Store) -> None:
    for match in comparable(some, stored_subject(some, "NCT99000001")):
        assert all(reason.because for reason in match.reasons if reason.value > 0)


@pytest.mark.parametrize(
    ("trial", "grade"),
    [
        ("2", "same condition"),
        ("3", "parent or child condition"),
        ("4", "same branch of conditions"),
        ("6", "none"),
    ],
)
def test_conditions_are_graded(some: Store, trial: str, grade: str) -> None:
    matches = comparable(some, stored_subject(some, "NCT99000001"))
    match = next(one for one in matches if one.trial.trial.endswith(trial))
    assert next(reason.grade for reason in match.reasons if reason.part == "condition") == grade


@pytest.mark.parametrize(
    ("name", "grade"),
    [
        ("CD19 CAR-T cells", "same product"),
        ("Anti-CD19 chimeric antigen receptor T cells", "same target and modality"),
        ("BCMA CAR-T", "same modality"),
        ("Ringer solution", "same type"),
    ],
)
def test_interventions_are_graded(store: Store, name: str, grade: str) -> None:
    store.put(*platelets_trial(1))
    other = (Intervention("BIOLOGICAL", name),)
    store.put(*platelets_trial(2, interventions=other, title="A trial", keywords=()))
    (match,) = comparable(store, stored_subject(store, "NCT99000001"))
    assert next(reason.grade for reason in match.reasons if reason.part == "intervention") == grade


def test_the_block_needs_condition_and_intervention(some: Store) -> None:
    inside = {
        one.trial.trial[-1] for one in comparable(some, stored_subject(some, "NCT99000001")) if one.in_block
    }
    assert inside == {"2", "3", "4"}
    only = comparable(some, stored_subject(some, "NCT99000001"), block_only=True)
    assert {one.trial.trial[-1] for one in only} == inside


def test_thresholds_sort_but_do_not_find(some: Store) -> None:
    by_topic = rank_by_topic(some, stored_subject(some, "NCT99000001"))
    some.put(*platelets_trial(2, value=999, version="b" * 64, last_update_posted="2026-06-01"))
    moved = rank_by_topic(some, stored_subject(some, "NCT99000001"))
    assert [round(score, 6) for _, score, _ in moved] == [round(score, 6) for _, score, _ in by_topic]
    sorted_by = comparable(some, stored_subject(some, "NCT99000001"), order="thresholds")
    assert sorted_by[-1].trial.trial == "NCT99000002"
    assert [match.rank for match in sorted_by] == [1, 2, 3]


def test_weights_hold_no_thresholds() -> None:
    assert set(settings()[0].weights) == {"condition", "intervention", "text", "themes", "concepts"}


def test_a_limit_below_one_is_refused(some: Store) -> None:
    with pytest.raises(BadQuestion, match="at least 1"):
        comparable(some, stored_subject(some, "NCT99000001"), limit=0)


def _reading(text: str) -> Extraction:
    return platelets_trial(value=50)[1] if "Platelets >= 50" in text else Extraction((), (), VOCABULARY)


READING = Reading(_reading, VOCABULARY, CONCEPTS)


def test_a_draft_finds_by_what_its_text_says(some: Store) -> None:
    text = platelets_trial(value=50)[0].eligibility_text
    subject = draft_subject(some, text, READING, title="CD19 CAR-T cells in Lupus Nephritis")
    assert subject.trial.conditions == ("lupus nephritis",)
    matches = comparable(some, subject)
    assert matches[0].trial.trial == "NCT99000003"
    assert [row.verdict for row in matches[0].contrast.rows if row.concept == "plt"] == ["same"]


def test_a_draft_may_name_its_subject(some: Store) -> None:
    subject = draft_subject(some, "Adults.", READING, conditions=["asthma"], interventions=["belimumab"])
    assert comparable(some, subject)[0].trial.trial == "NCT99000006"


def test_a_name_inside_a_longer_one_is_not_a_second_condition(some: Store) -> None:
    assert known_conditions(some.connection, "for Lupus Nephritis, or Asthma") == [
        "asthma",
        "lupus nephritis",
    ]


def test_a_draft_without_words_is_refused(some: Store) -> None:
    with pytest.raises(BadQuestion, match="names no condition"):
        comparable(some, draft_subject(some, "...", READING))


def test_a_large_store_takes_candidates_by_topic(some: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = ranked(some)
    monkeypatch.setattr("kb.comparable.SCAN", 3)
    assert ranked(some)[:3] == everything[:3]


def test_as_of_compares_past_states(some: Store) -> None:
    some.put(*platelets_trial(2, value=999, version="b" * 64, last_update_posted="2026-06-01"))
    with Store.open(some.path, as_of="2026-02-01") as past:
        first = comparable(past, stored_subject(past, "NCT99000001"))[0]
        platelets = next(row for row in first.contrast.rows if row.concept == "plt")
        assert platelets.there is not None
        assert platelets.there.min_value == 75


UNCODED = {
    "conditions": ("Difficult to Treat Systemic Lupus Erythematosus",),
    "condition_mesh": (),
    "condition_ancestors": (),
}


def test_a_heading_is_known_in_the_order_of_speech_and_brings_its_ancestors(store: Store) -> None:
    store.put(*platelets_trial(1, value=50))
    store.put(*platelets_trial(2, value=50, **UNCODED))
    store.put(*platelets_trial(3, value=50, **MYOSITIS))
    features = stored_subject(store, "NCT99000002").features
    assert features.mesh == {"D008180": "Lupus Erythematosus, Systemic"}
    assert "D001327" in features.ancestors
    found = comparable(store, stored_subject(store, "NCT99000002"))
    assert [match.reasons[0].grade for match in found] == ["same condition", "same branch of conditions"]


def test_of_two_headings_the_longer_is_meant(store: Store) -> None:
    store.put(
        *platelets_trial(1, value=50, **NEPHRITIS | {"condition_mesh": (MeshTerm("D009393", "Nephritis"),)})
    )
    store.put(*platelets_trial(2, value=50, **NEPHRITIS))
    store.put(*platelets_trial(3, value=50, **UNCODED | {"conditions": ("Refractory Lupus Nephritis",)}))
    assert set(stored_subject(store, "NCT99000003").features.mesh) == {"D008181"}
