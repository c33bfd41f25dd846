"""Which requests a fault proxy harms, and how."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ALWAYS = math.inf


@dataclass(frozen=True)
class Rule:
    """What happens to which requests: those whose ``method`` (whole) and ``path`` (any of it, with the query) match.

    ``first`` is the number of the matching request that is hit first, ``times`` how many are hit; with a ``probability`` each
    is hit by chance, the same ones for the same ``seed``.
    """

    fault: str
    value: Any = None
    method: str = ".*"
    path: str = ""
    first: int = 1
    times: float = 1
    probability: float = 1
    seed: int = 0

    @property
    def slows(self) -> bool:
        """Whether it harms no request by itself, and so may come on top of another fault."""
        return self.fault in ("delay", "stall", "act")


def drop(**which: Any) -> Rule:
    """Close the connection before anything is forwarded."""
    return _rule("drop", None, which)


def cut(after: int, **which: Any) -> Rule:
    """Forward so many bytes of the request's body, then close both connections."""
    return _rule("cut", after, which)


def lose_answer(**which: Any) -> Rule:
    """Forward the request and wait for the answer, then close the connection instead."""
    return _rule("lose_answer", None, which)


def stall(seconds: float, **which: Any) -> Rule:
    """Stop for a while in the middle of the request's body, or before the answer where it has none."""
    return _rule("stall", seconds, which)


def delay(seconds: float, **which: Any) -> Rule:
    """The latency of every request, unless ``times`` are given."""
    return _rule("delay", seconds, {"times": ALWAYS, **which})


def corrupt_request(at: int | None = None, **which: Any) -> Rule:
    """Flip a bit of the byte ``at``, that in the middle if not given, of the request's body."""
    return _rule("corrupt_request", at, which)


def corrupt_answer(at: int | None = None, **which: Any) -> Rule:
    """The same in the answer's body."""
    return _rule("corrupt_answer", at, which)


def truncate(after: int, **which: Any) -> Rule:
    """Send so many bytes of the answer's body, then close the connection."""
    return _rule("truncate", after, which)


def act(action: Callable[[], object], **which: Any) -> Rule:
    """Do something else when the request comes, before anything of it is forwarded."""
    return _rule("act", action, which)


def answer(status: int, retry_after: str | int | None = None, **which: Any) -> Rule:
    """Answer in the server's place, once the request was taken."""
    return _rule("answer", (status, retry_after), which)


def _rule(fault: str, value: Any, which: dict[str, Any]) -> Rule:
    return Rule(fault, value, **({"times": ALWAYS, **which} if "probability" in which else which))


@dataclass
class Chosen:
    """Counts the requests of one rule."""

    rule: Rule
    seen: int = 0
    hits: int = 0
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.rule.seed)

    def hit(self, method: str, path: str, harmed: bool) -> bool:
        """Whether it applies to this request; not where the request is ``harmed`` already."""
        rule = self.rule
        if not (re.fullmatch(rule.method, method) and re.search(rule.path, path)):
            return False
        self.seen += 1
        drawn = self.chance.random() < rule.probability
        if self.seen < rule.first or self.hits >= rule.times or not drawn or (harmed and not rule.slows):
            return False
        self.hits += 1
        return True
