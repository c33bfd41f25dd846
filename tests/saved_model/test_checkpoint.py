"""``variables.index`` against TensorFlow, and the ways in which it can be broken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protobuf_fields import number, varint, within
from tables import MAGIC, block, entry, header, masked_crc32c, pair, table, written

from cpr.errors import ModelError
from cpr.saved_model import read_checkpoint_index
from cpr.saved_model.checkpoint import parse_checkpoint_index
from cpr.saved_model.ordered_code import _signed

MODELS = ("keras", "module", "no_signature", "no_variables", "tf1_builder", "vocabulary", "checkpoint_large")


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
    assert (parts.dtype, parts.shape, parts.bytes) == ("float64", (5, 2), 80)
    assert [(part.start, part.shape, part.bytes) for part in parts.slices] == [((0, 0), (3, 2), 48), ((3, 0), (2, 2), 32)]


def test_slices_are_found_whatever_the_bytes_of_their_keys(checkpoints):
    """Their starts, extents and names are what TensorFlow wrote; a name with a zero byte among them."""
    folder, _ = checkpoints
    index = read_checkpoint_index(folder / "slices" / "variables.index")
    found = {variable.name: variable for variable in index.variables}
    assert [(part.start, part.shape) for part in found["parts/wide"].slices] == [((0, 0), (2, 70)), ((0, 70), (2, 299_930))]
    assert found["parts/wide"].bytes == 600_000
    assert {part.shard for part in found["half\0\x7f"].slices} == {0, 1}
    assert index.shard_sizes == tuple((shard, index.shard_path(shard).stat().st_size) for shard in range(3))


@given(st.lists(st.one_of(st.integers(-300, 300), st.integers(-(1 << 63), (1 << 63) - 1)), min_size=2, max_size=2))
def test_numbers_in_keys_are_in_order(values):
    one, other = values
    assert (_signed(one) < _signed(other)) == (one < other)


INDEXES = (
    "snappy",
    "snappy_one_block",
    "small_blocks",
    "not_for_other_readers",
    "without_versions",
    "same_entry",
    "of_the_next_reader",
    "not_for_this_reader",
    "not_for_this_reader_unpacked",
    "of_no_producer",
    "other_size",
    "other_shape",
    "unknown_dimension",
    "negative_offset",
    "missing_slice",
)


@pytest.mark.parametrize("name", INDEXES)
def test_an_index_is_read_if_tensorflow_reads_every_tensor_with_it(checkpoints, name):
    folder, says = checkpoints
    path = folder / f"index_{name}" / "variables.index"
    if says["indexes"][f"index_{name}"]:
        with pytest.raises(ModelError) as caught:
            read_checkpoint_index(path)
        assert caught.value.where == str(path)
    else:
        whole = read_checkpoint_index(folder / "numbers" / "variables.index")
        index = read_checkpoint_index(path)
        assert (index.variables, index.shard_sizes) == (whole.variables, whole.shard_sizes)


def test_no_index_of_the_script_is_forgotten(checkpoints):
    _, says = checkpoints
    assert set(says["indexes"]) == {f"index_{name}" for name in INDEXES}
    assert len([name for name, refused in says["indexes"].items() if refused]) == 9


def test_versions_are_those_of_the_header(checkpoints):
    folder, _ = checkpoints
    index = read_checkpoint_index(folder / "index_not_for_other_readers" / "variables.index")
    assert (index.producer, index.min_consumer, index.bad_consumers) == (7, 1, (2, -1))
    written_by_tensorflow = read_checkpoint_index(folder / "numbers" / "variables.index")
    assert (written_by_tensorflow.producer, written_by_tensorflow.min_consumer) == (1, 0)
    assert not written_by_tensorflow.big_endian


def test_a_big_endian_checkpoint_is_read_as_tensorflow_reads_it(checkpoints):
    """The script compared TensorFlow's values with those of the little-endian one."""
    folder, _ = checkpoints
    index = read_checkpoint_index(folder / "big_endian" / "variables.index")
    assert index.big_endian
    assert "of_float32" in [variable.name for variable in index.variables]


SCALAR = entry(1, [], 0, 0, 4, 0)


def test_a_table_made_here_is_read():
    index = parse_checkpoint_index(written([(b"", header()), (b"w", SCALAR)]))
    assert (index.shards, index.shard_sizes) == (1, ((0, 4),))
    (variable,) = index.variables
    assert (variable.name, variable.dtype, variable.shape, variable.bytes) == ("w", "float32", (), 4)
    assert index.shard_name(0) == "variables.data-00000-of-00001"


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([(b"w", SCALAR)], "header"),
        ([(b"", header(shards=2)), (b"w", entry(1, [], 5, 0, 4, 0))], "shard 5 of 2"),
        ([(b"", header()), (b"w", entry(1, [], -1, 0, 4, 0))], "negative"),
        ([(b"", header()), (b"w", entry(1, [], 0, 0, -4, 0))], "negative"),
        ([(b"", header()), (b"w", entry(0, [], 0, 0, 4, 0))], "no type"),
        ([(b"", header()), (b"w", entry(1, [2], 0, 0, 4, 0))], r"shape \[2\] takes 8 bytes, and not 4"),
        ([(b"", header()), (b"w", number(1, 1) + within(2, number(3, 1)))], "no definite shape"),
        ([(b"", header()), (b"w", entry(1, [-1], 0, 0, 4, 0))], "no definite shape"),
        ([(b"", header()), (b"w", varint(6 << 3 | 5) + b"\0")], "longer than what holds it"),
        ([(b"", header()), (b"w", entry(1, [2], 0, 0, 0, 0, within(7, b"")))], "a slice of 'w' is missing"),
        ([(b"", header(versions=number(2, 2)))], "newer than version 1"),
        ([(b"", header(versions=number(1, -3)))], "version -3"),
    ],
)
def test_broken_entries_are_named(tmp_path, pairs, said):
    path = tmp_path / "variables.index"
    path.write_bytes(written(pairs))
    with pytest.raises(ModelError, match=said) as caught:
        read_checkpoint_index(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("content", [b"", b"short", bytes(100), bytes(40) + MAGIC, table(block(pair(b"", b"")), handles=[b""])])
def test_what_is_no_table_is_an_error(tmp_path, content):
    path = tmp_path / "variables.index"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_checkpoint_index(path)
    assert caught.value.where == str(path)


def test_one_altered_byte_is_found(models):
    content = bytearray(index_of(models, "module").read_bytes())
    content[30] ^= 1
    with pytest.raises(ModelError, match="checksum of the block"):
        parse_checkpoint_index(bytes(content))


def test_a_name_that_is_no_text_is_shown_escaped():
    index = parse_checkpoint_index(written([(b"", header()), (b"\xff", SCALAR)]))
    assert [variable.name for variable in index.variables] == ["\\xff"]


def test_a_missing_index_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        read_checkpoint_index(tmp_path / "variables.index")
