"""Binary values, in every form that a service hands over."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr.errors import RequestError
from cpr.interface import decode_b64


@given(st.binary(), st.booleans(), st.booleans(), st.integers(1, 80))
def test_decodes_every_spelling(data, web_safe, padded, width):
    text = (base64.urlsafe_b64encode(data) if web_safe else base64.b64encode(data)).decode()
    if not padded:
        text = text.rstrip("=")
    broken = "\n".join(text[start : start + width] for start in range(0, len(text), width))
    for value in (text, {"b64": text}, broken, data, {"b64": data}, bytearray(data), memoryview(data)):
        assert decode_b64(value) == data


@given(st.text(alphabet="AZaz09+/-_= \n!é", max_size=12))
def test_agrees_with_the_standard_library(text):
    compact = "".join(text.split()).replace("-", "+").replace("_", "/")
    unpadded = compact.rstrip("=")
    well_padded = compact == unpadded or (len(compact) % 4 == 0 and len(compact) - len(unpadded) <= 2)
    try:
        expected = base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True) if well_padded else None
    except ValueError:
        expected = None
    if expected is None:
        with pytest.raises(RequestError):
            decode_b64(text)
    else:
        assert decode_b64(text) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a", "cut short"),
        ("aGk=aGk=", "not base64"),
        ("aG=", "cut short"),
        ("ä", "not base64"),
        ("data:image/png;base64,aGk=", "data URL"),
        ({"b64": 3}, "type int"),
        ({"b64": "aGk=", "more": 1}, "keys b64, more"),
        ({}, "(none)"),
        (None, "null"),
        ([1], "type list"),
    ],
)
def test_refuses_what_is_no_base64(value, message):
    with pytest.raises(RequestError) as caught:
        decode_b64(value)
    assert message in caught.value.message + caught.value.remedy


def test_does_not_repeat_a_megabyte_in_its_error():
    with pytest.raises(RequestError) as caught:
        decode_b64("é" * 1_000_000)
    assert len(caught.value.message) < 200
