"""Text in another language is left unread; an English line with a gloss is not."""

from __future__ import annotations

import pytest

from nlp.language import foreign_parts, language
from nlp.model import Unread, leaves
from nlp.pipeline import Extractor


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Age ≥ 18 years；ALT≤3×ULN（upper limit）", "en"),
        ("ALT≤2.5×ULN（正常值上限）", "en"),
        ("ALT ≤ 2.5 × ULN (正常值上限的2.5倍)", "en"),
        ("年龄在18至75岁之间的患者 / Patients aged 18 to 75 years", "en"),
        ("泼尼松每天不少于七点五毫克", "other"),
        ("Возраст старше восемнадцати лет", "other"),
        ("泼尼松每天不少于7.5 mg/天", "other"),
        ("weight ≥ 50 kg", "en"),
    ],
)
def test_language(text: str, expected: str) -> None:
    assert language(text) == expected


def test_a_gloss_is_blanked_and_said_by_the_line() -> None:
    assert foreign_parts("ALT≤2.5×ULN（正常值上限）") == ("ALT≤2.5×ULN       ", [])


def test_a_stretch_keeps_its_span_and_the_length_stays() -> None:
    text = "年龄在18至75岁之间 / aged 18 to 75"
    blank, stretches = foreign_parts(text) or ("", [])
    assert len(blank) == len(text)
    assert [text[start:end] for start, end in stretches] == ["年龄在18至75岁之间"]


@pytest.mark.parametrize("text", ["ALT < 40", "Age 18 to 75 岁", "Sjögren’s disease"])
def test_a_sign_or_a_unit_is_no_stretch(text: str) -> None:
    assert foreign_parts(text) is None


def test_only_the_foreign_part_is_left_unread(extractor: Extractor) -> None:
    text = "年龄在18至75岁之间的患者 / Patients aged 18 to 75 years"
    read = extractor.extract(text, "inclusion")
    assert [(item.low, item.high) for item in read.items] == [(18.0, 75.0)]
    unread = [leaf for leaf in leaves(read.criteria[0].expression) if isinstance(leaf, Unread)]
    assert [(text[slice(*leaf.span)], leaf.why) for leaf in unread] == [
        ("年龄在18至75岁之间的患者", "written in another language")
    ]


@pytest.mark.parametrize("text", ["BMI: 18.5\n• 30 kg/m2", "Weight 45\n‣ 100 kg"])
def test_a_range_whose_dash_became_a_bullet_is_not_guessed(extractor: Extractor, text: str) -> None:
    (criterion,) = extractor.extract(text, "inclusion").criteria
    assert isinstance(criterion.expression, Unread)


def test_a_range_whose_dash_was_taken_for_a_bullet_is_read(extractor: Extractor) -> None:
    (item,) = extractor.extract("Age: 18\n- 65 years old", "inclusion").items
    assert (item.low, item.high) == (18.0, 65.0)
