"""Threads that run predictions, so that the event loop stays free to answer health checks.

Own threads rather than ``concurrent.futures``, whose threads keep the process alive until the last prediction ends: a stop has
to come after the grace period even if the routine never returns.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    function: Callable[[], Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


class Workers:
    """``count`` threads. With one, predictions run one after the other, as a routine that is not thread-safe needs it.

    At most ``waiting`` calls wait for a thread (``None``: any number): a queue that only grows answers nobody in time.
    """

    def __init__(self, count: int, waiting: int | None = None) -> None:
        self._waiting = waiting
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"predict-{index}", daemon=True) for index in range(count)]
        for thread in self._threads:
            thread.start()

    async def run(self, function: Callable[[], T]) -> T:
        """The result, or the error, of calling ``function`` in one of the threads. A cancelled call that waits is left out.

        ``queue.Full`` where too many wait already.
        """
        if self._waiting is not None and self._jobs.qsize() >= self._waiting:
            raise queue.Full
        loop = asyncio.get_running_loop()
        job = _Job(function, loop.create_future(), loop)
        self._jobs.put(job)
        result: T = await job.future
        return result

    def close(self, timeout: float = 0.0) -> None:
        """Let the threads end after what they are doing, and wait for them ``timeout`` seconds each."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(timeout)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.future.cancelled():
                continue
            try:
                result, error = job.function(), None
            except BaseException as caught:  # whatever it is, somebody waits for it
                result, error = None, caught
            try:
                job.loop.call_soon_threadsafe(_settle, job.future, result, error)
            except RuntimeError:
                return  # the loop is closed: the grace period is over
            del job, result, error  # or the last request would live until the next one comes


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
