"""ruff, so that the one test command holds what `make check` holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff(repository: Path, command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "ruff", *command, "."], capture_output=True, text=True, cwd=repository)
    assert done.returncode == 0, done.stdout + done.stderr
