"""Which files a routine hardly needs to predict, told by their names: what training leaves behind."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence

from cpr.manifest import MODEL_DIR

_FOLDERS = {
    "Version control": re.compile(r"(?:^|/)\.(?:git|hg|svn)/"),
    "An environment": re.compile(r"(?:^|/)(?:site-packages|\.?venv|node_modules)/|(?:^|/)pyvenv\.cfg$"),
    "Caches of Python": re.compile(r"(?:^|/)__pycache__/|\.py[co]$"),
    "Logs for TensorBoard": re.compile(r"(?:^|/)events\.out\.tfevents[^/]*$"),
    "Training checkpoints": re.compile(
        r"(?:^|/)(?:\.?checkpoints?|ckpts?)/|(?:^|/)checkpoint$|(?:^|/)[^/]*ckpt[^/]*\.(?:index|meta|data-\d{5}-of-\d{5})$"
    ),
}
_NAMES = {
    "Notebooks": re.compile(r"(?i)\.ipynb$"),
    "Data sets": re.compile(
        r"(?i)\.(?:csv|tsv|parquet|tfrecords?|feather|arrow|avro|orc|xlsx?|jsonl|ndjson|sqlite3?|db)(?:\.gz)?$"
    ),
    "Archives": re.compile(r"(?i)\.(?:zip|tar|tgz|tbz2?|txz|7z|rar|whl|tar\.(?:gz|bz2|xz))$"),
}


def needless(files: Iterable[tuple[str, int]], saved_models: Sequence[str], source: bytes) -> dict[str, list[tuple[str, int]]]:
    """Path and size of such files by kind in words, the largest first. What ``source`` names is needed, and so is all in a
    SavedModel (``saved_models`` are their folders in the model directory)."""
    inside = [posixpath.normpath(f"{MODEL_DIR}/{where}") for where in saved_models]
    found: dict[str, list[tuple[str, int]]] = {}
    for path, size in files:
        kind = next((kind for kind, pattern in _FOLDERS.items() if pattern.search(path)), None)
        if kind is None:
            kind = next((kind for kind, pattern in _NAMES.items() if pattern.search(path)), None)
        if kind is None or _of_saved_model(path, inside) or _named(path, source):
            continue
        found.setdefault(kind, []).append((path, size))
    return {kind: sorted(rows, key=lambda row: (-row[1], row[0])) for kind, rows in found.items()}


def _of_saved_model(path: str, folders: Sequence[str]) -> bool:
    return any(path.startswith((f"{folder}/variables/", f"{folder}/assets/", f"{folder}/assets.extra/")) for folder in folders)


def _named(path: str, source: bytes) -> bool:
    """Whether the source names the file, its stem, its ending, or the folder it lies in."""
    name, folder = posixpath.basename(path), posixpath.basename(posixpath.dirname(path))
    words = {name, posixpath.splitext(name)[0], posixpath.splitext(name)[1], folder if folder != MODEL_DIR else ""}
    return any(len(word) > 3 and word.encode("utf-8", "replace") in source for word in words)
