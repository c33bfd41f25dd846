"""Follow a Dockerfile without Docker: its instructions, in an empty folder, with a fresh Python.

Absolute paths of the image lie below that folder, and ``python`` is an empty virtual environment of the Python that runs the
tests. Everything else is as written: what is copied honours ``.dockerignore``, what is run sees the image's environment and
nothing of this machine's but how pip reaches an index.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Image:
    """What following a Dockerfile left behind in ``root``."""

    root: Path
    base: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "root"
    ports: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def mapped(self, text: str) -> str:
        """An absolute path of the image as it is on this machine; other text as it is."""
        return str(self.root) + text if text.startswith("/") else text

    @property
    def start(self) -> list[str]:
        """The command line that a container of this image runs."""
        return [self.mapped(word) for word in (*self.entrypoint, *self.command)]

    def process_environment(self, **more: str) -> dict[str, str]:
        pip = {key: value for key, value in os.environ.items() if key.startswith("PIP_") or key.lower().endswith("_proxy")}
        own = {key: self.mapped(value) for key, value in self.environment.items()}
        own.pop("PIP_NO_CACHE_DIR", None)  # an image must not hold the cache; a test may read it
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        path = f"{self.root / 'python' / 'bin'}:/usr/bin:/bin"
        pip |= {"PIP_CACHE_DIR": f"{cache}/pip", "PIP_NO_COMPILE": "1"}  # and need not compile what it never imports
        return {**pip, **own, "PATH": path, "LANG": "C.UTF-8", **more}


def follow(context: Path, root: Path) -> Image:
    """Build the image of ``context/Dockerfile`` in the empty folder ``root``."""
    image = Image(root)
    ignored = _Ignored(context)
    for name, rest in _instructions((context / "Dockerfile").read_text(encoding="utf-8")):
        if name == "FROM":
            image.base = rest
            subprocess.run([sys.executable, "-m", "venv", str(root / "python")], check=True)
        elif name == "ENV":
            image.environment |= _pairs(rest)
            home = image.environment.get("HOME")
            if home:
                Path(image.mapped(home)).mkdir(parents=True, exist_ok=True)
        elif name == "LABEL":
            image.labels |= _pairs(rest)
        elif name == "WORKDIR":
            image.folder = rest
            Path(image.mapped(rest)).mkdir(parents=True, exist_ok=True)
        elif name == "COPY":
            *sources, target = json.loads(rest)
            for source in sources:
                _copy(context, source, image, target, ignored)
        elif name == "RUN":
            _run(image, [image.mapped(word) for word in json.loads(rest)])
        elif name == "USER":
            image.user = rest
        elif name == "EXPOSE":
            image.ports += rest.split()
        elif name == "ENTRYPOINT":
            image.entrypoint = json.loads(rest)
        elif name == "CMD":
            image.command = json.loads(rest)
        else:
            raise AssertionError(f"unknown instruction {name}")
    return image


def _instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(line.split(None, 1)[0], line.split(None, 1)[1].strip()) for line in joined.splitlines()]


def _pairs(text: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(text))


def _copy(context: Path, source: str, image: Image, target: str, ignored: _Ignored) -> None:
    """As Docker does: the content of a folder goes into the target, a file into a target that ends in a slash."""
    place = Path(image.mapped(target if target.startswith("/") else f"{image.folder}/{target}"))
    start = context / source
    assert start.exists(), f"COPY failed: {source} is not in the context"
    files = [path for path in start.rglob("*") if path.is_file()] if start.is_dir() else [start]
    for path in files:
        relative = path.relative_to(context).as_posix()
        assert not ignored(relative), f"COPY failed: .dockerignore leaves out {relative}"
        inner = path.relative_to(start).as_posix() if start.is_dir() else path.name if target.endswith("/") else ""
        final = place / inner
        final.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, final)


class _Ignored:
    """``.dockerignore``: the last pattern that fits a path or a folder above it decides; ``*`` stays within one part."""

    def __init__(self, context: Path) -> None:
        path = context / ".dockerignore"
        self._patterns = path.read_text(encoding="utf-8").split() if path.exists() else []

    def __call__(self, relative: str) -> bool:
        parts = relative.split("/")
        above = [parts[:count] for count in range(1, len(parts) + 1)]
        verdict = False
        for pattern in self._patterns:
            wanted = pattern.lstrip("!").split("/")
            if any(len(some) == len(wanted) and all(map(fnmatch.fnmatchcase, some, wanted)) for some in above):
                verdict = not pattern.startswith("!")
        return verdict


def _run(image: Image, words: list[str]) -> None:
    done = subprocess.run(
        words,
        cwd=image.mapped(image.folder),
        env=image.process_environment(),
        executable=shutil.which(words[0], path=image.process_environment()["PATH"]),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
