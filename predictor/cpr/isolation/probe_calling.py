"""Further calls of a predictor in the child of a rehearsal: requests made of examples, what came, and how much time is left.

Loaded by path beside :mod:`probe`; runs on the target's Python, from 3.7 on, with the standard library alone.
"""

import json
import os
import time
from typing import Any, Callable, Dict, List, Optional

# Bound before the author's code runs, which may put something else in their place.
_dumps, _loads, _now = json.dumps, json.loads, time.monotonic
_open_file = open

_REFUSAL = "cpr.errors.RequestError"  # how a routine says that it wants no such request
_MAX_TEXT = 300
_MOST_TIMES = 64


class Case:
    """An example that was answered well in the replay, with that answer as JSON text."""

    def __init__(self, example: Dict[str, Any], text: str, seconds: float) -> None:
        request = dict(example["request"])
        self.line = example["line"]  # type: int
        self.instances = request.pop("instances")  # type: List[Any]
        self.others = request  # type: Dict[str, Any]
        self.key = _dumps(request, sort_keys=True)
        self.text = text
        self.seconds = seconds
        self.rtol = example.get("rtol", 0.0)  # type: float
        self.atol = example.get("atol", 0.0)  # type: float

    def items(self) -> List[Any]:
        items = _loads(self.text)  # type: List[Any]
        return items


class Reply:
    """What came of one call: ``text``, the answer as JSON, or ``problem``, a few words for what came in its place."""

    def __init__(self, seconds: float, text: Optional[str] = None, problem: str = "") -> None:
        self.seconds = seconds
        self.text = text
        self.problem = problem
        self.raised = False
        self.refused = False
        self.no_list = False
        self.mutated = False

    def items(self) -> List[Any]:
        items = _loads(self.text or "[]")  # type: List[Any]
        return items


class Caller:
    """Calls ``predict`` as the service does. ``decode`` turns instances into what the routine gets; ``extra`` gives anew the
    keywords that the service adds."""

    def __init__(self, routine: Any, decode: Callable[[Any], Any], extra: Callable[[], Dict[str, Any]]) -> None:
        self.routine = routine
        self.calls = 0
        self.times = []  # type: List[float]
        self._decode = decode
        self._extra = extra

    def ask(self, instances: List[Any], others: Dict[str, Any], watch: bool = False) -> Reply:
        """One call with copies of these; ``watch``: notice what it does to the instances."""
        sent = self._decode(_loads(_dumps(instances)))
        keywords = _loads(_dumps(others))
        for name, value in self._extra().items():
            keywords.setdefault(name, value)
        before = _picture(sent) if watch else ""
        self.calls += 1
        if len(self.times) > _MOST_TIMES:
            del self.times[:_MOST_TIMES]
        start = _now()
        try:
            result = self.routine.predict(sent, **keywords)
        except BaseException as error:
            return _failed(error, _now() - start)
        seconds = _now() - start
        self.times.append(seconds)
        reply = _read(result, seconds)
        reply.mutated = watch and _picture(sent) != before
        return reply


def _read(result: Any, seconds: float) -> Reply:
    if not isinstance(result, list):
        reply = Reply(seconds, problem="{}, not a list".format(_type_name(type(result))))
        reply.no_list = True
        return reply
    try:
        return Reply(seconds, _dumps(result, separators=(",", ":")))
    except BaseException as error:  # the author's objects may raise anything when they are read
        return Reply(seconds, problem="what is no JSON ({})".format(_told(error)))


def _failed(error: BaseException, seconds: float) -> Reply:
    reply = Reply(seconds, problem=_told(error))
    reply.raised = True
    reply.refused = _type_name(type(error)) == _REFUSAL
    return reply


def _told(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except BaseException:
        text = ""
    name = _type_name(type(error))
    return "{}: {}".format(name, text[:_MAX_TEXT]) if text else name


def _type_name(cls: Any) -> str:
    module = getattr(cls, "__module__", "builtins")
    name = getattr(cls, "__qualname__", str(cls))
    return name if module == "builtins" else "{}.{}".format(module, name)


def _picture(value: Any) -> str:
    try:
        return _dumps(value, default=repr)
    except BaseException:
        return "?"


class Budget:
    """Time for the trials, and what a call costs: by the replay, whose first call is a slow one, until ``times`` have begun."""

    def __init__(self, seconds: float, cases: List[Case], times: List[float]) -> None:
        self.end = _now() + seconds
        self._replay = _median([case.seconds for case in cases])
        self._times = times
        self._rows = max(1.0, _median([float(len(case.instances)) for case in cases]))

    @property
    def call(self) -> float:
        return _median(self._times) if self._times else self._replay

    def left(self) -> float:
        return max(0.0, self.end - _now())

    def allows(self, rows: int, calls: int = 1, share: float = 1.0) -> bool:
        """Whether that many calls with that many instances each are done, by all that is known, in a share of what is left."""
        return calls * self.call * max(1.0, rows / self._rows) <= share * self.left()


def _median(values: List[float]) -> float:
    return sorted(values)[len(values) // 2]


def resident() -> Optional[int]:
    """The process's resident memory in bytes; ``None`` elsewhere than on Linux."""
    try:
        with _open_file("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None
