"""Thousands of damaged files, with a fixed seed: only ``ModelError`` ever comes out, soon, and within little memory.

``CPR_MUTATIONS`` sets how many in all (default 3000; 20000 before a release).
"""

import contextlib
import io
import json
import os
import random
import resource
import shutil
import signal
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protobuf_fields import number, within
from tables import PLAIN, SNAPPY, assembled, blocks_of, masked_crc32c

from cpr.cli import main
from cpr.errors import ModelError
from cpr.saved_model import wire
from cpr.saved_model.checkpoint import parse_checkpoint_index
from cpr.saved_model.extras import parse_fingerprint, parse_warmup
from cpr.saved_model.pbtxt import to_wire
from cpr.saved_model.reader import parse_saved_model
from cpr.saved_model.restores import parse_restored
from cpr.saved_model.sstable import entries

COUNT = int(os.environ.get("CPR_MUTATIONS", "3000"))
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


def fields(content):
    """Begin, begin of the content, and end of each length-delimited field; ``None`` where these bytes are no message."""
    found, position, end = [], 0, len(content)
    try:
        while position < end:
            begin = position
            tag, position = wire.varint(content, position, end)
            kind = tag & 7
            if kind == wire.BYTES:
                length, position = wire.varint(content, position, end)
                found.append((begin, position, position + length))
                position += length
            elif kind == wire.VARINT:
                _, position = wire.varint(content, position, end)
            else:
                position += {wire.FIXED32: 4, wire.FIXED64: 8}[kind]
    except (ModelError, KeyError):
        return None
    return found if position == end else None


def grown(source, other, chance):
    """Damage somewhere deep in a message, and every length around it made right again, so that the damage is read."""
    found = fields(source)
    if not found or chance.random() < 0.1:
        return damaged(source, other, chance)
    begin, inner, end = chance.choice(found)
    kind = chance.randrange(12)
    if kind == 0:
        return source[:begin] + source[end:]
    if kind == 1:
        return source[:begin] + source[begin:end] * chance.randrange(2, 20) + source[end:]
    if kind == 2:
        at, _, to = chance.choice(found)
        return source[:begin] + source[at:to] + source[end:]
    tag, _ = wire.varint(source, begin, end)
    return source[:begin] + within(tag >> 3, grown(source[inner:end], other, chance)) + source[end:]


def compressed(content):
    return bytes(cramjam.snappy.compress_raw(content))


def mended(source, chance, kind):
    """A table of which one block was damaged before its checksum was made, so that the damage is read and not only found."""
    pairs = list(entries(source))
    blocks = blocks_of(pairs, compressed if kind == SNAPPY else None, each=chance.choice((3, 1000)))
    victim = chance.randrange(len(blocks) + 1)
    if victim == len(blocks):
        return assembled(blocks, kind, lambda index: damaged(index, index, chance))
    last, stored = blocks[victim]
    blocks[victim] = (last, damaged(stored, chance.choice(blocks)[1], chance))
    return assembled(blocks, kind)


def record(content):
    """A record of a TFRecord file."""
    length = len(content).to_bytes(8, "little")
    sums = (masked_crc32c(part).to_bytes(4, "little") for part in (length, content))
    return length + next(sums) + content + next(sums)


def request(signature):
    """A ``PredictionLog`` of a ``PredictRequest``."""
    spec = within(1, b"model") + within(3, signature)
    return within(6, within(1, within(1, spec) + within(2, within(1, b"x") + within(2, number(1, 1) + within(4, bytes(16))))))


class Hang(Exception):
    """It takes longer than anything here may, by far."""


def hang(*_):
    raise Hang


@contextlib.contextmanager
def bounded():
    """Within 200 MB more than there are now, where the system can be asked for that."""
    size = Path("/proc/self/statm")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGVTALRM, hang)
    if size.exists():
        resource.setrlimit(resource.RLIMIT_AS, (int(size.read_text().split()[0]) * resource.getpagesize() + BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def survive(parse, content, seconds=SECONDS):
    signal.setitimer(signal.ITIMER_VIRTUAL, 5 * seconds)
    started = time.process_time()
    try:
        parse(content)
    except ModelError as error:
        assert error.message
        assert error.remedy
    assert time.process_time() - started < seconds


def read_text(content):
    parse_saved_model(to_wire(content))


GRAPHS = ("module", "tf1_builder", "tf1_composite", "vocabulary", "keras")
INDEXES = ("module", "tf1_builder", "keras")


@pytest.fixture(scope="module")
def originals(models):
    graphs = [(models / name / "saved_model.pb").read_bytes() for name in GRAPHS]
    texts = [(models / f"{name}_text" / "saved_model.pbtxt").read_bytes() for name in ("tf1_composite", "tf1_constant")]
    indexes = [(models / name / "variables" / "variables.index").read_bytes() for name in INDEXES]
    tables = [assembled(blocks_of(list(entries(index)), compressed, each=4), SNAPPY) for index in indexes]
    prints = [(models / name / "fingerprint.pb").read_bytes() for name in ("module", "vocabulary")]
    logs = [request(b"serving_default") * 2, within(4, within(1, within(1, within(3, b"a")))), b""]
    return {"pb": graphs, "pbtxt": texts, "index": indexes, "snappy": tables, "fingerprint": prints, "warm-up": logs}


def of_warmup(logs, chance):
    """Damaged requests in whole records, or whole ones in damaged records."""
    if chance.random() < 0.5:
        return record(damaged(chance.choice(logs), logs[0], chance)) + record(logs[1])
    return damaged(b"".join(map(record, logs)), record(logs[0]), chance)


SHARES = {
    "pb": (10, parse_saved_model),
    "pb mended": (15, parse_saved_model),
    "pb restored": (5, parse_restored),
    "pbtxt": (20, read_text),
    "index": (10, parse_checkpoint_index),
    "index mended": (15, parse_checkpoint_index),
    "snappy": (8, parse_checkpoint_index),
    "snappy mended": (10, parse_checkpoint_index),
    "fingerprint": (2, parse_fingerprint),
    "warm-up": (5, parse_warmup),
}


def test_the_shares_make_up_the_whole():
    assert sum(share for share, _ in SHARES.values()) == 100


@pytest.mark.parametrize("kind", SHARES)
def test_only_model_error_escapes(originals, kind):
    chance = random.Random(f"{kind} 2026")
    share, parse = SHARES[kind]
    name, _, how = kind.partition(" ")
    with bounded():
        for place in range(COUNT * share // 100):
            if name == "warm-up":
                content = of_warmup(originals[name], chance)
            elif kind in ("pb mended", "pb restored"):
                content = grown(chance.choice(originals[name]), chance.choice(originals[name]), chance)
            elif how == "mended":
                content = mended(chance.choice(originals["index"]), chance, SNAPPY if name == "snappy" else PLAIN)
            else:
                content = damaged(chance.choice(originals[name]), chance.choice(originals[name]), chance)
            try:
                survive(parse, content)
            except Exception as error:
                raise AssertionError(f"{kind}, number {place}, {len(content)} bytes: {error!r}") from error


def test_the_command_says_something_of_any_damage(originals, models, tmp_path):
    """A folder with one damaged file through the whole of `cpr inspect`: JSON or text, exit status 0 or 1, no traceback."""
    chance = random.Random("command 2026")
    folder = tmp_path / "model"
    shutil.copytree(models / "module", folder)
    (folder / "assets.extra").mkdir()
    files = {
        "pb": "saved_model.pb",
        "index": "variables/variables.index",
        "fingerprint": "fingerprint.pb",
        "warm-up": "assets.extra/tf_serving_warmup_requests",
    }
    whole = (models / "module" / files["index"]).read_bytes()
    for place in range(COUNT // 40):
        kind = chance.choice(("pb", "pb", *files))
        if kind == "pb":
            content = grown(chance.choice(originals[kind]), originals[kind][0], chance)
        elif kind == "index":
            content = mended(whole, chance, PLAIN)
        elif kind == "warm-up":
            content = of_warmup(originals[kind], chance)
        else:
            content = damaged(originals[kind][0], originals[kind][1], chance)
        (folder / files[kind]).write_bytes(content)
        options = [option for option in ("--json", "--verify", "--tensorflow=2.11") if chance.random() < 0.5]
        output = io.StringIO()
        with bounded(), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            try:
                survive(lambda _: main(["inspect", str(folder), *options]), content)  # noqa: B023
            except Exception as error:
                raise AssertionError(f"{kind}, number {place}, {len(content)} bytes: {error!r}") from error
        assert output.getvalue().strip()
        if "--json" in options:
            json.loads(output.getvalue())
        if kind == "warm-up":
            (folder / files[kind]).unlink()
        else:
            shutil.copy(models / "module" / files[kind], folder / files[kind])


def test_mending_reaches_the_depths_of_a_graph(originals):
    """The same for graphs: most are read to the end, and what is said of the others is manifold."""
    chance = random.Random(7)
    said = Counter()
    for _ in range(200):
        try:
            parse_saved_model(grown(chance.choice(originals["pb"]), originals["pb"][0], chance))
            said["read"] += 1
        except ModelError as error:
            said[error.message] += 1
    assert said["read"] > 80
    assert len(said) > 20


@pytest.mark.parametrize("kind", [PLAIN, SNAPPY])
def test_mending_reaches_the_entries(originals, kind):
    """What makes the test above worth its time: a damaged entry is read, and refused for what it says."""
    chance = random.Random(7)
    said = Counter()
    for _ in range(400):
        try:
            parse_checkpoint_index(mended(chance.choice(originals["index"]), chance, kind))
            said["read"] += 1
        except ModelError as error:
            said["found" if "checksum" in error.message else error.message] += 1
    assert said["read"] > 10
    assert said["found"] < 100, "only where the index leads to the wrong place"
    assert len(said) > 40


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
    "objects": lambda: within(2, within(7, within(1, b"") * 100_000)),
    "children": lambda: within(2, within(7, within(1, within(1, number(1, 1) + within(2, b"a")) * 20_000) * 5)),
    "circles": lambda: within(2, within(7, b"".join(within(1, children(place)) for place in range(2000)))),
}


def children(place):
    """An object that leads to the two behind it, and to itself by a long name."""
    names = [(place + 1, b"a"), (place + 2, b"b"), (place, b"c" * 40)]
    return b"".join(within(1, number(1, node) + within(2, name)) for node, name in names)


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_take_little_memory_and_time(name):
    content = BOMBS[name]()
    with bounded():
        survive(parse_saved_model, content)
        survive(parse_restored, content)
    tracemalloc.start()
    try:
        survive(parse_saved_model, content, seconds=10 * SECONDS)  # tracing makes it several times slower
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=400))
def test_any_bytes(content):
    with bounded():
        for parse in (parse_saved_model, parse_restored, parse_fingerprint, parse_warmup, read_text):
            survive(parse, content)
        survive(parse_checkpoint_index, content + bytes(40) + (0xDB4775248B80FB57).to_bytes(8, "little"))
        survive(parse_warmup, record(content))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_in_a_block(content, snappy):
    with bounded():
        survive(parse_checkpoint_index, assembled([(b"z", content)], SNAPPY if snappy else PLAIN))
        survive(parse_checkpoint_index, assembled(blocks_of([(b"", content), (b"w", content)])))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from([b"meta_graphs", b"node", b"{", b"}", b"<", b">", b"[", b"]", b":", b",", b'"a"', b"1", b"x "]))
)
def test_any_words_of_the_text_form(words):
    with bounded():
        survive(read_text, b"".join(words))
