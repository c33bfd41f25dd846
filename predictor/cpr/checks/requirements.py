"""CPR80x: what the declared requirements say by themselves, without asking an index."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from urllib.parse import unquote, urlsplit

from packaging import tags
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from cpr.checks.registry import Family, Fault, Subject
from cpr.machines import Runtime
from cpr.preinstalled import Preinstalled, preinstalled
from cpr.report import Severity
from cpr.sdist import RUNTIME_PROVIDES

FAMILY = Family()

PLACE = "routine.yaml: requirements"

_SETUPTOOLS = "pkg_resources"
_ASKING = {
    "pkg_resources": ("get_distribution", "require", "get_provider", "load_entry_point"),
    "importlib.metadata": ("version", "distribution", "metadata", "files", "requires"),
    "importlib_metadata": ("version", "distribution", "metadata", "files", "requires"),
}
_WEB = ("http", "https")
_LOCAL_HOSTS = ("", "localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - compared, not bound


def requirements(subject: Subject) -> Iterator[Requirement]:
    """The declared requirements that hold on the target: without those whose marker is for another Python or system."""
    environment = {"extra": "", "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
    if subject.python is not None:
        environment |= {"python_version": subject.python, "python_full_version": f"{subject.python}.99"}
    for text in subject.bundle.manifest.requirements:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            yield requirement


def _from_runtime(subject: Subject, name: str) -> bool:
    return subject.machine.variant == "routine" and name in RUNTIME_PROVIDES


@FAMILY.check(
    "CPR803",
    "A wheel is for another Python or system",
    cause="The tags in a wheel's file name say which Pythons and systems it installs on; pip refuses it on every other.",
    remedy="Name the wheel for the target, or the package by its version and let pip choose.",
    source="PEP 425 and PEP 427; https://github.com/Shu244/DeployAI (a cp38 wheel deployed with --python-version 3.7)",
)
def foreign_wheel(subject: Subject) -> Iterator[Fault]:
    for requirement in requirements(subject):
        file = unquote(urlsplit(requirement.url or "").path.rpartition("/")[2])
        if not file.endswith(".whl"):
            continue
        try:
            found = parse_wheel_filename(file)[3]
        except InvalidWheelFilename as error:
            yield Fault(PLACE, f"{file} is no name of a wheel: {error}.")
            continue
        problem = _misfit(found, subject)
        if problem is not None:
            yield Fault(PLACE, f"{file} is for {problem}.")


def _misfit(found: frozenset[Tag], subject: Subject) -> str | None:
    """What a wheel with these tags is for, where that is not the target; ``None`` where one of them fits."""
    systems = [tag for tag in found if _on_linux(tag.platform, subject.machine.variant == "routine")]
    if not systems:
        return f"{_listed({tag.platform for tag in found})}; {subject.target.name} runs Linux on x86_64"
    if subject.python is None or any((tag.interpreter, tag.abi) in _pythons(subject.python) for tag in systems):
        return None
    return f"{_listed({f'{tag.interpreter}-{tag.abi}' for tag in systems})}; the target runs Python {subject.python}"


def _on_linux(platform: str, x86: bool) -> bool:
    """Containers may run on another processor than the service's own machines."""
    return platform == "any" or ("linux" in platform and (not x86 or platform.endswith("_x86_64")))


@cache
def _pythons(python: str) -> frozenset[tuple[str, str]]:
    """Interpreter and ABI of every wheel that a CPython of that version takes."""
    major, minor = map(int, python.split("."))
    version, suffix = (major, minor), "mu" if major == 2 else "m" if minor < 8 and major == 3 else ""
    known = (
        *tags.cpython_tags(version, [f"cp{major}{minor}{suffix}"], ["any"]),
        *tags.compatible_tags(version, f"cp{major}{minor}", ["any"]),
    )
    return frozenset((tag.interpreter, tag.abi) for tag in known)


def _listed(names: set[str]) -> str:
    return " or ".join(sorted(names)[:4])


@FAMILY.check(
    "CPR804",
    "A requirement clashes with what the runtime brings",
    severity=Severity.WARNING,
    cause="The service installs requirements into a folder beside its runtime, without looking at what that has; of a package "
    "that both have, one hides the other, and which one is not documented.",
    remedy="Require what the runtime has, leave the requirement out, or deploy a container.",
    source="deploy/ai-platform/preinstalled.yaml, with its sources",
    variant="routine",
)
def clash(subject: Subject) -> Iterator[Fault]:
    if subject.runtime is None:
        return
    known = preinstalled(subject.target.name, subject.runtime)
    for requirement in requirements(subject):
        message = _clash(requirement, subject.runtime, known)
        if message is not None:
            yield Fault(PLACE, message)


def _clash(requirement: Requirement, runtime: Runtime, known: Preinstalled) -> str | None:
    name, wanted = canonicalize_name(requirement.name), requirement.specifier
    if name in ("tensorflow", "tensorflow-cpu"):
        if any(wanted.contains(f"{runtime.tensorflow}.{patch}") for patch in range(20)):
            return None
        return f"{requirement} is not installed: the runtime brings TensorFlow {runtime.tensorflow}, and the routine gets that."
    if name in known.versions and not wanted.contains(known.versions[name]):
        return f"{requirement} is required; the runtime has {name} {known.versions[name]}."
    if name in known.needs and _pinned_outside(wanted, known.needs[name]):
        needs = known.needs[name]
        if name in RUNTIME_PROVIDES:
            return f"{requirement} is not installed: the runtime's TensorFlow {runtime.tensorflow} needs {name} {needs}."
        return f"{requirement} is required; the runtime's TensorFlow {runtime.tensorflow} needs {name} {needs}."
    if known.in_family(name) and wanted:
        return f"{requirement} is required. {known.families_note}"
    return None


def _pinned_outside(wanted: SpecifierSet, needs: SpecifierSet) -> bool:
    """Whether a version that the requirement itself names as allowed is not one that TensorFlow takes."""
    named = [item.version.removesuffix(".*") for item in wanted if item.operator in ("==", "===", ">=", "~=")]
    return any(not needs.contains(version, prereleases=True) and wanted.contains(version) for version in named)


@FAMILY.check(
    "CPR805",
    "The code looks up a distribution that may not be found",
    severity=Severity.WARNING,
    cause="pkg_resources and importlib.metadata find what is installed by its metadata. What is not declared may not be there; "
    "pkg_resources looks once, when it is first imported, which the server may do before the packages are on its path.",
    remedy="Declare the distribution under `requirements`, and catch the error; or write the version into the module.",
    source="https://github.com/googleapis/python-dlp/issues/11",
)
def looked_up(subject: Subject) -> Iterator[Fault]:
    manifest = subject.bundle.manifest
    declared = {canonicalize_name(Requirement(text).name) for text in manifest.requirements} | {
        canonicalize_name(manifest.name)
    }
    if manifest.tensorflow is not None or subject.machine.variant == "routine":
        declared.update(map(canonicalize_name, RUNTIME_PROVIDES))
    for path, tree in subject.trees.items():
        for line, module, name in lookups(tree):
            spelt = canonicalize_name(name)
            if spelt not in declared:
                yield Fault(f"{path}:{line}", f"{module} is asked for {name!r}, which is not declared.")
            elif module == _SETUPTOOLS and subject.machine.variant == "routine" and spelt not in RUNTIME_PROVIDES:
                message = f"pkg_resources is asked for {name!r}, which the service installs into a folder of its own."
                yield Fault(f"{path}:{line}", message, severity=Severity.NOTE)


def lookups(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """The line, the module that is asked, and the distribution, of every look-up by a literal name that no ``try`` guards."""
    names = _imported(tree)
    for node in _unguarded(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            module = _asked(node.func, names)
            value = node.args[0].value
            if module is not None and isinstance(value, str):
                try:
                    yield node.lineno, module, Requirement(value).name
                except ValueError:
                    pass  # not a name; what it asks for is not to be told


def _unguarded(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Try) and node.handlers:
            for part in (*node.handlers, *node.orelse, *node.finalbody):
                yield from _unguarded(part)
        else:
            yield node
            yield from _unguarded(node)


def _imported(tree: ast.Module) -> dict[str, str]:
    """What the names of a file stand for: dotted names by the name that the file uses."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _asked(function: ast.expr, names: dict[str, str]) -> str | None:
    parts = []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if not isinstance(function, ast.Name) or function.id not in names:
        return None
    module, _, attribute = ".".join([names[function.id], *reversed(parts)]).rpartition(".")
    return module if attribute in _ASKING.get(module, ()) else None


@FAMILY.check(
    "CPR807",
    "A requirement is not pinned",
    severity=Severity.NOTE,
    cause="The target installs the newest version that fits on the day of its installation, which may be another than the one "
    "that was proved.",
    remedy="Pin it (`package==1.2.3`); `cpr lock` shows the versions that the target would get today.",
    source="https://github.com/GoogleCloudPlatform/cloudml-samples/issues/419",
)
def not_pinned(subject: Subject) -> Iterator[Fault]:
    loose = [str(each) for each in requirements(subject) if not _from_runtime(subject, canonicalize_name(each.name))]
    loose = [text for text in loose if not _is_pinned(Requirement(text))]
    if loose:
        more = f" and {len(loose) - 5} more" if len(loose) > 5 else ""
        verb = "is" if len(loose) == 1 else "are"
        yield Fault(PLACE, f"{', '.join(loose[:5])}{more} {verb} open to more than one version.")


def _is_pinned(requirement: Requirement) -> bool:
    if requirement.url is not None:
        return True
    return any(item.operator in ("==", "===") and not item.version.endswith(".*") for item in requirement.specifier)


@FAMILY.check(
    "CPR808",
    "A requirement names a place that the target cannot reach",
    cause="The target installs requirements by itself: a path or a server of this machine means nothing there, and a "
    "repository needs git, which the image does not have.",
    remedy="Require a released version, or the https:// address of a wheel; a module of yours travels under `modules`.",
    source="PEP 508; the Dockerfile that cpr writes",
)
def unreachable(subject: Subject) -> Iterator[Fault]:
    for requirement in requirements(subject):
        if requirement.url is None:
            continue
        address = urlsplit(requirement.url)
        if address.scheme in _WEB:
            if (address.hostname or "") in _LOCAL_HOSTS:
                yield Fault(PLACE, f"{requirement.name} comes from this machine itself ({address.hostname}).")
        elif "+" not in address.scheme or address.scheme.endswith("+file"):
            yield Fault(PLACE, f"{requirement.name} comes from a path of this machine ({address.scheme or 'no scheme'}).")
        elif subject.machine.variant == "container":
            yield Fault(PLACE, f"{requirement.name} comes from a repository ({address.scheme}); the image has no git.")
        else:
            message = (
                f"{requirement.name} comes from a repository ({address.scheme}); whether the service has git is not known."
            )
            yield Fault(PLACE, message, severity=Severity.WARNING)
