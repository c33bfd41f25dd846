"""Tables: what TensorFlow and other writers make is read, what is broken is named."""

import google_crc32c
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protobuf_fields import varint
from tables import MAGIC, SNAPPY, block, masked_crc32c, packed, pair, table, written

from cpr.errors import ModelError
from cpr.saved_model import crc32c
from cpr.saved_model.sstable import entries

KEYS = st.one_of(st.binary(max_size=6), st.text("ab/", max_size=8).map(str.encode))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.dictionaries(KEYS, st.binary(max_size=300), max_size=60), st.integers(1, 20), st.integers(1, 17))
def test_what_was_written_is_read(content, each, interval):
    pairs = sorted(content.items())
    assert list(entries(written(pairs, each=each, interval=interval))) == pairs


def test_long_keys_and_values_take_lengths_of_several_bytes():
    pairs = [(b"k" * 200, b"v" * 20_000), (b"k" * 200 + b"2", b""), (b"m" * 300, b"v" * 127)]
    assert list(entries(written(pairs))) == pairs


ONE = block(pair(b"k", b"v"))
TWO = pair(b"k", b"v") + pair(b"l", b"w")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"short", "fewer than the footer"),
        (bytes(100), "does not end as"),
        (bytes(40) + b"\xff" * 40 + MAGIC, "longer than 10 bytes"),
        (table(ONE, kind=b"\7"), "compression type 7"),
        (table(ONE, kind=SNAPPY), "cannot stand for|compressed block"),
        (table(varint(1 << 30) + bytes(100), kind=SNAPPY), "cannot stand for"),
        (table(ONE, handles=[varint(1 << 62) + varint(5)]), "longer than the file"),
        (table(ONE, handles=[varint(0) + varint(1 << 62)]), "longer than the file"),
        (table(ONE, handles=2 * [varint(0) + varint(len(ONE))]), "overlap"),
        (table(ONE, handles=[b""]), "ends within a number"),
        (table(b"\0\0"), "too short"),
        (table(b"\xff\xff\xff\xff"), "more restart points than bytes"),
        (table(TWO + bytes(4)), "no restart point"),
        (table(block(TWO, restarts=(5,))), "no restart point at its begin"),
        (table(block(TWO, restarts=(0, 4))), "leads to no entry"),
        (table(block(TWO, restarts=(0, 10))), "leads to no entry"),
        (table(block(TWO, restarts=(0, 5, 5))), "leads to no entry"),
        (table(block(TWO, restarts=(0, 1 << 31))), "leads to no entry"),
        (table(block(pair(b"k", b"v"), pair(b"l", b"", shared=1), restarts=(0, 5))), "does not start a key"),
        (table(block(pair(b"k", b"v"), pair(b"w", b"", shared=9))), "longer than its block"),
        (table(block(b"\0\1\x7fw")), "longer than its block"),
        (table(block(pair(b"k", b""), b"\0")), "longer than its block|ends within"),
        (table(block(pair(b"l", b""), pair(b"k", b""))), "not in order"),
        (table(block(pair(b"k", b""), pair(b"k", b""))), "not in order"),
        (table(ONE, last=b"a"), "does not lead to 'k'"),
    ],
)
def test_broken_tables_are_named(content, said):
    with pytest.raises(ModelError, match=said):
        list(entries(content))


def test_every_altered_byte_of_a_block_is_found():
    content = written([(b"a", b"1"), (b"b", b"2")])
    blocks = content[:-48]
    for position in range(len(blocks)):
        altered = bytearray(content)
        altered[position] ^= 1
        try:
            read = list(entries(bytes(altered)))
        except ModelError:
            continue
        # Only the meta-index block, which nobody reads, may differ.
        assert read == [(b"a", b"1"), (b"b", b"2")]
        assert len(packed([(b"a", b"1"), (b"b", b"2")])) + 5 <= position


def test_names_that_unfold_without_end_are_refused():
    """5 bytes an entry, each standing for a name of 50 KB: gigabytes of names in 250 KB."""
    long = b"n" * 50_000
    more = [pair(place.to_bytes(2, "big"), b"", shared=len(long)) for place in range(40_000)]
    with pytest.raises(ModelError, match="names are longer"):
        list(entries(table(block(pair(long, b""), *more))))


def test_blocks_that_unfold_without_end_are_refused():
    """Snappy makes 21 MB of 1 MB: a block of empty entries would fill the memory."""
    dense = varint(1 + 64 * 328_125) + b"\0\0" + b"\xfe\1\0" * 328_125
    with pytest.raises(ModelError, match="cannot stand for 21000001"):
        list(entries(table(dense, kind=SNAPPY)))


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 255, 1280, 65_535, 65_536, 100_001])
def test_the_checksum_is_crc32c(size):
    content = bytes(place * 7 & 255 for place in range(size))
    assert crc32c.crc32c(content) == google_crc32c.value(content)
    assert crc32c._crc32c(content) == google_crc32c.value(content), "the slow way too"
    assert crc32c.masked_crc32c(content) == masked_crc32c(content)
