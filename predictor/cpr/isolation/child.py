"""A child process in an empty folder, with an environment of its own, that leaves nothing running behind."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cpr.isolation.family import Family

_OUTPUT_BYTES = 64 * 1024  # of what the author's code prints, the last that is kept
_MARK = "CPR_REHEARSAL"
_GLANCE = 0.1  # seconds between two looks at the memory of a child's own children


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its exit status, less than 0 for a signal, ``None`` out of time; the end of what it printed; and what
    was seen of processes that it started."""

    status: int | None
    output: str
    children: int = 0
    together_mib: float = 0.0


def make_room(work: Path) -> None:
    """Make the folders below ``work`` that children run in: an empty one to stand in, a temporary one, and homes."""
    for name in ("empty", "tmp", "home", "pip"):
        (work / name).mkdir()


def run_child(command: Sequence[str], work: Path, home: str, deadline: float, *, scrub: bool = True) -> Ended:
    """Run a command in the empty folder, in a process group of its own that is gone afterwards; the end of its output is kept.

    ``home`` names a folder of ``work``; ``deadline`` is on the monotonic clock. Without ``scrub`` it has cpr's own environment.
    """
    mark = secrets.token_hex(8)
    environment = (_scrubbed(work, home) if scrub else dict(os.environ)) | {_MARK: mark}
    with _started(command, work, environment) as (process, tail):
        family = Family(process.pid)
        status = _waited(process, family, deadline)
    return Ended(status, tail.text(), family.children, family.together_mib)


def _waited(process: subprocess.Popen[bytes], family: Family, deadline: float) -> int | None:
    while (left := deadline - time.monotonic()) > 0:
        try:
            return process.wait(min(_GLANCE, left))
        except subprocess.TimeoutExpired:
            family.look()
    return process.poll()


def _scrubbed(work: Path, home: str) -> dict[str, str]:
    """The environment of a child: where programs and libraries are, a home of its own, and nothing else of the user's."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "PATHEXT")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "HOME": str(work / home),
        "TMPDIR": str(work / "tmp"),
        "LANG": "C.UTF-8",
        "PIP_CONFIG_FILE": os.devnull,
    }


@contextmanager
def _started(
    command: Sequence[str], work: Path, environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], _Tail]]:
    process = subprocess.Popen(
        command,
        cwd=work / "empty",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    tail = _Tail(process.stdout)
    try:
        yield process, tail
    finally:
        _kill_group(process)
        process.wait()
        _kill_strays(environment[_MARK])
        tail.close()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _kill_strays(mark: str) -> None:
    """End what left the process group (``setsid``): it still has the environment that it was started with. Linux only."""
    wanted = f"{_MARK}={mark}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in entry.read_bytes().split(b"\0"):
                os.kill(int(entry.parent.name), signal.SIGKILL)
        except OSError:
            pass  # it has ended, or is another user's


class _Tail:
    """Reads a pipe to its end in a thread and keeps the last bytes: the child never waits for room, and nothing piles up."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._kept = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        descriptor = self._stream.fileno()
        while data := os.read(descriptor, 1 << 16):
            self._kept = (self._kept + data)[-_OUTPUT_BYTES:]

    def close(self) -> None:
        self._thread.join(5)
        if not self._thread.is_alive():
            self._stream.close()

    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")
