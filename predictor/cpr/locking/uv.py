"""uv as a subprocess: where it is, the environment it runs in, and how it ended.

Of the user's configuration only what names an index, reaches it or holds the cache takes part: the answer depends on nothing
else of this machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from cpr.errors import MissingExtra, RequirementsError

_INDEX = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX")
_REACH = (
    "UV_CACHE_DIR",
    "UV_HTTP_CONNECT_TIMEOUT",
    "UV_HTTP_RETRIES",
    "UV_HTTP_TIMEOUT",
    "UV_INDEX_STRATEGY",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_NATIVE_TLS",
    "UV_OFFLINE",
    "UV_SYSTEM_CERTS",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """How uv ended: its exit status, and what it printed on standard error."""

    status: int
    errors: str


def find_uv() -> str:
    """The path of uv: the one installed beside cpr, else the one on the path; ``MissingExtra`` where there is none."""
    beside = shutil.which("uv", path=sysconfig.get_path("scripts"))
    found = beside or shutil.which("uv")
    if found is None:
        raise MissingExtra("lock", "Locking requirements, or installing them for a rehearsal,")
    return found


def run_uv(arguments: Sequence[str], timeout: float, stdin: str = "") -> Answer:
    """Run uv in an empty folder, so that no project around takes part; ``RequirementsError`` where it does not end in time."""
    command = [find_uv(), *arguments, "--no-config", "--color", "never", "--no-progress"]
    with tempfile.TemporaryDirectory(prefix="cpr-uv-") as folder:
        try:
            done = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                cwd=folder,
                env=uv_environment(),
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RequirementsError(
                f"uv did not finish in {timeout:g} s.",
                "Look at the network and at how many versions the requirements leave open.",
            ) from None
        except OSError as error:
            raise RequirementsError(
                f"uv cannot be run: {error.strerror or error}.", "Install it anew: pip install 'cpr-kit[lock]'", command[0]
            ) from None
    return Answer(done.returncode, done.stderr)


def uv_environment() -> dict[str, str]:
    """This process's environment with uv's settings left out, but for those of the index; pip's index where uv has none."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "VIRTUAL_ENV", "CONDA_"))}
    kept = {name: value for name, value in os.environ.items() if name in (*_INDEX, *_REACH) or _is_login(name)}
    if not any(name in kept for name in _INDEX):
        kept |= _index_of_pip()
    return own | kept | {"UV_PYTHON_DOWNLOADS": "never"}  # asking for one costs seconds each time


def names_index() -> str:
    """What decides where packages come from, as text that distinguishes one answer from another."""
    environment = uv_environment()
    return "\n".join(f"{name}={environment[name]}" for name in (*_INDEX, "UV_INDEX_STRATEGY") if name in environment)


def _is_login(name: str) -> bool:
    return name.startswith("UV_INDEX_") and name.endswith(("_USERNAME", "_PASSWORD"))


def _index_of_pip() -> dict[str, str]:
    """What pip's environment variables name. pip takes the best version of all indexes; uv does so when told."""
    found = {}
    if url := os.environ.get("PIP_INDEX_URL"):
        found["UV_DEFAULT_INDEX"] = url
    if more := os.environ.get("PIP_EXTRA_INDEX_URL"):
        found |= {"UV_INDEX": " ".join(more.split()), "UV_INDEX_STRATEGY": "unsafe-best-match"}
    return found
