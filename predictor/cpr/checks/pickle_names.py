"""Whether what a pickle names is there where it is loaded: in the package, the requirements, the runtime, or Python itself."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cpr.checks.prediction_class import module_path
from cpr.checks.registry import Fault, Subject
from cpr.content.catalogue import brought_with, modules_of, of_python
from cpr.content.files import FoundPickle
from cpr.report import Severity

_LOADER = re.compile(rb"\b(c?[pP]ickle5?|_pickle|joblib|dill|cloudpickle|read_pickle|allow_pickle|torch|shelve|skops)\b")
_MAIN = re.compile(rb"__main__(?!['\"]\s*:)|find_class|\bUnpickler\b")


def loads_pickles(subject: Subject) -> bool:
    """Whether the package mentions what loads one; where it does not, a pickle may as well lie there unused."""
    return any(_LOADER.search(content) for path, content in subject.sources.items() if path.endswith(".py"))


def unknown_modules(subject: Subject, found: FoundPickle) -> Iterator[Fault]:
    if found.problem:
        return
    names: dict[str, list[str]] = {}
    for name in found.facts.names:
        names.setdefault(name.module, []).append(name.name)
    loads, provided = loads_pickles(subject), subject.provided
    patched = any(_MAIN.search(content) for content in subject.sources.values())
    if "__main__" in names:
        message = f"It names {_list('__main__', names['__main__'])}; where it is loaded, __main__ is the service's own program."
        yield Fault(found.path, message, severity=None if loads and not patched else Severity.WARNING)
    there = brought_with((*provided.silently, *provided.surely, *provided.perhaps))
    aliased = any(b"sys.modules" in content for content in subject.sources.values())
    for module in sorted(names.keys() - {"__main__"}):
        top = module.partition(".")[0]
        if _of_package(subject, top):
            yield from _in_package(subject, found, module, names[module], loads and not (aliased or patched))
        elif not of_python(top) and top not in there:
            modules, whole = _declared(subject)
            if top not in modules:
                message = f"It names {_list(module, names[module])}; neither the package nor its requirements have {top!r}."
                remedy = f"Declare what {top!r} belongs to under `requirements`, or write the pickle without it."
                sure = loads and whole and not (aliased or patched)
                yield Fault(found.path, message, remedy, None if sure else Severity.WARNING)


def _list(module: str, names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"{module}.{name}" for name in names[:3]) + more


def _of_package(subject: Subject, top: str) -> bool:
    return any(path == f"{top}.py" or path.startswith(f"{top}/") for path in subject.sources)


def _in_package(subject: Subject, found: FoundPickle, module: str, names: list[str], sure: bool) -> Iterator[Fault]:
    path = module_path(subject, module)
    if path is None:
        if not any(each.startswith(module.replace(".", "/") + "/") for each in subject.sources):
            message = f"It names {_list(module, names)}, and the package has no module {module!r}."
            yield Fault(found.path, message, severity=None if sure else Severity.WARNING)
        return
    tree = subject.trees.get(path)
    defined = None if tree is None else _defined(tree)
    absent = [name for name in names if defined is not None and name.partition(".")[0] not in defined]
    if absent:
        yield Fault(found.path, f"It names {_list(module, absent)}, which {path} does not define.", severity=Severity.WARNING)


def _defined(tree: ast.Module) -> set[str] | None:
    """Every name that a module might have; ``None`` where that cannot be told from its text."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and node.id in ("globals", "vars", "exec", "setattr"):
            return None
    return None if found & {"*", "__getattr__"} else found


def _declared(subject: Subject) -> tuple[set[str], bool]:
    """The modules that the requirements bring, theirs in turn included, and whether that is all of them: every one is
    installed here, and tells."""
    waiting, seen, modules, whole = list(subject.bundle.manifest.requirements), set(), set(), True
    owners: dict[str, set[str]] = {}
    for module, distributions in metadata.packages_distributions().items():
        for name in distributions:
            owners.setdefault(canonicalize_name(name), set()).add(module)
    while waiting:
        try:
            name = canonicalize_name(Requirement(waiting.pop()).name)
        except InvalidRequirement:
            whole = False
            continue
        if name in seen:
            continue
        seen.add(name)
        modules |= {*modules_of(name), *owners.get(name, ())}
        try:
            waiting += metadata.requires(name) or ()
        except metadata.PackageNotFoundError:
            whole = whole and name not in {_name(text) for text in subject.bundle.manifest.requirements}
    return modules, whole


def _name(text: str) -> str:
    try:
        return canonicalize_name(Requirement(text).name)
    except InvalidRequirement:
        return ""
