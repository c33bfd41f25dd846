"""The routine's source distribution: made by setuptools, then normalised until only what the author wrote shows in it."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cpr.archive import read_tar, write_sdist
from cpr.errors import BuildError
from cpr.project import Routine
from cpr.sources import Sources

RUNTIME_PROVIDES = frozenset({"tensorflow", "tensorflow-cpu", "numpy"})
"""What every AI Platform runtime brings: a runtime *is* a TensorFlow release, and TensorFlow brings NumPy. The service installs
with ``pip install --target``, which does not see what is installed, so naming these would fetch TensorFlow a second time into
the 2 GB of the machine. The manifest still lists them, and containers install them."""

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
_RUN = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); sys.argv[0] = 'setup.py'; runpy.run_path('setup.py')"


class SdistBuild:
    """One run of setuptools, started at once so that other work can go on beside it; ``result`` waits for it.

    A context manager: leaving it ends the run and removes its folder.
    """

    def __init__(self, routine: Routine, sources: Sources) -> None:
        self.stem = f"{re.sub(r'[-_.]+', '_', routine.name)}-{routine.version}"
        self.routine = routine
        self.members = {name: _read(path) for name, path in sources.files.items()}
        self.members["setup.py"] = _setup(routine, sources)
        self._folder = tempfile.TemporaryDirectory(prefix="cpr-sdist-")
        self._stage = Path(self._folder.name, "stage")
        self._lay_out()
        self._process = self._start()

    def __enter__(self) -> SdistBuild:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._process:  # leaving it closes the pipe and waits
            self._process.kill()
        self._folder.cleanup()

    def result(self) -> tuple[str, bytes]:
        """File name and bytes of the normalised sdist; ``BuildError`` with setuptools' own words where it failed."""
        try:
            output, _ = self._process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise BuildError(
                f"setuptools did not finish in {_TIMEOUT} s.", "Run the build again.", str(self.routine.root)
            ) from None
        made = list((self._stage / "dist").glob("*.tar"))
        if self._process.returncode or len(made) != 1:
            raise BuildError(
                f"setuptools could not make the source distribution:\n{output.strip()}",
                "Mend what it names; `pip install -U setuptools` where it is old.",
                str(self.routine.root),
            )
        return f"{self.stem}.tar.gz", self._normalised(made[0])

    def _lay_out(self) -> None:
        for name, content in self.members.items():
            path = self._stage / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def _start(self) -> subprocess.Popen[str]:
        spec = importlib.util.find_spec("setuptools")
        if spec is None or spec.origin is None:
            raise BuildError("setuptools is not installed.", f"{sys.executable} -m pip install setuptools")
        where = str(Path(spec.origin).parent.parent)
        command = [sys.executable, "-I", "-S", "-c", _RUN, where, "-q", "sdist", "--formats=tar"]
        # HOME: distutils would read the user's .pydistutils.cfg.
        environment = {"HOME": str(self._stage), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        return subprocess.Popen(
            command,
            cwd=self._stage,
            env=environment,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

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
    return [text for text in requirements if canonicalize_name(Requirement(text).name) not in RUNTIME_PROVIDES]


def _setup(routine: Routine, sources: Sources) -> bytes:
    data: dict[str, list[str]] = {}
    for path in sources.files:
        folder, _, _ = path.rpartition("/")
        if folder and not path.endswith(".py"):
            package = _owner(folder, sources.packages)
            data.setdefault(package, []).append(path[len(package) + 1 :])
    text = _SETUP.format(
        name=routine.name,
        version=routine.version,
        description=routine.description,
        modules=list(sources.modules),
        packages=list(sources.packages),
        data=data,
        requires=install_requires(routine.requirements),
    )
    return text.encode("utf-8")


def _owner(folder: str, packages: tuple[str, ...]) -> str:
    """The innermost package at or above a folder: data in a plain sub-folder belongs to the package around it."""
    name = folder.replace("/", ".")
    while name not in packages:
        name = name.rpartition(".")[0]
    return name


def _pkg_info(routine: Routine) -> bytes:
    summary = " ".join(routine.description.split())
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
