"""Populations: whom a heading or a label restricts its text to, and where that ends."""

from __future__ import annotations

import pytest

from nlp.criteria import parse
from nlp.populations import heading, label, nested, population, titles


def populations(raw: str, section: str = "full") -> list[tuple[str, str | None]]:
    return [(raw[node.start : node.end], node.population) for node in parse(raw, section)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Arm A:", "Arm A"),
        ("Part 1 (healthy volunteers)", "Part 1"),
        ("Part 1 and Part 2 (Cohorts A to C)", "Part 1 and Part 2"),
        ("For Phase 2, the following solid tumors are allowed:", "Phase 2"),
        ("For Participants in the Expansion Part Only (Adults only):", "Expansion Part"),
        ("SLE-ITP group:", "SLE-ITP group"),
        ("People with Diabetes Group (dyads):", "People with Diabetes Group"),
        ("Adult Participants with SLE (Cohort 1):", "Cohort 1"),
        ("[Expansion Part]", "Expansion Part"),
        ("Adults:", "Adult patients"),
        ("Pediatric participants (12 to 17 years):", "Pediatric patients"),
        ("For participants aged 12 to 17 years:", "Participants aged 12 to 17 years"),
        ("For subjects with type 2 diabetes:", "Subjects with type 2 diabetes"),
        ("Women of child-bearing potential must:", "Women of childbearing potential"),
        ("The partner will be included based on the following criteria :", "Partner"),
        ("Exclusion from Fluoxetine Arm:", "Fluoxetine Arm"),
        ("Group 1: Metabolic syndrome", "Group 1"),
        ("A male participant must agree to use contraception.", "Male participants"),
    ],
)
def test_a_heading_names_its_population(text: str, name: str) -> None:
    assert heading(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "A man or woman, 30 years of age or above, who meets the following criteria:",
        "Adult or pediatric patients with leukaemia and either:",
        "Participant must be 1 year old when the legal guardian signs and be assigned to one of:",
        "Diagnosis of the following PAH Group 1 subtypes:",
        "Males with erectile dysfunction for 6 months, stable relationship",
        "Prospective participants must:",
        "Women < 50 years:",
        "Patients with any of the following:",
        "All enrolled subjects:",
        "Single patient.",
    ],
)
def test_a_sentence_that_holds_the_word_names_none(text: str) -> None:
    assert heading(text) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Cohort B (ITP): platelets < 30 x 10^9/L", "Cohort B"),
        ("Cohorts 1 and 2: no prior therapy", "Cohorts 1 and 2"),
        ("Adult and Pediatric Arms: relapsed AML", "Adult and Pediatric Arms"),
        ("Pediatric arm: aged 1 to 17 years", "Pediatric arm"),
        ("Phase Ia(Part A): previous treatment", "Phase Ia"),
        ("For participants in Cohort A: late relapse", "Cohort A"),
        ("\\[Biopsy Parts\\] Patients with accessible lesions", "Biopsy Parts"),
        ("In the MTD Expansion Cohort only, a biopsy is needed", "MTD Expansion Cohort"),
        ("At least 2 lines of prior therapy (Part 1 only)", "Part 1"),
        ("Active hepatitis B infection (Part 1 and Part 2).", "Part 1 and Part 2"),
        ("For women only: pregnant", "Female participants"),
        ("For Phase 1a, the following tumours are allowed: melanoma", "Phase 1a"),
        ("History of seizures due to light (Group D).", "Group D"),
        ("Lupus nephritis cohort: UPCR ≥ 1 g/g", "Lupus nephritis cohort"),
        ("Parents of children with leukaemia: consent", "Parents of children with leukaemia"),
    ],
)
def test_a_label_names_its_population(text: str, name: str) -> None:
    assert label(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "Age group: 18 to 65 years",
        "Adults: 18 years or older",
        "Male or female patients: any",
        "Pulmonary arterial hypertension (Group 1)",
        "Group A streptococcus infection: active",
        "Subjects with implanted devices: pacemaker",
        "Body mass index (BMI): 18 to 30",
        "Donor lymphocyte infusion: within 60 days",
        "Heart failure (NYHA class III)",
        "In remission (Group A) or with active disease (Group B)",
    ],
)
def test_other_words_before_a_colon_or_in_brackets_are_no_label(text: str) -> None:
    assert label(text) is None


def test_only_a_line_without_a_demand_is_a_title() -> None:
    assert titles("Cohort A (SLE):")
    assert not titles("Cohort A: SLE")
    assert not titles("Children with liver dysfunction, including:")


def test_each_label_restricts_its_own_line() -> None:
    assert populations("Arm A: platelets ≥ 100\nArm B: platelets ≥ 50\nConsent", "inclusion") == [
        ("Arm A: platelets ≥ 100", "Arm A"),
        ("Arm B: platelets ≥ 50", "Arm B"),
        ("Consent", None),
    ]


def test_age_groups_end_each_other() -> None:
    raw = "Adults:\n- Hb 9\nPediatric participants (12 to 17 years):\n- Hb 8\n- weight 40\nAll participants:\n- Consent"
    assert populations(raw, "inclusion") == [
        ("Adults:", "Adult patients"),
        ("Hb 9", "Adult patients"),
        ("Pediatric participants (12 to 17 years):", "Pediatric patients"),
        ("Hb 8", "Pediatric patients"),
        ("weight 40", "Pediatric patients"),
        ("All participants:", None),
        ("Consent", None),
    ]


def test_patients_with_a_disease_beside_healthy_participants_are_a_group() -> None:
    raw = "Patients with disc disease\n\n* Adult\n* Consent\n\nHealthy participants\n\n* Adult\n"
    nodes = parse(raw, "exclusion")
    assert [(node.kind, node.population) for node in nodes] == [
        ("heading", "Patients with disc disease"),
        ("criterion", "Patients with disc disease"),
        ("criterion", "Patients with disc disease"),
        ("heading", "Healthy volunteers"),
        ("criterion", "Healthy volunteers"),
    ]
    assert parse("Patients with disc disease\n\n* Adult\n* Consent\n", "exclusion")[0].kind == "criterion"


def test_a_title_above_the_sections_reaches_them_until_the_next() -> None:
    raw = (
        "Cohort 1\n\nInclusion Criteria:\n\n1. A\n\nExclusion Criteria:\n\n1. B\n\n"
        "Cohort 2\n\nInclusion Criteria:\n\n1. C\n\nExclusion Criteria (all cohorts):\n\n1. D"
    )
    assert populations(raw) == [("A", "Cohort 1"), ("B", "Cohort 1"), ("C", "Cohort 2"), ("D", None)]


def test_a_last_criterion_above_an_exclusion_heading_is_no_title() -> None:
    raw = "Inclusion Criteria:\n\nConsent\n\nHealthy volunteers\n\nExclusion Criteria:\n\nSmoker"
    assert populations(raw) == [("Consent", None), ("Healthy volunteers", None), ("Smoker", None)]


def test_a_heading_that_ends_a_line_takes_its_population_along() -> None:
    raw = "Inclusion Criteria:\n* Consent Inclusion Criteria Partner\n* Female"
    assert populations(raw) == [("Consent", None), ("Female", "Partner")]


def test_a_group_inside_a_group() -> None:
    assert nested("Part B", "Female participants") == "Part B, Female participants"
    assert nested("Part 2", "Cohort A") == "Cohort A"
    assert nested("Male participants", "Female participants") == "Female participants"
    assert nested("Donor", None) == "Donor"
    assert (
        nested("Women of childbearing potential", "Female participants") == "Women of childbearing potential"
    )


def test_what_men_must_do_in_a_list_about_women() -> None:
    raw = "* Women of childbearing potential must use:\n  * a pill\n  * a vasectomized partner\n  * Men must use condoms."
    assert [who for _, who in populations(raw, "inclusion")] == [
        "Women of childbearing potential", "Women of childbearing potential", "Women of childbearing potential", "Male participants",
    ]  # fmt: skip


def test_a_title_of_several_parts_between_bullets_heads_the_next() -> None:
    raw = "* Adult\n\nPart 1 and Part 2 (Cohorts A to C)\n\n* Lymphoma\n\nPart 2 (Cohorts D to G)\n\n* Leukaemia"
    assert [who for _, who in populations(raw, "inclusion")] == [
        None, "Part 1 and Part 2", "Part 1 and Part 2", "Part 2", "Part 2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("for subjects with renal insufficiency:", "Subjects with renal insufficiency"),
        ("specific  for lung transplant (LTx) patients", "Lung transplant (LTx) patients"),
        ("for participation in R3.", "R3"),
        ("for trial entry", None),
        ("for patients", None),
    ],
)
def test_the_tail_of_a_section_heading(words: str, name: str | None) -> None:
    assert population(words) == name


def test_a_heading_for_all_cohorts_says_whom_not_how() -> None:
    raw = "Exclusion Criteria:\n\nAll cohorts\n\n1. HIV\n2. Pregnancy\n\nLupus cohort\n\n1. Active CNS lupus"
    nodes = parse(raw, "full")
    assert [(node.logic, node.population) for node in nodes if node.logic] == [
        ("all", None),
        ("all", "Lupus cohort"),
    ]
    assert parse("* All of the following:\n  * A\n  * B", "exclusion")[0].logic == "together"


def test_the_next_group_in_one_line() -> None:
    raw = "Group 1 (SLE): 1) ANA positive; 2) active; Group 2 (SSc): 1) mRSS 15; 2) early"
    assert [node.population for node in parse(raw, "inclusion")] == ["Group 1"] * 3 + ["Group 2"] * 3
