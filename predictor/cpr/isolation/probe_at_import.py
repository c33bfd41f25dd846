"""What the author's module does beside defining things, while it is imported in the child of a rehearsal.

Loaded by path beside :mod:`probe`; runs on the target's Python with the standard library alone. Before Python 3.8 there are no
audit events, and only threads and clients are seen. A library that opens files while it is imported is not meant: between its
frames and the author's are those of the import system.
"""

import os
import sys
import threading
from typing import Any, Dict, List, Optional, Tuple

_PROCESSES = ("subprocess.Popen", "os.system", "os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CLIENTS = (
    "boto3.",
    "botocore.",
    "google.api_core.",
    "google.cloud.",
    "googleapiclient.",
    "grpc.",
    "kafka.",
    "openai.",
    "psycopg2.",
    "pymongo.",
    "pymysql.",
    "redis.",
    "requests.sessions",
    "sqlalchemy.engine.",
)
_WORDS = ("Client", "Session", "Resource", "Engine", "Channel", "onnection", "Producer", "Consumer", "Redis", "OpenAI")
_IMPORT_SYSTEM = "<frozen importlib"
_MOST = 8

_getframe = sys._getframe


class AtImport:
    """Hears the audit events of an import. ``site`` is the folder of the author's packages."""

    def __init__(self, site: str) -> None:
        self.found = []  # type: List[Tuple[str, str, str]]
        self._site = site + os.sep
        self._tool = os.path.join(site, "cpr") + os.sep
        self._hears = False
        self._before = set()  # type: Any
        self._threads = []  # type: List[threading.Thread]

    def begin(self) -> None:
        self._before = set(sys.modules)
        self._threads = threading.enumerate()
        self._hears = True
        if hasattr(sys, "addaudithook"):
            sys.addaudithook(self._hear)

    def end(self) -> None:
        """The import is over, and went well: look for the threads it left running, and for clients among what it defined."""
        self._hears = False
        for thread in threading.enumerate():
            if thread not in self._threads:
                self._look_at(thread)
        for name, module in sorted(sys.modules.items(), key=lambda item: str(item[0])):
            if name not in self._before and self._own(str(getattr(module, "__file__", None) or "")):
                self._look_into(module)

    def _look_at(self, thread: threading.Thread) -> None:
        """Whether what a thread runs is the author's. That it starts is an audit event in no Python before 3.13."""
        for function in (getattr(thread, "_target", None), type(thread).run):
            code = getattr(getattr(function, "__func__", function), "__code__", None)
            if code is not None and self._own(code.co_filename):
                self._add("thread", thread.name, "{}:{}".format(code.co_filename[len(self._site) :], code.co_firstlineno))

    def _look_into(self, module: Any) -> None:
        path = module.__file__[len(self._site) :]
        for name, value in list(vars(module).items()):
            kind = type(value)
            full = "{}.{}".format(getattr(kind, "__module__", ""), getattr(kind, "__qualname__", ""))
            if _is_client(full) and not isinstance(value, type):
                self._add("client", full, "{}#{}".format(path, name))

    def _own(self, path: str) -> bool:
        return path.startswith(self._site) and not path.startswith(self._tool)

    def _hear(self, event: str, arguments: Tuple[Any, ...]) -> None:
        if not self._hears:
            return
        try:
            what = _meaning(event, arguments)
            where = None if what is None else self._place()
        except Exception:
            return  # an argument of a kind that nobody foresaw: what it means is not known
        if what is not None and where is not None:
            self._add(what[0], what[1], where)

    def _place(self) -> Optional[str]:
        """``module.py:line`` of the author's frame that is at work; ``None`` where that is a library's import, or nobody's."""
        frame = _getframe(2)  # type: Any
        while frame is not None:
            path = frame.f_code.co_filename
            if path.startswith(_IMPORT_SYSTEM):
                return None
            if self._own(path):
                return "{}:{}".format(path[len(self._site) :], frame.f_lineno)
            frame = frame.f_back
        return None

    def _add(self, kind: str, what: str, where: str) -> None:
        if len(self.found) < _MOST and all(known[::2] != (kind, where) for known in self.found):
            self.found.append((kind, what, where))


def _is_client(kind: str) -> bool:
    """Whether an instance of that class (its full name) talks to somebody."""
    last = kind.rpartition(".")[2]
    return kind.startswith(_CLIENTS) and (kind.startswith("botocore.client.") or any(word in last for word in _WORDS))


def _meaning(event: str, arguments: Tuple[Any, ...]) -> Optional[Tuple[str, str]]:
    """The kind of an event and what it was about; ``None`` for those that are nobody's concern."""
    if event == "open":
        path, mode, flags = arguments[:3]
        writes = set(mode) & set("wax+") if isinstance(mode, str) else isinstance(flags, int) and flags & _WRITES
        if not writes or isinstance(path, int):
            return None
        name = os.fsdecode(path)
        return None if name.startswith(("/dev/", "/proc/")) else ("file", os.path.basename(name))
    if event in _PROCESSES:
        return "process", _command(arguments)
    if event == "socket.bind":
        return "socket", ""
    if event == "socket.connect" and not isinstance(arguments[1], tuple):
        return "connection", str(arguments[1])  # those to other machines are the network's to tell
    return None


def _command(arguments: Tuple[Any, ...]) -> str:
    first = arguments[0] if arguments else ""
    return os.path.basename(os.fsdecode(first)) if isinstance(first, (str, bytes)) else ""


def events(found: List[Tuple[str, str, str]]) -> List[Dict[str, str]]:
    return [{"kind": kind, "what": what[:200], "where": where} for kind, what, where in found]
