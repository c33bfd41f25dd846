"""An HTTP proxy on loopback that does to chosen requests what networks and busy servers do.

``with fault_proxy(port, cut(1 << 20, method="PUT"), answer(503, times=2)) as proxy``: ``proxy.port`` is the endpoint then.
Every rule takes the keywords of ``Rule``. Delays, stalls and acts come on top of another fault; of the rest the
first applies.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, BinaryIO

from support.fault_rules import (
    ALWAYS,
    Chosen,
    Rule,
    act,
    answer,
    corrupt_answer,
    corrupt_request,
    cut,
    delay,
    drop,
    lose_answer,
    stall,
    truncate,
)
from support.http_messages import Head, body_of, end_of, framed, read_head

__all__ = [
    "ALWAYS",
    "FaultProxy",
    "Rule",
    "act",
    "answer",
    "corrupt_answer",
    "corrupt_request",
    "cut",
    "delay",
    "drop",
    "fault_proxy",
    "lose_answer",
    "stall",
    "truncate",
]


@dataclass
class Attempt:
    """A request that came, at ``time.monotonic()``. ``sent`` counts the bytes of its body that reached the server."""

    method: str
    path: str
    at: float
    faults: tuple[str, ...]
    sent: int = 0
    status: int | None = None


class FaultProxy:
    """``attempts`` is all that came, in order; ``hits`` how often each rule applied, in the order they were given in."""

    def __init__(self, target: int, rules: tuple[Rule, ...]) -> None:
        self._target = target
        self._chosen = [Chosen(rule) for rule in rules]
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self.attempts: list[Attempt] = []
        self._sockets: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def hits(self) -> list[int]:
        return [one.hits for one in self._chosen]

    def matching(self, method: str = ".*", path: str = "") -> list[Attempt]:
        """The attempts that a rule with these would match."""
        return [one for one in list(self.attempts) if re.fullmatch(method, one.method) and re.search(path, one.path)]

    def sent(self, method: str = ".*", path: str = "") -> int:
        """Bytes of bodies that reached the server."""
        return sum(one.sent for one in self.matching(method, path))

    def relent(self) -> None:
        """Harm nothing from now on."""
        with self._lock:
            for one in self._chosen:
                one.rule = replace(one.rule, times=0)

    def settle(self) -> None:
        """Wait until every connection has ended, whose clients are gone, and the server has answered what it got."""
        for thread in self._threads[1:]:
            thread.join(10)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                thread.start()
                self._threads.append(thread)

    def _serve(self, client: socket.socket) -> None:
        """The requests of one connection, each over the same connection to the server."""
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as server:
            self._sockets |= {client, server}
            with client.makefile("rb") as asked, server.makefile("rb") as told:
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while not self._closed.is_set() and (head := read_head(asked)):
                    if not self._pass(head, asked, client, told, server):
                        break
        self._sockets.discard(client)

    def _pass(self, head: Head, asked: BinaryIO, client: socket.socket, told: BinaryIO, server: socket.socket) -> bool:
        """One request and its answer. False ends the connections."""
        method, path, _ = head.words
        attempt, faults = self._noted(method, path)
        faults.get("act", bool)()
        self._closed.wait(faults.get("delay", 0))
        if "drop" in faults:
            return False
        if head.has(rb"expect:\s*100-continue"):
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "answer" in faults:
            for _ in body_of(asked, head):
                pass
            attempt.status = faults["answer"][0]
            client.sendall(_own_answer(*faults["answer"]))
            return not head.has(rb"connection:\s*close")
        self._forward(head, asked, server, faults, attempt)
        return "cut" not in faults and self._answer(head, told, client, faults, attempt)

    def _noted(self, method: str, path: str) -> tuple[Attempt, dict[str, Any]]:
        """What is done to a request: the value of each fault."""
        faults: dict[str, Any] = {}
        harmed = False
        with self._lock:
            for one in self._chosen:
                if one.hit(method, path, harmed):
                    faults[one.rule.fault] = one.rule.value
                    harmed = harmed or not one.rule.slows
            attempt = Attempt(method, path, time.monotonic(), tuple(faults))
            self.attempts.append(attempt)
        return attempt, faults

    def _forward(self, head: Head, asked: BinaryIO, server: socket.socket, faults: dict[str, Any], attempt: Attempt) -> None:
        server.sendall(head.without(b"expect"))
        blocks = _flipped(body_of(asked, head), head, faults, "corrupt_request")
        if "stall" in faults:
            blocks = self._stalled(blocks, faults["stall"], (head.length or 0) // 2)
        if "cut" in faults:
            blocks = _first(blocks, faults["cut"])
        for block in blocks:
            server.sendall(framed(block, head))
            attempt.sent += len(block)
        if "cut" not in faults:
            server.sendall(end_of(head))

    def _stalled(self, blocks: Iterator[bytes], seconds: float, middle: int) -> Iterator[bytes]:
        passed, stalled = 0, False
        for block in blocks:
            if not stalled and passed + len(block) > middle:
                if half := block[: middle - passed]:
                    yield half
                self._closed.wait(seconds)
                stalled, block = True, block[len(half) :]
            passed += len(block)
            yield block
        if not stalled:
            self._closed.wait(seconds)

    def _answer(self, asked: Head, told: BinaryIO, client: socket.socket, faults: dict[str, Any], attempt: Attempt) -> bool:
        while (head := read_head(told)) and head.words[1] == "100":
            pass
        if head is None:
            return False
        attempt.status = int(head.words[1])
        bare = asked.words[0] == "HEAD" or attempt.status in (204, 304)
        blocks = iter(()) if bare else _flipped(body_of(told, head, to_the_end=True), head, faults, "corrupt_answer")
        if "lose_answer" in faults:
            for _ in blocks:
                pass
            return False
        client.sendall(head.text)
        if "truncate" in faults:
            blocks = _first(blocks, faults["truncate"])
        for block in blocks:
            client.sendall(framed(block, head))
        if "truncate" in faults:
            return False
        client.sendall(b"" if bare else end_of(head))
        closing = head.has(rb"connection:\s*close") or asked.has(rb"connection:\s*close")
        return not closing and (bare or head.chunked or head.length is not None)

    def close(self) -> None:
        self._closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(5)
        for one in list(self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)


def _first(blocks: Iterator[bytes], left: int) -> Iterator[bytes]:
    while left > 0 and (block := next(blocks, b"")):
        yield block[:left]
        left -= len(block)


def _flipped(blocks: Iterator[bytes], head: Head, faults: dict[str, Any], fault: str) -> Iterator[bytes]:
    if fault not in faults:
        return blocks
    at = (head.length or 0) // 2 if faults[fault] is None else faults[fault]
    return _flip(blocks, at)


def _flip(blocks: Iterator[bytes], at: int) -> Iterator[bytes]:
    for start, block in _placed(blocks):
        here = at - start
        yield block[:here] + bytes([block[here] ^ 1]) + block[here + 1 :] if 0 <= here < len(block) else block


def _placed(blocks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    start = 0
    for block in blocks:
        yield start, block
        start += len(block)


def _own_answer(status: int, retry_after: str | int | None) -> bytes:
    again = "" if retry_after is None else f"Retry-After: {retry_after}\r\n"
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{again}Content-Length: 0\r\n\r\n".encode()


@contextmanager
def fault_proxy(target: int, *rules: Rule) -> Iterator[FaultProxy]:
    proxy = FaultProxy(target, rules)
    try:
        yield proxy
    finally:
        proxy.close()
