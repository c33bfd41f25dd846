"""What kind of model lies at a path: by its content, the name only where the content says nothing."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

from cpr.content import hdf5
from cpr.errors import ModelError
from cpr.interface.locate import is_saved_model, search
from cpr.manifest import MANIFEST_NAME
from cpr.project import is_project
from cpr.saved_model.reader import PB_NAME, PBTXT_NAME
from cpr.storage import is_uri

SAVED_MODEL, KERAS, GRAPH, CHECKPOINT, FOLDER = "SavedModel", "Keras model", "graph", "checkpoint", "training folder"

STATE_NAME = "checkpoint"
"""Where TensorFlow notes which checkpoints of a training are there: ``tensorflow/python/checkpoint``."""

META, INDEX = ".meta", ".index"
_TAKES = "A SavedModel, a .keras or .h5 file, a frozen graph, a checkpoint with its .meta, and a training folder are taken."


class Source(NamedTuple):
    """``kind`` is one of the words above. ``path`` is a folder, a file, or for a checkpoint its prefix."""

    kind: str
    path: Path


def recognise(place: Path | str) -> Source:
    """What lies at ``place``. ``ModelError`` where that is nothing that can be exported, and says what it is."""
    if is_uri(str(place)):
        raise ModelError(f"{place} is not on this machine.", "Copy it here first, and name the copy.", str(place))
    path = Path(place)
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        return _file(path)
    prefix = path.with_name(path.name.removesuffix(INDEX).removesuffix(META))
    if path.parent.is_dir() and prefix.with_name(prefix.name + INDEX).is_file():
        return Source(CHECKPOINT, prefix)
    raise ModelError(f"There is nothing at {path}.", "Check its spelling.", str(path))


def _folder(path: Path) -> Source:
    if is_saved_model(path):
        return Source(SAVED_MODEL, path)
    kind = "bundle" if (path / MANIFEST_NAME).is_file() else "routine" if is_project(path) else None
    if kind is not None:
        raise ModelError(f"{path} is a {kind}, not a model.", f"Name the model in it: {path / 'model'}.", str(path))
    if (path / STATE_NAME).is_file() or any(path.glob(f"*{INDEX}")):
        return Source(FOLDER, path)
    files = sorted(each for each in path.iterdir() if each.suffix in (".keras", ".h5", ".hdf5"))
    if len(files) > 1:
        return Source(FOLDER, path)
    if files:
        return _file(files[0])
    found = search(path)
    if len(found) == 1:
        return Source(SAVED_MODEL, path / found[0])
    if found:
        raise ModelError(f"There are {len(found)} SavedModels in {path}: {', '.join(found)}.", "Name one.", str(path))
    raise ModelError(f"There is no model in {path}.", _TAKES, str(path))


def _file(path: Path) -> Source:
    if path.name in (PB_NAME, PBTXT_NAME):
        return Source(SAVED_MODEL, path.parent)
    if path.name == STATE_NAME:
        return Source(FOLDER, path.parent)
    if path.with_name(path.name + META).is_file():  # weights of the first format, in one file
        return Source(CHECKPOINT, path)
    if path.suffix in (INDEX, META) or ".data-" in path.suffixes[-1:]:
        return _checkpoint(path)
    with open(path, "rb") as file:
        head = file.read(16)
    if head[4:8] == b"TFL3":
        raise ModelError(
            f"{path} is a TensorFlow Lite model, made for devices; servers do not run it, and the way back is closed.",
            "Export the model that it was converted from.",
            str(path),
        )
    if zipfile.is_zipfile(path):
        return _zip(path)
    if path.suffix in (".h5", ".hdf5") or hdf5.kind_of(path) is not None:
        return Source(KERAS, path)
    if path.suffix in (".pb", ".pbtxt"):
        return Source(GRAPH, path)
    if path.suffix == ".keras":
        raise ModelError(f"{path} is cut short, or no Keras file.", "Copy it again from where it came.", str(path))
    raise ModelError(f"{path} is no model that is known.", _TAKES, str(path))


def _zip(path: Path) -> Source:
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
    if "config.json" in names:
        return Source(KERAS, path)
    remedy = "Unpack it, and name the folder." if any(name.endswith(PB_NAME) for name in names) else _TAKES
    raise ModelError(f"{path} is a zip archive, and not one of Keras's.", remedy, str(path))


def _checkpoint(path: Path) -> Source:
    prefix = path.with_suffix("")
    if prefix.with_name(prefix.name + INDEX).is_file() or path.suffix != META:
        return Source(CHECKPOINT, prefix)
    return Source(GRAPH, path)
