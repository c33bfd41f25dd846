"""Bytes on their way, for a person: a bar with rate and time left on a terminal, a line a file elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeAlias

from cpr.cli.console import Console, size_text
from cpr.cli.layout import shortened
from cpr.cli.names import printable

Report: TypeAlias = Callable[[str, int], None]

_DRAWN_SECONDS, _TOLD_SECONDS = 0.1, 10.0
_WINDOW_SECONDS = 5.0
"""The rate is that of this long."""
_CELLS = 20


@contextmanager
def transfer(console: Console, sizes: Mapping[str, int]) -> Iterator[Report | None]:
    """What a transfer tells its progress to: the name of a file and how many bytes of it moved since it was last told.

    ``sizes`` has the bytes that will move, by name. ``None`` where nothing is to move, or with ``--quiet``. Any thread may call
    it.
    """
    if console.quiet or not sizes:
        yield None
        return
    meter = _Bar(sizes) if sys.stderr.isatty() else _Lines(sizes, console)
    try:
        yield meter.report
    finally:
        meter.end()


class _Meter:
    """Counts what moved. The clock starts with the first bytes."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._sizes, self._total = sizes, sum(sizes.values())
        self._moved: Counter[str] = Counter()
        self._sum = self._files = 0
        self._window: deque[tuple[float, int]] = deque()
        self._shown = time.monotonic()
        self._lock = threading.Lock()

    def report(self, name: str, count: int) -> None:
        with self._lock:
            now = time.monotonic()
            if not self._window:
                self._window.append((now, 0))
            self._moved[name] += count
            self._sum += count
            done = count >= 0 and self._moved[name] == self._sizes.get(name)
            self._files += done
            self._window.append((now, self._sum))
            while now - self._window[0][0] > _WINDOW_SECONDS and len(self._window) > 2:
                self._window.popleft()
            self._show(name, done, now)

    def _show(self, name: str, done: bool, now: float) -> None:
        raise NotImplementedError

    def end(self) -> None:
        """Nothing is told any more."""

    def _course(self) -> str:
        """How far it is, how fast, and how long it will take."""
        (since, before), (now, after) = self._window[0], self._window[-1]
        text = f"{size_text(min(self._sum, self._total))} of {size_text(self._total)}"
        if now - since < 0.5 or after <= before:
            return text
        rate = (after - before) / (now - since)
        return f"{text}, {size_text(round(rate))}/s, {_clock((self._total - self._sum) / rate)} left"


class _Bar(_Meter):
    def _show(self, name: str, done: bool, now: float) -> None:
        if now - self._shown < _DRAWN_SECONDS and not (done and self._files == len(self._sizes)):
            return
        self._shown = now
        share = min(self._sum / self._total, 1) if self._total else 1
        full = int(share * _CELLS)
        head = f"[{'#' * full}{'.' * (_CELLS - full)}] {int(share * 100):3d}%  {self._course()}  "
        width = _columns() - 1
        sys.stderr.write(f"\r\x1b[K{(head + shortened(printable(name), max(width - len(head), 0)))[:width]}")
        sys.stderr.flush()

    def end(self) -> None:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


class _Lines(_Meter):
    def __init__(self, sizes: Mapping[str, int], console: Console) -> None:
        super().__init__(sizes)
        self._console = console

    def _show(self, name: str, done: bool, now: float) -> None:
        if done:
            self._console.note(f"[{self._files}/{len(self._sizes)}] {printable(name)} ({size_text(self._sizes[name])})")
        elif now - self._shown > _TOLD_SECONDS:
            self._console.note(f"{printable(name)}: {self._course()}")
        else:
            return
        self._shown = now


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
