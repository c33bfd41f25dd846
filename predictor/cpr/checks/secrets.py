"""CPR711: credentials that would travel with the bundle."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from cpr.checks.registry import Family, Fault, Subject
from cpr.content.credentials import find_credentials
from cpr.report import Severity

FAMILY = Family()

_MOST_OF_FILE = 1 << 20
_MOST = 8 << 20
"""Bytes that are looked through: of one file, and of all."""

_BINARY = (".npy", ".npz", ".pb", ".index", ".h5", ".keras", ".png", ".jpg", ".gz", ".zip", ".pt", ".pth", ".onnx", ".parquet")


@FAMILY.check(
    "CPR711",
    "A credential would travel with the bundle",
    cause="Whoever can read the bucket, the image or the package can use it; and a version once published is never replaced.",
    remedy="Revoke it, for it may have travelled already; take it out of the file, and hand it over in the environment or by a "
    "secret manager. Where it opens nothing, say so under `suppress` in routine.yaml.",
    source="the formats that the issuers of keys and tokens document",
)
def credentials(subject: Subject) -> Iterator[Fault]:
    left = _MOST
    for path, data in _texts(subject):
        left -= len(data)
        if left < 0:
            message = f"Only the first {_MOST >> 20} MiB of text were looked through for credentials."
            yield Fault(path, message, "Nothing need be done; what follows was not checked.", Severity.NOTE)
            return
        for leak in find_credentials(data):
            severity = None if leak.sure else Severity.WARNING
            yield Fault(f"{path}:{leak.line}", f"It holds {leak.kind}: {leak.masked}.", severity=severity)


def _texts(subject: Subject) -> Iterator[tuple[str, bytes]]:
    """The author's source, then what lies beside it and is text, the small files first."""
    for path, content in subject.sources.items():
        if _is_text(content):
            yield path, content[:_MOST_OF_FILE]
    for entry in sorted(subject.bundle.manifest.files, key=lambda entry: entry.size):
        if not entry.path.startswith("packages/") and not entry.path.lower().endswith(_BINARY):
            data = _head(subject.bundle.path(entry.path))
            if data:
                yield entry.path, data


def _head(path: Path) -> bytes:
    """The beginning of a file of text; empty for any other."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return b""
            head = file.read(4096)
            return head + file.read(_MOST_OF_FILE - 4096) if _is_text(head) else b""
    except OSError:
        return b""


def _is_text(data: bytes) -> bool:
    """No NUL among the first bytes, and few that only binary files have."""
    head = data[:4096]
    odd = len(head.translate(None, bytes(range(32, 256)) + b"\t\n\r\f\x1b"))
    return odd * 50 <= len(head) and b"\0" not in head
