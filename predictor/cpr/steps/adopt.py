"""Adopt: an AI Platform or Vertex AI routine becomes a routine folder. Its code is read as text and never run."""

from __future__ import annotations

import ast
import fnmatch
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement

from cpr.errors import ProjectError
from cpr.folders import filled
from cpr.manifest import MODEL_DIR
from cpr.parsing import parsed
from cpr.project import PROJECT_NAME, name_of, parse_version, require_new

ADAPTER = "vertex_adapter"

_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt", "fingerprint.pb", "keras_metadata.pb", "variables", "assets")
_ARTIFACTS = (".joblib", ".pkl", ".pickle", ".bst", ".h5", ".keras", ".npy", ".npz")
_NO_SOURCES = (".*", "__pycache__", "*.egg-info", "dist", "build", "venv", "node_modules")
_LEFT_OUT = (*_NO_SOURCES, "*.pyc", "setup.py", "setup.cfg")
_SERVERS = frozenset({"fastapi", "gunicorn", "starlette", "uvicorn"})
"""What Vertex AI's own container serves with. `cpr serve` brings its own, in versions that old pins would keep out."""

_ADAPTER_SOURCE = '''"""Lets a Vertex AI predictor (load, preprocess, predict, postprocess) serve as a prediction class."""

import atexit
import os
import shutil
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
        artifacts = os.path.abspath(model_dir)
        place = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, place, True)
        here = os.getcwd()
        os.chdir(place)
        try:
            inner.load(artifacts)
        finally:
            os.chdir(here)
        return cls(inner)

    def predict(self, instances, **kwargs):
        parameters = dict(kwargs.pop("parameters", None) or {{}})
        parameters.update((key, value) for key, value in kwargs.items() if key not in ("stats", "signature_name"))
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

    The predictor is the one class with ``from_path`` and ``predict`` (AI Platform), else with ``load`` and ``predict`` or a
    base class of Vertex AI's, which gets an adapter. Version, modules and requirements come from setup.py or requirements.txt.
    ``ProjectError`` where there is no such class, or more than one.
    """
    source, final = Path(legacy), Path(folder)
    if not source.is_dir():
        raise ProjectError(f"There is no folder {source}.", "Name the folder that holds the old routine.", str(source))
    if final.resolve().is_relative_to(source.resolve()):
        raise ProjectError("The new folder is inside the old one.", "Name a folder beside it.", str(final))
    name = name_of(final)
    setup = _setup_keywords(source / "setup.py")
    found = _predictor(source)
    notes: list[str] = []
    require_new(final)
    with filled(final) as place:
        _copy(source, place)
        predictor = f"{found.module}.{found.name}"
        if found.vertex:
            text = _ADAPTER_SOURCE.format(module=found.module, name=found.name)
            (place / f"{ADAPTER}.py").write_text(text, encoding="utf-8")
            predictor = f"{ADAPTER}.Adapter"
            notes.append(f"{ADAPTER}.py calls your {found.name} through the interface that every platform takes")
        notes += _settle_model(place)
        config: dict[str, Any] = {"name": name, "version": _version(setup, notes), "predictor": predictor}
        modules = _modules(place, setup, found)
        if modules:
            config["modules"] = [*modules, ADAPTER] if found.vertex else modules
        requirements = _requirements(source, setup, notes)
        if requirements:
            config["requirements"] = requirements
        (place / PROJECT_NAME).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return final, tuple(notes)


def _copy(source: Path, place: Path) -> None:
    try:
        shutil.copytree(source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*_LEFT_OUT), symlinks=True)
    except shutil.Error as error:
        path, _, reason = error.args[0][0]
        raise ProjectError(f"It cannot be copied: {reason}.", "Mend its permissions, or move it away.", str(path)) from None


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
    literals: dict[str, Any] = {}
    for key, value in keywords.items():
        value = names.get(value.id, value) if isinstance(value, ast.Name) else value
        if isinstance(value, ast.Call) and _called(value).startswith("find_"):
            literals[key] = _packages(path.parent)
            continue
        try:
            literals[key] = ast.literal_eval(value)
        except ValueError:
            continue
    return literals


def _called(node: ast.Call) -> str:
    return _last_name(node.func)


def _last_name(node: ast.expr) -> str:
    """``c`` of ``c`` and of ``a.b.c``; empty for every other expression."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _packages(source: Path) -> list[str]:
    """The packages in a folder, as ``find_packages()`` sees them, the outermost alone."""
    return sorted(path.parent.name for path in source.glob("*/__init__.py") if not _left_out(path.parent.name))


def _left_out(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in _NO_SOURCES)


def _parse(path: Path) -> ast.Module:
    tree = parsed(path.read_bytes())
    if isinstance(tree, SyntaxError):
        raise ProjectError(
            f"It cannot be parsed: {tree.msg}.", "Mend it first; Python 2 code has to be ported.", f"{path}:{tree.lineno or 1}"
        )
    return tree


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
        "No class there has from_path and predict (AI Platform), or load and predict or a base class Predictor (Vertex AI).",
        "Name the folder that holds the predictor's module, where its setup.py is.",
        str(source),
    )


def _classes(source: Path) -> Iterator[_Found]:
    for path in sorted(source.rglob("*.py")):
        relative = path.relative_to(source)
        if path.name == "setup.py" or any(map(_left_out, relative.parts)):
            continue
        module = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        tree = _parse(path)
        bases = _vertex_bases(tree)
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
                if {"from_path", "predict"} <= methods:
                    yield _Found(module, node.name, vertex=False)
                elif {"load", "predict"} <= methods or any(_last_name(base) in bases for base in node.bases):
                    yield _Found(module, node.name, vertex=True)


def _vertex_bases(tree: ast.Module) -> set[str]:
    """The names that a module gives to Vertex AI's predictors. They have load and predict already: a class may add neither."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("google.cloud.aiplatform.prediction")
        for alias in node.names
        if alias.name.endswith("Predictor")
    }


def _modules(place: Path, setup: dict[str, Any], found: _Found) -> list[str]:
    """What to package, where imports do not tell: a pickle needs the module of its class, and nothing else may import that.

    What setup.py names, or all that is there, as Vertex AI copies the whole folder. Empty where that is the predictor's module
    alone, which then goes with what it imports.
    """
    named = [*_listed(setup, "scripts"), *_listed(setup, "py_modules"), *_listed(setup, "packages")]
    if found.vertex and not named:
        named = [*(path.stem for path in place.glob("*.py")), *_packages(place)]
    tops = {name.removesuffix(".py").partition(".")[0] for name in named} - {ADAPTER}
    there = {top for top in tops if (place / f"{top}.py").is_file() or (place / top / "__init__.py").is_file()}
    own = found.module.partition(".")[0]
    return [own, *sorted(there - {own})] if there - {own} else []


def _listed(setup: dict[str, Any], key: str) -> list[str]:
    value = setup.get(key)
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else []


def _settle_model(place: Path) -> list[str]:
    """Make sure there is a model directory: the one that is there, or one with the model files found at the root."""
    model = place / MODEL_DIR
    if model.is_dir():
        return []
    if model.exists():
        raise ProjectError(f"{MODEL_DIR} is a file; it has to be the model directory.", "Rename it.", MODEL_DIR)
    model.mkdir()
    there = sorted(path.name for path in place.iterdir() if path.name in _MODEL_FILES or path.suffix in _ARTIFACTS)
    for name in there:
        (place / name).rename(model / name)
    if there:
        return [f"moved {', '.join(there)} into {MODEL_DIR}/; whatever else the class reads belongs there, too"]
    return [f"{MODEL_DIR}/ is empty: copy there what the old version had at its deploymentUri or artifact URI"]


def _version(setup: dict[str, Any], notes: list[str]) -> str:
    try:
        return parse_version(str(setup["version"]))
    except (KeyError, ValueError):
        notes.append("no version was found in setup.py: routine.yaml says 0.1")
        return "0.1"


def _requirements(source: Path, setup: dict[str, Any], notes: list[str]) -> list[str]:
    listed = setup.get("install_requires")
    if isinstance(listed, str):
        listed = listed.splitlines()
    if not isinstance(listed, (list, tuple)):
        path = source / "requirements.txt"
        listed = path.read_text(encoding="utf-8-sig", errors="replace").splitlines() if path.is_file() else []
    kept: list[str] = []
    servers: list[str] = []
    unclear: list[str] = []
    for item in listed:
        text = str(item).partition(" #")[0].partition(" --hash")[0].strip(" \t\\")
        if not text or text.startswith(("#", "--hash")):
            continue
        try:
            (servers if Requirement(text).name.lower() in _SERVERS else kept).append(text)
        except InvalidRequirement:
            unclear.append(text)
    if servers:
        notes.append(f"left out of the requirements, as `cpr serve` takes their place: {', '.join(servers)}")
    if unclear:
        notes.append(f"left out of the requirements, as they are none that routine.yaml takes: {', '.join(unclear)}")
    return kept
