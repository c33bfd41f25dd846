"""CPR108: imports that the rehearsal may never reach, of modules that are nowhere.

What a module imports at its top, the rehearsal proves. An import within a function runs only where a request leads there.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cpr.checks.guards import unguarded
from cpr.checks.prediction_class import module_path
from cpr.checks.registry import Family, Fault, Subject
from cpr.report import Severity

FAMILY = Family()


class _Import(NamedTuple):
    """An import of ``module`` on a line of a member; ``lazy``: within a function, or in a module that only such an import
    reaches; ``certain``: ``module`` is a module for sure, and no name within one."""

    path: str
    line: int
    module: str
    lazy: bool
    certain: bool = True


@FAMILY.check(
    "CPR108",
    "A function imports a module that does not travel",
    severity=Severity.WARNING,
    cause="The import is inside a function, so the routine loads without the module and fails when the function is called. The "
    "module is not in the package, not in the standard library and not installed here.",
    remedy="List it under `modules` or `packages` in routine.yaml, or under `requirements` and install it here.",
    source="a public README of a routine whose setup.py left modules out",
    prevents="There was a problem processing the user code: {reason} No module named '{name}'",
)
def lazy_import(subject: Subject) -> Iterator[Fault]:
    for found in _imports(subject):
        if found.lazy and found.certain and _is_nowhere(subject, found.module):
            yield Fault(f"{found.path}:{found.line}", f"A function imports {found.module!r}, which is nowhere.")


def _imports(subject: Subject) -> Iterator[_Import]:
    """The imports of every module of the package that the predictor's reaches, each module once; at its top where possible."""
    version = _version(subject)
    waiting, seen = [(subject.bundle.manifest.predictor.module, False)], set()
    while waiting:
        eager = next((item for item in waiting if not item[1]), waiting[0])
        waiting.remove(eager)
        module, lazy = eager
        path = module_path(subject, module)
        if path is None or path in seen or path not in subject.trees:
            continue
        seen.add(path)
        try:
            tree = unguarded(subject.sources[path], version)
        except RecursionError:
            continue  # CPR403 has said it
        for found in _of_module(tree, path, module, lazy):
            yield found
            waiting += [(name, found.lazy) for name in _with_parents(found.module)]


def _version(subject: Subject) -> tuple[int, int]:
    if subject.python is None:
        return sys.version_info[:2]
    major, minor = subject.python.split(".")
    return int(major), int(minor)


def _of_module(tree: ast.Module, path: str, module: str, lazy: bool) -> Iterator[_Import]:
    package = module if path.endswith("__init__.py") else module.rpartition(".")[0]
    for node, inside in _statements(tree, lazy):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _Import(path, node.lineno, alias.name, inside)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            if base:
                yield _Import(path, node.lineno, base, inside)
            for alias in node.names if base else ():
                yield _Import(path, node.lineno, f"{base}.{alias.name}", inside, certain=False)


def _base(node: ast.ImportFrom, package: str) -> str:
    """The module that is imported from, spelt out; empty for one above the package."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    kept = parts[: len(parts) - node.level + 1]
    return ".".join([*kept, *([node.module] if node.module else [])]) if kept else ""


def _statements(tree: ast.AST, inside: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, with whether it runs only when a function is called."""
    for node in ast.iter_child_nodes(tree):
        yield node, inside
        yield from _statements(node, inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))


def _with_parents(module: str) -> Iterator[str]:
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])


def _is_nowhere(subject: Subject, module: str) -> bool:
    top = module.partition(".")[0]
    if any(path == f"{top}.py" or path.startswith(f"{top}/") for path in subject.sources):
        return not _is_in_package(subject, module)
    if top in sys.stdlib_module_names or top == "cpr" or _declared_elsewhere(subject):
        return False
    try:
        return importlib.util.find_spec(top) is None
    except (ImportError, ValueError):  # a module that is loaded and has no spec is there
        return False


def _is_in_package(subject: Subject, module: str) -> bool:
    """A module, or a folder of them without ``__init__.py``."""
    folder = module.replace(".", "/") + "/"
    return module_path(subject, module) is not None or any(path.startswith(folder) for path in subject.sources)


def _declared_elsewhere(subject: Subject) -> bool:
    """Whether a requirement is not installed here: what it would bring to import is not known then."""
    packages = subject.run.environment.get("packages", {}) if subject.run is not None else {}
    names = (canonicalize_name(Requirement(text).name) for text in subject.bundle.manifest.requirements)
    return any(name not in packages for name in names)
