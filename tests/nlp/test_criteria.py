from __future__ import annotations

from nlp.criteria import parse


def tree(raw: str, section: str = "full") -> list[tuple[str, str]]:
    return [(node.path, raw[node.start : node.end]) for node in parse(raw, section)]


def test_bullets_are_numbered_in_order() -> None:
    assert tree("Inclusion Criteria:\n\n* Age 18\n* Signed consent\n") == [
        ("1", "Age 18"),
        ("2", "Signed consent"),
    ]


def test_own_numbers_are_the_paths() -> None:
    assert tree("1. A one\n2. B two\n   1. B one\n   2. B two\n3. C", "inclusion") == [
        ("1", "A one"),
        ("2", "B two"),
        ("2.1", "B one"),
        ("2.2", "B two"),
        ("3", "C"),
    ]


def test_run_on_number_is_cut_and_decimal_is_not() -> None:
    assert tree("3. Score of 3.4 or more; 4. Weight over 5. Also 6.5 mg", "inclusion") == [
        ("3", "Score of 3.4 or more;"),
        ("4", "Weight over 5. Also 6.5 mg"),
    ]


def test_letters_after_a_colon_are_children() -> None:
    assert tree("1. Marrow: a. ANC > 1; b. Platelets > 50", "inclusion") == [
        ("1", "Marrow:"),
        ("1.a", "ANC > 1;"),
        ("1.b", "Platelets > 50"),
    ]
