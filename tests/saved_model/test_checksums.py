"""The weights' checksums made again: TensorFlow wrote them, and its reader says which altered byte breaks which tensor."""

import shutil
from pathlib import Path

import pytest
from altered_files import flipped
from protobuf_fields import varint
from tables import entry, header, masked_crc32c, written

from cpr.errors import ModelError
from cpr.saved_model import read_checkpoint_index
from cpr.saved_model.checksums import verify

CHECKPOINTS = ("numbers", "texts", "many_texts", "variants", "slices")


@pytest.mark.parametrize("name", [*CHECKPOINTS, "big_endian", "index_snappy", "export", "slots_of_graphs", "keras_optimizers"])
def test_what_tensorflow_wrote_is_whole(checkpoints, name):
    folder, _ = checkpoints
    (path,) = (folder / name).rglob("variables.index")
    index = read_checkpoint_index(path)
    assert index.variables
    assert list(verify(index)) == []


@pytest.mark.parametrize("name", ["module", "tf1_builder", "vocabulary", "keras"])
def test_whole_models_are_whole(models, name):
    assert list(verify(read_checkpoint_index(models / name / "variables" / "variables.index"))) == []


@pytest.fixture
def copy(checkpoints, tmp_path):
    """A copy of a checkpoint that a test may alter."""

    def copied(name):
        shutil.copytree(checkpoints[0] / name, tmp_path / name)
        return read_checkpoint_index(tmp_path / name / "variables.index")

    return copied


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_one_altered_byte_is_found_where_tensorflow_finds_it(checkpoints, copy, name):
    index = copy(name)
    facts = checkpoints[1]["altered"][name]
    seen = set()
    for shard, position, flip, refused in facts:
        with flipped(index.path.with_name(shard), position, flip):
            found = list(verify(index))
        assert [mismatch.variable for mismatch in found] == refused, f"{shard} byte {position}"
        assert [index.shard_name(mismatch.shard) for mismatch in found] == [shard]
        assert found[0].why.endswith(".")
        seen |= set(refused)
    assert seen == {variable.name for variable in index.variables if variable.bytes}
    assert list(verify(index)) == []


def test_the_slice_that_differs_is_named(copy):
    index = copy("slices")
    (wide,) = (variable for variable in index.variables if variable.name == "parts/wide")
    part = wide.slices[1]
    with open(index.shard_path(part.shard), "r+b") as file:
        file.seek(part.offset + part.bytes - 1)
        file.write(b"\xee")
    (mismatch,) = verify(index)
    assert (mismatch.variable, mismatch.shard, mismatch.start) == ("parts/wide", 1, (0, 70))
    assert f"{part.crc32c:08x} was written" in mismatch.why


def test_several_altered_tensors_are_all_named(copy):
    index = copy("numbers")
    path = index.shard_path(0)
    path.write_bytes(bytes(byte ^ 255 for byte in path.read_bytes()))
    assert sorted(mismatch.variable for mismatch in verify(index)) == [
        variable.name for variable in index.variables if variable.bytes
    ]


def test_missing_and_short_shards_are_passed_over(copy):
    index = copy("slices")
    index.shard_path(1).unlink()
    path = index.shard_path(0)
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content[:-1])
    assert [mismatch.variable for mismatch in verify(index)] == ["parts/float"]
    path.unlink()
    path.mkdir()
    assert list(verify(index)) == []


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that nobody can read from its begin")
def test_a_file_that_cannot_be_read_is_an_error(copy):
    index = copy("numbers")
    path = index.shard_path(0)
    path.unlink()
    path.symlink_to("/proc/self/mem")
    with pytest.raises(ModelError, match="cannot be read") as caught:
        list(verify(index))
    assert caught.value.where == str(path)


def of_one(tmp_path, dtype, shape, content, crc32c=0):
    """A checkpoint of one tensor, whatever its bytes."""
    (tmp_path / "variables.data-00000-of-00001").write_bytes(content)
    value = entry(dtype, shape, 0, 0, len(content), crc32c)
    (tmp_path / "variables.index").write_bytes(written([(b"", header()), (b"t", value)]))
    return read_checkpoint_index(tmp_path / "variables.index")


NOTHING = masked_crc32c(b"").to_bytes(4, "little")


@pytest.mark.parametrize(
    ("dtype", "shape", "content", "said"),
    [
        (7, [3], b"\1\2", "end too early"),
        (7, [1 << 50], bytes(100), "end too early"),
        (7, [2], b"\xff" * 12, "not readable"),
        (7, [1], b"\x85", "not readable"),
        (7, [1], b"\2ab", "end too early"),
        (7, [1], b"\2abcdef", "between its elements does not match"),
        (7, [0], NOTHING + b"more", "should take 0 bytes, and 4 are left"),
        (7, [1], b"\1" + masked_crc32c(b"\1\0\0\0").to_bytes(4, "little"), "should take 1 bytes, and 0 are left"),
        (21, [1], varint(1 << 60) + b"abc", "end too early"),
        (21, [2], b"\1a" + masked_crc32c(b"\1" + bytes(7) + b"a").to_bytes(4, "little"), "not readable"),
        (21, [1], b"\1abcde", "between its elements does not match"),
        (99, [1], b"whatever", "and 00000000 was written"),
    ],
)
def test_bytes_that_cannot_be_what_they_should_are_told(tmp_path, dtype, shape, content, said):
    (mismatch,) = verify(of_one(tmp_path, dtype, shape, content))
    assert mismatch.variable == "t"
    assert said in mismatch.why


def test_a_length_above_32_bits_counts_as_8_bytes(tmp_path):
    """As in ``WriteStringTensor``; nobody keeps such text for a test, so the length is one without its string."""
    length = (1 << 32) + 5
    content = varint(length) + masked_crc32c(length.to_bytes(8, "little")).to_bytes(4, "little")
    (mismatch,) = verify(of_one(tmp_path, 7, [1], content))
    assert f"should take {length} bytes" in mismatch.why
