"""The files that are looked at: which there are, how large, and where those lie that can be read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cpr.errors import ModelError


class Tree(NamedTuple):
    """A folder's files: ``files`` maps paths relative to it, with forward slashes, to sizes in bytes, in order of path.

    A local folder is one, and ``root`` is that folder. A bucket's folder is one, too: then ``root`` is where the small files
    were put, and the others are only listed. ``origin`` is what the user named, for people to read. Presence and size are
    asked here, never of the file system.
    """

    root: Path
    files: Mapping[str, int]
    origin: str

    def has(self, relative: str) -> bool:
        return relative in self.files

    def size(self, relative: str) -> int:
        """Bytes of a file that there is."""
        return self.files[relative]

    def path(self, relative: str) -> Path:
        """Where the file lies on this machine, if it can be read here at all."""
        return self.root / relative

    def below(self, folder: str) -> tuple[str, ...]:
        """The paths in a folder and its sub-folders, in order; they still start with ``folder``."""
        prefix = folder.rstrip("/") + "/"
        return tuple(path for path in self.files if path.startswith(prefix))

    def head(self, relative: str, count: int) -> bytes:
        """The first bytes of a file; ``b""`` where it cannot be read here."""
        try:
            with open(self.root / relative, "rb", buffering=0) as file:
                return file.read(count)
        except OSError:
            return b""

    def folder(self, where: str) -> Tree:
        """A folder below as a tree of its own (``.``: this very tree)."""
        if where in ("", "."):
            return self
        prefix = where.rstrip("/") + "/"
        files = {path[len(prefix) :]: size for path, size in self.files.items() if path.startswith(prefix)}
        return Tree(self.root / where, files, f"{self.origin.rstrip('/')}/{where}")


def local_tree(folder: Path) -> Tree:
    """The files of a folder. A link to a file counts as the file; links to folders are not followed.

    A pipe, a device or a socket is none. ``ModelError`` where one of its folders cannot be listed.
    """
    return Tree(folder, dict(sorted(_files(os.fspath(folder)))), str(folder))


def _files(root: str) -> Iterator[tuple[str, int]]:
    left = [(root, "")]
    while left:
        folder, prefix = left.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            if prefix and isinstance(error, FileNotFoundError):
                continue  # gone since its parent was listed, as TensorFlow's temporary folder is where a model is being written
            raise ModelError(
                f"The folder cannot be read: {error.strerror}.", "Check its permissions.", str(error.filename)
            ) from None
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                left.append((entry.path, f"{prefix}{entry.name}/"))
                continue
            try:
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):  # a pipe would be waited for, a device be read without end
                    yield prefix + entry.name, status.st_size
            except OSError:
                continue  # a link that leads nowhere, or in a circle: whoever needs the file says that it is missing
