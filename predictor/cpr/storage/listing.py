"""A folder of a bucket as a tree: everything in it listed with its size, and the few objects that are needed fetched.

What lies in a bucket has foreign names, and a name may be any text: ``a//b``, ``../x``, or an object's and at once that of a
folder of others. Only names that are paths inside their folder become files of the tree; the others are told beside it and
never fetched.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from cpr.errors import ChecksumError, StorageError
from cpr.storage.base import Storage
from cpr.storage.schemes import open_storage

MOST_OBJECTS = 100_000
"""The most that are listed: a hundred times what a version of the platform may have."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies below ``prefix`` of a store.

    ``files`` maps relative paths with forward slashes to sizes in bytes, in order of path; ``strange`` are the names of the
    objects that are no such paths, relative to the prefix, too. Placeholders that stand for a folder are in neither.
    """

    storage: Storage
    prefix: str
    files: Mapping[str, int]
    strange: tuple[str, ...]

    @property
    def uri(self) -> str:
        return self.storage.uri(self.prefix.rstrip("/"))

    def folders_with(self, name: str) -> list[str]:
        """The folders right below that hold a file of this name."""
        return [parts[0] for path in self.files if len(parts := path.split("/")) == 2 and parts[1] == name]

    def inside(self, folder: str) -> Listing:
        """What of it lies in a folder right below."""
        below = f"{folder}/"
        files = {path.removeprefix(below): size for path, size in self.files.items() if path.startswith(below)}
        strange = tuple(name.removeprefix(below) for name in self.strange if name.startswith(below))
        return Listing(self.storage, self.prefix + below, files, strange)

    def fetch(self, paths: Iterable[str], folder: Path) -> None:
        """Copy the objects with these paths of ``files`` to the same paths in ``folder``, several at a time.

        ``StorageError`` where one cannot be read, or is no longer as it was listed, or the folder cannot be written.
        """
        with ThreadPoolExecutor(self.storage.parallel) as pool:
            fetches = [pool.submit(self._fetch, path, folder) for path in paths]
            try:
                for done in as_completed(fetches):
                    done.result()
            finally:
                _cancel(fetches)

    def _fetch(self, path: str, folder: Path) -> None:
        target = folder.joinpath(*path.split("/"))
        size, uri = self.files[path], self.storage.uri(self.prefix + path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "wb") as file:
                # Not every store answers for the first byte of an object that has none.
                same = not size or (self.storage.download(self.prefix + path, file, size) and file.tell() == size)
        except ChecksumError:
            same = False
        except OSError as error:
            raise StorageError(
                f"{target} cannot be written: {error.strerror}.", "Check the free space, and TMPDIR if it is set.", uri
            ) from error
        if not same:
            raise StorageError(f"{uri} changed while it was read.", "Run it again.", uri)


def list_folder(uri: str, *, endpoint: str | None = None) -> Listing:
    """List what lies below a URI: nothing is an empty listing. ``StorageError`` where that cannot be, or is too much."""
    storage, prefix = open_storage(uri, endpoint=endpoint)
    found = list(itertools.islice(storage.sizes(prefix), MOST_OBJECTS + 1))
    if len(found) > MOST_OBJECTS:
        place = storage.uri(prefix)
        raise StorageError(f"More than {MOST_OBJECTS:,} objects lie below {place}.", "Name a folder further down.", place)
    sizes = {name[len(prefix) :]: size for name, size in found}
    names = {name for name in sizes if name and not (name.endswith("/") and not sizes[name])}
    files = {name for name in names if _is_path(name) and not any(folder in names for folder in _folders(name))}
    return Listing(storage, prefix, {name: sizes[name] for name in sorted(files)}, tuple(sorted(names - files)))


def _is_path(name: str) -> bool:
    """Whether the name is a path that stays in its folder, and that every file system takes."""
    parts = name.split("/")
    bad = any(part in ("", ".", "..") or len(part.encode("utf-8", "replace")) > 255 for part in parts)
    return not bad and not set(name) & set("\0\r\n")


def _folders(name: str) -> Iterator[str]:
    """``a`` and ``a/b`` for ``a/b/c``."""
    position = name.find("/")
    while position >= 0:
        yield name[:position]
        position = name.find("/", position + 1)


def _cancel(fetches: Iterable[Future[None]]) -> None:
    for fetch in fetches:
        fetch.cancel()
