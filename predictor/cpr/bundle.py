"""A bundle on disk, and what proves that one was checked or published: the values that pass between the steps."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cpr.errors import BundleError
from cpr.manifest import MANIFEST_NAME, MAX_RECORD_BYTES, MODEL_DIR, VALIDATION_NAME, FileEntry, Manifest
from cpr.report import Report


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk: ``root`` is the folder that holds ``manifest.json``."""

    root: Path
    manifest: Manifest

    @classmethod
    def open(cls, root: Path | str) -> Bundle:
        """Read the manifest under ``root``. The files themselves are checked by :meth:`verify`."""
        root = Path(root)
        path = root / MANIFEST_NAME
        try:
            if path.stat().st_size > MAX_RECORD_BYTES:
                raise BundleError("The manifest is too large.", "Build the bundle anew with `cpr build`.", str(path))
            text = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise BundleError(
                f"{root} is not a bundle: it {'has no' if root.is_dir() else 'is no folder with a'} {MANIFEST_NAME}.",
                "Name the folder that `cpr build` printed, or build the routine first.",
                str(root),
            ) from None
        except OSError as error:
            raise BundleError(f"The manifest cannot be read: {error.strerror}.", "Check its permissions.", str(path)) from None
        return cls(root, Manifest.from_json(text, str(path)))

    def path(self, relative: str) -> Path:
        return self.root.joinpath(*relative.split("/"))

    @property
    def model_dir(self) -> Path:
        return self.root / MODEL_DIR

    def report(self) -> Report | None:
        """The validation record beside the manifest; ``None`` where there is none, or one about other content.

        ``BundleError`` where it cannot be read.
        """
        path = self.root / VALIDATION_NAME
        try:
            if path.stat().st_size > MAX_RECORD_BYTES:
                raise ValueError("it is too large")
            report = Report.from_text(path.read_bytes(), str(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise BundleError(
                f"The validation record cannot be read: {error}.", "Run `cpr validate` on the bundle again.", str(path)
            ) from None
        return report if report.digest == self.manifest.digest else None

    def verify(self, entries: Iterable[FileEntry] | None = None) -> None:
        """Hash ``entries`` (default: every file) and raise ``BundleError`` at the first that is missing or differs.

        By default also where the model directory holds a file that the manifest does not list: it would be part of what is
        tried here, and not of what is published.
        """
        if entries is None:
            self._refuse_strangers()
        for entry in self.manifest.all_files if entries is None else entries:
            path = self.path(entry.path)
            try:
                size, sha256 = hash_file(path)
            except OSError as error:
                raise BundleError(
                    f"A file of the bundle cannot be read: {error.strerror}.",
                    "Build the bundle anew with `cpr build`, or fetch it again from where it was published.",
                    str(path),
                ) from None
            if (size, sha256) != (entry.size, entry.sha256):
                raise BundleError(
                    f"The bundle was altered: {entry.path} has {size} bytes and SHA-256 {sha256[:12]}…, "
                    f"its manifest says {entry.size} and {entry.sha256[:12]}….",
                    "Build the bundle anew with `cpr build`, or fetch it again from where it was published.",
                    str(path),
                )

    def _refuse_strangers(self) -> None:
        known = {entry.path for entry in self.manifest.model_files}
        for path in sorted(self.model_dir.rglob("*")):
            relative = path.relative_to(self.root).as_posix()
            # What a linked folder holds is not walked through here, and is read by whoever opens it.
            linked = path.is_symlink() and not any(each.startswith(f"{relative}/") for each in known)
            if (linked or not path.is_dir()) and relative not in known:
                raise BundleError(
                    f"The bundle was altered: its manifest does not list {relative}.",
                    "Remove the file, or put it into the routine's model directory and build the bundle anew.",
                    str(path),
                )


def _without_waiting(path: str, flags: int) -> int:
    """A pipe would otherwise be waited for, until somebody writes into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def hash_file(path: Path) -> tuple[int, str]:
    """Size in bytes and SHA-256 of a file, read once in 1 MiB blocks."""
    sha256, size = hashlib.sha256(), 0
    with open(path, "rb", buffering=0, opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        buffer = memoryview(bytearray(1 << 20))
        while count := file.readinto(buffer):
            sha256.update(buffer[:count])
            size += count
    return size, sha256.hexdigest()


@dataclass(frozen=True, slots=True)
class ValidatedBundle:
    """A bundle with the report that found no error in it: the only thing that can be uploaded."""

    bundle: Bundle
    report: Report


@dataclass(frozen=True, slots=True)
class PublishedBundle:
    """A bundle at its place: ``uri`` is the folder that holds (or will hold) its manifest.

    ``report`` is the validation record that was published beside it; ``None`` where there is none. It lets a container be
    built with the versions that the bundle was proved with.
    """

    uri: str
    manifest: Manifest
    report: Report | None = None

    def uri_of(self, relative: str) -> str:
        return f"{self.uri.rstrip('/')}/{relative}"


@dataclass(frozen=True, slots=True)
class DeployConfig:
    """The files that deploy a published bundle. ``files`` maps relative paths to contents; writing them is the caller's choice.

    ``executable`` names those that are scripts.
    """

    target: str
    machine_type: str
    files: Mapping[str, bytes]
    executable: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
