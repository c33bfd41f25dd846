"""The pickles in a file: plain or one after the other, written by joblib, compressed, or inside a zip as PyTorch and NumPy do.

Only files that can be one are read, and of those no more than a budget allows; nothing is unpacked whole.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from cpr.content.machine import Facts
from cpr.content.opcodes import Budget, PickleCut, PickleError, PickleUnread, Stream
from cpr.content.pickles import walk
from cpr.content.unpacking import Bounded, Unpacked

SUFFIXES = (".pkl", ".pickle", ".pck", ".pcl", ".joblib", ".jbl", ".dill", ".cloudpickle")
_ZIPS = (".pt", ".pth", ".npz", ".ckpt")
_OTHERS = (
    ".sav",
    ".p",
    ".model",
    ".bin",
    ".dump",
    ".dat",
    ".jl",
    ".obj",
    ".npy",
    *_ZIPS,
    ".gz",
    ".z",
    ".bz2",
    ".xz",
    ".lzma",
    ".lz4",
)
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ": "xz",
    b"]\x00\x00": "lzma",
    b"\x04\x22\x4d\x18": "lz4",
    b"x\x01": "zlib",
    b"x\x5e": "zlib",
    b"x\x9c": "zlib",
    b"x\xda": "zlib",
    b"ZF": "zfile",
}


@dataclass(frozen=True, slots=True)
class FoundPickle:
    """A file with a pickle in it, or named as one; its ``path`` in the bundle; ``compression`` is empty where there is none.

    ``problem`` says why no Python loads it (``cut``: it ends too early), ``unread`` why it was not read to its end here.
    ``named`` is true where the name alone says that it is a pickle; ``recognised`` where its first bytes do.
    """

    path: str
    facts: Facts
    compression: str = ""
    problem: str = ""
    cut: bool = False
    unread: str = ""
    named: bool = False
    recognised: bool = False

    @property
    def is_joblib(self) -> bool:
        """True where ``pickle.load`` fails with it and ``joblib.load`` does not."""
        return self.facts.arrays > 0 or bool(self.compression)


def find_pickles(root: Path, files: Iterable[tuple[str, int]], budget: Budget | None = None) -> tuple[FoundPickle, ...]:
    """The pickles among ``files``, which are paths below ``root`` and sizes in bytes. Never raises for what they hold."""
    budget = Budget() if budget is None else budget
    found = (_look(root, path, size, budget) for path, size in files if size)
    return tuple(item for item in found if item is not None)


def _look(root: Path, path: str, size: int, budget: Budget) -> FoundPickle | None:
    lower = path.lower()
    named = lower.endswith(SUFFIXES)
    try:
        with _opened(root.joinpath(*path.split("/"))) as file:
            head = file.read(8)
            if lower.endswith(_ZIPS) and head[:2] == b"PK":
                return _in_zip(file, path, budget)
            if head[:6] == b"\x93NUMPY":
                return _in_array(file, path, size, budget)
            compression = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "")
            likely = named or lower.endswith(_OTHERS)
            if not (named or _is_head(head) or (likely and compression)):
                return None
            if not likely and not _ends_as_pickle(file, size):
                return None
            file.seek(0)
            return _read(file, path, size, budget, compression, named)
    except OSError:
        return None  # the hashing has said it, or will


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a pipe or a device would be waited for
            raise OSError("not a regular file")
        yield file


def _is_head(head: bytes) -> bool:
    """``PROTO`` with a protocol that there is: the one certain sign."""
    return head[:1] == b"\x80" and b"\x02" <= head[1:2] <= b"\x05"


def _ends_as_pickle(file: BinaryIO, size: int) -> bool:
    file.seek(size - 1)
    return file.read(1) == b"."


def _read(file: BinaryIO, path: str, size: int, budget: Budget, compression: str, named: bool) -> FoundPickle | None:
    facts = Facts()
    if compression == "lz4":
        return FoundPickle(path, facts, compression, unread="it is compressed with LZ4", named=named) if named else None
    stream = Stream(file, size)
    if compression:
        stream = Stream(io.BufferedReader(Unpacked(file, compression, budget)), None)
        try:
            if not named and not _is_head(cast(io.BufferedReader, stream.file).peek(2)):
                return None
        except (PickleError, PickleUnread):
            return None
    return _walked(path, stream, facts, budget, compression, named)


def _walked(path: str, stream: Stream, facts: Facts, budget: Budget, compression: str, named: bool) -> FoundPickle:
    """Every pickle of the stream. What follows the first whole one counts only where it is a pickle too."""
    problem, unread, cut, recognised = "", "", False, False
    try:
        while True:
            recognised = _is_head(_peeked(stream)) or recognised
            walk(stream, facts, budget)
            if not _is_head(_peeked(stream)):
                break
    except PickleUnread as error:
        unread = str(error)
    except PickleError as error:
        cut = isinstance(error, PickleCut)
        if not facts.pickles or cut:
            problem = str(error)
    except (RecursionError, OverflowError, MemoryError):
        unread = "it is nested too deeply, or has a length that cannot be"
    return FoundPickle(path, facts, compression, problem, cut, unread, named, recognised)


def _peeked(stream: Stream) -> bytes:
    return cast(io.BufferedReader, stream.file).peek(2)[:2]


def _in_array(file: BinaryIO, path: str, size: int, budget: Budget) -> FoundPickle | None:
    """An array of objects in NumPy's own format is a pickle behind a header."""
    file.seek(6)
    major = file.read(2)[:1]
    header = file.read(int.from_bytes(file.read(2 if major == b"\x01" else 4), "little") & 0xFFFF)
    if b"'|O'" not in header and b"'O'" not in header:
        return None
    return _walked(path, Stream(file, size), Facts(), budget, "", False)


def _in_zip(file: BinaryIO, path: str, budget: Budget) -> FoundPickle | None:
    """The pickles of a PyTorch archive, and those of an .npz: all into one value, for they are loaded together."""
    found: list[FoundPickle] = []
    try:
        with zipfile.ZipFile(file) as archive:
            for item in archive.infolist()[:1000]:
                if item.filename.endswith(".pkl") and not item.flag_bits & 1 and item.compress_type in (0, 8):
                    with archive.open(item) as member:
                        raw = io.BufferedReader(Bounded(cast(BinaryIO, member), budget))
                        found.append(_walked(path, Stream(raw, None), Facts(), budget, "", False))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, zlib.error, PickleError, PickleUnread):
        return None
    if not found:
        return None
    facts = Facts(protocol=max(one.facts.protocol for one in found))
    for one in found:
        facts.names.update(one.facts.names)
        facts.called.update(one.facts.called)
        facts.reached.update(one.facts.reached)
        facts.versions |= one.facts.versions
        facts.pickles += one.facts.pickles
    return FoundPickle(path, facts, unread=next((item.unread for item in found if item.unread), ""))
