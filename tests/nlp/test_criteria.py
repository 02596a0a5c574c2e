"""The criteria tree: text in, (path, text) out."""

from __future__ import annotations

import pytest

from nlp.criteria import Node, logic, parse


def tree(raw: str, section: str = "inclusion") -> list[tuple[str, str]]:
    return [(node.path, raw[node.start : node.end]) for node in parse(raw, section)]


def paths(raw: str, section: str = "inclusion") -> list[str]:
    return [node.path for node in parse(raw, section)]


def by_path(raw: str, section: str = "inclusion") -> dict[str, Node]:
    return {node.path: node for node in parse(raw, section)}


# ------------------------------------------------------------ plain lists


@pytest.mark.parametrize("bullet", ["*", "-", "•", "●", "–", "‣", "o", "\uf0b7", "+", "\\*"])
def test_every_bullet_is_taken_off(bullet: str) -> None:
    assert tree(f"{bullet} Age 18\n{bullet} Signed consent") == [("1", "Age 18"), ("2", "Signed consent")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1. ", "2. "), ("1) ", "2) "), ("(1) ", "(2) "), ("1、", "2、"), ("（1）", "（2）"), ("①", "②"), ("1.", "2."),
        ("1\\. ", "2\\. "), ("* 1\\. ", "* 2\\. "), ("- • 1. ", "- • 2. "), ("•1)", "•2)"),
    ],
)  # fmt: skip
def test_every_way_to_number(first: str, second: str) -> None:
    assert tree(f"{first}Age over 18\n{second}Signed consent") == [
        ("1", "Age over 18"),
        ("2", "Signed consent"),
    ]


def test_lines_without_any_marker() -> None:
    assert tree("Age over 18\nSigned consent\n") == [("1", "Age over 18"), ("2", "Signed consent")]


def test_carriage_returns_tabs_and_hard_spaces() -> None:
    assert tree("*\tAge 18\u00a0\r\n*\u00a0Consent\t\r\n") == [("1", "Age 18"), ("2", "Consent")]


def test_zero_width_characters_are_no_text() -> None:
    assert tree("\u200b* Age 18\u200b\n\ufeff\n") == [("1", "Age 18")]


def test_empty_text_has_no_nodes() -> None:
    assert parse("", "full") == []
    assert parse(" \n\t\r\n-\n", "full") == []


def test_a_decimal_at_the_start_is_no_number() -> None:
    assert tree("2.5 mg of warfarin\n1.5 x ULN") == [("1", "2.5 mg of warfarin"), ("2", "1.5 x ULN")]


def test_a_species_is_no_letter_of_a_list() -> None:
    assert tree("E. coli infection\nM. perstans carrier") == [
        ("1", "E. coli infection"),
        ("2", "M. perstans carrier"),
    ]


def test_a_list_of_one_letter() -> None:
    assert paths("8. Women:\n   a. Sterile") == ["8", "8.a"]


def test_semicolons_and_sentences_stay_in_one_node() -> None:
    raw = "* ALT below 40; AST below 40. Bilirubin normal."
    assert tree(raw) == [("1", raw[2:])]


def test_a_number_without_its_dot_between_two_that_have_theirs() -> None:
    assert tree("5. Able to consent\n6 Patient agrees to visits\n7. Male") == [
        ("5", "Able to consent"),
        ("6", "Patient agrees to visits"),
        ("7", "Male"),
    ]


# --------------------------------------------------------------- nesting


def test_indented_numbers_are_parts() -> None:
    assert tree("1. A one\n2. B two:\n   1. B one\n   2. B two\n3. C three") == [
        ("1", "A one"),
        ("2", "B two:"),
        ("2.1", "B one"),
        ("2.2", "B two"),
        ("3", "C three"),
    ]


def test_indented_bullets_are_parts() -> None:
    assert paths("* A\n* B:\n\n  * C\n    * D\n  * E\n* F") == ["1", "2", "2.1", "2.1.1", "2.2", "3"]


def test_a_flat_restart_is_a_part_of_the_item_before() -> None:
    assert paths("1. A\n2. B meets:\n1. C\n2. D\n3. E\n3. F") == ["1", "2", "2.1", "2.2", "2.3", "3"]


def test_the_outer_list_goes_on_where_both_could() -> None:
    assert paths("1. A\n2. B\n• Doses:\n1. C\n2. D\n3. E\n4. F\n5. G") == [
        "1", "2", "2.h1", "2.1", "2.2", "3", "4", "5",
    ]  # fmt: skip


def test_the_inner_list_goes_on_where_the_outer_does_so_later() -> None:
    assert paths("1. A\n2. B:\n1. C\n2. D\n3. E\n4. F\n3. G\n4. H") == [
        "1", "2", "2.1", "2.2", "2.3", "2.4", "3", "4",
    ]  # fmt: skip


def test_letters_under_numbers_at_one_indentation() -> None:
    assert paths("1. A\na. B\nb. C\n2. D\na) E\nb) F") == ["1", "1.a", "1.b", "2", "2.a", "2.b"]


def test_roman_and_letter_i_are_told_apart() -> None:
    assert paths("1. A\n   i. B\n   ii. C\n   iii. D") == ["1", "1.i", "1.ii", "1.iii"]
    letters = "\n".join(f"{letter}. item" for letter in "abcdefghij")
    assert paths(letters)[-2:] == ["i", "j"]


def test_multi_level_numbers_keep_their_label() -> None:
    assert paths("2. A\n2.1. B\n2.2. C\n3. D") == ["2", "2.1", "2.2", "3"]


def test_a_letter_right_behind_its_number() -> None:
    assert tree("6. a. Men use condoms.\nb. Women use pills.\n7. X") == [
        ("6", "Men use condoms."),
        ("6.b", "Women use pills."),
        ("7", "X"),
    ]


def test_a_paragraph_under_an_item_is_a_part_of_it() -> None:
    assert paths("1. A\nJustification: B\n2. C\n") == ["1", "1.1", "2"]


def test_mixed_dash_and_star_are_one_list_around_a_sublist() -> None:
    assert paths("- A, any of the following:\n\ni) B\n\nii) C\n\n* D\n* E") == ["1", "1.i", "1.ii", "2", "3"]


# --------------------------------------- lists without numbers or indentation


def test_a_list_in_its_own_paragraph_ends_with_it() -> None:
    assert paths("Age 18\nHas a fever, defined as:\n\nAxillary 38\nRectal 39\n\nConsent\nMale") == [
        "1", "2", "2.1", "2.2", "3", "4",
    ]  # fmt: skip


def test_a_list_ends_with_its_semicolons() -> None:
    assert paths("• No conflict with the following:\n• Visits;\n• Outcome;\n• Conduct\n• Male") == [
        "1", "1.1", "1.2", "1.3", "2",
    ]  # fmt: skip


def test_a_list_ends_where_lower_case_does() -> None:
    assert paths("• History of the following:\n• stroke\n• angina\n• Male sex") == ["1", "1.1", "1.2", "2"]


def test_a_list_of_laboratory_values_ends_with_its_last_number() -> None:
    raw = "• Adequate marrow function:\n• ANC 1.5\n• Platelets 100\n• Written consent"
    assert paths(raw) == ["1", "1.1", "1.2", "2"]


def test_either_has_two_parts() -> None:
    assert paths("Shown by either:\nScore of 10\nSedentary life\nWilling to come") == ["1", "1.1", "1.2", "2"]


def test_a_lower_case_list_is_not_joined() -> None:
    raw = "history of anaphylaxis, convulsion, epilepsy, encephalopathy and psychosis\nsevere allergies\npregnancy\n"
    assert len(parse(raw, "exclusion")) == 3


def test_wrapped_lines_are_joined_and_the_span_stays_whole() -> None:
    raw = (
        "  -  Women of childbearing potential must have a negative pregnancy test\n"
        "     within seven days before the first dose and use contraception during\n"
        "     the whole of the study period.\n"
        "  -  Signed consent\n"
    )
    assert tree(raw) == [("1", raw[5 : raw.index("  -  Signed")].rstrip()), ("2", "Signed consent")]


@pytest.mark.parametrize(
    ("raw", "count"),
    [
        ("Age: 18\n- 65 years old", 1),
        ("* BMI: 18.5\n* 30 kg/m2", 1),
        ("* Aged 18\n* 65 years or older", 2),
        ("* Age: 65\n* 18 years", 2),
        ("* ECOG 1\n* 18 years of age", 2),
        ("* Grade 3 (per\n* the network's guidelines)", 1),
        ("* Grade 3 (see below)\n* Platelets (100)", 2),
        ("* Grade 3 (per\n* Platelets (100)", 2),
    ],
)
def test_a_range_or_a_bracket_that_a_bullet_broke_is_one_line(raw: str, count: int) -> None:
    assert len(parse(raw, "inclusion")) == count


def test_a_line_that_asks_for_the_following_needs_no_colon() -> None:
    raw = "* Consent\n* Surgery for any of the following\n* Trauma\n* Deformity\n* Age: 18 years"
    assert paths(raw) == ["1", "2", "2.1", "2.2", "3"]
    assert parse(raw, "inclusion")[1].logic == "any"


def test_a_list_under_a_label_ends_with_the_next_label() -> None:
    raw = "* Hepatic:\n* Bilirubin < 2\n* ALT < 3\n* Renal: clearance above 50\n* Cardiac: EF 45"
    assert paths(raw) == ["1", "1.1", "1.2", "2", "3"]


def test_a_list_of_diseases_ends_where_the_subject_consents() -> None:
    raw = "* Infection with any of the following:\n* HIV\n* Hepatitis B\n* Patients with known cancer\n* Signed consent"
    assert paths(raw) == ["1", "1.1", "1.2", "2", "3"]


def test_items_that_end_in_or_are_a_list() -> None:
    raw = "* Symptoms for 3 of the last 6 months, that is:\n* Pain\n* Urgency and/or\n* Frequency\n* Consent"
    assert paths(raw)[:4] == ["1", "1.1", "1.2", "1.3"]


# --------------------------------------------------------- run-on numbering


@pytest.mark.parametrize(
    ("raw", "cut"),
    [
        ("3. Score of 3.4 or more; 4. Visits", ["3", "4"]),
        ("3. Score. 4. Visits; 5. Consent", ["3", "4", "5"]),
        ("(3)ALT≤3×ULN; (4) Renal function", ["3", "4"]),
        ("（3）ALT≤3×ULN；（4）Renal function", ["3", "4"]),
        ("1. Pregnant 2. Lactating 3. Allergic 4. Deaf", ["1", "2", "3", "4"]),
        ("A. Refusal B. Psychosis C. Young D. Old", ["A", "B", "C", "D"]),
        ("Excluded if: a) smokers, b) drinkers, c) children", ["1", "1.a", "1.b", "1.c"]),
        ("Shown by: i) CT; ii) MRI; and iii) scale", ["1", "1.i", "1.ii", "1.iii"]),
        ("7. Organs: 1) heart; 2) liver; 8. Women", ["7", "7.1", "7.2", "8"]),
        ("Criteria met: • fever • cough", ["1", "1.1", "1.2"]),
        ("1. Adult 2. Consent given\n3. Male", ["1", "2", "3"]),
        ("1. Adult 2. Leukaemia, either:\n1. Acute\n2. Chronic", ["1", "2", "2.1", "2.2"]),
    ],
)
def test_run_on_items_are_cut(raw: str, cut: list[str]) -> None:
    assert paths(raw) == cut


@pytest.mark.parametrize(
    "raw",
    [
        "3. Score of at least 4. Visits",  # no item 4 follows, no punctuation before
        "2. Grade 1, 2, 3. Patients with more are out",
        "1. Bilirubin 2.5 mg/dL; 2.0 in Gilbert",
        "1. Temperature above 38 c. and cough",
        "1. Hepatitis A, B. or C",
        "1. Infection (e.g. with E. coli; C. difficile)",
        "1. On 3. March 2020",
        "1. Class III (2) or subject(s) with it",
        "2. Number of regimens (a. platinum counts; b. adjuvant does not)",
    ],
)
def test_decimals_units_and_lone_numbers_are_no_items(raw: str) -> None:
    assert len(parse(raw, "inclusion")) == 1


def test_dashes_that_lost_their_line_breaks() -> None:
    raw = "Inclusion Criteria:- Males with ED- Stable relationship Exclusion Criteria:- Low desire- Nitrate use- Cancer"
    assert [(node.section, raw[node.start : node.end]) for node in parse(raw, "full")] == [
        ("inclusion", "Males with ED"),
        ("inclusion", "Stable relationship"),
        ("exclusion", "Low desire"),
        ("exclusion", "Nitrate use"),
        ("exclusion", "Cancer"),
    ]


# ------------------------------------------------- headings, logic, populations


@pytest.mark.parametrize(
    ("text", "section", "expected"),
    [
        ("Any of the following:", "inclusion", "any"),
        ("At least one of these:", "inclusion", "any"),
        ("One or more of the following:", "inclusion", "any"),
        ("Shown by either:", "inclusion", "any"),
        ("At least 2 of the following:", "inclusion", "at_least:2"),
        ("Two or more of the following criteria:", "inclusion", "at_least:2"),
        ("All of the following:", "inclusion", "all"),
        ("The following:", "inclusion", "all"),
        ("Any of the following:", "exclusion", "all"),
        ("At least one of the following:", "exclusion", "all"),
        ("The following:", "exclusion", "all"),
        ("All of the following:", "exclusion", "together"),
        ("Both of the following:", "exclusion", "together"),
        ("At least 2 of the following:", "exclusion", "at_least:2"),
    ],
)
def test_logic_of_a_list(text: str, section: str, expected: str) -> None:
    node = parse(f"* {text}\n  * fever\n  * cough\n", section)[0]
    assert node.logic == expected
    assert logic(text, node.section) == expected


@pytest.mark.parametrize(
    ("word", "section", "expected"),
    [("or", "inclusion", "any"), ("OR.", "inclusion", "any"), ("and", "inclusion", "all"), ("and", "exclusion", "together"),
     ("or", "exclusion", "all")],
)  # fmt: skip
def test_the_words_that_end_the_parts_decide_where_the_parent_says_nothing(
    word: str, section: str, expected: str
) -> None:
    assert (
        parse(f"* Infection, defined as:\n  * fever {word}\n  * cough {word}\n  * chills", section)[0].logic
        == expected
    )


def test_no_children_no_logic() -> None:
    assert parse("* At least one of the following lines", "inclusion")[0].logic is None


def test_parent_heading_and_kind() -> None:
    nodes = by_path("* Liver function:\n  * ALT < 40\n  * AST < 40\n* Consent")
    assert (nodes["1"].kind, nodes["1"].heading) == ("heading", None)
    assert (nodes["1.1"].parent, nodes["1.1"].heading) == ("1", "Liver function:")
    assert (nodes["2"].parent, nodes["2"].heading, nodes["2"].kind) == (None, None, "criterion")


def test_a_parent_with_a_demand_of_its_own_is_a_criterion() -> None:
    assert parse("* ANC ≥ 1.5 and the following:\n  * Hb ≥ 9", "inclusion")[0].kind == "criterion"


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("Cohort A1:", "Cohort A1"),
        ("For donors:", "Donor"),
        ("Healthy volunteers:", "Healthy volunteers"),
        ("Sub-study B", "Sub-study B"),
        ("Pediatric patients:", "Pediatric patients"),
        ("For the erectile dysfunction group:", "Erectile dysfunction group"),
        ("For all participants:", None),
        ("Part 2 (Cohorts D to G):", "Part 2"),
    ],
)
def test_population_of_a_heading_reaches_its_children(heading: str, name: str | None) -> None:
    nodes = by_path(f"{heading}\n\n* Age 18\n* Male\n")
    assert nodes["1"].kind == "heading"
    assert nodes["1.1"].population == nodes["1.2"].population == name


def test_flat_cohorts_with_numbers_of_their_own() -> None:
    raw = "Part A:\n\n1. Male\n2. Adult\n\nPart B:\n\n1. Female\n"
    nodes = parse(raw, "inclusion")
    assert [node.path for node in nodes] == ["h1", "1", "2", "h2", "h2.1"]
    assert [node.population for node in nodes] == ["Part A", "Part A", "Part A", "Part B", "Part B"]


def test_donor_section_gets_a_prefix() -> None:
    raw = "Inclusion Criteria:\n1. Sick\n\nDonor Inclusion Criteria:\n1. Well\n"
    nodes = parse(raw, "full")
    assert [(node.path, node.population) for node in nodes] == [("1", None), ("donor.1", "Donor")]


def test_capital_headings_stand_above_titles() -> None:
    raw = "DISEASE CHARACTERISTICS:\n\n* Cancer\n\nPATIENT CHARACTERISTICS:\n\nAge\n\n* 18\n\nHepatic\n\n* ALT normal\n"
    assert paths(raw) == ["1", "1.1", "2", "2.1", "2.1.1", "2.2", "2.2.1"]


@pytest.mark.parametrize(
    "text",
    [
        "Other protocol-defined Inclusion/Exclusion criteria apply.",
        "NOTE: Other protocol defined inclusion criteria may apply",
        "Further exclusion criteria apply.",
        "Inclusion of vulnerable participants",
    ],
)
def test_a_disclaimer_is_a_note(text: str) -> None:
    assert [node.kind for node in parse(f"* Age 18\n* {text}\n", "inclusion")] == ["criterion", "note"]


def test_a_note_that_demands_something_stays_a_criterion() -> None:
    assert parse("* Note: prednisone up to 10 mg/day is allowed", "exclusion")[0].kind == "criterion"


def test_a_lone_and_is_a_note() -> None:
    kinds = [node.kind for node in parse("* A\n\nAND\n\n* B", "inclusion")]
    assert kinds == ["criterion", "note", "criterion"]


def test_wrong_section_is_refused() -> None:
    with pytest.raises(ValueError, match="section must be"):
        parse("x", "both")


@pytest.mark.parametrize("text", ["Males Ages between 18-60 years old", "Women < 50 years:", "DM 1-2"])
def test_a_line_about_people_that_demands_something_is_no_heading(text: str) -> None:
    nodes = parse(f"{text}\n\n* Normal ECG\n* Consent\n", "inclusion")
    assert nodes[0].kind == "criterion"


def test_a_condition_on_women_ends_with_its_paragraph() -> None:
    raw = "Adult\nIf female, must meet one of the following conditions:\n\nSterile or\nOn the pill\n\nConsent\nMale\n"
    nodes = by_path(raw)
    assert list(nodes) == ["1", "2", "2.1", "2.2", "3", "4"]
    assert (nodes["2.1"].population, nodes["3"].population) == ("Female participants", None)
