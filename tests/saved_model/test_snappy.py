"""Snappy's raw format against a real encoder and a real decoder."""

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protobuf_fields import varint

from cpr.errors import ModelError
from cpr.saved_model.snappy import decompress
from cpr.saved_model.wire import varint as varint_of


def read(stream):
    return decompress(stream, 1 << 21)


def declared(stream):
    try:
        return varint_of(stream, 0, len(stream))[0]
    except ModelError:
        return 0


def compressed(content):
    return bytes(cramjam.snappy.compress_raw(content))


CONTENTS = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda part, count, tail: part * count + tail, st.binary(min_size=1, max_size=70), st.integers(0, 3000), st.binary()
    ),
    st.lists(st.sampled_from([b"layer/", b"kernel", b"\0\0\0\0", b"abcdefgh" * 9, b"x"]), max_size=400).map(b"".join),
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(CONTENTS)
def test_what_an_encoder_wrote_comes_back(content):
    assert read(compressed(content)) == content


def test_every_kind_of_element_is_read():
    """Text with a length of one to four bytes; copies with offsets of one, two and four, within what is there and beyond."""
    text = bytes(place * place >> 3 & 255 for place in range(70_000))
    for width, count in ((1, 100), (2, 300), (3, 70_000), (4, 80)):
        literal = bytes([(59 + width) << 2]) + (count - 1).to_bytes(width, "little") + text[:count]
        assert read(varint(count) + literal) == text[:count]
    letters = b"\x24abcdefghij"
    assert read(varint(14) + letters + b"\x01\x0a") == b"abcdefghijabcd"
    assert read(varint(12) + letters + b"\x06\x0a\0") == b"abcdefghijab"
    assert read(varint(12) + letters + b"\x07\x0a\0\0\0") == b"abcdefghijab"
    assert read(varint(21) + letters + b"\x2a\x02\0") == b"abcdefghijijijijijiji"


@settings(max_examples=1500, deadline=None, derandomize=True)
@given(CONTENTS, st.data())
def test_damage_is_refused_or_read_as_a_decoder_reads_it(content, data):
    stream = bytearray(compressed(content))
    for _ in range(data.draw(st.integers(1, 3))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    del stream[data.draw(st.integers(1, len(stream))) if data.draw(st.booleans()) else len(stream) :]
    damaged = bytes(stream)
    if declared(damaged) > 1 << 20:
        return  # what the other decoder would take the memory for
    try:
        expected = bytes(cramjam.snappy.decompress_raw(damaged))
    except cramjam.DecompressionError:
        with pytest.raises(ModelError):
            read(damaged)
    else:
        assert read(damaged) == expected


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (b"", "ends within a number"),
        (b"\xff\xff\xff\xff\xff\x01", "longer|ends within"),
        (varint(1 << 31) + bytes(100), "cannot stand for"),
        (varint(3) + b"\x08ab", "ends within its text"),
        (varint(300) + b"\xf4\xff" + bytes(20), "ends within its text"),
        (varint(8) + b"\x01\x01", "where there is nothing"),
        (varint(8) + b"\x00a\x02\x02\x00", "where there is nothing"),
        (varint(8) + b"\x00a\x0e\x00\x00\x00\x00", "where there is nothing"),
        (varint(8) + b"\x00a\x0e\x01", "has 1 bytes and declares 8|where there is nothing"),
        (varint(3) + b"\x00a\xfe\x01\x00", "longer than the 3 bytes"),
        (varint(3) + b"\x04ab", "has 2 bytes and declares 3"),
    ],
)
def test_broken_streams_are_named(stream, said):
    with pytest.raises(ModelError, match=said):
        read(stream)


def test_the_densest_that_an_encoder_makes_is_believed_and_no_more_than_asked_for():
    for content in (bytes(1 << 20), b"ab" * (1 << 19), b"x" * 100):
        stream = compressed(content)
        assert decompress(stream, len(content)) == content
        with pytest.raises(ModelError, match="cannot stand for"):
            decompress(stream, len(content) - 1)
