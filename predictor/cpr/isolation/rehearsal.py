"""Installing and running a bundle as the service would. The packages are installed with one pip call each, as the service does:
pip drops the second of two packages with the same top folder in one ``--target`` silently, but merges them when both are named
in one call. The second call costs 0.7 s; one call for two, 0.6 s.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cpr import payload
from cpr.bundle import Bundle
from cpr.examples import Example
from cpr.isolation.child import Ended, make_room, run_child
from cpr.isolation.environment import THIS_INTERPRETER, Environment
from cpr.isolation.record import Run, read_run

TIMEOUT_SECONDS = 300.0
"""How long a whole rehearsal may take, unless the caller says otherwise."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many calls to time, and for how many seconds at most."""

    calls: int = 0
    seconds: float = 0.0


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


def rehearse(
    bundle: Bundle,
    examples: Sequence[Example],
    *,
    timeout: float = TIMEOUT_SECONDS,
    environment: Environment = THIS_INTERPRETER,
    sampling: Sampling | None = None,
) -> Run:
    """Install the bundle's packages, make the predictor, replay the examples, and record what happened; never raises for it.

    ``timeout`` is in seconds, for all of it. ``sampling``: calls to time beyond the replay.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cpr-", ignore_cleanup_errors=True) as folder:
        work = Path(folder).resolve()
        make_room(work)
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
        job = _write_job(bundle, examples, work, started + timeout, sampling or Sampling())
        command = [environment.python, "-I", str(Path(__file__).with_name("probe.py")), str(job)]
        ended = run_child(command, work, "home", started + timeout)
        after = _stamps(bundle)
        altered = tuple(path for path, stamp in before.items() if after.get(path) != stamp)
        run, modules = read_run(work / "results", environment.grade)
    packages = dict(environment.packages(bundle.manifest.requirements, modules))
    run = replace(run, environment={**run.environment, "packages": packages})
    return _finished(run, ended, time.monotonic() - started, timeout, altered)


def _install(bundle: Bundle, work: Path, environment: Environment, deadline: float) -> tuple[str, Ended] | None:
    """Install every package; the first that fails, and how it ended."""
    for package in bundle.manifest.packages:
        path = bundle.path(package).resolve()
        ended = run_child([environment.python, "-I", *_PIP, str(work / "site"), str(path)], work, "pip", deadline)
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


def _write_job(bundle: Bundle, examples: Sequence[Example], work: Path, deadline: float, sampling: Sampling) -> Path:
    write_requests(examples, work / "requests")
    job = {
        "site": str(work / "site"),
        "model_dir": str(work / "model"),
        "predictor": str(bundle.manifest.predictor),
        "requests": str(work / "requests"),
        "results": str(work / "results"),
        "started": time.monotonic(),
        "cut_network": True,
        "decode_b64": payload.decodes(bundle.manifest.model_names),
        "deadline": deadline,
        "samples": sampling.calls,
        "sample_seconds": sampling.seconds,
    }
    path = work / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return path


def write_requests(examples: Sequence[Example], path: Path, keep_all: bool = False) -> None:
    """Write what the probe replays; ``keep_all``: the answers of those without an expectation travel too."""
    with open(path, "w", encoding="ascii") as file:
        for example in examples:
            expect = example.expect
            row = {"line": example.line, "request": example.request, "expect": keep_all or expect is not None}
            if expect is not None:
                row |= {"rtol": expect.rtol, "atol": expect.atol}
            file.write(json.dumps(row) + "\n")


def _finished(run: Run, ended: Ended, seconds: float, timeout: float, altered: tuple[str, ...]) -> Run:
    return replace(
        run,
        seconds=seconds,
        timeout=timeout,
        timed_out=ended.status is None,
        status=ended.status,
        output=ended.output,
        altered=altered,
    )
