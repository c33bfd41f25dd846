"""``variables.index`` against TensorFlow, and the ways in which it can be broken."""

import google_crc32c
import pytest

from cpr.errors import ModelError
from cpr.saved_model import read_checkpoint_index
from cpr.saved_model.checkpoint import masked_crc32c, parse_checkpoint_index

MODELS = ("keras", "module", "no_signature", "no_variables", "tf1_builder", "vocabulary", "checkpoint_large")
MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")


def index_of(folder, name):
    inner = "" if name.startswith("checkpoint_") else "variables"
    return folder / name / inner / "variables.index"


@pytest.mark.parametrize("name", MODELS)
def test_variables_are_what_tensorflow_lists(tensorflow_says, name):
    index = read_checkpoint_index(index_of(tensorflow_says.folder, name))
    says = tensorflow_says.models[name]["variables"]
    assert [variable.name for variable in index.variables] == [fact["name"] for fact in says]
    for variable, fact in zip(index.variables, says, strict=True):
        assert (variable.dtype, list(variable.shape)) == (fact["dtype"], fact["shape"])
        if fact["bytes"] is not None:
            assert variable.bytes == fact["bytes"]


@pytest.mark.parametrize("name", MODELS)
def test_shards_are_as_long_as_the_index_says(models, name):
    """TensorFlow writes nothing behind the last tensor, so what a shard needs is its size."""
    index = read_checkpoint_index(index_of(models, name))
    assert index.shard_sizes
    for shard, needed in index.shard_sizes:
        assert index.shard_path(shard).stat().st_size == needed


@pytest.mark.parametrize("name", MODELS)
def test_checksums_are_those_of_the_bytes_in_the_shard(models, name):
    index = read_checkpoint_index(index_of(models, name))
    shards = {shard: index.shard_path(shard).read_bytes() for shard, _ in index.shard_sizes}
    numeric = [variable for variable in index.variables if variable.dtype != "string" and not variable.slices]
    for variable in numeric[:50]:
        content = shards[variable.shard][variable.offset : variable.offset + variable.bytes]
        assert masked_crc32c(content) == variable.crc32c, variable.name


def test_the_large_index_has_several_blocks_and_shards(models):
    path = index_of(models, "checkpoint_large")
    index = read_checkpoint_index(path)
    assert len(index.variables) == 8000
    assert index.shards == 2
    assert path.stat().st_size > 262_144, "one block has 256 KiB"


def test_a_partitioned_variable_is_one_variable(models):
    index = read_checkpoint_index(index_of(models, "tf1_builder"))
    (parts,) = (variable for variable in index.variables if variable.name == "parts")
    assert (parts.dtype, parts.shape, parts.bytes, parts.slices) == ("float64", (5, 2), 80, 2)


def test_the_checksum_is_crc32c():
    for content in (b"", b"a", bytes(range(256)) * 5):
        crc = google_crc32c.value(content)
        assert masked_crc32c(content) == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(value):
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def pair(key, value, shared=0):
    return varint(shared) + varint(len(key)) + varint(len(value)) + key + value


def block(*pairs):
    return b"".join(pairs) + b"\0\0\0\0" + b"\1\0\0\0"


def sealed(content, kind=b"\0"):
    return content + kind + masked_crc32c(content + kind).to_bytes(4, "little")


def table(data, handles=None, kind=b"\0"):
    """A table with one data block (pointed to by ``handles``, or once) as LevelDB's format has it."""
    stored = sealed(data, kind)
    if handles is None:
        handles = [varint(0) + varint(len(data))]
    index = block(*(pair(b"k%d" % number, handle) for number, handle in enumerate(handles)))
    footer = (varint(0) + varint(0) + varint(len(stored)) + varint(len(index))).ljust(40, b"\0") + MAGIC
    return stored + sealed(index) + footer


HEADER = pair(b"", b"\x08\x01")
VARIABLE = pair(b"w", b"\x08\x01\x12\x00\x28\x04")


def test_a_table_made_here_is_read():
    shards, variables, sizes = parse_checkpoint_index(table(block(HEADER, VARIABLE)))
    assert (shards, sizes) == (1, ((0, 4),))
    assert [(variable.name, variable.dtype, variable.shape, variable.bytes) for variable in variables] == [
        ("w", "float32", (), 4)
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"short", "fewer than the footer"),
        (bytes(100), "does not end as"),
        (bytes(40) + b"\xff" * 40 + MAGIC, "longer than 10 bytes"),
        (table(block(HEADER), kind=b"\1"), "Snappy"),
        (table(block(HEADER), kind=b"\7"), "compression type 7"),
        (table(block(VARIABLE)), "header"),
        (table(block(HEADER, VARIABLE), handles=[varint(1 << 62) + varint(5)]), "longer than the file"),
        (table(block(HEADER, VARIABLE), handles=[varint(0) + varint(1 << 62)]), "longer than the file"),
        (table(block(HEADER), handles=2 * [varint(0) + varint(len(block(HEADER)))]), "overlap"),
        (table(block(HEADER), handles=[b""]), "ends within a number"),
        (table(b"\0\0"), "too short"),
        (table(b"\xff\xff\xff\xff"), "restart points"),
        (table(block(HEADER, pair(b"w", b"", shared=9))), "longer than its block"),
        (table(block(HEADER, b"\0\1\x7fw")), "longer than its block"),
        (table(block(pair(b"", b"\x08\x01\x10\x01"))), "big-endian"),
        (table(block(HEADER, pair(b"w", b"\x08\x01\x18\x05\x28\x04"))), "shard 5 of 1"),
        (table(block(HEADER, pair(b"w", b"\x08\x01\x12\x02\x18\x01"))), "no shape"),
        (table(block(HEADER, pair(b"w", b"\x20" + b"\xff" * 9 + b"\x01"))), "negative"),
        (table(block(HEADER, pair(b"w", b"\x35\x00"))), "longer than what holds it"),
    ],
)
def test_broken_tables_are_named(tmp_path, content, said):
    path = tmp_path / "variables.index"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=said) as caught:
        read_checkpoint_index(path)
    assert caught.value.where == str(path)


def test_one_altered_byte_is_found(models):
    content = bytearray(index_of(models, "module").read_bytes())
    content[30] ^= 1
    with pytest.raises(ModelError, match="checksum of the block"):
        parse_checkpoint_index(bytes(content))


def test_names_that_unfold_without_end_are_refused():
    """5 bytes an entry, each standing for a name of 50 KB: 2 GB of names in 250 KB."""
    long = b"n" * 50_000
    entries = [pair(b"x", b"", shared=len(long)) for _ in range(40_000)]
    with pytest.raises(ModelError, match="names are longer"):
        parse_checkpoint_index(table(block(HEADER, pair(long, b""), *entries)))


def test_a_name_that_is_no_text_is_shown_escaped():
    _, (variable,), _ = parse_checkpoint_index(table(block(HEADER, pair(b"\xff", b"\x08\x01"))))
    assert variable.name == "\\xff"


def test_a_missing_index_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        read_checkpoint_index(tmp_path / "variables.index")
