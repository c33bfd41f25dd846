"""Pickles in files that the real writers wrote: pickle, joblib, NumPy, scikit-learn."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cpr.content.files import FoundPickle, find_pickles
from cpr.content.machine import Name
from cpr.content.opcodes import Budget


@pytest.fixture(scope="module")
def model() -> Any:
    inputs = np.random.default_rng(1).random((60, 4))
    return make_pipeline(StandardScaler(), RandomForestClassifier(5)).fit(inputs, inputs[:, 0] > 0.5)


def found(path: Path, budget: Budget | None = None) -> FoundPickle | None:
    rows = find_pickles(path.parent, [(path.name, path.stat().st_size)], budget)
    return rows[0] if rows else None


def whole(path: Path) -> FoundPickle:
    item = found(path)
    assert item is not None and (item.problem, item.unread) == ("", ""), item
    return item


ARRAYS = {
    "plain": np.ones((3, 4)),
    "Fortran": np.ones((3, 4), order="F"),
    "text": np.array(["long word", "b"]),
    "bytes": np.array([b"abc"]),
    "dates": np.zeros(3, "M8[s]"),
    "complex": np.zeros(3, complex),
    "half": np.zeros(3, np.float16),
    "bool": np.zeros(5, bool),
    "big-endian": np.zeros(5, ">i4"),
    "record": np.zeros(4, [("a", "f8"), ("b", "U3"), ("c", "i2", (2,))]),
    "empty": np.zeros((0, 3)),
    "scalar": np.array(3.5),
    "objects": np.array(["a", {}, None], object),
    "objects in objects": np.array([np.array(["a", 1], object), np.ones(3)], object),
    "large": np.zeros(300_000),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_of_joblib(tmp_path: Path, kind: str, protocol: int) -> None:
    array = ARRAYS[kind]
    joblib.dump([array, CountVectorizer(), array, {"last": array}], tmp_path / "a.joblib", protocol=protocol)
    item = whole(tmp_path / "a.joblib")
    assert item.facts.arrays >= 1 and item.is_joblib
    assert item.facts.versions == {sklearn.__version__}  # written after the first array


@pytest.mark.parametrize("compress", [1, 9, ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)])
def test_compressed_joblib(tmp_path: Path, compress: Any, model: Any) -> None:
    joblib.dump(model, tmp_path / "a.joblib", compress=compress)
    item = whole(tmp_path / "a.joblib")
    assert item.compression == (compress[0] if isinstance(compress, tuple) else "zlib")
    assert Name("sklearn.pipeline", "Pipeline") in item.facts.names


@pytest.mark.parametrize("protocol", range(6))
def test_a_pipeline(tmp_path: Path, protocol: int, model: Any) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(model, protocol))
    item = whole(tmp_path / "a.pkl")
    assert item.facts.protocol == protocol and not item.is_joblib
    assert item.facts.versions == {sklearn.__version__}
    assert {str(name) for name in item.facts.names} >= {
        "sklearn.pipeline.Pipeline",
        "sklearn.ensemble._forest.RandomForestClassifier",
    }


def test_one_after_the_other(tmp_path: Path) -> None:
    with open(tmp_path / "a.pkl", "wb") as file:
        for number in range(5):
            pickle.dump({number: CountVectorizer() if number == 4 else number}, file)
    item = whole(tmp_path / "a.pkl")
    assert item.facts.pickles == 5 and item.facts.versions
    (tmp_path / "a.pkl").write_bytes((tmp_path / "a.pkl").read_bytes() + b"trailing")
    assert whole(tmp_path / "a.pkl").facts.pickles == 5


def test_an_array_of_objects_in_numpys_own_format(tmp_path: Path) -> None:
    np.save(tmp_path / "o.npy", np.array([CountVectorizer()], object), allow_pickle=True)
    np.save(tmp_path / "f.npy", np.ones(3))
    assert whole(tmp_path / "o.npy").facts.versions
    assert found(tmp_path / "f.npy") is None


def test_an_archive_of_pytorch(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt", "w") as archive:
        archive.writestr("m/data.pkl", pickle.dumps({"weights": CountVectorizer()}, 2))
        archive.writestr("m/data/0", b"\0" * 1000)
    assert whole(tmp_path / "m.pt").facts.versions


def test_no_pickles(tmp_path: Path) -> None:
    contents = {
        "a.txt": b"I am text.\n",
        "b.bin": b"\x80\x02 by chance",
        "c.dat": b"\x80\x04.but no end",
        "saved_model.pb": b"\x08\x01\x12\x80.",
        "d.gz": gzip.compress(b"words\n" * 100),
        "e.csv": b"1,2,3.",
        "f.png": b"\x89PNG\r\n\x1a\n.",
        "empty.pkl": b"",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        item = found(tmp_path / name)
        assert item is None or (not item.named and not item.problem) or name in ("b.bin", "c.dat"), name


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bz2.compress, lzma.compress])
def test_a_bomb_is_not_unpacked(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "a.joblib").write_bytes(pack(b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"\0" * (20 << 20)))
    item = found(tmp_path / "a.joblib", Budget(unpacked=1 << 20))
    assert item is not None and "unpacks" in item.unread and not item.problem


@pytest.mark.parametrize("compress", [0, 3, ("bz2", 3), ("xz", 3)])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_cut_file(tmp_path: Path, compress: Any, share: float, model: Any) -> None:
    joblib.dump([model, np.ones(5000)], tmp_path / "a.joblib", compress=compress)
    data = (tmp_path / "a.joblib").read_bytes()
    (tmp_path / "a.joblib").write_bytes(data[: int(len(data) * share)])
    item = found(tmp_path / "a.joblib")
    assert item is not None and item.cut and item.problem


@given(st.data())
def test_altered_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("altered")
    buffer = io.BytesIO()
    joblib.dump(
        [{"a": np.ones(9)}, CountVectorizer()], buffer, compress=data.draw(st.sampled_from([0, 1, ("gzip", 1), ("xz", 1)]))
    )
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    for name in ("a.joblib", "a.npy", "a.pt", "a.bin"):
        (folder / name).write_bytes(bytes(content))
        find_pickles(folder, [(name, len(content))], Budget(opcodes=5000, unpacked=1 << 20))


@given(
    st.binary(max_size=400),
    st.sampled_from(
        [
            b"",
            b"\x78\x9c",
            b"\x1f\x8b\x08",
            b"BZh9",
            b"\xfd7zXZ\x00",
            b"]\0\0",
            b"ZF0x10",
            b"\x93NUMPY",
            b"PK\x03\x04",
            b"\x04\x22\x4d\x18",
        ]
    ),
)
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes, head: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("a.joblib", "a.pkl", "a.npy", "a.npz", "a"):
        (folder / name).write_bytes(head + content)
        find_pickles(folder, [(name, len(head + content))])


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pkl")
    assert find_pickles(tmp_path, [("a.pkl", 10)]) == ()


def test_the_budget_is_shared(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(list(range(1000))))
    rows = find_pickles(tmp_path, [(f"{name}.pkl", 3000) for name in "abc"], Budget(opcodes=1500))
    assert [bool(item.unread) for item in rows] == [False, True, True]
