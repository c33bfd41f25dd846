"""The child of a rehearsal: loads a routine as the service does, replays requests, and writes down what happened.

Run by path (``python -I probe.py JOB.json``) by :mod:`cpr.isolation`; never imported by cpr, and imports nothing of it: it
runs on the Python of the target, from 3.7 on, with the standard library alone. What it learns goes to a file of JSON lines,
each written and closed before the author's code runs on, so that a crash loses nothing. Standard output and error are theirs.

The job: ``site`` (folder with the installed packages), ``model_dir``, ``predictor`` (``module.Class``), ``requests`` (a file of
JSON lines ``{"line", "request", "expect": bool, "rtol", "atol"}``), ``results`` (where to write), ``started``
(``time.monotonic()`` of the parent), ``cut_network``, ``decode_b64``, and ``sight``, which ``probe_imports.py`` explains.
Further keys may be left out: ``deadline`` (on that clock), ``behaviour`` (False: the replay alone), ``samples`` and
``sample_seconds`` (calls to time, for how long at most).
"""

import base64
import contextlib
import ctypes
import errno
import importlib.util
import inspect
import json
import math
import os
import platform
import socket
import struct
import sys
import time
import traceback
from typing import Any, Dict, Iterator, List, Optional, Tuple

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_GET_FLAGS = 0x8913
_SET_FLAGS = 0x8914
_IFF_UP = 0x1

# Bound before the author's code runs, which may put something else in their place (a clock that stands still, an ``open``
# that knows URLs).
_dumps, _loads = json.dumps, json.loads
_now = time.monotonic
_open_file, _open, _write, _close = open, os.open, os.write, os.close
_process, _exit = os.getpid, os._exit

_MAX_TEXT = 4000  # characters of an error message or traceback that travel
_MAX_PLACE = 120  # characters of the place in an answer
_MAX_ANSWERS = 128 * 1024 * 1024  # bytes of answers that travel to be compared; a response may have 1.5 MB
_MAX_CASES, _MAX_CASE_BYTES = 32, 4 * 1024 * 1024  # examples that are tried further, and bytes of one's answer
_MAX_BEHAVIOUR = 60.0  # seconds for the trials
_SIBLINGS = ("at_import", "calling", "comparing", "behaviour", "batching", "strain")  # loaded before the author's code runs


def _beside(name: str) -> Any:
    """A module of the folder of this file, which is not on the path: it is cpr's own."""
    place = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
    spec = importlib.util.spec_from_file_location("_cpr_" + name, place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Results:
    """The file of events. Opened anew for each: the author's code may close every descriptor it does not know."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.process = _process()

    def emit(self, event: str, **fields: Any) -> None:
        if _process() != self.process:
            _exit(0)  # a fork that came back from the author's code: its story is not this rehearsal's
        fields["event"] = event
        data = (_dumps(fields) + "\n").encode("ascii")
        descriptor = _open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            while data:
                data = data[_write(descriptor, data) :]
        finally:
            _close(descriptor)


class Peak:
    """The peak of resident memory in MiB since ``reset``: VmHWM, which writing 5 to clear_refs sets back (proc(5)).

    Elsewhere than on Linux ``ru_maxrss``, which never falls; ``None`` where there is neither.
    """

    def reset(self) -> None:
        try:
            with _open_file("/proc/self/clear_refs", "w") as file:
                file.write("5")
        except OSError:
            pass

    def read(self) -> Optional[float]:
        try:
            with _open_file("/proc/self/status", "rb") as file:
                for row in file:
                    if row.startswith(b"VmHWM:"):
                        return int(row.split()[1]) / 1024
        except OSError:
            pass
        try:
            import resource
        except ImportError:
            return None
        unit = 1024 * 1024 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit

    def shared(self) -> Optional[float]:
        """What of resident memory is pages of files, in MiB: a second process of the same routine shares them."""
        try:
            with _open_file("/proc/self/status", "rb") as file:
                for row in file:
                    if row.startswith(b"RssFile:"):
                        return int(row.split()[1]) / 1024
        except OSError:
            pass
        return None


class Network:
    """Cuts the network off and remembers who was called. Loopback stays up.

    ``grade`` is how: by a ``namespace`` of its own; by an ``audit-hook`` that refuses what Python code asks for, where there
    can be no namespace (native code and other programs pass it); or ``none``.
    """

    def __init__(self) -> None:
        self.grade = "none"
        self.refuses = False
        self.calls = []  # type: List[str]

    def cut(self) -> None:
        """Move into a network namespace of one's own: at once for root, through a user namespace for everybody else."""
        if sys.platform != "linux":
            return
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(_CLONE_NEWNET) != 0:
                uid, gid = os.getuid(), os.getgid()
                if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
                    return
                self._map(uid, gid)
        except (OSError, AttributeError):
            return
        self.grade = "namespace"
        self._raise_loopback()

    def _map(self, uid: int, gid: int) -> None:
        rows = (("setgroups", "deny"), ("uid_map", "{} {} 1".format(uid, uid)), ("gid_map", "{} {} 1".format(gid, gid)))
        for name, text in rows:
            try:
                with open("/proc/self/" + name, "w") as file:
                    file.write(text)
            except OSError:
                pass  # the network is cut all the same; only the names of user and group are lost

    def _raise_loopback(self) -> None:
        import fcntl

        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                answer = fcntl.ioctl(sock.fileno(), _GET_FLAGS, struct.pack("16sH22x", b"lo", 0))
                flags = struct.unpack("16sH22x", answer)[1]
                fcntl.ioctl(sock.fileno(), _SET_FLAGS, struct.pack("16sH22x", b"lo", flags | _IFF_UP))
        except OSError:
            pass

    def refuse(self) -> None:
        """Where no namespace was to be had: have ``watch`` refuse what is not loopback."""
        if self.grade == "none" and hasattr(sys, "addaudithook"):
            self.grade, self.refuses = "audit-hook", True

    def watch(self) -> None:
        """Note the addresses that Python code asks for. Native code and Python 3.7 are not heard; the cut holds there too."""
        if hasattr(sys, "addaudithook"):
            sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: Tuple[Any, ...]) -> None:
        if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
            host = arguments[0]
        elif event in _CALLS and len(arguments) > 1 and isinstance(arguments[1], tuple) and arguments[1]:
            host = arguments[1][0]
        else:
            return
        if isinstance(host, bytes):
            host = host.decode("ascii", "replace")
        if not isinstance(host, str) or _is_local(host):
            return
        if host not in self.calls and len(self.calls) < 8:
            self.calls.append(host)
        if self.refuses and event in _CALLS:
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))  # as in a namespace
        if self.refuses and not _is_address(host):
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


_CALLS = ("socket.connect", "socket.sendto", "socket.sendmsg")


def _is_local(host: str) -> bool:
    if host.lower().startswith("::ffff:"):
        host = host[len("::ffff:") :]
    here = ("", "localhost", "::1", "::", "0.0.0.0", socket.gethostname())  # noqa: S104 - asked for, not bound
    return host in here or host.startswith("127.")


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host.partition("%")[0])
            return True
        except (OSError, ValueError):
            pass
    return False


class Refused(Exception):
    """What was found stops the rehearsal; it is already written down."""


class Stats(dict):  # type: ignore[type-arg]
    """What the service passes as ``stats``: microseconds by the name of a phase."""

    @contextlib.contextmanager
    def time(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self[name] = round((time.perf_counter() - start) * 1e6)


class Probe:
    """One rehearsal."""

    def __init__(self, job: Dict[str, Any]) -> None:
        self.job = job
        self.results = Results(job["results"])
        self.peak = Peak()
        self.network = Network()
        self.sight = _beside("probe_imports").Sight(job.get("sight", {}), job["site"], self.results.emit)
        self.answer_bytes = 0
        self.at = ("import", None)  # type: Tuple[str, Optional[int]]
        self.siblings = {name: _beside("probe_" + name) for name in _SIBLINGS}
        self.cases = []  # type: List[Any]
        self.replayed = None  # type: Optional[Tuple[Any, bool, float]]

    def run(self) -> None:
        """All of it. What goes wrong where nobody expects it is the work of an object of the author's, and told as such."""
        try:
            self._rehearse()
        except Refused:
            pass
        except BaseException as error:
            phase, line = self.at
            self._raised("predict" if phase.endswith("_predict") else phase, error, len(self.network.calls), line)
        self.results.emit("costs", by_package=self.sight.costs.by_package)
        names = sorted({name.partition(".")[0] for name in list(sys.modules) if isinstance(name, str)})
        self.results.emit("done", modules=names, calls=self.network.calls)
        if self.replayed is not None and self.cases and self.job.get("behaviour", True):
            self._observe(*self.replayed)

    def _rehearse(self) -> None:
        if self.job["cut_network"]:
            self.network.cut()
            self.network.refuse()
        self.results.emit(
            "start",
            network=self.network.grade,
            python=platform.python_version(),
            implementation=platform.python_implementation(),
            platform=_platform(),
        )
        self._phase_done("interpreter", _now() - self.job["started"])
        self.network.watch()
        self.sight.install()
        sys.path.insert(0, self.job["site"])
        cls = self._import()
        self._describe(cls)
        routine = self._from_path(cls)
        start = _now()
        keywords = _takes_service_keys(inspect.getfullargspec(cls.predict))
        self._replay(routine, keywords)
        self.replayed = (routine, keywords, _now() - start)

    def _observe(self, routine: Any, keywords: bool, seconds: float) -> None:
        """Try the class further, in about as much time as the replay took. What is told from here on is about these trials."""
        self.results.emit("enter", phase="trials", line=None)
        left = self.job.get("deadline", _now() + 2 * _MAX_BEHAVIOUR) - _now()
        budget = min(0.4 + 0.8 * seconds, _MAX_BEHAVIOUR, left / 2)

        def extra() -> Dict[str, Any]:
            return {"stats": Stats(), "signature_name": None} if keywords else {}

        def load(name: str) -> Any:
            return self.siblings[name]

        decode = _decoded if self.job["decode_b64"] else list
        caller = load("calling").Caller(routine, decode, extra)
        trials = load("behaviour").Trials(load, caller, self.cases, self.results.emit, budget)
        samples = min(self.job.get("sample_seconds", 0.0), left / 4)
        try:
            load("behaviour").observe(trials, load, self.job.get("samples", 0), samples)
        except BaseException as error:
            self.results.emit("broken_off", problem=self._clean("{}: {}".format(_type_name(type(error)), _text(error))))

    def _enter(self, name: str, line: Optional[int] = None, again: bool = False) -> float:
        """A phase begins; ``again``: one that goes on with another example."""
        self.at = (name, line)
        self.results.emit("enter", phase=name, line=line)
        if not again:
            self.peak.reset()
        return _now()

    def _phase_done(self, name: str, seconds: float, calls: int = 0) -> None:
        peak, shared = self.peak.read(), self.peak.shared()
        self.results.emit("phase", name=name, seconds=seconds, peak_mib=peak, shared_mib=shared, calls=calls)
        if name in ("import", "from_path"):  # told again at the end, which may never come
            self.results.emit("costs", by_package=self.sight.costs.by_package)

    def _raised(self, phase: str, error: BaseException, calls_before: int, line: Optional[int] = None) -> None:
        site = self.job["site"]
        beside = os.path.dirname(os.path.abspath(__file__)) + os.sep
        tool = (__file__, beside, os.path.join(site, "cpr") + os.sep, "<frozen importlib")
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(tool)]
        own = [frame for frame in frames if frame.filename.startswith(site + os.sep)]
        where = "{}:{}".format(own[-1].filename[len(site) + 1 :], own[-1].lineno) if own else None
        remedy = _text_of(error, "remedy")
        self.results.emit(
            "raised",
            phase=phase,
            line=line,
            type=_type_name(type(error)),
            message=self._clean(_text(error)),
            module=_text_of(error, "name") if isinstance(error, ImportError) else None,
            remedy=remedy and self._clean(remedy),
            where=where,
            traceback=self._clean(_traceback(error, frames)) if frames else None,
            network=len(self.network.calls) > calls_before and _is_os_error(error),
            hidden=self.sight.reason(error),
            calls=self.network.calls,
        )

    def _clean(self, text: str) -> str:
        """The text with this run's own folders left out."""
        return text.replace(self.job["site"] + os.sep, "").replace(self.job["model_dir"], "model")

    def _import(self) -> Any:
        """The class, looked up as the service does (``pydoc.locate``): import as far as it goes, then attributes."""
        start = self._enter("import")
        calls = len(self.network.calls)
        parts = self.job["predictor"].split(".")
        at_import = self.siblings["at_import"].AtImport(self.job["site"])
        at_import.begin()
        try:
            module, depth = _import_modules(parts)
        except BaseException as error:
            self._raised("import", error, calls)
            raise Refused from None
        at_import.end()
        for kind, what, where in at_import.found:
            self.results.emit("at_import", kind=kind, what=what[:200], where=where)
        found = module
        for part in parts[depth:]:
            found = getattr(found, part, None)
        if found is None:
            members = getattr(module, "__dict__", {})
            classes = sorted(name for name, value in members.items() if inspect.isclass(value))
            self.results.emit("missing", module=".".join(parts[:depth]), classes=classes)
            raise Refused
        self._phase_done("import", _now() - start)
        return found

    def _describe(self, cls: Any) -> None:
        """What the service looks at when a version is made, and what it does not."""
        from_path, predict = _method(cls, "from_path"), _method(cls, "predict")
        arguments, keywords, signature = None, None, None
        if predict is not None:
            try:
                spec = inspect.getfullargspec(predict)
                arguments, keywords = len(spec.args), _takes_service_keys(spec)
                signature = "predict" + str(inspect.signature(predict))
            except (TypeError, ValueError):
                pass
        self.results.emit(
            "class",
            from_path=from_path is not None,
            bound=_takes_one(from_path),
            predict=predict is not None,
            arguments=arguments,
            keywords=keywords,
            signature=signature,
            bases=[_type_name(base) for base in getattr(cls, "__mro__", ())],
        )
        if from_path is None or predict is None or arguments != 2 or not _takes_one(from_path):
            raise Refused

    def _from_path(self, cls: Any) -> Any:
        start = self._enter("from_path")
        calls = len(self.network.calls)
        try:
            routine = cls.from_path(self.job["model_dir"])
        except BaseException as error:
            self._raised("from_path", error, calls)
            raise Refused from None
        self._phase_done("from_path", _now() - start)
        if not callable(getattr(routine, "predict", None)):
            self.results.emit("no_instance", type=_type_name(type(routine)))
            raise Refused
        return routine

    def _replay(self, routine: Any, keywords: bool) -> None:
        first = None  # type: Optional[Dict[str, Any]]
        steady, count = 0.0, 0
        with _open_file(self.job["requests"], "rb") as file:
            for row in file:
                example = _loads(row.decode("ascii"))
                phase = "first_predict" if first is None else "steady_predict"
                self._enter(phase, example["line"], again=count > 0)
                seconds = self._predict(routine, example, keywords, phase)
                if first is None:
                    first = example
                    self._phase_done(phase, seconds, 1)
                else:
                    steady, count = steady + seconds, count + 1
        if first is not None and count == 0:
            # One example alone shows the first call only, which is the slow one: once more, for the figures.
            self._enter("steady_predict", first["line"])
            steady, count = self._predict(routine, first, keywords, "steady_predict", judge=False), 1
        if count:
            self._phase_done("steady_predict", steady, count)

    def _predict(self, routine: Any, example: Dict[str, Any], keywords: bool, phase: str, judge: bool = True) -> float:
        request = _loads(_dumps(example["request"]))
        instances = request.pop("instances")
        rows = len(instances)
        if self.job["decode_b64"]:
            instances = _decoded(instances)
        if keywords:  # where it cannot take them, a check says so, and the rest is still worth knowing
            request["stats"] = Stats()
            request.setdefault("signature_name", None)
        calls = len(self.network.calls)
        start = _now()
        try:
            result = routine.predict(instances, **request)
        except BaseException as error:
            seconds = _now() - start
            if judge:
                self._raised("predict", error, calls, example["line"])
            if not isinstance(error, Exception):
                raise Refused from None
            return seconds
        seconds = _now() - start
        if judge:
            fields = {"line": example["line"], "seconds": seconds, "instances": rows, "type": _type_name(type(result))}
            text = self._judge(result, example["expect"], fields)
            self._keep(example, rows, fields.get("rows", 0), text, seconds)
        return seconds

    def _keep(self, example: Dict[str, Any], rows: int, answered: int, text: Optional[str], seconds: float) -> None:
        """Keep an example that went well, with its answer, for the trials."""
        if text is None or not rows or len(self.cases) >= _MAX_CASES or len(text) > _MAX_CASE_BYTES:
            return
        if answered == rows:
            self.cases.append(self.siblings["calling"].Case(example, text, seconds))

    def _judge(self, result: Any, expected: bool, fields: Dict[str, Any]) -> Optional[str]:
        """Write down what an answer is; its text where it is one."""
        if isinstance(result, BaseException):
            self.results.emit("answer", problem="exception", place="", what=_exception(result), **fields)
            return None
        if not isinstance(result, list):
            self.results.emit("answer", problem="type", **fields)
            return None
        try:
            fields["rows"] = len(result)
            text = _dumps(result, allow_nan=False, separators=(",", ":"))  # as the server writes it: the size counts
        except BaseException as error:  # the author's objects may raise anything when they are read
            place, what = _misfit(result, error)
            problem = "nan" if what in ("NaN", "Infinity", "-Infinity") else "json"
            if what.startswith(_EXCEPTION):
                problem = "exception"
            self.results.emit("answer", problem=problem, place=place, what=what, **fields)
            return None
        fields["bytes"] = len(text) + len('{"predictions": }')
        self.answer_bytes += len(text)
        keep = expected and self.answer_bytes <= _MAX_ANSWERS
        self.results.emit("answer", problem=None, answer=text if keep else None, error=_error_in(result), **fields)
        return text


_EXCEPTION = "the exception "


def _exception(error: BaseException) -> str:
    return "{}{}: {}".format(_EXCEPTION, _type_name(type(error)), _text(error)[:200])


def _error_in(result: List[Any]) -> Optional[str]:
    """Where an answer has an error for a prediction: an object of that key alone, or the text of a traceback."""
    for index, item in enumerate(result):
        texts = [item.get(key) for key in ("error", "exception")] if type(item) is dict and len(item) <= 2 else []
        if any(type(text) is str for text in texts) or (type(item) is str and item.startswith("Traceback (most recent")):
            return "[{}]".format(index)
    return None


def _method(cls: Any, name: str) -> Any:
    """The method of that name; ``None`` where there is none, or only an abstract base's."""
    method = getattr(cls, name, None)
    return method if callable(method) and not getattr(method, "__isabstractmethod__", False) else None


def _takes_one(from_path: Any) -> bool:
    """False for a plain method: called on the class, it takes the model directory for its ``self`` and misses the other."""
    if not inspect.isfunction(from_path):
        return True
    try:
        inspect.signature(from_path).bind("")
    except TypeError:
        return False
    except ValueError:
        pass
    return True


def _takes_service_keys(spec: inspect.FullArgSpec) -> bool:
    return spec.varkw is not None or {"stats", "signature_name"} <= set(spec.kwonlyargs)


def _misfit(result: Any, error: BaseException) -> Tuple[str, str]:
    """Where an answer stops being JSON, and what is there; where that is not to be found, what the reader of it said."""
    refused = "something that raises {}: {}".format(_type_name(type(error)), _text(error)[:200])
    try:
        place, what = next(_misfits(result, "", 0), ("", refused))
    except BaseException:
        return "", refused
    return place if len(place) <= _MAX_PLACE else place[: _MAX_PLACE - 3] + "...", what


def _misfits(value: Any, place: str, depth: int) -> Iterator[Tuple[str, str]]:
    """What JSON cannot hold: the place and what is there."""
    if depth > 200:
        yield place, "something nested without end"
    elif isinstance(value, dict):
        for key, item in value.items():
            if not (key is None or isinstance(key, (str, int, float, bool))):
                yield place, "a key of type {}".format(_type_name(type(key)))
            for misfit in _misfits(item, "{}.{}".format(place, key), depth + 1):
                yield misfit
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            for misfit in _misfits(item, "{}[{}]".format(place, index), depth + 1):
                yield misfit
    elif isinstance(value, float):
        if math.isnan(value):
            yield place, "NaN"
        elif math.isinf(value):
            yield place, "Infinity" if value > 0 else "-Infinity"
    elif isinstance(value, BaseException):
        yield place, _exception(value)
    elif not (value is None or isinstance(value, (str, int, bool))):
        yield place, _type_name(type(value))


def _decoded(value: Any) -> Any:
    """``{"b64": text}`` at any depth as bytes, as ``cpr.payload.decoded``, which has already refused what is not base64."""
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if isinstance(value, dict):
        if len(value) == 1 and "b64" in value:
            return base64.b64decode("".join(value["b64"].split()))
        return {key: _decoded(item) for key, item in value.items()}
    return value


def _import_modules(parts: List[str]) -> Tuple[Any, int]:
    """What a dotted name leads to by imports alone, and how many of its parts that took; none found is ``(None, 0)``.

    As in ``pydoc.locate``, an import counts by the attribute that it leaves: in a package that puts a class in the place of
    its module of the same name, the class is found.
    """
    found = None  # type: Any
    for depth in range(len(parts)):
        name = ".".join(parts[: depth + 1])
        try:
            reached = __import__(name)  # type: Any
        except ImportError as error:
            if error.name != name:
                raise
            return found, depth
        for part in parts[1 : depth + 1]:
            reached = getattr(reached, part, None)
        if reached is None:
            return found, depth
        found = reached
    return found, len(parts)


def _is_os_error(error: Optional[BaseException]) -> bool:
    seen = set()  # type: Any
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.EACCES):
            return True
        error = error.__cause__ or error.__context__
    return False


def _type_name(cls: Any) -> str:
    module = getattr(cls, "__module__", "builtins")
    name = getattr(cls, "__qualname__", str(cls))
    return name if module == "builtins" else "{}.{}".format(module, name)


def _text(error: BaseException) -> str:
    try:
        return str(error)[:_MAX_TEXT]
    except BaseException:
        return "(its message cannot be read)"


def _text_of(error: BaseException, name: str) -> Optional[str]:
    """An attribute of an exception, where that is text."""
    try:
        value = getattr(error, name, None)
    except BaseException:
        return None
    return value[:_MAX_TEXT] if isinstance(value, str) else None


def _traceback(error: BaseException, frames: List[traceback.FrameSummary]) -> str:
    lines = ["Traceback (most recent call last):\n"]
    lines += traceback.format_list(frames[-30:])
    lines.append("{}: {}\n".format(_type_name(type(error)), _text(error)))
    return "".join(lines)[-_MAX_TEXT * 2 :]


def _platform() -> str:
    """As :func:`platform.platform`, which starts ``uname``: the processes seen here are to be the routine's."""
    if not hasattr(os, "uname"):
        return platform.platform()
    system = os.uname()
    libc = "".join(platform.libc_ver())
    return "-".join((system.sysname, system.release, system.machine, *(("with", libc) if libc else ())))


def main() -> None:
    beside = os.path.dirname(os.path.abspath(__file__))
    if not sys.flags.isolated and beside in sys.path:
        sys.path.remove(beside)  # where Python puts the folder of a script
    with open(sys.argv[1], "rb") as file:
        job = json.loads(file.read().decode("utf-8"))
    Probe(job).run()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BaseException:  # noqa: S110 - closed, or the author's own by now
            pass
    _exit(0)  # threads and exit handlers of the author's have no say any more


if __name__ == "__main__":
    main()
