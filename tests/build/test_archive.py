"""Archives: written the same everywhere, read without trust."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr.archive import extract_sdist, read_tar, write_sdist
from cpr.errors import BundleError

paths = st.lists(st.text("abcüß_-.1", min_size=1, max_size=40).filter(lambda part: part.strip(".")), min_size=1, max_size=4)


@given(members=st.dictionaries(paths.map("/".join), st.binary(max_size=200), max_size=6))
def test_what_is_written_is_read_back(members: dict[str, bytes]) -> None:
    # A file cannot also be a folder.
    members = {name: data for name, data in members.items() if not any(other.startswith(name + "/") for other in members)}
    data = write_sdist("top-1.0", members)
    assert read_tar(data, "x") == members
    assert write_sdist("top-1.0", dict(reversed(members.items()))) == data


def test_blocks_larger_than_one_stored_block_and_empty_ones() -> None:
    members = {"big": bytes(range(256)) * 1024, "empty": b""}
    data = write_sdist("top", members)
    assert read_tar(data, "x") == members
    assert gzip.decompress(data)[:4] == b"top/"


def test_only_modules_are_extracted(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(write_sdist("x-1", {"setup.py": b"", "PKG-INFO": b"", "a.py": b"1", "p/b.py": b"2"}))
    extract_sdist(tmp_path / "x.tar.gz", tmp_path / "out")
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert found == ["a.py", "p/b.py"]


def _tar(*members: tuple[str, bytes, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), "/etc/passwd"
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


REG = tarfile.REGTYPE


@pytest.mark.parametrize(
    "make",
    [
        lambda: _tar(("top/../../evil", REG, b"x")),
        lambda: _tar(("/etc/evil", REG, b"x")),
        lambda: _tar(("top/a", REG, b"x"), ("other/b", REG, b"x")),
        lambda: _tar(("top/a", REG, b"x"), ("top/a", REG, b"y")),
        lambda: _tar(("top/link", tarfile.SYMTYPE, b"")),
        lambda: _tar(("top/link", tarfile.LNKTYPE, b"")),
        lambda: _tar(("top/device", tarfile.CHRTYPE, b"")),
        lambda: _tar(("top/a\\b", REG, b"x")),
        lambda: _tar(*((f"top/{number}", REG, b"") for number in range(10_001))),
        lambda: gzip.compress(_tar(("top/a", REG, b"x"))[:-1]),
        lambda: _tar(("top/a", REG, b"x" * 100_000))[:-50],
        lambda: b"no archive",
        lambda: b"",
    ],
)
def test_what_cannot_be_trusted_is_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(BundleError) as caught:
        read_tar(make(), "x.tar.gz")
    assert "cpr build" in caught.value.remedy


def test_a_bomb_is_refused_before_it_unpacks() -> None:
    buffer = io.BytesIO()
    info = tarfile.TarInfo("top/zeros")
    info.size = 1 << 40
    buffer.write(info.tobuf())
    with pytest.raises(BundleError, match="unpacks to more"):
        read_tar(gzip.compress(buffer.getvalue()), "x")


@given(data=st.binary(max_size=400), cut=st.integers(0, 400))
def test_any_bytes_are_read_or_refused(data: bytes, cut: int) -> None:
    real = write_sdist("top", {"a.py": b"x = 1\n"})
    for candidate in (data, real[:cut] + data + real[cut:], gzip.compress(data)):
        try:
            read_tar(candidate, "x")
        except BundleError:
            pass
