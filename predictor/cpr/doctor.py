"""What is installed here, what is missing, and how to get it.

Nothing heavy is imported, no secret is read, no network is used.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path

import cpr

DISTRIBUTION = "cpr-kit"
FOREIGN = "cpr"
"""Another project's distribution of this name also installs a package ``cpr/``."""

_EXTRAS = {
    "tensorflow": "load and rehearse TensorFlow models",
    "gcs": "upload to gs:// buckets",
    "s3": "upload to s3:// buckets",
    "serve": "serve a routine over HTTP",
    "lock": "lock requirements for the target, and rehearse in an environment of its own",
}
_LOWEST = (3, 10)  # requires-python in pyproject.toml
_SCRATCH_MB = 2000  # a rehearsal on the target's own TensorFlow installs more than 1 GB
_TIMEOUT = 10.0  # seconds for a tool to tell its version

_PROBE = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("probe", sys.argv[1])
probe = importlib.util.module_from_spec(spec)
spec.loader.exec_module(probe)
peak = probe.Peak()
touched = b"x" * (32 << 20)
del touched
before = peak.read()
peak.reset()
after = peak.read()
network = probe.Network()
network.cut()
print(json.dumps({"network": network.grade, "memory": None not in (before, after) and after < before - 16}))
"""


class Status(Enum):
    """``missing``: an optional part is not there; ``broken``: cpr itself does not work as it should."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``remedy`` is empty where nothing is to do."""

    name: str
    status: Status
    detail: str
    remedy: str = ""

    def to_json(self) -> dict[str, str]:
        return {"name": self.name, "status": self.status.value, "detail": self.detail, "remedy": self.remedy}


def examine() -> tuple[Check, ...]:
    """Look at everything, in the order in which a person would want to read it. Takes about half a second."""
    return (
        _python(),
        _cpr(),
        *_foreign(),
        *_requirements(),
        *_isolation(),
        *_tools(),
        _gcs_credentials(),
        _s3_credentials(),
        _scratch(),
    )


def _python() -> Check:
    detail = f"{sys.version.split()[0]} at {sys.executable}"
    if sys.version_info[:2] < _LOWEST:
        lowest = ".".join(map(str, _LOWEST))
        return Check("python", Status.BROKEN, detail, f"Install cpr-kit into a Python from {lowest} on.")
    return Check("python", Status.OK, detail)


def _cpr() -> Check:
    where = Path(cpr.__file__).parent
    installed = _version(DISTRIBUTION)
    if installed is None:
        detail = f"{cpr.__version__}, run from {where} without being installed"
        return Check("cpr", Status.NOTE, detail, "To have the `cpr` command everywhere: pip install cpr-kit")
    if installed != cpr.__version__:
        detail = f"the package at {where} is {cpr.__version__}, but {DISTRIBUTION} {installed} is installed"
        return Check("cpr", Status.BROKEN, detail, "pip install --force-reinstall --no-deps cpr-kit")
    return Check("cpr", Status.OK, f"{installed} at {where}")


def _foreign() -> Iterator[Check]:
    version = _version(FOREIGN)
    if version is not None:
        yield Check(
            "foreign cpr",
            Status.BROKEN,
            f"Another distribution, {FOREIGN} {version}, is installed and owns the same package folder cpr/.",
            "pip uninstall --yes cpr && pip install --force-reinstall --no-deps cpr-kit",
        )


def _requirements() -> Iterator[Check]:
    """One check a core requirement, one an extra; what they are is read from cpr-kit's own metadata."""
    if _version("packaging") is None:
        yield Check("packaging", Status.BROKEN, "not installed", "pip install packaging")
        return
    try:
        texts = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return
    for requirement, problem, version in _needed(texts, ""):
        name = requirement.partition(" ")[0]
        if problem:
            yield Check(name, Status.BROKEN, problem, f"pip install '{requirement.replace(' ', '')}'")
        else:
            yield Check(name, Status.OK, version)
    for extra, purpose in _EXTRAS.items():
        parts = list(_needed(texts, extra))
        problems = [f"{requirement.partition(' ')[0]}: {problem}" for requirement, problem, _ in parts if problem]
        if problems:
            detail = f"to {purpose}; {', '.join(problems)}"
            yield Check(f"extra {extra}", Status.MISSING, detail, f"pip install '{DISTRIBUTION}[{extra}]'")
        elif parts:
            detail = ", ".join(f"{requirement.partition(' ')[0]} {version}" for requirement, _, version in parts)
            yield Check(f"extra {extra}", Status.OK, detail)


def _needed(texts: list[str], extra: str) -> Iterator[tuple[str, str, str]]:
    """For each requirement that holds here, and only with ``extra``: its ``name specifier``, what is wrong, the version."""
    from packaging.requirements import Requirement

    for text in texts:
        requirement = Requirement(text)
        marker = requirement.marker
        always = marker is None or marker.evaluate({"extra": ""})
        if always if extra else not always:
            continue
        if marker is not None and not marker.evaluate({"extra": extra}):
            continue
        version = _version(requirement.name)
        problem = ""
        if version is None:
            problem = "not installed"
        elif not requirement.specifier.contains(version, prereleases=True):
            problem = f"{version} is installed, {requirement.specifier} is needed"
        yield f"{requirement.name} {requirement.specifier}", problem, version or ""


def _version(name: str) -> str | None:
    try:
        # A half-removed distribution has a folder and no metadata: then there is no version.
        found: str | None = metadata.distribution(name).metadata["Version"]
    except metadata.PackageNotFoundError:
        return None
    return found


def _isolation() -> Iterator[Check]:
    """The rehearsal's own code tries it, in a child that ends at once."""
    probe = Path(cpr.__file__).parent / "isolation" / "probe.py"
    try:
        answer = json.loads(_output([sys.executable, "-I", "-c", _PROBE, str(probe)]) or "{}")
    except ValueError:
        answer = {}
    if answer.get("network") == "namespace":
        yield Check("network isolation", Status.OK, "a rehearsal runs in a network namespace of its own")
    else:
        yield Check(
            "network isolation",
            Status.NOTE,
            "this machine lets no process cut off its own network; a rehearsal refuses it to Python code alone",
            "On Linux, allow user namespaces (sysctl kernel.unprivileged_userns_clone=1), or run as root.",
        )
    if answer.get("memory"):
        yield Check("memory measuring", Status.OK, "/proc/self/clear_refs resets the peak between phases")
    else:
        yield Check(
            "memory measuring",
            Status.NOTE,
            "the peak of memory cannot be reset between phases; a rehearsal reports one peak for all of them",
            "Run on Linux with /proc/self/clear_refs writable.",
        )


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # no HOME, and the user is in no list
        return Path("/nonexistent")


def _is_file(path: Path) -> bool:
    """False also where a folder above may not be entered, which ``Path.is_file`` raises for."""
    try:
        return path.is_file()
    except OSError:
        return False


def _tools() -> Iterator[Check]:
    yield _tool("gcloud", "applies the emitted configs", "https://cloud.google.com/sdk/docs/install", None)
    docker = _tool(
        "docker", "builds the emitted containers", "https://docs.docker.com/engine/install/", ["docker", "--version"]
    )
    if docker.status is Status.OK and not _output(["docker", "version", "--format", "{{.Server.Version}}"]):
        docker = Check("docker", Status.NOTE, f"{docker.detail}, but no daemon answers", "Start the Docker daemon.")
    yield docker


def _tool(name: str, purpose: str, source: str, command: list[str] | None) -> Check:
    path = shutil.which(name)
    if path is None:
        remedy = source if source.startswith("pip ") else f"Install it: {source}"
        return Check(name, Status.MISSING, f"not found; it {purpose}", remedy)
    if command is None:
        return Check(name, Status.OK, path)
    answer = _output(command)
    if not answer:
        return Check(name, Status.MISSING, f"{path} is there and does not run; it {purpose}", source)
    version = re.search(r"\d+(\.\d+)+", answer)
    return Check(name, Status.OK, f"{version.group() if version else 'unknown version'} at {path}")


def _gcs_credentials() -> Check:
    name = "credentials gs://"
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if emulator:
        return Check(
            name, Status.NOTE, f"STORAGE_EMULATOR_HOST is set: gs:// goes to {emulator}", "Unset it to reach real buckets."
        )
    login = "gcloud auth application-default login"
    given = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if given:
        if _is_file(Path(given)):
            return Check(name, Status.OK, f"GOOGLE_APPLICATION_CREDENTIALS names {given}")
        detail = f"GOOGLE_APPLICATION_CREDENTIALS names {given}, and there is no such file"
        return Check(name, Status.MISSING, detail, f"Correct the variable, or unset it and run: {login}")
    folder = Path(os.environ.get("CLOUDSDK_CONFIG") or _home() / ".config" / "gcloud")
    default = folder / "application_default_credentials.json"
    if _is_file(default):
        return Check(name, Status.OK, f"application default credentials at {default}")
    return Check(name, Status.MISSING, "no application default credentials found", login)


def _s3_credentials() -> Check:
    name = "credentials s3://"
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return Check(name, Status.OK, "AWS_ACCESS_KEY_ID is set")
    profile = os.environ.get("AWS_PROFILE")
    credentials = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or _home() / ".aws" / "credentials")
    config = Path(os.environ.get("AWS_CONFIG_FILE") or _home() / ".aws" / "config")
    for path in (credentials, config):
        if _is_file(path):
            return Check(name, Status.OK, f"{path}" + (f", profile {profile}" if profile else ""))
    return Check(name, Status.MISSING, "no AWS key, profile or credentials file found", "aws configure")


def _scratch() -> Check:
    name = "scratch space"
    try:
        with tempfile.TemporaryDirectory() as folder:
            free = shutil.disk_usage(folder).free // 10**6
    except OSError as error:
        detail = f"no temporary folder can be made: {error.strerror or error}"
        return Check(name, Status.BROKEN, detail, "Point TMPDIR to a folder that can be written.")
    detail = f"{free / 1000:.1f} GB free in {tempfile.gettempdir()}"
    if free < _SCRATCH_MB:
        remedy = f"Free some space, or point TMPDIR elsewhere; a rehearsal takes up to {_SCRATCH_MB / 1000:.0f} GB."
        return Check(name, Status.NOTE, detail, remedy)
    return Check(name, Status.OK, detail)


def _output(command: list[str]) -> str:
    """What a command prints, stripped; empty where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
