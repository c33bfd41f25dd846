"""The command line as a user runs it: a process of its own."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ran:
    """What one run left: its exit status and its two streams."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        document = self.document
        assert document["schema"] == "cpr.error/1", document
        return document["error"]


def cpr(
    *arguments: str | Path,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    timeout: float = 120,
    preexec: Callable[[], object] | None = None,
) -> Ran:
    """Run ``cpr ARGUMENTS``; ``env`` is laid over this process's own environment, ``preexec`` is called in the new process."""
    done = subprocess.run(
        [sys.executable, "-m", "cpr", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        preexec_fn=preexec,
    )
    assert "Traceback (most recent call last)" not in done.stderr or "cpr/" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


def give_up_reading_everything() -> None:
    """Root's programs read every file; without these two capabilities they obey its permissions, as everybody's do."""
    drop, override, read_search = 24, 1, 2  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    libc = ctypes.CDLL(None)
    for capability in (override, read_search):
        libc.prctl(drop, capability, 0, 0, 0)
