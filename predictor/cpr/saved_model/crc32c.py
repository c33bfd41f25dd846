"""CRC-32C (Castagnoli), the checksum of LevelDB's tables, of checkpoints and of TFRecords.

Small content is summed up here in Python, some 10 MB a second; from 64 KiB on google-crc32c is worth its import of 3 ms.
"""

from __future__ import annotations

from struct import unpack_from

_NATIVE_FROM = 1 << 16


def crc32c(content: bytes) -> int:
    if len(content) >= _NATIVE_FROM:
        from google_crc32c import value

        return int(value(content))
    return _crc32c(content)


def masked(crc: int) -> int:
    """A checksum as it is stored: rotated and shifted, since the checksum of bytes that hold checksums is a weak one."""
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def masked_crc32c(content: bytes) -> int:
    return masked(crc32c(content))


def _tables() -> tuple[tuple[int, ...], ...]:
    """What one byte does to the sum, and what it does with one, two and three bytes behind it."""
    first = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        first.append(byte)
    tables = [tuple(first)]
    for _ in range(3):
        tables.append(tuple(first[crc & 255] ^ (crc >> 8) for crc in tables[-1]))
    return tuple(tables)


_TABLES = _tables()


def _crc32c(content: bytes) -> int:
    """Four bytes at a time: https://create.stephan-brumme.com/crc32/#slicing-by-8-overview"""
    crc = 0xFFFFFFFF
    last, third, second, first = _TABLES
    words = len(content) // 4
    for word in unpack_from(f"<{words}I", content):
        crc ^= word
        crc = first[crc & 255] ^ second[crc >> 8 & 255] ^ third[crc >> 16 & 255] ^ last[crc >> 24]
    for byte in content[4 * words :]:
        crc = last[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF
