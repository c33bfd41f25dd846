"""What is installed beside cpr: which distribution a module belongs to, how large it is, and what it requires in turn."""

from __future__ import annotations

import site
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

_CODE = (".py", ".so", ".pyd")
_DEPTH = 4  # levels of namespace packages that are looked into; google.cloud.storage has three


@dataclass(frozen=True, slots=True)
class Distribution:
    """One installed distribution. ``modules`` are the roots of what it has: ``six``, ``google.cloud.storage``."""

    name: str
    version: str
    modules: frozenset[str]
    bytes: int


def closure(requirements: Sequence[str]) -> dict[str, str]:
    """Version by name of what is installed of ``requirements`` and of their own, extras and markers heeded."""
    stamps = tuple(_stamps())
    versions: dict[str, str] = {}
    waiting = [(text, "") for text in requirements]
    seen = set()
    while waiting:
        text, extra = waiting.pop()
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        found = _version_and_needs(stamps, name)
        if found is None:
            continue
        versions[name], needs = found
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [(text, wanted) for text in needs]
    return versions


@lru_cache(maxsize=1000)
def _version_and_needs(stamps: tuple[tuple[str, int], ...], name: str) -> tuple[str, tuple[str, ...]] | None:
    """What an installed distribution says of itself; its metadata are long, and asked for again and again."""
    distribution = installed(name)
    return None if distribution is None else (distribution.version, tuple(distribution.requires or ()))


def installed(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def distributions() -> tuple[Distribution, ...]:
    """Every installed distribution, read from its own list of files; the first of a name counts, as it does for Python."""
    return _distributions(tuple(_stamps()))


def _stamps() -> Iterator[tuple[str, int]]:
    """The folders of the path with the time of their last change: installing or removing anything changes one."""
    for entry in sys.path:
        with suppress(OSError):
            yield entry, Path(entry).stat().st_mtime_ns


@lru_cache(maxsize=1)
def _distributions(stamps: tuple[tuple[str, int], ...]) -> tuple[Distribution, ...]:
    found: dict[str, tuple[str, list[tuple[str, ...]], int, list[str]]] = {}
    for each in metadata.distributions():
        told = _told(each)
        if told is not None and (name := canonicalize_name(told[0])) not in found:
            files, size = _files(_text(each, "RECORD"))
            found[name] = (told[1], files, size, _text(each, "top_level.txt").split())
    modules = _all_modules({name: files for name, (_, files, _, _) in found.items()})
    return tuple(
        Distribution(name, version, modules[name] or frozenset(top or [name.replace("-", "_")]), size)
        for name, (version, _, size, top) in found.items()
    )


def _told(distribution: metadata.Distribution) -> tuple[str, str] | None:
    """Name and version; ``None`` for a distribution that was half removed, or whose metadata cannot be read."""
    try:
        told = distribution.metadata
        return (str(told["Name"]), str(told["Version"])) if told and "Name" in told else None
    except (metadata.PackageNotFoundError, KeyError, OSError, ValueError):
        return None


def _text(distribution: metadata.Distribution, name: str) -> str:
    try:
        return distribution.read_text(name) or ""
    except (OSError, ValueError):
        return ""


def _files(record: str) -> tuple[list[tuple[str, ...]], int]:
    """Paths of the modules that a RECORD lists, in parts, the deep ones cut off; and the size of all its files in bytes."""
    files: set[tuple[str, ...]] = set()
    total = 0
    for row in record.splitlines():
        path, _, rest = row.partition(",") if not row.startswith('"') else row[1:].partition('",')
        size = rest.rpartition(",")[2]
        total += int(size) if size.isdecimal() else 0
        # An editable installation lists its own finder; what it finds stands in top_level.txt.
        if path.endswith(_CODE) and not path.startswith(("..", "/", "__editable__")):
            *folders, file = path.split("/", _DEPTH + 1)
            if all(map(str.isidentifier, folders)):
                files.add((*folders, file.partition(".")[0] if "/" not in file else ""))
    return sorted(files), total


def _all_modules(files: Mapping[str, Sequence[tuple[str, ...]]]) -> dict[str, frozenset[str]]:
    """The roots of each distribution's modules: the top-level ones, but where several share one, what lies below it."""
    shared: frozenset[str] = frozenset()
    modules: dict[str, frozenset[str]] = {}
    for _ in range(_DEPTH):
        modules = {name: frozenset(_roots(paths, shared)) for name, paths in files.items()}
        counts = Counter(root for roots in modules.values() for root in roots)
        more = shared | {root for root, count in counts.items() if count > 1}
        if more == shared:
            break
        shared = more
    return modules


def _roots(paths: Iterable[tuple[str, ...]], shared: frozenset[str]) -> Iterator[str]:
    """Of each module the shortest name that is a package of its own (has an ``__init__``) or itself, and is not ``shared``."""
    paths = list(paths)
    packages = {path[:-1] for path in paths if path[-1] == "__init__"}
    for path in paths:
        whole = path[:-1] if path[-1] == "__init__" else path
        for depth in range(1, len(whole) + 1):
            name = ".".join(whole[:depth])
            if (whole[:depth] in packages or depth == len(whole)) and (name not in shared or depth == len(whole)):
                yield name
                break


@dataclass(frozen=True, slots=True)
class Provided:
    """What a target brings beside what a routine declares: names of distributions, ``by`` whom in words.

    ``silently`` is what nobody need declare (TensorFlow, where an image gets it with the SavedModel); what it brings
    ``surely`` or ``perhaps`` may be imported too, and that is told.
    """

    by: str = "the target"
    silently: tuple[str, ...] = ()
    surely: tuple[str, ...] = ()
    perhaps: tuple[str, ...] = ()


NOTHING = Provided()


@dataclass(frozen=True, slots=True)
class Visibility:
    """What of this installation a routine may see, as modules and the distributions that they belong to.

    ``packages`` are top-level modules, ``seen`` names of distributions, ``sure`` those that the target brings for certain.
    """

    hidden: Mapping[str, Distribution]
    watched: Mapping[str, Distribution]
    packages: frozenset[str]
    seen: frozenset[str]
    sure: frozenset[str]
    everything: tuple[Distribution, ...]


_TOOLS = ("pip", "setuptools", "wheel")  # part of every Python that installs packages


def visibility(requirements: Sequence[str], provided: Provided) -> Visibility:
    """A module that several distributions have is seen where one of them is."""
    everything = distributions()
    declared = {*closure([*requirements, *provided.silently]), *_TOOLS}
    sure = set(closure(provided.surely))
    extra = (sure | set(closure(provided.perhaps))) - declared
    seen = _modules(everything, declared)
    watched = {module: each for module, each in _modules(everything, extra).items() if module not in seen}
    hidden = {
        module: each for module, each in _modules(everything, None).items() if module not in seen and module not in watched
    }
    # `google` may be seen, though not all that lies in it; a package of a hidden distribution alone may not.
    packages = {module.partition(".")[0] for module in (*seen, *hidden, *watched)} - {*hidden, *watched}
    return Visibility(hidden, watched, frozenset(packages), frozenset(declared | extra), frozenset(sure), everything)


def _modules(everything: Sequence[Distribution], names: set[str] | None) -> dict[str, Distribution]:
    return {module: each for each in everything if names is None or each.name in names for module in each.modules}


def installation_folders() -> frozenset[str]:
    """The folders that pip installs into, here: ``site-packages`` and the like."""
    places = (*site.getsitepackages(), sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"])
    return frozenset(str(Path(place).absolute()) for place in places)
