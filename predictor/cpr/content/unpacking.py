"""Compressed data read as it is unpacked, no further than a budget allows."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from typing import BinaryIO, Protocol

from cpr.content.opcodes import Budget, PickleCut, PickleError, PickleUnread

_MEMORY = 96 << 20
"""What unpacking an LZMA file may take; the highest preset takes two thirds of it."""


class Bounded(io.RawIOBase):
    """What is read from a file, until the budget of unpacked bytes is spent."""

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self._file, self._budget = file, budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._more(len(buffer))
        self._budget.unpacked -= len(data)
        if self._budget.unpacked < 0:
            raise PickleUnread("it unpacks to more than is looked at")
        buffer[: len(data)] = data
        return len(data)

    def _more(self, count: int) -> bytes:
        return self._file.read(count)


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Zlib:
    """zlib's own object, with the manners of the others."""

    def __init__(self, bits: int) -> None:
        self._inner = zlib.decompressobj(bits)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


class Unpacked(Bounded):
    """A compressed file, unpacked as it is read."""

    def __init__(self, file: BinaryIO, compression: str, budget: Budget) -> None:
        super().__init__(file, budget)
        self._inner = _decompressor(compression)
        if compression == "zfile":
            head = file.read(22)  # the prefix and the length; joblib 0.8 wrote one space more
            file.seek(22 if head.endswith(b" ") else 21)

    def _more(self, count: int) -> bytes:
        try:
            while not self._inner.eof:
                waiting = getattr(self._inner, "needs_input", True)
                block = self._file.read(1 << 14) if waiting else b""
                data = self._inner.decompress(block, count)
                if data:
                    return data
                if waiting and not block:
                    raise PickleCut("its compressed data ends in the middle")
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            raise PickleError(f"its compressed data is damaged: {error}") from None
        except MemoryError:
            raise PickleUnread("unpacking it takes more memory than is allowed") from None
        return b""


def _decompressor(compression: str) -> _Decompressor:
    if compression == "gzip":
        return _Zlib(31)
    if compression in ("zlib", "zfile"):
        return _Zlib(15)
    if compression == "bz2":
        return bz2.BZ2Decompressor()
    return lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=_MEMORY)
