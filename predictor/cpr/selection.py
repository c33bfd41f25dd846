"""Which files below a routine folder travel: no caches, no environments, no output, and not what ``exclude`` names."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from re import Pattern

from cpr.errors import BuildError, ProjectError
from cpr.manifest import is_safe_path
from cpr.project import PROJECT_NAME, Routine

_CACHES = ("__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".eggs")
_NEVER_FOLDERS = frozenset((*_CACHES, ".git", ".hg", ".svn", ".bzr", ".tox", ".nox", "node_modules"))
_NEVER_FILES = (".pyc", ".pyo", ".DS_Store", "Thumbs.db", "~", ".swp")


class Selection:
    """Which files below the routine folder may travel: not what ``exclude`` names, no caches, no environments, no output."""

    def __init__(self, routine: Routine, output: Path) -> None:
        self.root = routine.root
        self.model_dir = routine.model_dir
        self.output = output.resolve()
        self._excludes = _pattern(routine)

    def walk(self, place: Path) -> Iterator[Path]:
        """The file ``place``, or every file below the folder ``place``, that travels, in order of path.

        ``BuildError`` for what cannot, and for an output in there: its bundles would travel in those built elsewhere later.
        """
        if self.output.is_relative_to(place):
            raise BuildError(
                f"The output {self.output} lies in {place.name}, which is packaged.", "Name another with -o.", str(self.output)
            )
        above = [folder for folder in reversed(place.parents) if folder != self.root and folder.is_relative_to(self.root)]
        if not any(self._skips_folder(folder) for folder in above):
            yield from self._walk(place, ())

    def _walk(self, path: Path, above: tuple[Path, ...]) -> Iterator[Path]:
        """``above`` are the folders around ``path``, as they are once links are followed."""
        if path.is_dir():
            if self._skips_folder(path):
                return
            real = Path(os.path.realpath(path))
            if path.is_symlink():
                self._check_link(path, real, above)
            with readable(path):
                members = sorted(path.iterdir())
            for member in members:
                yield from self._walk(member, (*above, real))
        elif not path.name.endswith(_NEVER_FILES) and not self._excludes(self._relative(path)):
            if path.is_symlink():
                self._check_link(path, Path(os.path.realpath(path)), ())
            self._check_file(path)
            yield path

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _skips_folder(self, path: Path) -> bool:
        return (
            path.name in _NEVER_FOLDERS
            or path.resolve() == self.output
            or (path / "pyvenv.cfg").is_file()
            or self._excludes(self._relative(path) + "/")
        )

    def _check_link(self, path: Path, target: Path, above: tuple[Path, ...]) -> None:
        if not target.is_relative_to(self.root) or any(folder.is_relative_to(target) for folder in above):
            raise BuildError(
                f"A link leads out of the routine folder or back to a folder above it: {path.readlink()}.",
                "Copy what it points to into the folder, or name the link under `exclude` in routine.yaml.",
                str(path),
            )

    def _check_file(self, path: Path) -> None:
        relative = self._relative(path)
        if not is_safe_path(relative):
            raise BuildError(
                f"The name {relative!r} cannot travel: it holds a backslash, a colon or a character that does not print.",
                "Rename the file, or name it under `exclude` in routine.yaml.",
                str(path),
            )
        with readable(path):
            mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise BuildError("It is not a regular file.", "Remove it, or name it under `exclude` in routine.yaml.", str(path))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Reading ``path`` in here fails as a ``BuildError`` with what to do."""
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"It cannot be read: {error.strerror}.", "Mend it, or name it under `exclude` in routine.yaml.", str(path)
        ) from None


def _pattern(routine: Routine) -> Callable[[str], bool]:
    """Whether ``exclude`` names a path itself, as in a .gitignore: the last pattern that fits it decides.

    Folders have a slash at their end. Ask about the folders above first: nothing that lies in an excluded one comes back.
    """
    if not routine.exclude:
        return lambda path: False
    import pathspec  # takes a while to load, and most routines exclude nothing

    try:
        lines = pathspec.GitIgnoreSpec.from_lines(routine.exclude).patterns
        patterns = [(line.regex, bool(line.include)) for line in reversed(lines) if line.regex is not None]  # no comments
    except ValueError as error:
        raise ProjectError(
            f"The key 'exclude' holds a pattern that git would not read: {error}.", "Mend it.", str(routine.root / PROJECT_NAME)
        ) from None

    def excludes(path: str) -> bool:
        return next((includes for pattern, includes in patterns if _fits(pattern, path)), False)

    return excludes


def _fits(pattern: Pattern[str], path: str) -> bool:
    """Whether a pattern fits the path itself, and not only a folder above (``logs`` for ``logs/today``).

    pathspec marks the slash behind the name that a pattern fits; ``logs/**`` has no such mark, and fits what is below alone.
    """
    found = deque(pattern.finditer(path), 1)
    if found and found[0].groupdict().get("ps_d") is not None:
        return found[0].end("ps_d") == len(path)
    return pattern.search(path.removesuffix("/")) is not None
