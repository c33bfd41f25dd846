"""Which files of a routine folder travel: its modules, found by following imports, and the files below a folder."""

from __future__ import annotations

import ast
import difflib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from re import Pattern

from cpr.errors import BuildError, ProjectError
from cpr.manifest import is_safe_path
from cpr.project import PROJECT_NAME, Routine

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
    _check_travelling(routine, files)
    imported = {name for path in files.values() for name in _imports(path)}
    return Sources(
        modules=tuple(sorted(path[:-3] for path in files if "/" not in path)),
        packages=tuple(sorted({name for path in files for name in _packages_around(path)})),
        files=dict(sorted(files.items())),
        uses_cpr="cpr" in imported and _place(routine.root, "cpr") is None,
    )


def _packages_around(path: str) -> Iterator[str]:
    """The packages a module lies in, outermost first: a folder above a package is one too, with or without ``__init__.py``.

    A folder whose name cannot be imported (``v1.0``) is none, nor is anything below it: what lies there is data.
    """
    parts = path.split("/")[:-1] if path.endswith(".py") else []
    for count in range(1, len(parts) + 1):
        if not parts[count - 1].isidentifier():
            return
        yield ".".join(parts[:count])


def _check_travelling(routine: Routine, files: dict[str, Path]) -> None:
    top = routine.predictor.module.partition(".")[0]
    if not any(path == f"{top}.py" or path.startswith(f"{top}/") for path in files):
        raise ProjectError(
            f"The predictor's own module {top!r} does not travel.",
            "Add it to `modules`, or take it out of `exclude`, in routine.yaml.",
            str(routine.root),
        )
    if "setup.py" in files:
        raise BuildError(
            "A module named setup cannot travel: the source distribution has a setup.py of its own.",
            "Rename the module.",
            str(files["setup.py"]),
        )


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
    for path in select.walk(place):
        # What lies in the model directory travels as the model; of it, a package that surrounds it needs the modules alone.
        if path.suffix == ".py" or not path.is_relative_to(select.model_dir):
            yield path.relative_to(root).as_posix(), path


def _imports(path: Path) -> set[str]:
    """The top-level names a module imports; none where it cannot be parsed: validation says why, with the line."""
    if path.suffix != ".py":
        return set()
    with _readable(path):
        source = path.read_bytes()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


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


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BuildError(
            f"It cannot be read: {error.strerror}.", "Mend it, or name it under `exclude` in routine.yaml.", str(path)
        ) from None


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
            with _readable(path):
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
        with _readable(path):
            mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise BuildError("It is not a regular file.", "Remove it, or name it under `exclude` in routine.yaml.", str(path))
