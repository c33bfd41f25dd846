"""Resolving requirements for a Python and a platform: wheels alone, so that nothing of theirs runs here, or is compiled."""

from __future__ import annotations

import importlib
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement

from cpr.errors import MissingExtra, NoWheel, RequirementsError
from cpr.locking.lock import Lock, Package
from cpr.locking.refusals import refusal, wheelless
from cpr.locking.uv import Answer, run_uv

TIMEOUT_SECONDS = 300.0

_LAST_PATCH = 99
"""``3.7`` means its last patch release: taken for 3.7.0, it would rule out what needs 3.7.1, as many packages do."""

_MAX_WHEELLESS = 25  # packages to be named; each costs another question
_PYTHON = re.compile(r"\d+\.\d+(\.\d+)?")


def lock(
    requirements: Sequence[str],
    *,
    python: str,
    platform: str | None = None,
    interpreter: str | None = None,
    sources: Sequence[str] = (),
    timeout: float = TIMEOUT_SECONDS,
) -> Lock:
    """Every package that ``requirements`` need on ``python`` (``3.7`` or ``3.7.16``) and ``platform``, with hashes.

    ``platform`` is a name of uv's (``x86_64-manylinux2014``), ``None`` for this machine; ``interpreter`` is a Python of that
    version, where there is one; ``sources`` names packages that are taken as source distributions, whose setup.py then runs
    here. ``NoWheel`` names every package that has no wheel there, ``NoSolution`` what contradicts,
    ``IndexUnreachable`` says that nothing could be asked; ``MissingExtra`` that there is no uv.
    """
    if not _PYTHON.fullmatch(python):
        raise RequirementsError(f"{python!r} is no version of Python.", "Write it as 3.7 or 3.7.16.")
    texts = tuple(_checked(text) for text in requirements)
    if not texts:
        return Lock((), python, platform, ())
    words = f"Python {python}" + ("" if platform is None else f" on {platform}")
    options = ["--python", interpreter or sys.executable]
    if interpreter is None:
        options += ["--python-version", python if python.count(".") == 2 else f"{python}.{_LAST_PATCH}"]
    for name in sources:
        options += ["--no-binary", name]
    if platform is not None:
        options += ["--python-platform", platform]
    with tempfile.TemporaryDirectory(prefix="cpr-lock-") as folder:
        answer, document = _compile(texts, options, Path(folder), (), timeout)
        if answer.status == 0:
            return Lock(texts, python, platform, _packages(document))
        first = wheelless(answer.errors)
        if first is None:
            raise refusal(answer.errors, words)
        missing = _all_wheelless(first, texts, options, Path(folder), timeout)
    raise NoWheel(
        tuple(missing),
        tuple(name for name, has_source in missing.items() if not has_source),
        f"There is no wheel for {words} of: {', '.join(missing)}.",
        "Require a version that has one, or another package.",
    )


def _checked(text: str) -> str:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise RequirementsError(
            f"{text!r} is no requirement that pip can read: {str(error).splitlines()[0]}.",
            "Write it as `package>=1.2` under `requirements` in routine.yaml.",
            "requirements",
        ) from None
    if requirement.url is not None and urlsplit(requirement.url).scheme not in ("http", "https"):
        raise RequirementsError(
            f"{text!r} names a place that no index has.",
            "Require a released version, or the https:// address of a wheel.",
            "requirements",
        )
    return text


def _compile(
    texts: Sequence[str], options: Sequence[str], folder: Path, excluded: Sequence[str], timeout: float
) -> tuple[Answer, dict[str, Any]]:
    """Ask uv once: how it ended, and the lock file it wrote."""
    made, excludes = folder / "pylock.toml", folder / "excluded.txt"
    made.unlink(missing_ok=True)
    command = ["pip", "compile", "-", "--quiet", "--format", "pylock.toml", "--output-file", str(made), *options]
    if excluded:
        excludes.write_text("".join(f"{name}\n" for name in excluded), encoding="utf-8")
        command += ["--excludes", str(excludes)]
    stdin = "".join(f"{text}\n" for text in texts)
    answer = run_uv([*command, "--only-binary", ":all:", "--no-sources"], timeout, stdin)
    return answer, _toml(made) if answer.status == 0 else {}


def _all_wheelless(
    first: tuple[str, bool], texts: Sequence[str], options: Sequence[str], folder: Path, timeout: float
) -> dict[str, bool]:
    """uv names one package without a wheel at a time: leave it out and ask again, until it names none. Each with whether it
    has a source distribution."""
    missing = dict([first])
    while len(missing) < _MAX_WHEELLESS:
        answer, _ = _compile(texts, options, folder, tuple(missing), timeout)
        found = wheelless(answer.errors) if answer.status else None
        if found is None or found[0] in missing:
            break
        missing[found[0]] = found[1]
    return missing


def _toml(path: Path) -> dict[str, Any]:
    try:
        toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    except ImportError:
        raise MissingExtra("lock", "Reading a lock") from None
    try:
        document = toml.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(str(error)) from None
    assert isinstance(document, dict)
    return document


def _packages(document: dict[str, Any]) -> tuple[Package, ...]:
    try:
        found = [_package(entry) for entry in document.get("packages", ())]
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise _unreadable(f"{type(error).__name__}: {error}") from None
    return tuple(sorted(found, key=lambda package: package.name))


def _package(entry: dict[str, Any]) -> Package:
    """What is installed: of wheels uv lists the one that fits best, of sources the archive; an address of its own as such."""
    own = entry.get("archive")
    chosen = own if own is not None else entry["wheels"][0] if "wheels" in entry else entry["sdist"]
    place = chosen.get("url") or chosen.get("path") or chosen["name"]
    name = unquote(str(chosen.get("name") or urlsplit(place).path.rpartition("/")[2]))
    size = chosen.get("size")
    version = str(entry.get("version") or name.split("-")[1])
    url = place.partition("#")[0] if own is not None else None
    return Package(entry["name"], version, name, size, chosen["hashes"]["sha256"], url)


def _unreadable(reason: str) -> RequirementsError:
    return RequirementsError(
        f"The lock that uv wrote cannot be read: {reason}.", "Install another uv: pip install -U 'cpr-kit[lock]'"
    )
