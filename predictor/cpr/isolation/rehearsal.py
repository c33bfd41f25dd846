"""Installing and running a bundle as the service would. The packages are installed with one pip call each, as the service does:
pip drops the second of two packages with the same top folder in one ``--target`` silently, but merges them when both are named
in one call. The calls run side by side, each into a folder of its own, and the folders are then joined by pip's rule.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from cpr import payload
from cpr.bundle import Bundle
from cpr.examples import Example
from cpr.isolation.child import Ended, make_room, run_child
from cpr.isolation.environment import THIS_INTERPRETER, Environment
from cpr.isolation.installed import NOTHING, Provided, Visibility, installation_folders, visibility
from cpr.isolation.record import Run, read_run

TIMEOUT_SECONDS = 300.0
"""How long a whole rehearsal may take, unless the caller says otherwise."""

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
    provided: Provided = NOTHING,
) -> Run:
    """Install the bundle's packages, make the predictor, replay the examples, and record what happened; never raises for it.

    ``timeout`` is in seconds, for all of it. ``provided`` is what the target brings beside the declared requirements.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cpr-", ignore_cleanup_errors=True) as folder:
        work = Path(folder).resolve()
        make_room(work)
        with ThreadPoolExecutor(1) as pool:  # pip does the work; meanwhile, look at what is installed here
            installing = pool.submit(_install, bundle, work, environment, started + timeout)
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
        job = _write_job(bundle, examples, work, environment, sight)
        alone = ["-I"] if environment.scrubs else []
        command = [environment.python, *alone, str(Path(__file__).with_name("probe.py")), str(job)]
        ended = run_child(command, work, "home", started + timeout, scrub=environment.scrubs)
        after = _stamps(bundle)
        altered = tuple(path for path, stamp in before.items() if after.get(path) != stamp)
        run, modules = read_run(work / "results", environment.grade)
    packages = dict(environment.packages(bundle.manifest.requirements, modules))
    run = replace(run, environment={**run.environment, "packages": packages})
    if sight is not None:
        run = _explained(run, sight)
    return _finished(run, ended, time.monotonic() - started, timeout, altered)


def _install(bundle: Bundle, work: Path, environment: Environment, deadline: float) -> tuple[str, Ended] | None:
    """Install every package; the first that fails, and how it ended."""
    packages = bundle.manifest.packages
    folders = [work / f"site-{number}" for number in range(len(packages))]

    def install(package: str, folder: Path) -> Ended:
        command = [environment.python, "-I", *_PIP, str(folder), str(bundle.path(package).resolve())]
        return run_child(command, work, "pip", deadline)

    with ThreadPoolExecutor(2) as pool:
        endings = list(pool.map(install, packages, folders))
    for package, ended in zip(packages, endings, strict=True):
        if ended.status != 0:
            return package, ended
    _join(folders, work / "site")
    return None


def _join(folders: Sequence[Path], site: Path) -> None:
    """Move what was installed to one place by the rule of pip's ``--target``: what is there stays, a second is dropped."""
    site.mkdir()
    for folder in folders:
        for entry in folder.iterdir() if folder.is_dir() else ():
            if not (site / entry.name).exists():
                entry.rename(site / entry.name)


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


def _write_job(
    bundle: Bundle, examples: Sequence[Example], work: Path, environment: Environment, sight: Visibility | None
) -> Path:
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
        "cut_network": environment.cuts_network,
        "decode_b64": payload.decodes(bundle.manifest.model_names),
        "sight": {} if sight is None else _sight(sight),
    }
    path = work / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return path


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
