"""The routine's source distribution: made by setuptools, then normalised until only what the author wrote shows in it."""

from __future__ import annotations

import glob
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from cpr.archive import MAX_BYTES, MAX_MEMBERS, read_tar, write_sdist
from cpr.errors import BuildError
from cpr.project import Routine
from cpr.sources import Sources

RUNTIME_PROVIDES = frozenset({"tensorflow", "tensorflow-cpu", "numpy"})
"""What every AI Platform runtime brings: a runtime *is* a TensorFlow release, and TensorFlow brings NumPy. The service installs
with ``pip install --target``, which does not see what is installed, so naming these would fetch TensorFlow a second time into
the 2 GB of the machine. The manifest still lists them, and containers install them."""

_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
"""Without these some interpreters do not start; nothing else of the environment takes part."""

_TIMEOUT = 120  # seconds; it takes 0.3

_SETUP = """\
from setuptools import setup

setup(
    name={name!r},
    version={version!r},
    description={description!r},
    py_modules={modules!r},
    packages={packages!r},
    package_data={data!r},
    install_requires={requires!r},
)
"""

# Run with -I and -S: neither the user's environment nor their site-packages take part, setuptools alone is let in.
_RUN = """
import os, runpy, sys
sys.path.insert(0, sys.argv[1])
import setuptools.command.sdist
stage = sys.stdin.readline().rstrip("\\n")
if stage:
    os.chdir(stage)
    sys.argv = ["setup.py", "-q", "sdist", "--formats=tar", "--dist-dir=../made"]
    runpy.run_path("setup.py")
"""


class SdistBuild:
    """One run of setuptools. It takes longer than all else of a build, so it is started first and loads while others work;
    ``begin`` gives it what to pack, ``result`` waits for it.

    A context manager: leaving it ends the run and removes its folder.
    """

    routine: Routine
    members: dict[str, bytes]

    def __init__(self) -> None:
        spec = importlib.util.find_spec("setuptools")
        if spec is None or spec.origin is None:
            raise BuildError("setuptools is not installed.", f"{sys.executable} -m pip install setuptools")
        self._folder = tempfile.TemporaryDirectory(prefix="cpr-sdist-")
        self._stage = Path(self._folder.name, "stage")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _RUN, str(Path(spec.origin).parent.parent)],
            # HOME: distutils would read the user's .pydistutils.cfg.
            env={
                **{name: os.environ[name] for name in _KEPT if name in os.environ},
                "HOME": self._folder.name,
                "LC_ALL": "C.UTF-8",
                "TZ": "UTC",
            },
            text=True,
            errors="replace",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> SdistBuild:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()  # closes the pipes and waits
        self._folder.cleanup()

    def begin(self, routine: Routine, sources: Sources) -> None:
        """Lay out the routine's modules and a setup.py, and let setuptools pack them."""
        self.routine = routine
        self.members = {name: _read(path) for name, path in sources.files.items()}
        self.members["setup.py"] = _setup(routine, sources)
        total = sum(map(len, self.members.values()))
        if len(self.members) >= MAX_MEMBERS or total > MAX_BYTES:
            raise BuildError(
                f"The modules and the data in their packages are {len(self.members)} files of {total} bytes together; "
                f"a source distribution holds fewer than {MAX_MEMBERS} of {MAX_BYTES}.",
                "Move large files to the model directory, and name what does not belong there under `exclude`.",
                str(routine.root),
            )
        for name, content in self.members.items():
            path = self._stage / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{self._stage}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it died while loading; result tells what it said

    def result(self) -> tuple[str, bytes]:
        """File name and bytes of the normalised sdist; ``BuildError`` with setuptools' own words where it failed."""
        where = str(self.routine.root)
        try:
            output, _ = self._process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise BuildError(f"setuptools did not finish in {_TIMEOUT} s.", "Run the build again.", where) from None
        made = list((self._stage.parent / "made").glob("*.tar"))
        if self._process.returncode or len(made) != 1:
            raise BuildError(
                f"setuptools could not make the source distribution:\n{output.strip()}",
                "Mend what it names; `pip install -U setuptools` where it is old.",
                where,
            )
        return f"{self.stem}.tar.gz", self._normalised(made[0])

    @property
    def stem(self) -> str:
        """The name of the archive and of the folder in it, as PEP 625 spells it."""
        return f"{re.sub(r'[-_.]+', '_', self.routine.name)}-{self.routine.version}"

    def _normalised(self, made: Path) -> bytes:
        """The members setuptools chose, with metadata of our own: its releases differ in names, version and order of fields."""
        chosen = {
            name: content
            for name, content in read_tar(made, str(made)).items()
            if name not in ("PKG-INFO", "setup.cfg") and ".egg-info" not in name.partition("/")[0]
        }
        if chosen != self.members:
            odd = sorted(set(self.members) ^ set(chosen))
            raise BuildError(
                f"setuptools left out or added {', '.join(odd) or 'content'}.",
                "Rename the files, or name them under `exclude` in routine.yaml.",
                str(self.routine.root),
            )
        return write_sdist(self.stem, {**chosen, "PKG-INFO": _pkg_info(self.routine)})


def install_requires(requirements: tuple[str, ...]) -> list[str]:
    """What the service is to install beside the routine: the requirements without what its runtime provides."""
    from packaging.requirements import Requirement  # takes a while to load; by now setuptools is under way
    from packaging.utils import canonicalize_name

    return [text for text in requirements if canonicalize_name(Requirement(text).name) not in RUNTIME_PROVIDES]


def _setup(routine: Routine, sources: Sources) -> bytes:
    data: dict[str, list[str]] = {}
    for path in sources.files:
        folder, _, _ = path.rpartition("/")
        package = _owner(folder, sources.packages)
        if folder and not (path.endswith(".py") and package == folder.replace("/", ".")):
            data.setdefault(package, []).append(glob.escape(path[len(package) + 1 :]))
    text = _SETUP.format(
        name=routine.name,
        version=routine.version,
        description=_summary(routine),
        modules=list(sources.modules),
        packages=list(sources.packages),
        data=data,
        requires=install_requires(routine.requirements),
    )
    return text.encode("utf-8")


def _owner(folder: str, packages: tuple[str, ...]) -> str:
    """The innermost package at or above a folder: data in a plain sub-folder belongs to the package around it."""
    name = folder.replace("/", ".")
    while name and name not in packages:
        name = name.rpartition(".")[0]
    return name


def _summary(routine: Routine) -> str:
    """The description on one line: old and new setuptools alike stumble over more."""
    return " ".join(routine.description.split())


def _pkg_info(routine: Routine) -> bytes:
    summary = _summary(routine)
    lines = ["Metadata-Version: 2.1", f"Name: {routine.name}", f"Version: {routine.version}"]
    lines += [f"Summary: {summary}"] if summary else []
    lines += [f"Requires-Dist: {text}" for text in install_requires(routine.requirements)]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BuildError(
            f"It cannot be read: {error.strerror}.", "Mend its permissions, or name it under `exclude`.", str(path)
        ) from None
