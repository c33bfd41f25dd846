"""Batches made of the examples' instances, tried in the child of a rehearsal: each instance must be answered as in its example.

Loaded by path beside :mod:`probe`; runs on the target's Python, from 3.7 on, with the standard library alone.
"""

import json
from typing import Any, Callable, Dict, List, Optional, Tuple

_MOST_ITEMS = 32  # instances in the largest batch that is made
_MOST_BYTES = 1000000  # of JSON in it: a request may have 1.5 MB


class Item:
    """One instance of an example, and what it was answered with there."""

    def __init__(self, case: Any, index: int, answer: Any) -> None:
        self.case = case
        self.index = index
        self.instance = case.instances[index]
        self.answer = answer

    @property
    def name(self) -> str:
        return "line {} instances[{}]".format(self.case.line, self.index)


class Batches:
    """The trials with batches. ``afterwards`` is called when there were any."""

    def __init__(self, trials: Any, afterwards: Callable[[], None]) -> None:
        self._trials = trials
        self._afterwards = afterwards

    def run(self) -> None:
        """Mix only examples that are alike in all but their instances."""
        groups: Dict[str, List[Any]] = {}
        for case in self._trials.cases:
            groups.setdefault(case.key, []).append(case)
        tried, left_out = False, False
        for cases in groups.values():
            for items in _plans(_pooled(cases), len(cases)):
                if self._trials.budget.allows(len(items), share=0.6):
                    self._try(items)
                    tried = True
                else:
                    left_out = True
        if tried:
            self._trials.tried.append("batches")
            self._afterwards()
        if left_out:
            self._trials.leave_out("some batches" if tried else "batches")

    def _try(self, items: List[Item]) -> None:
        reply = self._ask(items)
        if reply.refused:
            return
        line, batch = items[0].case.line, _named(items)
        lone = "yes" if all(len(case.instances) == 1 for case in self._trials.cases) else "no"
        problem = reply.problem if reply.raised else "predict returns {}".format(reply.problem)
        if reply.no_list:
            self._trials.find("length", line, batch=batch, problem=problem, lone=lone)
        elif reply.text is None:
            self._trials.find("batch_fails", line, batch=batch, problem=problem)
        elif len(reply.items()) != len(items):
            problem = "predict returns {} predictions for {} instances".format(len(reply.items()), len(items))
            self._trials.find("length", line, batch=batch, problem=problem, lone=lone)
        elif self._trials.constant:
            self._compare(items, reply.items())

    def _ask(self, items: List[Item]) -> Any:
        return self._trials.caller.ask([item.instance for item in items], items[0].case.others)

    def _compare(self, items: List[Item], answers: List[Any]) -> None:
        at = next((i for i, item in enumerate(items) if self._between(item, item.answer, answers[i])), None)
        if at is None:
            return
        if self._trials.comparing.is_permutation([item.answer for item in items], answers):
            self._tell("order", items, at, items[at].answer, answers[at])
        elif "batch" not in self._trials.told:
            self._smallest(items, at, answers[at])

    def _smallest(self, items: List[Item], at: int, answer: Any) -> None:
        """Tell of a batch of two instances where one shows it."""
        item, alone = items[at], items[at].answer
        if len(items) > 1 and self._trials.budget.allows(1):
            reply = self._ask([item])
            alone = reply.items()[0] if len(reply.items()) == 1 else alone
        for other in [other for other in items if other is not item][:3] if len(items) > 2 else ():
            found = self._ask([item, other]).items() if self._trials.budget.allows(2) else []
            if len(found) == 2 and self._between(item, alone, found[0]):
                items, answer = [item, other], found[0]
                break
        if self._between(item, alone, answer) is None:
            alone, answer, items = item.answer, alone, [item]  # it is the example's own batch that differs
        self._tell("batch", items, items.index(item), alone, answer)

    def _tell(self, kind: str, items: List[Item], at: int, alone: Any, answer: Any) -> None:
        item = items[at]
        place, first, second = self._between(item, alone, answer) or ("", "", "")
        size = len(item.case.instances)
        others = [other for number, other in enumerate(items) if number != at]
        self._trials.find(
            kind,
            item.case.line,
            item=item.name,
            place=place,
            first=first,
            second=second,
            one="in a batch of {}".format(size) if size > 1 and not others else "alone",
            other="in a batch with {}".format(_named(others)) if others else "alone",
        )

    def _between(self, item: Item, one: Any, other: Any) -> Optional[Tuple[str, str, str]]:
        found = self._trials.between(item.case, one, other)  # type: Optional[Tuple[str, str, str]]
        return found


def _pooled(cases: List[Any]) -> List[Item]:
    """Instances of all of them: the first of each, then the second of each, as many as one batch is to have."""
    answers = [case.items() for case in cases]
    pool = []  # type: List[Item]
    size = 0
    for index in range(max(len(case.instances) for case in cases)):
        for case, items in zip(cases, answers):
            if index < len(case.instances):
                size += len(json.dumps(case.instances[index]))
                if len(pool) >= _MOST_ITEMS or size > _MOST_BYTES:
                    return pool
                pool.append(Item(case, index, items[index]))
    return pool


def _plans(pool: List[Item], examples: int) -> List[List[Item]]:
    """The batches to try, the cheapest first."""
    if len(pool) < 2:
        return [pool * 2] if pool else []
    crowded = [item for item in pool if len(item.case.instances) > 1]
    plans = [[item] for item in crowded[:: max(1, len(crowded) // 3)][:4]]
    plans.append([pool[-1], pool[0]])
    if len(pool) > 2:
        plans.append(pool[::-1])
        if examples > 1:
            plans.append(pool)
    return plans


def _named(items: List[Item]) -> str:
    names = [item.name for item in items[:3]]
    return ", ".join(names) + (" and {} more".format(len(items) - 3) if len(items) > 3 else "")
