"""How the class behaves, tried in the child of a rehearsal after the replay: the same again, in other batches, in threads.

Loaded by path beside :mod:`probe`; runs on the target's Python, from 3.7 on, with the standard library alone. What it learns
are events: ``trial`` for what is wrong, with a counter-example as text; ``untried`` for what would have taken too long;
``timing`` for how long calls took; ``behaved`` at the end. What they mean is for the checks to say.
"""

import json
import sys
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

_now = time.monotonic

Emit = Callable[..., None]


class Trials:
    """What the trials share: whom to call, with which examples, in how much time, and what was found.

    ``constant``: the same request is answered alike, as far as is known; where it is not, comparing answers shows nothing more.
    """

    def __init__(self, load: Callable[[str], Any], caller: Any, cases: List[Any], emit: Emit, seconds: float) -> None:
        self.calling = load("calling")
        self.comparing = load("comparing")
        self.caller = caller
        self.cases = cases
        self.emit = emit
        self.budget = self.calling.Budget(seconds, cases, caller.times)
        self.constant = True
        self.told = set()  # type: Any
        self.tried = []  # type: List[str]

    def find(self, kind: str, line: Optional[int], **details: str) -> None:
        """Tell the first counter-example of each kind."""
        if kind not in self.told:
            self.told.add(kind)
            self.emit("trial", kind=kind, line=line, details=details)

    def leave_out(self, what: str) -> None:
        self.emit("untried", what=what, call=self.budget.call)

    def differs(self, case: Any, text: str, reply: Any) -> Optional[Tuple[str, str, str]]:
        """Where a reply to an example is not the answer ``text``, and both there."""
        if reply.text == text:
            return None
        one = json.loads(text)
        if reply.text is None:
            return "", self.comparing.short(one), reply.problem
        return self.between(case, one, reply.items())

    def between(self, case: Any, one: Any, other: Any) -> Optional[Tuple[str, str, str]]:
        found = self.comparing.difference(one, other, case.rtol, case.atol)  # type: Optional[Tuple[str, str, str]]
        return found


def observe(trials: Trials, load: Callable[[str], Any], samples: int, sample_seconds: float) -> None:
    """All of it. ``samples``: that many calls are to be timed, in at most so many seconds, which the budget does not count."""
    start = _now()
    repeats = _Repeats(trials)
    repeats.run()
    load("batching").Batches(trials, repeats.once_more).run()
    strain = load("strain")
    strain.steady(trials, samples, sample_seconds)
    strain.in_threads(trials)
    trials.emit("behaved", seconds=_now() - start, calls=trials.caller.calls, tried=trials.tried)


class _Repeats:
    """Every example again, in the opposite order, so that another one came before it."""

    def __init__(self, trials: Trials) -> None:
        self._trials = trials
        self._caller = trials.caller

    def run(self) -> None:
        done, cases, budget = 0, self._trials.cases, self._trials.budget
        for case in reversed(cases):
            if not budget.allows(len(case.instances), share=0.5 if done else 1.0):
                break
            self._repeat(case, watch=True)
            done += 1
        if done:
            self._trials.tried.append("repeats")
        if done < len(cases):
            self._trials.leave_out("some repeats" if done else "repeats")

    def once_more(self) -> None:
        """The first example after other requests, which shows a state even where there is only one."""
        case = self._trials.cases[0]
        if self._trials.constant and self._trials.budget.allows(len(case.instances), share=0.5):
            self._repeat(case)

    def _repeat(self, case: Any, watch: bool = False) -> None:
        before = self._traits()
        again = self._caller.ask(case.instances, case.others, watch)
        if again.mutated:
            self._trials.find("mutates", case.line)
        found = self._trials.differs(case, case.text, again)
        if found is None:
            return
        self._trials.constant = False
        place, first, second = found
        once, twice = [self._caller.ask(case.instances, case.others) for _ in range(2)]
        changed = sorted(name for name, value in self._traits().items() if before.get(name) != value)
        in_a_row = once.text is not None and self._trials.differs(case, once.text, twice) is not None
        details = {"place": place, "first": first, "second": second}
        if in_a_row and not changed:
            self._trials.find("random", case.line, seeded=self._seeded(case), **details)
        else:
            self._trials.find("state", case.line, attributes=", ".join(changed[:3]), **details)

    def _traits(self) -> Dict[str, str]:
        """The routine's own plain attributes, lists by their length: what changes among them between calls is a state."""
        try:
            own = dict(vars(self._caller.routine))
        except TypeError:
            return {}
        traits = {}
        for name, value in own.items():
            if type(value) in (int, float, bool, str, type(None)):
                traits[str(name)] = repr(value)
            elif type(value) in (list, dict, set, bytes, tuple):
                traits[str(name)] = str(len(value))
        return traits

    def _seeded(self, case: Any) -> str:
        """Whether the answers are alike where the random generators start alike."""
        texts = set()
        for _ in range(2):
            for name in ("random", "numpy.random"):
                seed = getattr(sys.modules.get(name), "seed", None)
                if callable(seed):
                    seed(0)
            texts.add(self._caller.ask(case.instances, case.others).text)
        return "yes" if len(texts) == 1 else "no"
