"""A lock: every package that the requirements need, with its version, the file that is installed, and that file's hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Package:
    """One package of a lock. ``file`` is the name of what is installed, ``size`` in bytes (``None``: the index does not say).

    ``url`` is where it comes from where the requirement itself names the place, else ``None``: the index knows.
    """

    name: str
    version: str
    file: str
    size: int | None
    sha256: str
    url: str | None = None

    @property
    def is_source(self) -> bool:
        return not self.file.endswith(".whl")

    def to_text(self) -> str:
        """The two lines of a requirements file that pip and uv take with ``--require-hashes``."""
        source = f"{self.name}=={self.version}" if self.url is None else f"{self.name} @ {self.url}"
        return f"{source} \\\n    --hash=sha256:{self.sha256}\n"

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "version": self.version,
            "file": self.file,
            "size": self.size,
            "sha256": self.sha256,
            **({} if self.url is None else {"url": self.url}),
        }


@dataclass(frozen=True, slots=True)
class Lock:
    """Locked requirements: what was asked for (``requirements``, ``python``, ``platform``), and the packages by name.

    ``platform`` is one of uv's names, ``None`` for the machine that the lock was made on.
    """

    requirements: tuple[str, ...]
    python: str
    platform: str | None
    packages: tuple[Package, ...]

    @property
    def digest(self) -> str:
        """64 hex digits that name what is installed; where it was resolved, and when, is left out."""
        return hashlib.sha256(f"{self.python}\n{self.to_text()}".encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files together, as far as the index tells them."""
        return sum(package.size or 0 for package in self.packages)

    @property
    def versions(self) -> dict[str, str]:
        return {package.name: package.version for package in self.packages}

    def to_text(self) -> str:
        """The requirements file, without a comment: the same packages give the same bytes."""
        return "".join(package.to_text() for package in self.packages)

    def to_json(self) -> dict[str, Any]:
        return {
            "requirements": list(self.requirements),
            "python": self.python,
            "platform": self.platform,
            "packages": [package.to_json() for package in self.packages],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Lock:
        """The lock of ``to_json``; ``ValueError`` where the document is none."""
        try:
            return cls(
                tuple(str(text) for text in document["requirements"]),
                str(document["python"]),
                None if document["platform"] is None else str(document["platform"]),
                tuple(_package(entry) for entry in document["packages"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"the lock is damaged: {error}") from None


def _package(entry: Mapping[str, Any]) -> Package:
    """A package that may become lines of a requirements file: never trust the text."""
    size, url = entry["size"], entry.get("url")
    fields = [str(entry[key]) for key in ("name", "version", "file", "sha256")]
    for text in (*fields, str(url)):
        if not text.isprintable() or any(character.isspace() for character in text):
            raise ValueError(f"the lock is damaged: {text!r} is no name, version or place")
    if not _SHA256.fullmatch(fields[3]) or not (size is None or (type(size) is int and size >= 0)):
        raise ValueError(f"the lock is damaged: {fields[0]} has no size and SHA-256")
    return Package(fields[0], fields[1], fields[2], size, fields[3], None if url is None else str(url))
