"""The modules of a routine: those it names, or those that its predictor reaches by import."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cpr.errors import BuildError, ProjectError
from cpr.parsing import parsed
from cpr.project import Routine
from cpr.selection import Selection, readable


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
    with readable(path):
        source = path.read_bytes()
    tree = parsed(source)
    if isinstance(tree, SyntaxError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names
