"""The rehearsal: a bundle installed and run as the service would, in a fresh interpreter, an empty folder, without a network.

:func:`rehearse` gives a :class:`Run`, a plain record of what happened; :mod:`cpr.checks` makes findings of it. The packages are
installed with one pip call each, as the service does: pip drops the second of two packages with the same top folder in one
``--target`` silently, but merges them when both are named in one call. The second call costs 0.7 s; one call for two, 0.6 s.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cpr import payload
from cpr.examples import Example
from cpr.manifest import Bundle

TIMEOUT_SECONDS = 300.0
"""How long a whole rehearsal may take, unless the caller says otherwise."""

_OUTPUT_BYTES = 64 * 1024  # of what the author's code prints, the last that is kept
_RESULT_BYTES = 512 * 1024 * 1024  # more than the probe ever writes of its own accord

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


class Environment(Protocol):
    """What a rehearsal runs on. ``grade`` names it in the report; ``python`` is the interpreter."""

    @property
    def grade(self) -> str: ...

    @property
    def python(self) -> str: ...

    def packages(self, requirements: Sequence[str], modules: Sequence[str]) -> Mapping[str, str]:
        """Version by distribution name of what is installed of ``requirements``, their own requirements, and TensorFlow where
        ``modules`` (top-level names that were imported) has it."""


@dataclass(frozen=True, slots=True)
class ThisInterpreter:
    """The grade ``process``: the interpreter that runs cpr, and what is installed beside it."""

    grade: str = "process"
    python: str = sys.executable

    def packages(self, requirements: Sequence[str], modules: Sequence[str]) -> Mapping[str, str]:
        wanted = [*requirements]
        if "tensorflow" in modules:
            wanted += (
                metadata.packages_distributions().get("tensorflow", []) if not _installed("tensorflow") else ["tensorflow"]
            )
        return dict(sorted(_closure(wanted).items()))


THIS_INTERPRETER = ThisInterpreter()


def _installed(name: str) -> metadata.Distribution | None:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def _closure(requirements: Sequence[str]) -> dict[str, str]:
    versions: dict[str, str] = {}
    waiting = [(text, "") for text in requirements]
    seen = set()
    while waiting:
        text, extra = waiting.pop()
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        distribution = _installed(name)
        if distribution is None:
            continue
        versions[name] = distribution.version
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                waiting += [(text, wanted) for text in distribution.requires or ()]
    return versions


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: wall time in seconds, peak of resident memory in MiB (``None`` where it cannot be measured), calls."""

    name: str
    seconds: float
    peak_mib: float | None
    calls: int = 0

    def to_json(self) -> dict[str, Any]:
        peak = None if self.peak_mib is None else round(self.peak_mib, 1)
        calls = {"calls": self.calls} if self.calls else {}
        return {"name": self.name, "seconds": round(self.seconds, 4), "peak_mib": peak, **calls}


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception of the author's code. ``where`` is ``module.py:line`` in the package; ``network``: a call was cut off."""

    phase: str
    line: int | None
    type: str
    message: str
    module: str | None
    remedy: str | None
    where: str | None
    traceback: str | None
    network: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """The prediction class as imported. ``arguments`` counts the positional parameters of ``predict`` as the service does;
    ``keywords`` tells whether it takes the keyword arguments that the service adds."""

    from_path: bool
    bound: bool
    predict: bool
    arguments: int | None
    keywords: bool | None
    signature: str | None
    bases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What ``predict`` returned for the example on ``line``.

    ``problem`` is ``None``, ``type`` (not a list), ``json`` (not JSON) or ``nan``; ``place`` and ``what`` say where and what.
    ``answer`` is what it returned, where the example has an expectation; ``None``: not kept.
    """

    line: int
    seconds: float
    instances: int
    type: str
    rows: int | None
    problem: str | None
    place: str
    what: str
    bytes: int | None
    answer: list[Any] | None


@dataclass(frozen=True, slots=True)
class Run:
    """What a rehearsal recorded, phase by phase, until it ended."""

    grade: str
    network: str
    seconds: float
    timeout: float
    phases: tuple[Phase, ...] = ()
    shape: Shape | None = None
    missing: tuple[str, tuple[str, ...]] | None = None
    raised: tuple[Raised, ...] = ()
    no_instance: str | None = None
    answers: tuple[Answer, ...] = ()
    calls: tuple[str, ...] = ()
    install_failure: tuple[str, str] | None = None
    last_phase: str = "interpreter"
    last_line: int | None = None
    complete: bool = False
    timed_out: bool = False
    status: int | None = None
    output: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    altered: tuple[str, ...] = ()

    @property
    def peak_mib(self) -> float | None:
        return max((phase.peak_mib for phase in self.phases if phase.peak_mib is not None), default=None)


@dataclass(frozen=True, slots=True)
class _Ended:
    status: int | None  # None: out of time
    output: str


def rehearse(
    bundle: Bundle,
    examples: Sequence[Example],
    *,
    timeout: float = TIMEOUT_SECONDS,
    environment: Environment = THIS_INTERPRETER,
) -> Run:
    """Install the bundle's packages, make the predictor, replay the examples, and record what happened; never raises for it.

    ``timeout`` is in seconds, for all of it.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cpr-", ignore_cleanup_errors=True) as folder:
        work = Path(folder).resolve()
        for name in ("site", "home", "pip", "tmp", "empty"):
            (work / name).mkdir()
        failure = _install(bundle, work, environment, started + timeout)
        if failure is not None:
            package, ended = failure
            return Run(
                environment.grade,
                "none",
                time.monotonic() - started,
                timeout,
                install_failure=(package, ended.output),
                last_phase="install",
                timed_out=ended.status is None,
                status=ended.status,
            )
        before = _stamps(bundle)
        _link_model(bundle, work / "model")
        job = _write_job(bundle, examples, work)
        command = [environment.python, "-I", str(Path(__file__).with_name("_probe.py")), str(job)]
        ended = _run(command, work, "home", started + timeout)
        after = _stamps(bundle)
        altered = tuple(path for path, stamp in before.items() if after.get(path) != stamp)
        run = _record(work / "results", environment, bundle)
    return _finished(run, ended, time.monotonic() - started, timeout, altered)


def _install(bundle: Bundle, work: Path, environment: Environment, deadline: float) -> tuple[str, _Ended] | None:
    """Install every package; the first that fails, and how it ended."""
    for package in bundle.manifest.packages:
        path = bundle.path(package).resolve()
        ended = _run([environment.python, "-I", *_PIP, str(work / "site"), str(path)], work, "pip", deadline)
        if ended.status != 0:
            return package, ended
    return None


def _stamps(bundle: Bundle) -> dict[str, tuple[int, int] | None]:
    return {entry.path: _stamp(bundle.path(entry.path)) for entry in bundle.manifest.model_files}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _link_model(bundle: Bundle, folder: Path) -> None:
    """Lay the model out as folders of our own with links to its files: what the author's code adds or removes stays here."""
    folder.mkdir()
    for entry in bundle.manifest.model_files:
        place = folder.joinpath(*entry.path.split("/")[1:])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(bundle.path(entry.path).resolve())


def _write_job(bundle: Bundle, examples: Sequence[Example], work: Path) -> Path:
    with open(work / "requests", "w", encoding="ascii") as file:
        for example in examples:
            row = {"line": example.line, "request": example.request, "expect": example.expect is not None}
            file.write(json.dumps(row) + "\n")
    job = {
        "site": str(work / "site"),
        "model_dir": str(work / "model"),
        "predictor": str(bundle.manifest.predictor),
        "requests": str(work / "requests"),
        "results": str(work / "results"),
        "started": time.monotonic(),
        "cut_network": True,
        "decode_b64": payload.decodes(bundle.model_dir),
    }
    path = work / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return path


def _scrubbed(work: Path, home: str) -> dict[str, str]:
    """The environment of a child: where programs and libraries are, a home of its own, and nothing else of the user's."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "PATHEXT")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "HOME": str(work / home),
        "TMPDIR": str(work / "tmp"),
        "LANG": "C.UTF-8",
        "PIP_CONFIG_FILE": os.devnull,
    }


def _run(command: Sequence[str], work: Path, home: str, deadline: float) -> _Ended:
    """Run a child in the empty folder, in a process group of its own that is gone afterwards; the end of its output is kept."""
    with _started(command, work, home) as (process, tail):
        try:
            status: int | None = process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            status = None
    return _Ended(status, tail.text())


@contextmanager
def _started(command: Sequence[str], work: Path, home: str) -> Iterator[tuple[subprocess.Popen[bytes], _Tail]]:
    process = subprocess.Popen(
        command,
        cwd=work / "empty",
        env=_scrubbed(work, home),
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
        _kill_strays(work)
        tail.close()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        process.kill()
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _kill_strays(work: Path) -> None:
    """End what left the process group (``setsid``): it still has the environment that it was started with. Linux only."""
    mark = f"TMPDIR={work / 'tmp'}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in entry.read_bytes().split(b"\0"):
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


def _record(path: Path, environment: Environment, bundle: Bundle) -> Run:
    """The probe's events as a ``Run``. The author's code could have written to the file: what does not fit ends the reading."""
    gathered: dict[str, Any] = {"phases": (), "raised": (), "answers": ()}
    facts: dict[str, Any] = {}
    modules: Sequence[str] = ()
    try:
        for event in _events(path):
            kind = event.pop("event")
            if kind == "start":
                gathered["network"] = str(event["network"])
                facts = {key: str(event[key]) for key in ("python", "implementation", "platform")}
            elif kind == "enter":
                gathered |= {"last_phase": str(event["phase"]), "last_line": _integer(event["line"])}
            elif kind == "phase":
                gathered["phases"] += (_phase(event),)
            elif kind == "missing":
                gathered["missing"] = (str(event["module"]), tuple(map(str, event["classes"])))
            elif kind == "class":
                gathered["shape"] = _shape(event)
            elif kind == "raised":
                gathered["calls"] = tuple(map(str, event["calls"]))
                gathered["raised"] += (_raised(event),)
            elif kind == "no_instance":
                gathered["no_instance"] = str(event["type"])
            elif kind == "answer":
                gathered["answers"] += (_answer(event),)
            elif kind == "done":
                gathered |= {"complete": True, "calls": tuple(map(str, event["calls"]))}
                modules = tuple(map(str, event["modules"]))
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        gathered["complete"] = False
    facts["packages"] = dict(environment.packages(bundle.manifest.requirements, modules))
    network = gathered.pop("network", "none")
    return Run(environment.grade, network, 0.0, 0.0, environment=facts, **gathered)


def _phase(event: Mapping[str, Any]) -> Phase:
    peak = event["peak_mib"]
    return Phase(str(event["name"]), float(event["seconds"]), None if peak is None else float(peak), int(event["calls"]))


def _shape(event: Mapping[str, Any]) -> Shape:
    keywords = event["keywords"]
    return Shape(
        from_path=bool(event["from_path"]),
        bound=bool(event["bound"]),
        predict=bool(event["predict"]),
        arguments=_integer(event["arguments"]),
        keywords=None if keywords is None else bool(keywords),
        signature=_string(event["signature"]),
        bases=tuple(map(str, event["bases"])),
    )


def _raised(event: Mapping[str, Any]) -> Raised:
    return Raised(
        phase=str(event["phase"]),
        line=_integer(event["line"]),
        type=str(event["type"]),
        message=str(event["message"]),
        module=_string(event["module"]),
        remedy=_string(event["remedy"]),
        where=_string(event["where"]),
        traceback=_string(event["traceback"]),
        network=bool(event["network"]),
    )


def _answer(event: Mapping[str, Any]) -> Answer:
    text = event.get("answer")
    return Answer(
        line=int(event["line"]),
        seconds=float(event["seconds"]),
        instances=int(event["instances"]),
        type=str(event["type"]),
        rows=_integer(event.get("rows")),
        problem=_string(event["problem"]),
        place=str(event.get("place", "")),
        what=str(event.get("what", "")),
        bytes=_integer(event.get("bytes")),
        answer=None if text is None else list(json.loads(text)),
    )


def _integer(value: Any) -> int | None:
    return None if value is None else int(value)


def _string(value: Any) -> str | None:
    return None if value is None else str(value)


def _events(path: Path) -> Iterator[dict[str, Any]]:
    try:
        if path.stat().st_size > _RESULT_BYTES:
            raise ValueError("the record of the rehearsal is too large")
        with open(path, "rb") as file:
            for row in file:
                event = json.loads(row)
                if not isinstance(event, dict):
                    raise ValueError("an event is no object")
                yield event
    except OSError:
        return


def _finished(run: Run, ended: _Ended, seconds: float, timeout: float, altered: tuple[str, ...]) -> Run:
    return replace(
        run,
        seconds=seconds,
        timeout=timeout,
        timed_out=ended.status is None,
        status=ended.status,
        output=ended.output,
        altered=altered,
    )
