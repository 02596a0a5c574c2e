from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvest.canonical import canonical_record, decode, encode
from harvest.errors import UnexpectedShape
from tests.harvest.sample_records import sample

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_encoding_and_decoding_give_the_value_back(value: Any) -> None:
    assert decode(encode(value), "test") == value


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_body_is_the_canonical_json_of_the_whole_record(record: dict[str, Any]) -> None:
    body, _, _ = canonical_record(record)
    assert body == encode(record)


def test_key_order_does_not_matter() -> None:
    record = sample(1)
    turned = json.loads(json.dumps(record), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert canonical_record(turned) == canonical_record(record)


def test_the_data_date_in_each_record_changes_no_hash() -> None:
    _, version, rest = canonical_record(sample(1, holder="2026-03-02"))
    assert canonical_record(sample(1, holder="2026-03-03"))[1:] == (version, rest)


def test_derived_terms_change_the_rest_and_not_the_version() -> None:
    _, version, rest = canonical_record(sample(1, mesh="Lupus Nephritis"))
    _, same, other = canonical_record(sample(1, mesh="Lupus Erythematosus, Systemic"))
    assert same == version
    assert other != rest


def test_sites_change_the_rest_and_not_the_version() -> None:
    with_site = sample(1)
    with_site["protocolSection"]["contactsLocationsModule"] = {"locations": [{"country": "Norway"}]}
    _, version, rest = canonical_record(sample(1))
    _, same, other = canonical_record(with_site)
    assert same == version
    assert other != rest


def test_criteria_change_the_version() -> None:
    assert canonical_record(sample(1, platelets=75))[1] != canonical_record(sample(1))[1]


def test_lone_surrogates_become_one_replacement_character_each() -> None:
    value = decode(rb'{"text": "a\ud800b"}', "test")
    assert encode(value).decode("utf-8") == '{"text":"a\ufffdb"}'


def test_numbers_beyond_64_bits_keep_their_digits() -> None:
    body = b'{"a":123456789012345678901234567890,"b":[-9223372036854775809,18446744073709551616],"c":0.5}'
    assert decode(body, "test")["a"] == 123456789012345678901234567890
    assert encode(decode(body, "test")) == body


def test_one_form_whichever_way_a_value_is_written() -> None:
    plain = encode([1e16, 0.1])
    assert encode([1e16, 0.1, 2**70]) == plain[:-1] + b",1180591620717411303424]"


def test_a_record_too_deep_to_encode_is_an_unexpected_shape() -> None:
    with pytest.raises(UnexpectedShape, match="nested too deeply"):
        encode(decode(b'{"a":' * 300 + b"1" + b"}" * 300, "test"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a": 1e999}', "beyond what a number can hold"),
        (b'{"a": NaN}', "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_not_json_is_an_unexpected_shape_that_keeps_the_bytes(body: bytes, message: str) -> None:
    with pytest.raises(UnexpectedShape, match=message) as caught:
        decode(body, "here")
    assert caught.value.body == body
    assert str(caught.value).startswith("here: ")
