"""An exception of the author's code as a ``PredictorError``: what it said, where, and their part of the traceback."""

from __future__ import annotations

import importlib
import os
import traceback
from pathlib import Path

import cpr
from cpr.errors import PredictorError
from cpr.manifest import ClassRef, Manifest

_HERE = str(Path(cpr.__file__).parent) + os.sep
_OWN_CODE = "The fault is in the routine's own code: the traceback shows the line."


def import_error(reference: ClassRef, error: BaseException, manifest: Manifest, folder: Path | None) -> PredictorError:
    """The module of a prediction class failed while it was imported. ``folder``, where its files lie, shortens their names."""
    text, where = _author_traceback(error, folder)
    remedy = _OWN_CODE
    if isinstance(error, ModuleNotFoundError) and error.name:
        listed = " ".join(f"'{requirement}'" for requirement in manifest.requirements)
        remedy = (
            f"Install it here: `pip install {listed or error.name}`, and list it in requirements; "
            "a module of the routine's own belongs into modules."
        )
    return PredictorError(f"{reference.module} cannot be imported: {_summary(error)}", remedy, where, text)


def author_error(method: str, error: BaseException, folder: Path | None) -> PredictorError:
    """A method of the routine failed."""
    text, where = _author_traceback(error, folder)
    return PredictorError(f"{method} raised {_summary(error)}", _OWN_CODE, where, text)


def _summary(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)[-1:]).strip()


def _author_traceback(error: BaseException, folder: Path | None) -> tuple[str, str | None]:
    """The traceback as text without frames of cpr and of the import system, and the place of the author's last frame."""
    trace = traceback.TracebackException.from_exception(error)
    chain: list[traceback.TracebackException | None] = [trace]
    while chain:
        if (link := chain.pop()) is not None:
            link.stack[:] = [frame for frame in link.stack if not _is_ours(frame.filename)]
            chain += [link.__cause__, link.__context__]
    prefix = "" if folder is None else str(folder) + os.sep
    own = [frame for frame in trace.stack if frame.filename.startswith(prefix)]
    where = f"{own[-1].filename.removeprefix(prefix)}:{own[-1].lineno}" if own else None
    text = "".join(trace.format())
    return text.replace(prefix, "") if prefix else text, where


def _is_ours(filename: str) -> bool:
    return (
        filename.startswith((_HERE, "<frozen importlib")) or filename == importlib.__file__ or Path(filename).name == "pydoc.py"
    )
