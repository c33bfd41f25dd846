"""Copying and hashing in one pass."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cpr.copying import copy_hashed
from cpr.errors import BuildError

MIB = 1 << 20


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 7 * MIB + 13])
def test_what_is_written_is_what_was_hashed(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "source").write_bytes(content)
    copied = copy_hashed(tmp_path / "source", tmp_path / "deep" / "er" / "target")
    assert copied == (size, hashlib.sha256(content).hexdigest())
    assert (tmp_path / "deep" / "er" / "target").read_bytes() == content


def test_a_source_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="No such file") as caught:
        copy_hashed(tmp_path / "nothing", tmp_path / "target")
    assert caught.value.where == str(tmp_path / "nothing")
    assert not (tmp_path / "target").exists()


def test_a_target_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"x")
    with pytest.raises(OSError, match="No space left"):
        copy_hashed(tmp_path / "source", Path("/dev/full"))
