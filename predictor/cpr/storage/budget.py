"""Memory that threads share: who wants to read content waits until enough of it was given back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from cpr.storage.base import Stopped

_M_ARENA_MAX = -8
"""An option of glibc's ``mallopt``."""


class Budget:
    """``size`` bytes. Whoever wants more than all of it gets it when nobody else has any."""

    def __init__(self, size: int) -> None:
        self._size = self._left = size
        self._closed = False
        self._changed = threading.Condition()
        _share_arenas()

    def take(self, count: int) -> None:
        """Wait for ``count`` bytes. ``Stopped`` where the budget was closed meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._left >= min(count, self._size))
            if self._closed:
                raise Stopped
            self._left -= count

    def give_back(self, count: int) -> None:
        with self._changed:
            self._left += count
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody gets anything any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @contextmanager
    def taken(self, count: int) -> Iterator[None]:
        self.take(count)
        try:
            yield
        finally:
            self.give_back(count)


def _share_arenas() -> None:
    """Let the threads of this process share what they free: in glibc each keeps some megabytes of it for itself otherwise, so
    that a budget of 96 MiB took 180."""
    with suppress(AttributeError, ImportError, OSError, TypeError):  # another C library or system, or a Python without libffi
        import ctypes

        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
