"""A routine folder: its routine.yaml, read once into a frozen value."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from packaging.version import InvalidVersion, Version

from cpr.config import Value, read_mapping
from cpr.errors import ProjectError
from cpr.interface.locate import is_saved_model
from cpr.manifest import EXAMPLES_NAME, MODEL_DIR, ClassRef, Suppression

PROJECT_NAME = "routine.yaml"

_MAX_PATH = 255  # what Linux takes as one name

_T = TypeVar("_T")

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_MAX_NAME = 63  # a DNS label, and the id of a Vertex AI endpoint (its discovery document); AI Platform allows more
_PYTHON = re.compile(r"\d+\.\d+(\.\d+)?")
_RUNTIME = re.compile(r"\d+\.\d+")
_SUPPRESSION = "{check: CPR624, reason: why it may stand}"
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Routine:
    """A routine folder as its author declared it.

    ``version`` is in PEP 440's normal form. ``model_dir`` and ``examples`` are absolute and inside ``root``; ``saved_model`` is
    relative to ``model_dir``, with forward slashes. ``modules`` and ``packages`` are ``None`` where they are to be discovered.
    """

    root: Path
    name: str
    version: str
    predictor: ClassRef
    model_dir: Path
    examples: Path | None
    saved_model: str | None = None
    tags: tuple[str, ...] | None = None
    signature: str | None = None
    modules: tuple[str, ...] | None = None
    packages: tuple[str, ...] | None = None
    requirements: tuple[str, ...] = ()
    python: str | None = None
    tensorflow: str | None = None
    runtime_version: str | None = None
    exclude: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    description: str = ""
    suppress: tuple[Suppression, ...] = ()


def is_project(folder: Path | str) -> bool:
    return (Path(folder) / PROJECT_NAME).is_file()


def read_routine(folder: Path | str) -> Routine:
    """Read ``folder/routine.yaml``. Every problem is a ``ProjectError`` that names the file and the line."""
    root = Path(folder)
    if not root.is_dir():
        raise ProjectError(
            f"There is no folder {root}." if not root.exists() else f"{root} is not a folder.",
            "Name a routine folder, or start one with `cpr new DIR`.",
            str(root),
        )
    return _Reader(root.resolve(), root / PROJECT_NAME).routine()


def parse_version(text: str) -> str:
    """The normal form of a PEP 440 version; ``ValueError`` with the rule where it is none."""
    try:
        return str(Version(text))
    except InvalidVersion:
        raise ValueError(f"{text!r} is not a PEP 440 version, such as 1.0.0 or 1.2.dev3") from None


def parse_name(text: str) -> str:
    """A name that is valid everywhere, with underscores or hyphens; ``ValueError`` with the rule and a near name otherwise."""
    if _NAME.fullmatch(text) and len(text) <= _MAX_NAME:
        return text
    near = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:_MAX_NAME].strip("_")
    near = near if near[:1].isalpha() else f"routine_{near}".strip("_")
    raise ValueError(
        f"{text!r} is not a name that every platform takes: lower-case letters, digits and single _ or -, "
        f"a letter first, at most {_MAX_NAME} characters; for example {near!r}"
    )


def name_of(folder: Path) -> str:
    """The routine's name that a folder's own name gives; ``ProjectError`` with a near one where it gives none."""
    try:
        return parse_name(folder.resolve().name)
    except ValueError as error:
        raise ProjectError(
            f"The folder's name becomes the routine's, and {error}.", "Name the folder so.", str(folder)
        ) from None


def require_new(folder: Path) -> None:
    """``ProjectError`` unless a routine can be started at ``folder``: it is not there, or is empty.

    Not in the current folder either: a shell that stands in it would go on standing in the one that was replaced.
    """
    if folder.is_dir() and folder.resolve() == Path.cwd():
        raise ProjectError("This is the current folder.", f"Go one up and name it: cd .. && cpr new {folder.resolve().name}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "is not empty" if folder.is_dir() else "is a file"
        raise ProjectError(f"{folder} is there already and {what}.", "Name a folder that is not there yet.", str(folder))


class _Reader:
    """The keys of one routine.yaml, each typed by what it is for."""

    def __init__(self, root: Path, path: Path) -> None:
        self.root = root
        self.path = path
        self.values = read_mapping(path)

    def routine(self) -> Routine:
        self._check_keys()
        model_dir = self._inside("model_dir", MODEL_DIR)
        if model_dir == self.root:
            raise self._error("model_dir", "is the routine folder itself", "Move what the model needs into a folder below it.")
        if not model_dir.is_dir():
            raise self._error(
                "model_dir",
                f"names {model_dir.relative_to(self.root)}, and there is no such folder",
                "Create it and put the model and its artifacts there, or name the folder that holds them.",
            )
        return Routine(
            root=self.root,
            name=self._parsed("name", self._required("name"), parse_name),
            version=self._parsed("version", self._required("version"), parse_version),
            predictor=self._parsed("predictor", self._required("predictor"), ClassRef.parse),
            model_dir=model_dir,
            examples=self._examples(),
            saved_model=self._saved_model(model_dir),
            tags=self._list("tags"),
            signature=self._text("signature"),
            modules=self._dotted("modules"),
            packages=self._dotted("packages"),
            requirements=self._requirements(),
            python=self._matching("python", _PYTHON, "3.7 or 3.11"),
            tensorflow=self._optional_version("tensorflow"),
            runtime_version=self._matching("runtime_version", _RUNTIME, "2.9"),
            exclude=self._list("exclude") or (),
            labels=self._labels(),
            description=self._text("description") or "",
            suppress=self._suppress(),
        )

    def _check_keys(self) -> None:
        known = [name for name in Routine.__slots__ if name != "root"]
        for key, value in self.values.items():
            if key in known:
                continue
            near = difflib.get_close_matches(key, known, n=1)
            remedy = f"Did you mean {near[0]!r}?" if near else f"The keys are: {', '.join(known)}."
            raise ProjectError(f"There is no key {key!r}.", remedy, f"{self.path}:{value.key_line}")

    def _error(self, key: str, problem: str, remedy: str) -> ProjectError:
        value = self.values.get(key)
        where = f"{self.path}:{value.key_line}" if value else str(self.path)
        return ProjectError(f"The key {key!r} {problem}.", remedy, where)

    def _text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value.content, str):
            raise self._error(key, "takes one value", f"Write `{key}: VALUE` on one line.")
        if not value.content.strip():
            raise self._error(key, "has no value", "Write one, or remove the key.")
        return value.content.strip()

    def _required(self, key: str) -> str:
        text = self._text(key)
        if text is None:
            raise self._error(key, "is missing", f"Add `{key}: …`.")
        return text

    def _parsed(self, key: str, text: str, parse: Callable[[str], _T]) -> _T:
        try:
            return parse(text)
        except ValueError as error:
            raise self._error(key, f"is wrong: {error}", "Mend the value.") from None

    def _list(self, key: str) -> tuple[str, ...] | None:
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value.content, tuple):
            raise self._error(key, "takes a list", f"Write `{key}: [A, B]`, or one `- A` a line.")
        items = []
        for item in value.content:
            if not isinstance(item.content, str) or not item.content.strip():
                raise ProjectError(
                    f"An item of {key!r} is not text.", "Write plain values in the list.", f"{self.path}:{item.line}"
                )
            items.append(item.content.strip())
        return tuple(items)

    def _labels(self) -> tuple[tuple[str, str], ...]:
        value = self.values.get("labels")
        if value is None:
            return ()
        if not isinstance(value.content, Mapping):
            raise self._error("labels", "takes a mapping", "Write `labels: {team: search}`.")
        return tuple(sorted((key, self._label(key, item)) for key, item in value.content.items()))

    def _label(self, key: str, item: Value) -> str:
        if not isinstance(item.content, str):
            raise ProjectError(f"The label {key!r} is not text.", "Write `key: value`.", f"{self.path}:{item.line}")
        return item.content

    def _suppress(self) -> tuple[Suppression, ...]:
        value = self.values.get("suppress")
        if value is None:
            return ()
        if not isinstance(value.content, tuple):
            raise self._error("suppress", "takes a list", f"Write `suppress: [{_SUPPRESSION}]`.")
        return tuple(self._suppression(item) for item in value.content)

    def _suppression(self, item: Value) -> Suppression:
        from cpr.checks import check_ids  # takes a while to load, and few routines have the key

        place = f"{self.path}:{item.line}"
        parts = item.content if isinstance(item.content, Mapping) else {}
        texts = {key: part.content.strip() for key, part in parts.items() if isinstance(part.content, str)}
        if not {"check", "reason"} <= set(texts) <= {"check", "reason", "where"} or len(texts) != len(parts):
            problem = "A suppression has the keys check and reason, and may have where."
            raise ProjectError(problem, f"Write {_SUPPRESSION}.", place)
        if texts["check"] not in check_ids():
            near = difflib.get_close_matches(texts["check"], check_ids(), n=1)
            remedy = f"Did you mean {near[0]}?" if near else "The findings of `cpr validate` name their checks."
            raise ProjectError(f"There is no check {texts['check']!r}.", remedy, f"{self.path}:{parts['check'].line}")
        if not all(texts.values()):
            raise ProjectError("A suppression has an empty value.", "Write the reason: who reads it was not there.", place)
        return Suppression(**texts)

    def _matching(self, key: str, pattern: re.Pattern[str], example: str) -> str | None:
        text = self._text(key)
        if text is not None and not pattern.fullmatch(text):
            raise self._error(key, f"is {text!r}, which is no version", f"Write it as {example}.")
        return text

    def _optional_version(self, key: str) -> str | None:
        text = self._text(key)
        return None if text is None else self._parsed(key, text, parse_version)

    def _dotted(self, key: str) -> tuple[str, ...] | None:
        names = self._list(key)
        for name in names or ():
            if not _MODULE.fullmatch(name):
                raise self._error(key, f"names {name!r}, which cannot be imported", "Write names as in an import, without .py.")
        return names

    def _requirements(self) -> tuple[str, ...]:
        requirements = self._list("requirements") or ()
        if not requirements:
            return ()
        from packaging.requirements import InvalidRequirement, Requirement  # takes a while to load

        for text in requirements:
            try:
                Requirement(text)
            except InvalidRequirement as error:
                problem = str(error).splitlines()[0]
                raise self._error(
                    "requirements", f"holds {text!r}, which pip cannot read: {problem}", "Write it as `package>=1.2`."
                ) from None
        return requirements

    def _inside(self, key: str, default: str) -> Path:
        text = self._text(key) or default
        path = Path(os.path.realpath(self.root / text)) if "\0" not in text else None
        if path is None or PurePosixPath(text).is_absolute() or "\\" in text or not path.is_relative_to(self.root):
            raise self._error(key, f"names {text!r}, which is outside the routine folder", "Move it inside, and name it there.")
        try:
            path.is_dir()
        except OSError as error:  # a name too long
            raise self._error(key, f"names what cannot be used: {error.strerror}", "Name another.") from None
        return path

    def _examples(self) -> Path | None:
        path = self._inside("examples", EXAMPLES_NAME)
        if path.is_file():
            return path
        if "examples" not in self.values:
            return None
        raise self._error("examples", f"names {path.name}, and there is no such file", "Write it, or remove the key.")

    def _saved_model(self, model_dir: Path) -> str | None:
        text = self._text("saved_model")
        if text is None:
            return None
        path = Path(os.path.realpath(model_dir / text)) if "\0" not in text and len(text) < _MAX_PATH else None
        if path is None or not path.is_relative_to(model_dir):
            raise self._error(
                "saved_model", f"names {text!r}, which is outside {model_dir.name}", "Name a folder below model_dir, or `.`."
            )
        if not is_saved_model(path):
            raise self._error(
                "saved_model",
                f"names {text!r}, and {path.relative_to(self.root)} holds no saved_model.pb",
                "Name the folder that holds saved_model.pb, relative to model_dir.",
            )
        return path.relative_to(model_dir).as_posix()
