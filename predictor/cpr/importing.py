"""A routine's modules in a process that may load several: each routine sees its own, and never another's of the same name.

Routines like to call their module ``predictor`` or ``preprocess``, and Python keeps one module a name. So the modules of a
routine are put in place when it is about to run, and those they displace come back when it is closed or another routine's
turn comes. Objects keep working all the while; what is at stake are imports inside functions, and unpickling.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import threading
from pathlib import Path
from types import ModuleType

from cpr.errors import PredictorError

_lock = threading.RLock()
_active: Namespace | None = None


class Namespace:
    """The top-level modules and packages in ``folder``, importable while active; ``PredictorError`` for a bad name."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._names = _top_level(folder)
        self._modules: dict[str, ModuleType] = {}
        self._displaced: dict[str, ModuleType] = {}

    def activate(self) -> None:
        """Make this routine's modules the ones that ``import`` finds."""
        global _active
        with _lock:
            if _active is self:
                return
            if _active is not None:
                _active._leave()
            self._displaced = _take(self._names)
            sys.modules.update(self._modules)
            sys.path.insert(0, self._folder)
            importlib.invalidate_caches()
            _active = self

    def close(self) -> None:
        """Put back what was there before."""
        global _active
        with _lock:
            if _active is self:
                self._leave()
                _active = None
            self._modules.clear()
            sys.path_importer_cache.pop(self._folder, None)

    def _leave(self) -> None:
        self._modules = _take(self._names)
        sys.modules.update(self._displaced)
        self._displaced = {}
        if self._folder in sys.path:
            sys.path.remove(self._folder)


def _top_level(folder: Path) -> frozenset[str]:
    names = {inspect.getmodulename(entry.name) if entry.is_file() else entry.name for entry in folder.iterdir()}
    for name in sorted(name for name in names if name):
        # The service has imported its standard library before the routine, so the routine's module would never be seen.
        if name in sys.stdlib_module_names or name == "cpr":
            owner = "cpr itself" if name == "cpr" else "Python's standard library"
            raise PredictorError(
                f"The routine's module {name!r} has the name of a module of {owner}.", "Rename the module.", name
            )
    return frozenset(name for name in names if name and name.isidentifier())


def _take(names: frozenset[str]) -> dict[str, ModuleType]:
    found = [key for key in sys.modules if key.partition(".")[0] in names]
    return {key: sys.modules.pop(key) for key in found}
