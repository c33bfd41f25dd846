"""Installing and running a bundle as the service would, and what that tells."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cpr import payload
from cpr.bundle import Bundle
from cpr.examples import Example
from cpr.isolation.child import Ended, make_room, run_child
from cpr.isolation.environment import THIS_INTERPRETER, UNPROTECTED, Environment
from cpr.isolation.installed import NOTHING, Provided, Visibility, installation_folders, visibility
from cpr.isolation.installing import install
from cpr.isolation.job import Extent, Scene, write_job
from cpr.isolation.record import Run, read_run

TIMEOUT_SECONDS = 300.0
"""How long a whole rehearsal may take, unless the caller says otherwise."""


REPLAY_AND_TRIALS = Extent()

_PROBE = Path(__file__).with_name("probe.py")


def rehearse(
    bundle: Bundle,
    examples: Sequence[Example],
    *,
    timeout: float = TIMEOUT_SECONDS,
    environment: Environment = THIS_INTERPRETER,
    provided: Provided = NOTHING,
    extent: Extent = REPLAY_AND_TRIALS,
) -> Run:
    """Install the bundle's packages, make the predictor, replay the examples, and record what happened; never raises for it.

    ``timeout`` is in seconds, for all of it. ``provided`` is what the target brings beside the declared requirements.
    """
    started = time.monotonic()
    with _room() as work:
        with ThreadPoolExecutor(1) as pool:  # other processes do the work; meanwhile, look at what is installed here
            installing = pool.submit(install, bundle, work, environment, started + timeout)
            sight = visibility(bundle.manifest.requirements, provided) if environment.hides else None
            failure = installing.result()
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
        manifest = bundle.manifest
        scene = Scene(work / "site", work / "model", str(manifest.predictor), payload.decodes(manifest.model_names))
        further = {"cut_network": environment.cuts_network, "sight": {} if sight is None else _sight(sight)}
        job = write_job(work, scene, examples, extent, started + timeout, further)
        alone = ["-I"] if environment.scrubs else []
        command = [environment.python, *alone, str(_PROBE), str(job)]
        ended = run_child(command, work, "home", started + timeout, scrub=environment.scrubs)
        after = _stamps(bundle)
        altered = tuple(path for path, stamp in before.items() if after.get(path) != stamp)
        run, modules = read_run(work / "results", environment.grade)
    packages = dict(environment.packages(manifest.requirements, modules))
    run = replace(run, environment={**run.environment, "packages": packages})
    if sight is not None:
        run = _explained(run, sight)
    return _finished(run, ended, time.monotonic() - started, timeout, altered)


def replay_in_place(
    scene: Scene,
    folder: Path,
    examples: Sequence[Example],
    *,
    timeout: float = TIMEOUT_SECONDS,
    extent: Extent = REPLAY_AND_TRIALS,
) -> Run:
    """Run a routine where it lies, in ``folder``, as its author does: nothing is installed, hidden or cut off."""
    started = time.monotonic()
    with _room() as work:
        job = write_job(work, scene, examples, extent, started + timeout, {"cut_network": False})
        command = [UNPROTECTED.python, "-B", str(_PROBE), str(job)]  # -B: nothing is left in the folder
        ended = run_child(command, work, "home", started + timeout, scrub=False, folder=folder)
        run, _ = read_run(work / "results", UNPROTECTED.grade)
    return _finished(run, ended, time.monotonic() - started, timeout, ())


@contextmanager
def _room() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cpr-", ignore_cleanup_errors=True) as folder:
        work = Path(folder).resolve()
        make_room(work)
        yield work


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


def _sight(sight: Visibility) -> dict[str, Any]:
    return {
        "hidden": {module: each.name for module, each in sight.hidden.items()},
        "watched": {module: each.name for module, each in sight.watched.items()},
        "packages": sorted(sight.packages),
        "distributions": sorted({each.name for each in sight.everything} - sight.seen),
        "installed": sorted(installation_folders()),
    }


def _explained(run: Run, sight: Visibility) -> Run:
    """The run with the distributions that its imports belong to, and the size of each package that they cost."""
    known = {**sight.hidden, **sight.watched}
    imported = tuple(
        replace(each, distribution=owner.name, version=owner.version, sure=owner.name in sight.sure)
        if (owner := known.get(each.module)) is not None
        else each
        for each in run.imported
    )
    owners = {module: each for each in sight.everything for module in each.modules}
    costs = [
        replace(cost, installed_mib=owners[cost.package].bytes / (1 << 20)) if cost.package in owners else cost
        for cost in run.costs
    ]
    return replace(run, imported=imported, costs=tuple(costs))


def _finished(run: Run, ended: Ended, seconds: float, timeout: float, altered: tuple[str, ...]) -> Run:
    return replace(
        run,
        seconds=seconds,
        timeout=timeout,
        timed_out=ended.status is None,
        status=ended.status,
        output=ended.output,
        altered=altered,
        children=ended.children,
        together_mib=ended.together_mib,
    )
