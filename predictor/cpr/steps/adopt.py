"""Adopt: an AI Platform or Vertex AI routine becomes a routine folder. Its code is read as text and never run."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cpr.errors import ProjectError
from cpr.folders import filled
from cpr.manifest import MODEL_DIR
from cpr.project import PROJECT_NAME, name_of, parse_version, require_new

ADAPTER = "vertex_adapter"

_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt", "model.joblib", "model.pkl", "model.bst")
_LEFT_OUT = shutil.ignore_patterns(
    ".git",
    "__pycache__",
    "*.pyc",
    "*.egg-info",
    "dist",
    "build",
    ".venv",
    "venv",
    "setup.py",
    "setup.cfg",
    ".ipynb_checkpoints",
)

_ADAPTER_SOURCE = '''"""Lets a Vertex AI predictor (load, preprocess, predict, postprocess) serve as a prediction class."""

import os
import tempfile

from {module} import {name}


class Adapter:
    """One {name}, loaded once.

    Vertex AI hands load() a URI and lets it copy the artifacts into the working directory, so it gets one of its own; the whole
    request body goes in and comes out.
    """

    def __init__(self, inner):
        self._inner = inner

    @classmethod
    def from_path(cls, model_dir):
        inner = {name}()
        here = os.getcwd()
        os.chdir(tempfile.mkdtemp())
        try:
            inner.load(os.path.abspath(model_dir))
        finally:
            os.chdir(here)
        return cls(inner)

    def predict(self, instances, **kwargs):
        parameters = {{key: value for key, value in kwargs.items() if key not in ("stats", "signature_name")}}
        body = {{"instances": instances, "parameters": parameters}}
        return self._inner.postprocess(self._inner.predict(self._inner.preprocess(body)))["predictions"]
'''


@dataclass(frozen=True, slots=True)
class _Found:
    """A class that can predict: where it is, and whether it speaks Vertex AI's interface."""

    module: str
    name: str
    vertex: bool


def adopt(legacy: Path | str, folder: Path | str) -> tuple[Path, tuple[str, ...]]:
    """Make ``folder`` a routine from the one in ``legacy``, and tell what is left to do.

    The predictor is the one class with ``from_path`` and ``predict`` (AI Platform), else with ``load`` and ``predict`` (Vertex
    AI), which gets an adapter. Name, version and requirements come from setup.py or requirements.txt. ``ProjectError`` where
    there is no such class, or more than one.
    """
    source, final = Path(legacy), Path(folder)
    if not source.is_dir():
        raise ProjectError(f"There is no folder {source}.", "Name the folder that holds the old routine.", str(source))
    if final.resolve().is_relative_to(source.resolve()):
        raise ProjectError("The new folder is inside the old one.", "Name a folder beside it.", str(final))
    setup = _setup_keywords(source / "setup.py")
    found = _predictor(source)
    notes = []
    require_new(final)
    with filled(final) as place:
        shutil.copytree(source, place, dirs_exist_ok=True, ignore=_LEFT_OUT, symlinks=True)
        predictor = f"{found.module}.{found.name}"
        if found.vertex:
            text = _ADAPTER_SOURCE.format(module=found.module, name=found.name)
            (place / f"{ADAPTER}.py").write_text(text, encoding="utf-8")
            predictor = f"{ADAPTER}.Adapter"
            notes.append(f"{ADAPTER}.py calls your {found.name} through the interface that every platform takes")
        notes += _settle_model(place)
        config: dict[str, Any] = {"name": name_of(final), "version": _version(setup, notes), "predictor": predictor}
        requirements = _requirements(source, setup)
        if requirements:
            config["requirements"] = requirements
        (place / PROJECT_NAME).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return final, tuple(notes)


def _setup_keywords(path: Path) -> dict[str, Any]:
    """The literal keywords of the ``setup()`` call; names of module-level literals are looked up, all else is passed over."""
    if not path.is_file():
        return {}
    tree = _parse(path)
    names = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) == "setup")
    keywords = {word.arg: word.value for call in calls for word in call.keywords if word.arg}
    literals = {}
    for key, value in keywords.items():
        value = names.get(value.id, value) if isinstance(value, ast.Name) else value
        try:
            literals[key] = ast.literal_eval(value)
        except ValueError:
            continue
    return literals


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise ProjectError(
            f"It cannot be parsed: {error.args[0]}.", "Mend it first; Python 2 code has to be ported.", f"{path}:{line or 1}"
        ) from None


def _predictor(source: Path) -> _Found:
    classes = list(_classes(source))
    for vertex in (False, True):
        fitting = [found for found in classes if found.vertex is vertex]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            names = ", ".join(f"{found.module}.{found.name}" for found in fitting)
            raise ProjectError(
                f"More than one class could be the predictor: {names}.",
                "Move all but one away, or write routine.yaml by hand.",
                str(source),
            )
    raise ProjectError(
        "No class there has from_path and predict (AI Platform), or load and predict (Vertex AI).",
        "Name the folder that holds the predictor's module, where its setup.py is.",
        str(source),
    )


def _classes(source: Path) -> Iterator[_Found]:
    for path in sorted(source.rglob("*.py")):
        relative = path.relative_to(source)
        if path.name == "setup.py" or any(part in ("build", "dist", "venv", ".venv") for part in relative.parts):
            continue
        module = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        for node in _parse(path).body:
            if isinstance(node, ast.ClassDef):
                methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
                if {"from_path", "predict"} <= methods:
                    yield _Found(module, node.name, vertex=False)
                elif {"load", "predict"} <= methods:
                    yield _Found(module, node.name, vertex=True)


def _settle_model(place: Path) -> list[str]:
    """Make sure there is a model directory: the one that is there, or one with the model files found at the root."""
    model = place / MODEL_DIR
    if model.is_dir():
        return []
    model.mkdir()
    there = [name for name in (*_MODEL_FILES, "variables", "assets") if (place / name).exists()]
    for name in there:
        (place / name).rename(model / name)
    if there:
        return [f"moved {', '.join(there)} into {MODEL_DIR}/"]
    return [f"{MODEL_DIR}/ is empty: copy there what the old version had at its deploymentUri"]


def _version(setup: dict[str, Any], notes: list[str]) -> str:
    try:
        return parse_version(str(setup["version"]))
    except (KeyError, ValueError):
        notes.append("setup.py gives no version that can be read: set one in routine.yaml")
        return "0.1"


def _requirements(source: Path, setup: dict[str, Any]) -> list[str]:
    listed = setup.get("install_requires")
    if isinstance(listed, str):
        listed = listed.splitlines()
    if not isinstance(listed, (list, tuple)):
        path = source / "requirements.txt"
        listed = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    texts = (str(item).partition("#")[0].strip() for item in listed)
    return [text for text in texts if text and not text.startswith("-")]
