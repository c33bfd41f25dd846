"""Source distributions as bytes: written so that the same members always give the same file, read without trusting them."""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from cpr.errors import BundleError
from cpr.manifest import is_safe_path

# The earliest time a zip file can hold: pip makes a wheel, a zip, of what it unpacks.
_MTIME = 315532800
_STORED_BLOCK = 0xFFFF  # the most that one stored block holds (RFC 1951, 3.2.4)

MAX_MEMBERS = 10_000
MAX_BYTES = 256 * 1024 * 1024
"""What an sdist may unpack to. Modules are small; weights belong in the model directory."""


def write_sdist(top: str, members: Mapping[str, bytes]) -> bytes:
    """The ``.tar.gz`` of ``members`` (relative path to content) under the folder ``top``.

    Nothing but names and contents goes in: members are sorted, owner, mode and time are fixed, and gzip holds stored blocks,
    so that neither the machine nor its zlib shows in the bytes.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(members):
            tar.addfile(_scrubbed(f"{top}/{name}", len(members[name])), io.BytesIO(members[name]))
    return _gzip_stored(buffer.getvalue())


def _scrubbed(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mtime = _MTIME
    member.mode = 0o644
    return member


def _gzip_stored(data: bytes) -> bytes:
    """``data`` as a gzip file (RFC 1952) of stored blocks, byte for byte the same under every compression library."""
    parts = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"]
    for start in range(0, max(len(data), 1), _STORED_BLOCK):
        block = data[start : start + _STORED_BLOCK]
        last = start + _STORED_BLOCK >= len(data)
        parts.append(struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block)
    parts.append(struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF))
    return b"".join(parts)


def read_tar(data: bytes | Path, where: str) -> dict[str, bytes]:
    """The regular files of a tar or tar.gz by path below its single top folder; ``BundleError`` for anything untrustworthy.

    Refused: links, devices, paths that leave the folder, a second top folder, a name twice, too many members, too many bytes.
    """
    members: dict[str, bytes] = {}
    tops = set()
    total = 0
    source = io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")
    try:
        with source, tarfile.open(fileobj=source, mode="r:*") as tar:
            for count, member in enumerate(tar):
                top, _, name = member.name.partition("/")
                tops.add(top)
                total += member.size
                if count >= MAX_MEMBERS or total > MAX_BYTES:
                    raise _untrusted(f"it unpacks to more than {MAX_MEMBERS} files or {MAX_BYTES} bytes", where)
                if len(tops) > 1 or not is_safe_path(top):
                    raise _untrusted("it has more than one top folder", where)
                if member.isdir():
                    continue
                if not member.isreg() or not is_safe_path(name) or name in members:
                    raise _untrusted(f"its member {member.name!r} is a link, a device, there twice, or outside", where)
                file = tar.extractfile(member)
                members[name] = file.read() if file else b""
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        raise _untrusted(str(error), where) from None
    return members


def read_sdist(path: Path) -> dict[str, bytes]:
    """The members of a bundle's source distribution, by path below its top folder; ``BundleError`` as in ``read_tar``."""
    return read_tar(path, str(path))


def extract_sdist(path: Path, folder: Path) -> None:
    """Lay the modules of a source distribution into ``folder``, as ``pip install --target`` would; metadata stays out."""
    for name, content in read_sdist(path).items():
        if name in ("setup.py", "PKG-INFO"):
            continue
        target = folder.joinpath(*name.split("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _untrusted(reason: str, where: str) -> BundleError:
    return BundleError(
        f"The source distribution cannot be trusted: {reason}.",
        "Build the bundle anew with `cpr build`, or fetch it again from where it was published.",
        where,
    )
