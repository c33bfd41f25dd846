"""A TCP proxy that damages what passes: it replaces one byte string by another of the same length, up to ``times`` times."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class DamagingProxy:
    """Listens on ``port`` and forwards to ``target``; ``damaged`` counts the replacements made in both directions.

    ``requests`` is all that clients have sent, ``answered`` how many bytes the server sent them.
    """

    def __init__(self, target: int, find: bytes, replace: bytes, times: int) -> None:
        assert len(find) == len(replace)
        self._target, self._find, self._replace = target, find, replace
        self._left = times
        self._lock = threading.Lock()
        self.damaged = 0
        self.requests = bytearray()
        self.answered = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                self._start(self._pump, client, server)
                self._start(self._pump, server, client)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(1 << 20):
                while self._cut(block) and (more := source.recv(1 << 20)):
                    block += more
                if target.getpeername()[1] == self._target:
                    self.requests += block
                else:
                    self.answered += len(block)
                target.sendall(self._harm(block))
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _cut(self, block: bytes) -> bool:
        """Whether the block may end inside the string looked for."""
        return any(block.endswith(self._find[:length]) for length in range(4, len(self._find)))

    def _harm(self, block: bytes) -> bytes:
        with self._lock:
            while self._left > 0 and self._find in block:
                block = block.replace(self._find, self._replace, 1)
                self._left -= 1
                self.damaged += 1
        return block

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads[:1]:
            thread.join(5)
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for one in self._sockets:
            one.close()


@contextmanager
def damaging_proxy(target: int, find: bytes, replace: bytes, times: int = 1) -> Iterator[DamagingProxy]:
    proxy = DamagingProxy(target, find, replace, times)
    try:
        yield proxy
    finally:
        proxy.close()
