"""Requests to a store's server, signed and tried again where that may help."""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from cpr.storage.base import Sink, Stopped
from cpr.storage.wire import Answer, Body, BrokenWire, Wire

_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_FEW, _MANY = 2, 64
_OWN_SECONDS = 0.0003
"""What a request takes of this process."""
_FIRST_DELAY, _LONGEST_DELAY = 0.2, 10.0

Sign: TypeAlias = Callable[[str, str, dict[str, str], Body], None]
"""Adds to the headers of a request what proves who sends it: method, target, headers, body."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds a request is tried again once it has failed: one that asks, and one that moves content."""

    ask: float = 20.0
    move: float = 120.0


LOOPBACK = Patience(3.0, 3.0)
"""For a server on this machine: where nothing listens now, nothing will in two minutes."""


class Unreachable(Exception):
    """The server cannot be reached, or breaks off every answer."""


class Service:
    """One server. Every answer is returned, whatever its status, once trying again would not help any more.

    Tried again are 408, 429, 500, 502, 503, 504 and broken connections, after a delay that doubles from 0.2 to 10 seconds,
    drawn at random from its upper half, or the one that ``Retry-After`` asks for: what GCS and S3 ask of their clients
    (https://cloud.google.com/storage/docs/retry-strategy, https://docs.aws.amazon.com/general/latest/gr/api-retries.html).
    Never 4xx. ``renew`` is called once where the answer is 401: whether there are new credentials to try.
    """

    def __init__(self, wire: Wire, sign: Sign, renew: Callable[[], bool] = lambda: False) -> None:
        self.wire = wire
        self._sign = sign
        self._renew = renew
        self._patience = LOOPBACK if wire.loopback else Patience()
        self._quickest = float("inf")

    @property
    def parallel(self) -> int:
        """Requests that are worth having under way: as many as this process can begin while one of them is answered."""
        return max(_FEW, int(min(_MANY, self._quickest / _OWN_SECONDS)))

    def ask(self, method: str, target: str, headers: Mapping[str, str] | None = None, body: Body = None) -> Answer:
        return self._patiently(self._patience.ask, method, target, headers or {}, body, None)

    def move(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: Body = None, sink: Sink | None = None
    ) -> Answer:
        """The same for content. With a ``sink`` nothing is tried again once it has got a byte: ``BrokenWire`` then."""
        return self._patiently(self._patience.move, method, target, headers or {}, body, sink)

    def _patiently(
        self, seconds: float, method: str, target: str, headers: Mapping[str, str], body: Body, sink: Sink | None
    ) -> Answer:
        deadline, delay, renewed = float("inf"), _FIRST_DELAY, False
        watched = None if sink is None else _Watched(sink)
        while True:
            answer, wait, failure = None, random.uniform(delay / 2, delay), ""  # noqa: S311
            try:
                answer = self._once(method, target, headers, body, watched)
            except BrokenWire as error:
                if watched is not None and watched.begun:
                    raise
                if error.kept:
                    continue  # the server had closed it, as it may
                failure = str(error)
            if answer is not None:
                if answer.status == 401 and not renewed and self._renew():
                    renewed = True
                    continue
                if answer.status not in _AGAIN:
                    return answer
                wait = _retry_after(answer) or wait
            deadline = min(deadline, time.monotonic() + seconds)
            if time.monotonic() + wait > deadline:
                if answer is not None:
                    return answer
                raise Unreachable(failure)
            if self.wire.stopped.wait(wait):
                raise Stopped
            delay = min(2 * delay, _LONGEST_DELAY)

    def _once(self, method: str, target: str, headers: Mapping[str, str], body: Body, sink: Sink | None) -> Answer:
        signed = dict(headers)
        self._sign(method, target, signed, body)
        begun = time.monotonic()
        answer = self.wire.exchange(method, target, signed, body, sink)
        self._quickest = min(self._quickest, time.monotonic() - begun)
        return answer


class _Watched:
    """Knows whether anything has been written."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.begun = False

    def write(self, block: bytes) -> int:
        self.begun = True
        return self._sink.write(block)


def _retry_after(answer: Answer) -> float:
    """Seconds that the server asks to wait; 0 where it asks for nothing."""
    text = answer.header("Retry-After").strip()
    try:
        if text.isascii() and text.isdigit():
            return float(text)
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time()) if text else 0.0
    except (OverflowError, TypeError, ValueError):
        return 0.0
