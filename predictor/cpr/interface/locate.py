"""Find the SavedModel in a model directory, and read what routine.yaml said about it. Standard library only."""

import json
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

from cpr.errors import ModelError

ROUTINE_FILE = "cpr_routine.json"
"""Written into the model directory by ``cpr build`` where routine.yaml has ``saved_model``, ``tags`` or ``signature``."""

GRAPH_NAMES = ("saved_model.pb", "saved_model.pbtxt")
_DEPTH = 3  # model_dir/export/<version>/saved_model.pb is as deep as exporters go


class Choice(NamedTuple):
    """Which SavedModel, MetaGraph and signature to use; ``None`` leaves it to the rules."""

    saved_model: Optional[str] = None
    tags: Optional[Tuple[str, ...]] = None
    signature: Optional[str] = None


def is_saved_model(folder: Path) -> bool:
    """Whether ``folder`` directly holds a SavedModel's graph file."""
    return any((folder / name).is_file() for name in GRAPH_NAMES)


def find_saved_model(model_dir: str, saved_model: Optional[str] = None) -> str:
    """The path of the one SavedModel in ``model_dir``.

    ``saved_model`` is its path relative to ``model_dir``, where that is given. Otherwise the SavedModel is at the
    root of ``model_dir``, or is the only one in its sub-folders (a numbered version folder counts like any other).
    Several, none, or one that is not where it was said to be raise :class:`~cpr.errors.ModelError`.
    """
    root = Path(model_dir)
    if not root.is_dir():
        raise ModelError(
            "The model directory {} does not exist.".format(model_dir),
            "Create it, or set model_dir in routine.yaml to the folder that holds the model.",
            model_dir,
        )
    if saved_model is not None:
        return str(_named(root, saved_model))
    if is_saved_model(root):
        return model_dir
    found = search(root)
    if len(found) == 1:
        return str(root / found[0])
    if not found:
        raise ModelError(
            "There is no SavedModel in {}: no saved_model.pb at its root or in a sub-folder.".format(model_dir),
            "Export the model with tf.saved_model.save(model, '{}').".format(root / "saved_model"),
            model_dir,
        )
    raise ModelError(
        "There are {} SavedModels in {}: {}.".format(len(found), model_dir, ", ".join(found)),
        "Say which one to load: put 'saved_model: {}' in routine.yaml, or saved_model = '{}' in the class.".format(
            found[-1], found[-1]
        ),
        model_dir,
    )


def read_choice(model_dir: str, default: Choice) -> Choice:
    """``default``, with what ``cpr_routine.json`` in ``model_dir`` says put over it."""
    path = str(Path(model_dir) / ROUTINE_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except FileNotFoundError:
        return default
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, str(error)) from None
    if not isinstance(document, dict):
        raise _unreadable(path, "it holds no JSON object")
    tags = document.get("tags")
    if tags is not None and not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        raise _unreadable(path, "tags is no list of strings")
    return Choice(
        _text(path, document, "saved_model", default.saved_model),
        default.tags if tags is None else tuple(tags),
        _text(path, document, "signature", default.signature),
    )


def _text(path: str, document: Any, key: str, default: Optional[str]) -> Optional[str]:
    value = document.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise _unreadable(path, "{} is no string".format(key))
    return value


def _unreadable(path: str, why: str) -> ModelError:
    return ModelError("{} cannot be read: {}.".format(path, why), "Build the bundle again; cpr build writes this file.", path)


def _named(root: Path, saved_model: str) -> Path:
    path = root / saved_model
    if root.resolve() not in (path.resolve(), *path.resolve().parents):
        raise ModelError(
            "The SavedModel {!r} is outside the model directory.".format(saved_model),
            "Give saved_model as a path relative to the model directory.",
            str(root),
        )
    if is_saved_model(path):
        return path
    found = search(root)
    raise ModelError(
        "There is no SavedModel at {!r} in {}.".format(saved_model, root),
        "Set saved_model to {}.".format(" or ".join(found)) if found else "Export the model there with tf.saved_model.save.",
        str(path),
    )


def search(root: Path) -> List[str]:
    """Sub-folders that are SavedModels, relative to ``root`` with forward slashes, versions in numeric order."""
    found = [path.relative_to(root) for path in _walk(root, _DEPTH)]
    return [path.as_posix() for path in sorted(found, key=lambda path: [_natural(part) for part in path.parts])]


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    for child in folder.iterdir() if depth else ():
        if child.name.startswith(".") or not child.is_dir():
            continue
        if is_saved_model(child):
            yield child
        else:
            yield from _walk(child, depth - 1)


def _natural(part: str) -> Tuple[int, int, str]:
    return (0, int(part), "") if part.isdecimal() else (1, 0, part)
