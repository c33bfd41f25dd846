"""Many calls in the child of a rehearsal: how long each takes, whether memory grows with every one, and calls in threads.

Loaded by path beside :mod:`probe`; runs on the target's Python, from 3.7 on, with the standard library alone.
"""

import gc
import sys
import threading
import time
from typing import Any, Dict, Iterable, List, Optional, Tuple

_now = time.monotonic

_LOOP_SECONDS = 0.1  # for the calls that show a leak, and for those in threads: of a fast routine, that is many
_LEAK_CALLS = 12  # the fewest that can show a leak
_MOST_CALLS = 400
_LEAK_BYTES = 8 * 1024 * 1024  # growth that is nothing else
_THREADS = 4
_PATIENCE = 3.0  # seconds for calls that take no time; a deadlock does not end at all


def steady(trials: Any, samples: int, sample_seconds: float) -> None:
    """The examples round and round, until ``samples`` calls are timed or, without any, as long as the budget has it."""
    budget = trials.budget
    if samples:
        start = _now()
        memory = _loop(trials, samples, 10 * samples, start + sample_seconds, start + sample_seconds / 8)
        budget.end += _now() - start
    elif budget.allows(1, _LEAK_CALLS, share=0.5):  # by the usual example: the time is bounded, should others take longer
        end = _now() + min(max(_LOOP_SECONDS, 2 * _LEAK_CALLS * budget.call), budget.left() / 2)
        memory = _loop(trials, _LEAK_CALLS, _MOST_CALLS, end, _now() + _LOOP_SECONDS)
    else:
        memory = []
    if len(memory) < _LEAK_CALLS:
        trials.leave_out("growth of memory")
        return
    trials.tried.append("growth of memory")
    if grows(memory):
        most = len(memory)
        end = _now() + 2 * most * budget.call + 1
        again = _loop(trials, most, most, end, 0.0, _marks(most))  # what only waits to be collected is no leak
        if len(again) == most and grows(again):
            first = _marks(len(again))[0]
            trials.find("leak", None, calls=str(len(again) - 1 - first), bytes=str(again[-1] - again[first]))


def _loop(trials: Any, least: int, most: int, end: float, soon: float, collect: Iterable[int] = ()) -> List[int]:
    """Calls until ``end`` or until there are ``most``; after ``soon`` the least will do. Resident memory after each; after
    those of the numbers ``collect``, once garbage is collected."""
    memory = []  # type: List[int]
    seconds, lines = [], []
    for count in range(most):
        now = _now()
        if now >= end or (count >= least and now >= soon):
            break
        case = trials.cases[count % len(trials.cases)]
        reply = trials.caller.ask(case.instances, case.others)
        seconds.append(reply.seconds)
        lines.append(case.line)
        if count in collect:
            gc.collect()
        resident = trials.calling.resident()
        if resident is not None:
            memory.append(resident)
    trials.emit("timing", lines=lines, seconds=seconds)
    return memory


def grows(memory: List[int]) -> bool:
    """Whether memory grows by about as much in each part of a row of calls, and by more than anything else explains."""
    if len(memory) < _LEAK_CALLS:
        return False
    marks = [memory[number] for number in _marks(len(memory))]
    growth = [later - sooner for sooner, later in zip(marks, marks[1:])]
    return marks[-1] - marks[0] >= _LEAK_BYTES and min(growth) > 0 and min(growth) >= 0.5 * max(growth)


def _marks(count: int) -> List[int]:
    """The calls that are compared. The first quarter is left out: caches and pools are filled there."""
    start = count // 4
    step = (count - 1 - start) / 4.0
    return [start + round(number * step) for number in range(5)]


def in_threads(trials: Any) -> None:
    """Calls in one thread that is not the main one, as a server makes them, and then in several at once."""
    rows = max(len(case.instances) for case in trials.cases)
    if not trials.budget.allows(rows, 2 * _THREADS):
        trials.leave_out("threads")
        return
    trials.emit("enter", phase="threads", line=None)
    trials.tried.append("threads")
    found = _Threads(trials).run(1, 1)
    if found is None and trials.constant:
        found = _Threads(trials).run(_THREADS, _MOST_CALLS)
    if found is not None:
        line, details = found
        trials.find("threads", line, **details)
    trials.emit("enter", phase="trials", line=None)


class _Threads:
    """Some threads that ask for the examples, each from another one on, until one of them has a problem or time is up."""

    def __init__(self, trials: Any) -> None:
        self._trials = trials
        self._found = []  # type: List[Tuple[int, Dict[str, str]]]

    def run(self, count: int, rounds: int) -> Optional[Tuple[int, Dict[str, str]]]:
        cases, slowest = self._trials.cases, max(case.seconds for case in self._trials.cases)
        end = _now() + min(_LOOP_SECONDS, self._trials.budget.left())
        patience = _PATIENCE + 20 * count * slowest
        ready = threading.Barrier(count)
        threads = [
            threading.Thread(target=self._work, args=(number, rounds, ready, end), daemon=True) for number in range(count)
        ]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)  # so that threads meet where they can
        try:
            for thread in threads:
                thread.start()
            last = _now() + patience
            for thread in threads:
                thread.join(max(0.0, last - _now()))
        finally:
            sys.setswitchinterval(interval)
        stuck = [number for number, thread in enumerate(threads) if thread.is_alive()]
        if stuck and not self._found:
            self._found.append((cases[stuck[0] % len(cases)].line, {"how": "hangs", "seconds": "{:.0f}".format(patience)}))
        if not self._found:
            return None
        line, details = self._found[0]
        details["threads"] = str(count)
        return line, details

    def _work(self, offset: int, rounds: int, ready: threading.Barrier, end: float) -> None:
        ready.wait(_PATIENCE)
        cases = self._trials.cases
        for number in range(rounds):
            if self._found or (number and _now() >= end):
                return
            case = cases[(offset + number) % len(cases)]
            problem = self._problem(case, self._trials.caller.ask(case.instances, case.others))
            if problem is not None:
                self._found.append((case.line, problem))
                return

    def _problem(self, case: Any, reply: Any) -> Optional[Dict[str, str]]:
        if reply.raised:
            return {"how": "raises", "problem": reply.problem}
        found = self._trials.differs(case, case.text, reply) if self._trials.constant else None
        return None if found is None else {"how": "differs", "place": found[0], "first": found[1], "second": found[2]}
