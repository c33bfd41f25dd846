"""The golden examples at each station of a routine's way: its source tree, a process of its own that it is installed for, a
server, and what a bucket gives back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Timer
from typing import Any
from urllib.parse import quote

from cpr import client, payload
from cpr.bundle import Bundle
from cpr.errors import CprError, ServingError
from cpr.examples import Example
from cpr.isolation import THIS_INTERPRETER, Answer, Extent, Run, Scene, rehearse, replay_in_place
from cpr.latency import Latency, in_order, latency
from cpr.project import Routine

_OPEN = replace(THIS_INTERPRETER, hides=False)  # what may be imported is for `cpr validate` to say
_STOP_SECONDS = 10.0  # for a server to end
_LOG_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Reply:
    """What a station answered to the example on ``line``; ``problem`` is why there is no answer."""

    line: int
    predictions: list[Any] | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Replay:
    """The examples at one station. ``problem`` is why it came to no example at all; ``unsteady`` are places and words of what
    the trials of the class found that is answered once so and once so."""

    station: str
    replies: tuple[Reply, ...]
    latency: Latency
    problem: str = ""
    unsteady: tuple[tuple[int | None, str], ...] = ()


def at_source(routine: Routine, examples: Sequence[Example], timeout: float) -> Replay:
    """The modules as they lie in the routine folder, run there."""
    decode_b64 = payload.decodes(_names_below(routine.model_dir))
    scene = Scene(routine.root, routine.model_dir, str(routine.predictor), decode_b64)
    extent = Extent(trials=False, keep_all=True)
    return _of_run("source", replay_in_place(scene, routine.root, examples, timeout=timeout, extent=extent), examples)


def isolated(
    bundle: Bundle, examples: Sequence[Example], timeout: float, *, station: str = "isolated", trials: bool = False
) -> Replay:
    """The bundle's packages installed for a process of its own, without a network, as ``cpr validate`` runs them."""
    extent = Extent(trials=trials, keep_all=True)
    return _of_run(station, rehearse(bundle, examples, timeout=timeout, environment=_OPEN, extent=extent), examples)


def over_http(bundle: Bundle, examples: Sequence[Example], timeout: float) -> Replay:
    """``cpr serve`` of the bundle in a process of its own, on a free port, one request after the other."""
    start = time.monotonic()
    try:
        with _served(bundle, timeout) as root:
            ready = time.monotonic() - start
            url = f"{root}/v1/models/{quote(bundle.manifest.name)}:predict"
            return at_url(url, examples, timeout, ready)
    except ServingError as error:
        return Replay("http", (), Latency((), (), None), error.message)


def at_url(url: str, examples: Sequence[Example], timeout: float, ready: float | None = None) -> Replay:
    """A server that runs. ``ready`` is how long it took to start, where that is known."""
    replies, calls = [], []
    for example in examples:
        start = time.monotonic()
        try:
            replies.append(Reply(example.line, client.predict(url, example.request, timeout)))
        except CprError as error:
            replies.append(Reply(example.line, None, error.message))
        calls.append((example.line, time.monotonic() - start))
    first = calls[0] if calls else None
    cold = (("start", ready * 1000), ("first_predict", first[1] * 1000)) if ready is not None and first is not None else ()
    return Replay("http", tuple(replies), Latency(in_order(calls[1:]), cold, None if first is None else first[0]))


def _names_below(folder: Path) -> tuple[str, ...]:
    return tuple(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# A rehearsal


def _of_run(station: str, run: Run, examples: Sequence[Example]) -> Replay:
    answers = {answer.line: answer for answer in run.answers}
    raised = {each.line: f"{each.type}: {each.message}" for each in run.raised if each.line is not None}
    if not answers and not raised and examples:
        return Replay(station, (), latency(run), _reason(run))
    replies = []
    for example in examples:
        answer = answers.get(example.line)
        if answer is not None:
            replies.append(_reply(answer))
        else:
            replies.append(Reply(example.line, None, raised.get(example.line) or _reason(run)))
    unsteady = tuple(
        (trial.line, f"first {trial.details['first']}, then {trial.details['second']}, at predictions{trial.details['place']}")
        for trial in run.trials.found
        if trial.kind in ("random", "state")
    )
    return Replay(station, tuple(replies), latency(run), unsteady=unsteady)


def _reply(answer: Answer) -> Reply:
    if answer.problem == "type":
        return Reply(answer.line, None, f"predict returns {answer.type}, not a list")
    if answer.problem is not None:
        return Reply(answer.line, None, f"predictions{answer.place} is {answer.what}")
    if answer.rows != answer.instances:
        return Reply(answer.line, None, f"predict returns {answer.rows} predictions for {answer.instances} instances")
    return Reply(
        answer.line, answer.answer, "" if answer.answer is not None else "the answers together are too large to compare"
    )


def _reason(run: Run) -> str:
    """Why a rehearsal did not come to an answer."""
    if run.install_failure is not None:
        package, output = run.install_failure
        return f"{package} does not install: {output.strip()[-_LOG_BYTES:] or 'pip gave no reason'}"
    if run.raised:
        last = run.raised[-1]
        return f"{last.phase} raised {last.type}: {last.message}"
    if run.missing is not None:
        return f"{run.missing[0]} has no such class"
    if run.timed_out:
        return f"it was stopped after {run.timeout:g} seconds"
    if run.status:
        return f"the process ended with status {run.status} in {run.last_phase.replace('_', ' ')}"
    return "the class is not one that the service takes; see `cpr validate`"


# A server


@contextmanager
def _served(bundle: Bundle, timeout: float) -> Iterator[str]:
    """The URL of a server while the ``with`` statement lasts. ``ServingError`` where it does not start."""
    with tempfile.TemporaryDirectory(prefix="cpr-", ignore_cleanup_errors=True) as folder, open(f"{folder}/log", "w+b") as log:
        command = [sys.executable, "-m", "cpr", "serve", str(bundle.root.resolve()), "--port", "0", "--json", "--quiet"]
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}  # the folder it stands in is none to import from
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
        )
        assert process.stdout is not None
        stop = Timer(timeout, process.kill)
        stop.start()
        try:
            yield _url_in(process.stdout.readline(), Path(folder, "log"))
        finally:
            stop.cancel()
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _url_in(line: bytes, log: Path) -> str:
    """What a server says first: that it is ready, or what is wrong."""
    try:
        said = json.loads(line)
        return str(said["url"]) if "url" in said else _refuse(str(said["error"]["message"]))
    except (ValueError, KeyError, TypeError):
        text = log.read_bytes()[-_LOG_BYTES:].decode("utf-8", "replace").strip()
        return _refuse(f"It did not start{f': {text}' if text else ''}.")


def _refuse(message: str) -> str:
    raise ServingError(message, "Start it with `cpr serve` and read its log.")
