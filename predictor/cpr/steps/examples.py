"""Examples: the golden examples of a routine at its stations, and their expectations written down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpr import stations
from cpr.bundle import Bundle
from cpr.errors import PredictorError, ProjectError
from cpr.examples import ATOL, RTOL, Example, compare, read_examples
from cpr.project import Routine
from cpr.recording import Change, rewrite, with_expectations
from cpr.stations import Replay, Reply

STATIONS = ("source", "isolated", "bucket", "http")
"""In the order of a routine's way. All of one machine but the bucket."""


@dataclass(frozen=True, slots=True)
class Place:
    """What there is to replay at: a routine folder, a bundle made of it, the bundle that came from a bucket, the URL of a
    server that runs (``None``: one is started for the bundle)."""

    routine: Routine | None = None
    bundle: Bundle | None = None
    fetched: Bundle | None = None
    url: str | None = None

    @property
    def stations(self) -> tuple[str, ...]:
        there = {
            "source": self.routine is not None,
            "isolated": self.bundle is not None,
            "bucket": self.fetched is not None,
            "http": bool(self.url or self.bundle or self.fetched),
        }
        return tuple(station for station in STATIONS if there[station])


@dataclass(frozen=True, slots=True)
class Compared:
    """A replay, and the lines at which it differs, each with where and by how much."""

    replay: Replay
    differences: tuple[tuple[int, str], ...]

    @property
    def ok(self) -> bool:
        return not self.replay.problem and not self.differences

    def to_json(self) -> dict[str, Any]:
        return {
            "station": self.replay.station,
            "ok": self.ok,
            "examples": len(self.replay.replies),
            "problem": self.replay.problem or None,
            "differences": [{"line": line, "difference": text} for line, text in self.differences],
            "latency": self.replay.latency.to_json(),
        }


def replay(
    place: Place, examples: Sequence[Example], names: Iterable[str], timeout: float, say: Callable[[str], None]
) -> tuple[Compared, ...]:
    """The examples at these stations, one after the other. An example without an expectation must be answered everywhere as at
    the first station."""
    done: list[Replay] = []
    for name in [station for station in STATIONS if station in set(names)]:
        say(f"Replaying {len(examples)} example{'' if len(examples) == 1 else 's'}: {name}")
        done.append(_at(name, place, examples, timeout))
    return tuple(Compared(each, tuple(_differences(each, done[0], examples))) for each in done)


def _at(name: str, place: Place, examples: Sequence[Example], timeout: float) -> Replay:
    if name == "source" and place.routine is not None:
        return stations.at_source(place.routine, examples, timeout)
    if name == "http" and place.url is not None:
        return stations.at_url(place.url, examples, timeout)
    bundle = place.fetched or place.bundle if name in ("bucket", "http") else place.bundle
    assert bundle is not None, "the place has this station"
    if name == "http":
        return stations.over_http(bundle, examples, timeout)
    return stations.isolated(bundle, examples, timeout, station=name)


def _differences(here: Replay, first: Replay, examples: Sequence[Example]) -> Iterable[tuple[int, str]]:
    expected = {example.line: example.expect for example in examples}
    elsewhere = {reply.line: reply.predictions for reply in first.replies}
    for reply in here.replies:
        expect = expected[reply.line]
        if reply.predictions is None:
            yield reply.line, f"no answer: {reply.problem}"
        elif expect is not None:
            difference = compare(expect.predictions, reply.predictions, expect.rtol, expect.atol)
            if difference is not None:
                yield reply.line, difference
        elif elsewhere.get(reply.line) is not None:
            difference = compare(elsewhere[reply.line], reply.predictions, RTOL, ATOL)
            if difference is not None:
                yield reply.line, f"{difference}; the answer at the station {first.station} counts as expected"


def record(bundle: Bundle, path: Path, timeout: float, say: Callable[[str], None]) -> tuple[Change, ...]:
    """Write what the bundle answers to the examples at ``path`` as their expectations; what still holds stays as it is.

    ``PredictorError`` where an example has no answer, or where two processes, or two calls in one, answer it differently;
    nothing is written then.
    """
    before = path.read_bytes()
    examples = read_examples(path)
    if not examples:
        raise ProjectError("There is no example to record.", 'Write one request a line: {"instances": [...]}.', str(path))
    say("Running it in a fresh process, and in a second one")
    once = stations.isolated(bundle, examples, timeout, trials=True)
    answers = _answers(once, path)
    for line, text in once.unsteady:
        raise _unsteady(f"The same request is answered differently: {text}", path, line)
    again = _answers(stations.isolated(bundle, examples, timeout), path)
    for example in examples:
        rtol, atol = (RTOL, ATOL) if example.expect is None else (example.expect.rtol, example.expect.atol)
        difference = compare(answers[example.line], again[example.line], rtol, atol)
        if difference is not None:
            raise _unsteady(f"A second process answers differently, at {difference}", path, example.line)
    after, changes = with_expectations(before, answers, str(path))
    if after != before:
        rewrite(path, before, after)
    return changes


def _answers(replay: Replay, path: Path) -> dict[int, list[Any]]:
    """Every answer by its line; ``PredictorError`` where one is missing."""
    if replay.problem:
        raise PredictorError(
            f"The routine came to no example: {replay.problem}.", "See `cpr validate`; nothing was recorded.", str(path)
        )
    return {reply.line: _answer(reply, path) for reply in replay.replies}


def _answer(reply: Reply, path: Path) -> list[Any]:
    if reply.predictions is None:
        raise PredictorError(
            f"The example has no answer to record: {reply.problem}.",
            "Correct the routine or the example; nothing was recorded.",
            f"{path}:{reply.line}",
        )
    return reply.predictions


def _unsteady(message: str, path: Path, line: int | None) -> PredictorError:
    return PredictorError(
        f"{message}.",
        "Make the answer depend on the request alone (seeds, state, the time); nothing was recorded.",
        str(path) if line is None else f"{path}:{line}",
    )
