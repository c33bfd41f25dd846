"""Arrays in files and in JSON."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cpr.arrays import dtype_name, listed, read_array, write_arrays
from cpr.errors import OutputError, RequestError

PLAIN = ["bool", "int8", "uint64", "float16", ">f4", "float64", "complex64", "S3", "U2"]


def npy(header: str, body: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """A .npy file with a header of one's own."""
    text = header.encode("latin1") + b"\n"
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + body


def header(descr: str, shape: str) -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PLAIN).flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0))))
def test_what_numpy_saved_is_read(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", one=array, other=np.ones(2))
    for got in (read_array(tmp_path / "a.npy"), read_array(tmp_path / "a.npz", "one")):
        assert (got.dtype, got.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(got, array)


def test_the_content_decides_and_one_array_needs_no_key(tmp_path: Path) -> None:
    with open(tmp_path / "a.dat", "wb") as file:
        np.savez(file, only=np.arange(3))
    assert read_array(tmp_path / "a.dat").tolist() == [0, 1, 2]


class Bomb:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("/tmp/cpr-unpickled"),))


OBJECTS = io.BytesIO()
np.save(OBJECTS, np.array([Bomb()], object), allow_pickle=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            npy(header("'<f4'", "(1000000000000,)"), b"\0" * 16),
            "Its header says 4000000000000 bytes of values, and there are 16",
        ),
        (npy(header("'<f4'", "(10, 10, 10000000)"), b"\0" * 16), "Its header says 4000000000 bytes"),
        (npy(header("'<f4'", "(2,)"), b"\0" * 16), "Its header says 8 bytes of values, and there are 16"),
        (npy(header("'<f4'", "(-2, -2)"), b"\0" * 16), "Its header says 16 bytes of values, and there are 16"),
        (npy(header("'<f4'", "'x'")), "cannot be read"),
        (npy(header("'no such type'", "(1,)")), "cannot be read"),
        (npy("["), "cannot be read"),
        (npy("{" * 5000), "cannot be read"),
        (npy("(" * 9000), "cannot be read"),
        (npy(header("'<f4'", "(1,)") + " " * 20000, b"\0" * 4), "cannot be read"),
        (b"\x93NUMPY", "cannot be read"),
        (b"\x93NUMPY\x01\x00\xff\xff", "cannot be read"),
        (npy(header("'<f4'", "(1,)"), b"\0" * 4, (3, 0)), "records"),
        (npy(header("'<f4'", "(1,)"), b"\0" * 4, (9, 9)), "records"),
        (OBJECTS.getvalue(), "Python objects (pickle)"),
        (pickle.dumps([1]), "neither a .npy nor a .npz"),
        (b"", "neither a .npy nor a .npz"),
        (b"[[1, 2]]", "neither a .npy nor a .npz"),
        (b"PK\x03\x04 nothing", "cannot be read"),
    ],
)
def test_files_that_lie_or_hold_code_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(RequestError) as caught:
        read_array(tmp_path / "a.npy")
    assert message in caught.value.message
    assert caught.value.where == str(tmp_path / "a.npy")
    assert not Path("/tmp/cpr-unpickled").exists()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(RequestError, match="no file, but a pipe"):
        read_array(tmp_path / "a.npy")


def test_the_same_inside_a_npz(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("huge.npy", npy(header("'<f8'", "(1000000000000,)"), b"\0" * 8))
        archive.writestr("objects.npy", OBJECTS.getvalue())
        archive.writestr("text.txt", "no array")
    for key, message in (("huge", "header says 8000000000000 bytes"), ("objects", "pickle"), ("text.txt", "cannot be read")):
        with pytest.raises(RequestError) as caught:
            read_array(tmp_path / "a.npz", key)
        assert message in caught.value.message
        assert caught.value.where == f"{tmp_path / 'a.npz'}[{key}]"


def test_a_wrong_key_shows_those_there_are(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", left=np.ones(1), right=np.ones(1))
    with pytest.raises(RequestError, match="no array 'up', but left, right"):
        read_array(tmp_path / "a.npz", "up")
    with pytest.raises(RequestError, match="several arrays: left, right") as caught:
        read_array(tmp_path / "a.npz")
    assert f"@{tmp_path / 'a.npz'}[left]" in caught.value.remedy
    np.save(tmp_path / "a.npy", np.ones(1))
    with pytest.raises(RequestError, match="one array, without a name"):
        read_array(tmp_path / "a.npy", "left")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    st.booleans(), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 400)
)
def test_damaged_files_are_read_or_refused(tmp_path: Path, zipped: bool, changes: list[tuple[int, int]], cut: int) -> None:
    path = tmp_path / "a"
    buffer = io.BytesIO()
    (np.savez if zipped else np.save)(buffer, np.arange(12.0).reshape(3, 4))
    data = bytearray(buffer.getvalue())
    for place, value in changes:
        data[place % len(data)] = value
    path.write_bytes(bytes(data[: len(data) - cut] if cut < 40 else data))
    try:
        read_array(path)
    except RequestError:
        pass


# --- outputs to files -------------------------------------------------------------------------------------------------------


def test_outputs_are_written_and_read_back(tmp_path: Path) -> None:
    outputs = {
        "y": np.float32([[1, 2]]),
        "scores/out:0": np.arange(3),
        "text": np.array([b"a", "é".encode()], object),
        "é": np.ones(()),
    }
    paths = write_arrays(tmp_path / "new" / "out", outputs)
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == [
        "%C3%A9.npy",
        "scores%2Fout%3A0.npy",
        "text.npy",
        "y.npy",
    ]
    for name, path in paths.items():
        np.testing.assert_array_equal(read_array(path), outputs[name].astype("S") if name == "text" else outputs[name])


@pytest.mark.parametrize("name", ["..", "../up", "/root", "a\\b", "a\nb", "con\0", "."])
def test_no_name_leaves_the_folder(tmp_path: Path, name: str) -> None:
    path = write_arrays(tmp_path / "out", {name: np.ones(1)})[name]
    assert path.parent == tmp_path / "out" and path.is_file()
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_nothing_is_overwritten_unasked_and_all_is_written_or_nothing(tmp_path: Path) -> None:
    write_arrays(tmp_path, {"y": np.ones(1)})
    with pytest.raises(OutputError, match=r"y\.npy is there already") as caught:
        write_arrays(tmp_path, {"x": np.ones(1), "y": np.zeros(1)})
    assert "--overwrite" in caught.value.remedy
    with pytest.raises(OutputError, match="end in zero"):
        write_arrays(tmp_path, {"x": np.ones(1), "y": np.array([b"a\0"], object)}, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["y.npy"]
    assert read_array(tmp_path / "y.npy").tolist() == [1.0]
    write_arrays(tmp_path, {"y": np.zeros(1)}, overwrite=True)
    assert read_array(tmp_path / "y.npy").tolist() == [0.0]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_arrays(tmp_path / "file", {"y": np.ones(1)})
    with pytest.raises(OutputError, match="cannot be written") as caught:
        write_arrays(tmp_path, {"y" * 300: np.ones(1)})
    assert "--json" in caught.value.remedy
    (tmp_path / "y.npy").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_arrays(tmp_path, {"y": np.ones(1)}, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "y.npy"]


# --- outputs in JSON --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "array", "values", "dtype"),
    [
        ("y", np.float32([[0.5]]), [[0.5]], "float32"),
        ("y", np.array([np.nan, np.inf, -np.inf, 1.0]), ["NaN", "Infinity", "-Infinity", 1.0], "float64"),
        ("y", np.float16(np.nan), "NaN", "float16"),
        ("y", np.array(2**63, np.uint64), 2**63, "uint64"),
        ("y", np.array([True]), [True], "bool"),
        ("y", np.array([1 + 2j, np.nan]), [[1.0, 2.0], ["NaN", 0.0]], "complex128"),
        ("y", np.array([[b"a", "é".encode()]], object), [["a", "é"]], "string"),
        ("y", np.array([b"a", b"\xff"], object), [{"b64": "YQ=="}, {"b64": "/w=="}], "string"),
        ("y_bytes", np.array(b"a", object), {"b64": "YQ=="}, "string"),
        ("y", np.array([], object), [], "string"),
    ],
)
def test_values_are_strict_json(name: str, array: Any, values: Any, dtype: str) -> None:
    assert listed(name, np.asarray(array)) == values
    assert json.loads(json.dumps(listed(name, np.asarray(array)), allow_nan=False)) == values
    assert dtype_name(np.asarray(array)) == dtype
