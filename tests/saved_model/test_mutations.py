"""Thousands of damaged files, with a fixed seed: only ``ModelError`` ever comes out, and soon.

``CPR_MUTATIONS`` sets how many of each kind (default 700; the index twice, also with its checksums mended).
"""

import os
import random
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpr.errors import ModelError
from cpr.saved_model.checkpoint import masked_crc32c, parse_checkpoint_index
from cpr.saved_model.pbtxt import to_wire
from cpr.saved_model.reader import parse_saved_model

COUNT = int(os.environ.get("CPR_MUTATIONS", "700"))
SECONDS = 2.0
BYTES = 200 << 20


def damaged(source, other, chance):
    """Flips, cuts, splices, repeats, and lengths that point far away."""
    content = bytearray(source)
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(content) + 1) if content else 0
        to = min(len(content), at + chance.randrange(1, 40))
        kind = chance.randrange(7)
        if kind == 0 and at < len(content):
            content[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(content):
            content[at] = chance.choice((0, 1, 127, 128, 255))
        elif kind == 2:
            del content[at:to]
        elif kind == 3:
            del content[at:]
        elif kind == 4:
            start = chance.randrange(len(other))
            content[at:to] = other[start : start + chance.randrange(1, 200)]
        elif kind == 5:
            content[at:at] = content[at:to] * chance.randrange(1, 50)
        else:
            content[at:to] = b"\xff" * chance.randrange(1, 10) + bytes([chance.randrange(128)])
    return bytes(content)


def mended(content):
    """The checksums of an index made right again, so that the damage is read and not only found."""
    content = bytearray(content)
    if len(content) < 48:
        return bytes(content)
    blocks = []
    position, numbers = len(content) - 48, []
    while len(numbers) < 4:
        value = shift = 0
        while position < len(content) and shift < 64:
            byte = content[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        numbers.append(value)
    blocks.append((numbers[2], numbers[3]))
    if numbers[2] > 5:
        blocks.append((0, numbers[0] - 5 if numbers[0] > 5 else numbers[2] - 5))
    for offset, length in blocks:
        end = offset + length + 1
        if end + 4 <= len(content):
            content[end : end + 4] = masked_crc32c(bytes(content[offset:end])).to_bytes(4, "little")
    return bytes(content)


def survive(parse, content, seconds=SECONDS):
    started = time.process_time()
    try:
        parse(content)
    except ModelError as error:
        assert error.message
        assert error.remedy
    assert time.process_time() - started < seconds


@pytest.fixture(scope="module")
def originals(models):
    names = ("module", "tf1_builder", "tf1_composite", "vocabulary")
    graphs = [(models / name / "saved_model.pb").read_bytes() for name in names]
    texts = [(models / f"{name}_text" / "saved_model.pbtxt").read_bytes() for name in ("tf1_composite", "tf1_constant")]
    indexes = [(models / name / "variables" / "variables.index").read_bytes() for name in ("module", "tf1_builder", "keras")]
    return {"pb": graphs, "pbtxt": texts, "index": indexes}


@pytest.mark.parametrize("kind", ["pb", "pbtxt", "index", "index mended"])
def test_only_model_error_escapes(originals, kind):
    chance = random.Random(f"{kind} 2026")
    sources = originals[kind.split()[0]]
    for _ in range(COUNT):
        content = damaged(chance.choice(sources), chance.choice(sources), chance)
        if kind == "pb":
            survive(parse_saved_model, content)
        elif kind == "pbtxt":
            survive(lambda text: parse_saved_model(to_wire(text)), content)
        else:
            survive(parse_checkpoint_index, mended(content) if kind.endswith("mended") else content)


def test_mending_reaches_the_entries(originals):
    """What makes the test above worth its time: with the checksum mended, a damaged entry is read."""
    read = 0
    chance = random.Random(7)
    for _ in range(200):
        content = bytearray(chance.choice(originals["index"]))
        content[chance.randrange(len(content) // 2)] ^= 1 << chance.randrange(8)
        try:
            parse_checkpoint_index(mended(bytes(content)))
            read += 1
        except ModelError as error:
            assert "checksum" not in error.message
    assert read > 20


def varint(value):
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def within(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def nested_tensors():
    content = b""
    while len(content) < 100_000:
        content = within(5, within(2, content))
    return content


def signature_input(info):
    return within(2, within(5, within(2, within(1, within(2, info)))))


BOMBS = {
    "dimensions": lambda: signature_input(within(3, within(2, b"") * 100_000)),
    "components": lambda: signature_input(within(5, within(2, b"") * 100_000)),
    "nesting": lambda: signature_input(nested_tensors()),
    "nodes": lambda: within(2, within(2, within(1, b"") * 100_000)),
    "graphs": lambda: within(2, b"") * 20_000,
    "signatures": lambda: within(2, within(5, b"") * 50_000),
    "tags": lambda: within(2, within(1, within(4, b"") * 100_000)),
    "lengths": lambda: b"\x12\xff\xff\xff\x7f" * 1000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_take_little_memory_and_time(name):
    content = BOMBS[name]()
    survive(parse_saved_model, content)
    tracemalloc.start()
    try:
        survive(parse_saved_model, content, seconds=10 * SECONDS)  # tracing makes it several times slower
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=400))
def test_any_bytes(content):
    survive(parse_saved_model, content)
    survive(parse_checkpoint_index, content + bytes(40) + (0xDB4775248B80FB57).to_bytes(8, "little"))
    survive(lambda text: parse_saved_model(to_wire(text)), content)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from([b"meta_graphs", b"node", b"{", b"}", b"<", b">", b"[", b"]", b":", b",", b'"a"', b"1", b"x "]))
)
def test_any_words_of_the_text_form(words):
    survive(lambda text: parse_saved_model(to_wire(text)), b"".join(words))
