"""Which files of a routine folder travel: its modules, found by following imports, and the files below a folder."""

from __future__ import annotations

import ast
import difflib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cpr.errors import BuildError, ProjectError
from cpr.manifest import is_safe_path
from cpr.project import Routine

_CACHES = ("__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis", ".eggs")
_NEVER_FOLDERS = frozenset((*_CACHES, ".git", ".hg", ".svn", ".bzr", ".tox", ".nox", "node_modules"))
_NEVER_FILES = (".pyc", ".pyo", ".DS_Store", "Thumbs.db", "~", ".swp")


@dataclass(frozen=True, slots=True)
class Sources:
    """What goes into the source distribution.

    ``modules`` and ``packages`` are import names (packages with their sub-packages), ``files`` maps paths relative to the
    routine folder to where they are. ``uses_cpr`` is true where a module imports ``cpr``.
    """

    modules: tuple[str, ...]
    packages: tuple[str, ...]
    files: dict[str, Path]
    uses_cpr: bool


def collect(routine: Routine, output: Path) -> Sources:
    """The modules of a routine: those named in routine.yaml, else those reachable by import from the predictor's module.

    A package goes whole, with its data files. ``output`` and what ``exclude`` names stay out. ``ProjectError`` where the
    predictor's module is not there, ``BuildError`` for a file that cannot travel.
    """
    select = Selection(routine, output)
    if routine.modules is not None or routine.packages is not None:
        named = [*(routine.modules or ()), *(routine.packages or ())]
        tops = list(dict.fromkeys(name.partition(".")[0] for name in named))
        files = {path: place for top in tops for path, place in _files_of(routine.root, top, select)}
        _require(routine, tops)
    else:
        _require(routine, [routine.predictor.module.partition(".")[0]])
        files = _reachable(routine, select)
    imported = {name for path in files.values() for name in _imports(path)}
    return Sources(
        modules=tuple(sorted(path[:-3] for path in files if "/" not in path)),
        packages=tuple(sorted({name for path in files for name in _packages_around(path)})),
        files=dict(sorted(files.items())),
        uses_cpr="cpr" in imported and _place(routine.root, "cpr") is None,
    )


def _packages_around(path: str) -> Iterator[str]:
    """The packages a module lies in, outermost first: a folder above a package is one too, with or without ``__init__.py``."""
    parts = path.split("/")[:-1] if path.endswith(".py") else []
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])


def _require(routine: Routine, tops: Iterable[str]) -> None:
    for top in tops:
        if _place(routine.root, top) is None:
            there = sorted({path.stem if path.is_file() else path.name for path in routine.root.iterdir() if _importable(path)})
            near = difflib.get_close_matches(top, there, n=1)
            raise ProjectError(
                f"There is no module {top!r} in {routine.root}.",
                f"Did you mean {near[0]!r}?" if near else f"Write {top}.py there, or name a module that is there.",
                str(routine.root),
            )


def _importable(path: Path) -> bool:
    return path.suffix == ".py" if path.is_file() else any(path.glob("*.py"))


def _reachable(routine: Routine, select: Selection) -> dict[str, Path]:
    """Follow the imports from the predictor's module through the folder's own modules."""
    files: dict[str, Path] = {}
    waiting = [routine.predictor.module.partition(".")[0]]
    seen: set[str] = set()
    while waiting:
        top = waiting.pop()
        if top in seen:
            continue
        seen.add(top)
        for path, place in _files_of(routine.root, top, select):
            files[path] = place
            waiting += _imports(place)
    return files


def _place(root: Path, top: str) -> Path | None:
    """The package folder or module file that ``import top`` finds in the folder; a package wins, as in Python."""
    folder, module = root / top, root / f"{top}.py"
    if (folder / "__init__.py").is_file():
        return folder
    if module.is_file():
        return module
    return folder if folder.is_dir() and any(folder.rglob("*.py")) else None


def _files_of(root: Path, top: str, select: Selection) -> Iterator[tuple[str, Path]]:
    place = _place(root, top)
    if place is None:
        return
    if place.is_file():
        if not select.excludes(place.name):
            yield place.name, place
        return
    for path in select.walk(place):
        yield path.relative_to(root).as_posix(), path


def _imports(path: Path) -> set[str]:
    """The top-level names a module imports; none where it cannot be parsed: validation says why, with the line."""
    if path.suffix != ".py":
        return set()
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def _pattern(lines: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether a path is one that ``exclude`` names, as in a .gitignore."""
    if not lines:
        return lambda path: False
    import pathspec  # takes a while to load, and most routines exclude nothing

    return pathspec.GitIgnoreSpec.from_lines(lines).match_file


class Selection:
    """Which files below the routine folder may travel: not what ``exclude`` names, no caches, no environments, no output."""

    def __init__(self, routine: Routine, output: Path) -> None:
        self.root = routine.root
        self.output = output.resolve()
        self.excludes = _pattern(routine.exclude)

    def walk(self, folder: Path) -> Iterator[Path]:
        """Every file below ``folder`` that travels, in order of path. ``BuildError`` for what cannot."""
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = Path(entry.path)
            relative = path.relative_to(self.root).as_posix()
            if entry.is_symlink():
                self._check_link(path)
            if entry.is_dir():
                if not self._skips_folder(path, relative):
                    yield from self.walk(path)
            elif not entry.name.endswith(_NEVER_FILES) and not self.excludes(relative):
                self._check_file(path, relative)
                yield path

    def _skips_folder(self, path: Path, relative: str) -> bool:
        return (
            path.name in _NEVER_FOLDERS
            or path.resolve() == self.output
            or (path / "pyvenv.cfg").is_file()
            or self.excludes(relative + "/")
        )

    def _check_link(self, path: Path) -> None:
        target = path.resolve()
        if not target.is_relative_to(self.root) or path.is_relative_to(target):
            raise BuildError(
                f"A link leads out of the routine folder or back to a folder above it: {path.readlink()}.",
                "Copy what it points to into the folder, or name the link under `exclude` in routine.yaml.",
                str(path),
            )

    def _check_file(self, path: Path, relative: str) -> None:
        if not is_safe_path(relative) or not relative.isprintable():
            raise BuildError(
                f"The name {relative!r} cannot travel: it holds a backslash, a colon or a character that does not print.",
                "Rename the file, or name it under `exclude` in routine.yaml.",
                str(path),
            )
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise BuildError(
                f"It cannot be read: {error.strerror}.", "Mend it, or name it under `exclude`.", str(path)
            ) from None
        if not stat.S_ISREG(mode):
            raise BuildError("It is not a regular file.", "Remove it, or name it under `exclude` in routine.yaml.", str(path))
