"""Copying a file and hashing it, with its bytes read once."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from io import FileIO
from itertools import cycle
from pathlib import Path

from cpr.errors import BuildError

_BLOCK = 1 << 20  # the fastest size to read by, on the machines tried: larger ones fall out of the processor's cache


def copy_hashed(source: Path, target: Path) -> tuple[int, str]:
    """Copy ``source`` to the new file ``target``; return its size in bytes and its SHA-256 in hex.

    What is hashed is what is written, even while somebody changes the source. ``BuildError`` where it cannot be read; an
    ``OSError`` where the copy cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        reader = FileIO(source)
    except OSError as error:
        raise BuildError(
            f"It cannot be read: {error.strerror}.", "Mend its permissions, or name it under `exclude`.", str(source)
        ) from None
    with reader, FileIO(target, "w") as writer:
        return _copy(reader, writer)


def _copy(reader: FileIO, writer: FileIO) -> tuple[int, str]:
    """Hash each block in a thread, which takes as long as writing it and reading the next."""
    sha256, size = hashlib.sha256(), 0
    hashing: Future[None] | None = None
    with ThreadPoolExecutor(1) as thread:  # which starts with its first task: an empty file needs none
        for buffer in cycle([memoryview(bytearray(_BLOCK)), memoryview(bytearray(_BLOCK))]):
            count = reader.readinto(buffer)
            if hashing is not None:
                hashing.result()
            if not count:
                break
            size += count
            hashing = thread.submit(sha256.update, buffer[:count])
            _write_all(writer, buffer[:count])
    return size, sha256.hexdigest()


def _write_all(writer: FileIO, block: memoryview) -> None:
    while block:  # a raw write may take less than it is given
        block = block[writer.write(block) :]
