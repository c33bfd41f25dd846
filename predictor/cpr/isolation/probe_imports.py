"""What the child of a rehearsal may import, what of it the author's code asks for, and what each package costs to import.

Loaded by path by ``probe.py`` and on the same terms: Python 3.7, the standard library alone, nothing of cpr. It puts itself
around the finders that Python started with. A module that is hidden is not found, as on the service: ``try: import x`` and
``importlib.util.find_spec`` behave as they will there, and so does ``importlib.metadata``.

The job: ``hidden`` and ``watched`` (module: distribution), ``packages`` (top-level modules of what may be seen),
``distributions`` (names of the hidden ones) and ``installed`` (folders that distributions are installed in). None of them:
nothing is hidden.
"""

import os
import re
import sys
import sysconfig
import threading
import time
from importlib import machinery
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

_now, _process, _thread = time.monotonic, os.getpid, threading.get_ident
_open, _read, _close = os.open, os.read, os.close
_MAX_TOLD = 200  # imports that are written down


class Sight:
    """Every finder of this interpreter, looked through."""

    def __init__(self, job: Dict[str, Any], site: str, emit: Callable[..., None]) -> None:
        self.hidden: Dict[str, str] = job.get("hidden", {})
        self.watched: Dict[str, str] = job.get("watched", {})
        self.packages = set(job.get("packages", ()))
        self.distributions = set(job.get("distributions", ()))
        self.folders = tuple(path + os.sep for path in job.get("installed", ()))
        self.judges = "hidden" in job
        self.site, self.emit = site + os.sep, emit
        self.costs = Costs()
        self.process = _process()
        self.refused: Set[str] = set()
        self.told: Set[Tuple[str, Optional[str]]] = set()
        self.started: Tuple[str, ...] = ()

    def install(self) -> None:
        """Look from here on. What ``.pth`` files or ``sitecustomize`` imported before is looked for anew."""
        paths = sysconfig.get_paths()
        own = {os.path.join(paths[name], *more) for name in ("stdlib", "platstdlib") for more in ((), ("lib-dynload",))}
        self.started = tuple(path.rstrip(os.sep) + os.sep for path in sys.path if path and path not in own)
        for name, module in list(sys.modules.items()):
            hidden = name in self.hidden or name.partition(".")[0] in self.hidden
            if hidden and str(getattr(module, "__file__", "")).startswith(self.started):
                del sys.modules[name]  # not the standard library's of the same name
        sys.meta_path[:] = [Finder(finder, self) if _looks_at_files(finder) else finder for finder in sys.meta_path]

    def find(self, finder: Any, name: str, path: Any, target: Any) -> Any:
        spec = finder.find_spec(name, path, target)
        if spec is None:
            return None
        if self.judges and (path is None or name in self.hidden or name in self.watched):
            if not self._may_see(finder, name, spec):
                return None
        asker = sys._getframe(1).f_back  # Finder, importlib's own, and then whoever wants it
        asker = asker.f_back if asker is not None else None
        if asker is not None and asker.f_code.co_name == "_find_and_load_unlocked":  # not merely looked for
            if spec.loader is None or spec.origin is None:
                self.costs.namespaces.add(name)
            elif str(spec.origin).startswith((self.site, *self.started)):  # the standard library goes to whoever asks for it
                self.costs.watch(name, spec)
        return spec

    def reason(self, error: Optional[BaseException]) -> Optional[str]:
        """The hidden module that an exception, or one that it was raised over, is about."""
        seen: Set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            if isinstance(error, ImportError):
                for name in self.refused:
                    package, _, last = name.rpartition(".")
                    if error.name == name or (package and error.name == package and "'{}'".format(last) in str(error)):
                        return name
            error = error.__cause__ or error.__context__
        return None

    def _may_see(self, finder: Any, name: str, spec: Any) -> bool:
        if name not in self.hidden and name not in self.watched and name in self.packages:
            return True
        place = str(spec.origin or next(iter(spec.submodule_search_locations or ()), ""))
        editable = str(getattr(finder, "__module__", "")).startswith("__editable__")
        if not (place.startswith(self.started) or editable):
            return True  # the standard library's, the bundle's, or what the author's code brings along
        if name in self.hidden:
            self._tell(name, True, None)
            return False
        if name in self.watched:
            self._tell(name, False, None)
            return True
        stray = not place.startswith(self.folders)  # a folder that a ``.pth`` file names: it belongs to nothing installed
        self._tell(name, stray, os.path.dirname(place))
        return not stray

    def _tell(self, name: str, hidden: bool, folder: Optional[str]) -> None:
        if hidden:
            self.refused.add(name)
        where = self._author_line()
        if _process() != self.process or (name, where) in self.told or len(self.told) >= _MAX_TOLD:
            return
        self.told.add((name, where))
        self.emit("import", module=name, hidden=hidden, where=where, folder=folder)

    def _author_line(self) -> Optional[str]:
        """``module.py:line`` where the author's own code imports; ``None`` where another package does."""
        frame: Any = sys._getframe(1)
        machinery_of = ("<frozen importlib", __file__, os.path.join(os.path.dirname(os.__file__), "importlib") + os.sep)
        while frame is not None and frame.f_code.co_filename.startswith(machinery_of):
            frame = frame.f_back
        file = frame.f_code.co_filename if frame is not None else ""
        if not file.startswith(self.site) or file.startswith(os.path.join(self.site, "cpr") + os.sep):
            return None
        return "{}:{}".format(file[len(self.site) :], frame.f_lineno)


class Finder:
    """A finder of ``sys.meta_path`` that finds no more than may be seen."""

    def __init__(self, finder: Any, sight: Sight) -> None:
        self._finder, self._sight = finder, sight

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return self._sight.find(self._finder, name, path, target)

    def find_distributions(self, *context: Any, **keywords: Any) -> Any:
        find = getattr(self._finder, "find_distributions", None)
        for distribution in find(*context, **keywords) if find is not None else ():
            if not self._sight.distributions or _name(distribution) not in self._sight.distributions:
                yield distribution

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


def _looks_at_files(finder: Any) -> bool:
    return hasattr(finder, "find_spec") and finder not in (machinery.BuiltinImporter, machinery.FrozenImporter)


def _name(distribution: Any) -> str:
    return re.sub("[-_.]+", "-", str((distribution.metadata or {})["Name"])).lower()


class Costs:
    """Seconds and growth of resident memory in MiB by top-level package, each without the packages that it imports in turn."""

    def __init__(self) -> None:
        self.by_package: Dict[str, List[float]] = {}
        self._stack = [""]
        self.namespaces: Set[str] = set()
        self._thread = _thread()
        self._at = (0.0, 0.0)

    def watch(self, name: str, spec: Any) -> None:
        """Have the import of a module charged to its package."""
        parts = name.split(".")
        package = ".".join(parts[:2]) if parts[0] in self.namespaces else parts[0]
        if self._stack[-1] != package and _thread() == self._thread and hasattr(spec.loader, "exec_module"):
            spec.loader = _Watched(spec.loader, package, self)

    def enter(self, package: str) -> bool:
        if _thread() != self._thread or self._stack[-1] == package:
            return False
        self._charge()
        self._stack.append(package)
        return True

    def leave(self) -> None:
        self._charge()
        self._stack.pop()

    def _charge(self) -> None:
        at = _now(), _resident()
        if len(self._stack) > 1:
            cost = self.by_package.setdefault(self._stack[-1], [0.0, 0.0])
            cost[0] += at[0] - self._at[0]
            cost[1] += at[1] - self._at[1]
        self._at = at


class _Watched:
    """A loader, timed. The module never sees it: the true one is back in its place before the module's code runs."""

    def __init__(self, loader: Any, package: str, costs: Costs) -> None:
        self._loader, self._package, self._costs = loader, package, costs

    def create_module(self, spec: Any) -> Any:
        spec.loader = self._loader
        entered = self._costs.enter(self._package)
        try:
            return self._loader.create_module(spec)  # a native library is opened here
        finally:
            spec.loader = self
            if entered:
                self._costs.leave()

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        entered = self._costs.enter(self._package)
        try:
            self._loader.exec_module(module)
        finally:
            if entered:
                self._costs.leave()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


_PAGE = os.sysconf("SC_PAGE_SIZE") / 1048576 if hasattr(os, "sysconf") else 0.0


def _resident() -> float:
    """Resident memory now, in MiB; 0 where it cannot be read."""
    try:
        descriptor = _open("/proc/self/statm", os.O_RDONLY)
    except OSError:
        return 0.0
    try:
        return int(_read(descriptor, 200).split()[1]) * _PAGE
    finally:
        _close(descriptor)
