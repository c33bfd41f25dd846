"""Folders that appear whole or not at all, while others write them and after somebody was killed."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cpr.folders import write_folder


def test_many_writers_of_one_folder_all_succeed(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for _ in range(20):
            write_folder(tmp_path / "out", {"a": b"%d" % number, "b": b"%d" % number})

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    assert (tmp_path / "out/a").read_bytes() == (tmp_path / "out/b").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_writer_left_is_swept_after_an_hour(tmp_path: Path) -> None:
    names = {
        name: tmp_path / name for name in (".out.new.0123abcd", ".out.old.0123abcd", ".out.new.mine", ".output.new.0123abcd")
    }
    fresh = tmp_path / ".out.new.ffffffff"
    for path in (*names.values(), fresh):
        (path / "model").mkdir(parents=True)
    for path in names.values():
        os.utime(path, (time.time() - 7200,) * 2)
    write_folder(tmp_path / "out", {"a": b""})
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".out.new.mine", ".output.new.0123abcd", ".out.new.ffffffff"}
