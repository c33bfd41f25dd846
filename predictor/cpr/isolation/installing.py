"""Installing a bundle's packages into the rehearsal's folder as the service would, each with a pip call of its own.

pip drops the second of two packages with the same top folder in one ``--target`` silently, but merges them when both are named
in one call. The calls run side by side, each into a folder of its own, and the folders are then joined by pip's rule.

Where a setup.py only calls ``setup`` with constants, as those that ``cpr build`` writes do, pip does nothing but have
setuptools make a wheel, and unpack it: so that is done here, in a third of the time. Whatever else there is goes to pip, and so
does what fails, for pip to say why; and so does all in an environment other than cpr's own, whose pip is a part of the proof.
"""

from __future__ import annotations

import ast
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cpr.archive import read_sdist
from cpr.bundle import Bundle
from cpr.errors import CprError
from cpr.isolation.child import Ended, run_child
from cpr.isolation.environment import Environment, ThisInterpreter

_PIP = (
    "-m",
    "pip",
    "install",
    "--no-deps",
    "--no-build-isolation",
    "--no-index",
    "--disable-pip-version-check",
    "--no-cache-dir",
    "--no-input",
    "--target",
)

_MAKE_WHEEL = """
import os, runpy, sys
source, made = sys.argv[1:]
os.chdir(source)
sys.argv = ["setup.py", "-q", "bdist_wheel", "--dist-dir", made]
runpy.run_path("setup.py", run_name="__main__")
"""

_KEYWORDS = frozenset(
    ("name", "version", "description", "py_modules", "packages", "package_data", "install_requires", "python_requires")
)


def install(bundle: Bundle, work: Path, environment: Environment, deadline: float) -> tuple[str, Ended] | None:
    """Install every package into ``work/site``; the first that fails, and how it ended.

    ``deadline`` is on the monotonic clock.
    """
    packages = bundle.manifest.packages
    folders = [work / f"site-{number}" for number in range(len(packages))]

    def install_one(package: str, folder: Path) -> Ended:
        place = bundle.path(package).resolve()
        if isinstance(environment, ThisInterpreter):
            ended = _by_setuptools(place, folder, work, environment, deadline)
            if ended is not None:
                return ended
        return run_child([environment.python, "-I", *_PIP, str(folder), str(place)], work, "pip", deadline)

    with ThreadPoolExecutor(2) as pool:
        endings = list(pool.map(install_one, packages, folders))
    for package, ended in zip(packages, endings, strict=True):
        if ended.status != 0:
            return package, ended
    _join(folders, work / "site")
    return None


def _by_setuptools(package: Path, folder: Path, work: Path, environment: Environment, deadline: float) -> Ended | None:
    """How making and unpacking a wheel ended; ``None`` where that is not for us, or did not go well: pip will say."""
    try:
        members = read_sdist(package)
    except CprError:
        return None
    if not is_plain(members.get("setup.py", b"")) or {"pyproject.toml", "setup.cfg"} & members.keys():
        return None
    source, made = folder.with_name(f"{folder.name}-source"), folder.with_name(f"{folder.name}-wheel")
    for name, content in members.items():
        place = source.joinpath(*name.split("/"))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    ended = run_child([environment.python, "-I", "-c", _MAKE_WHEEL, str(source), str(made)], work, "pip", deadline)
    return ended if ended.status is None or (ended.status == 0 and _unpacked(made, folder)) else None


def is_plain(setup: bytes) -> bool:
    """Whether a setup.py imports ``setup`` and calls it with constants that say which modules there are, and does no more."""
    try:
        body = ast.parse(setup).body
    except (SyntaxError, ValueError):
        return False
    if len(body) != 2 or not isinstance(body[1], ast.Expr) or not isinstance(body[1].value, ast.Call):
        return False
    call = body[1].value
    if ast.unparse(body[0]) != "from setuptools import setup" or ast.unparse(call.func) != "setup" or call.args:
        return False
    return all(keyword.arg in _KEYWORDS and _is_constant(keyword.value) for keyword in call.keywords)


def _is_constant(value: ast.expr) -> bool:
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError):
        return False
    return True


def _unpacked(made: Path, folder: Path) -> bool:
    """Unpack the wheel; ``False`` where it is more than modules and their data, which pip would lay elsewhere."""
    wheels = list(made.glob("*.whl"))
    if len(wheels) != 1 or not wheels[0].name.endswith("-none-any.whl"):
        return False
    with zipfile.ZipFile(wheels[0]) as wheel:
        if any(name.partition("/")[0].endswith(".data") for name in wheel.namelist()):
            return False
        wheel.extractall(folder)
    return True


def _join(folders: Sequence[Path], site: Path) -> None:
    """Move what was installed to one place by the rule of pip's ``--target``: what is there stays, a second is dropped."""
    site.mkdir()
    for folder in folders:
        for entry in folder.iterdir() if folder.is_dir() else ():
            if not (site / entry.name).exists():
                entry.rename(site / entry.name)
