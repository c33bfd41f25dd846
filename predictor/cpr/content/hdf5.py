"""Whose an HDF5 file is, told from the words in its first and last bytes: its attributes lie there, and none of its numbers."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Literal

_MAGIC = b"\x89HDF\r\n\x1a\n"
_WINDOW = 256 << 10
_KERAS = (b"keras_version", b"layer_names", b"model_config", b"weight_names", b"_layer_checkpoint_dependencies")
_TABLES = (b"PYTABLES_FORMAT_VERSION", b"pandas_type", b"pandas_version")


def kind_of(path: Path) -> Literal["keras", "tables", "other"] | None:
    """``None`` where it is no HDF5 file, or cannot be read."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return None
            text = file.read(_WINDOW)
            if not text.startswith(_MAGIC):
                return None
            file.seek(max(status.st_size - _WINDOW, 0))
            text += file.read(_WINDOW)
    except OSError:
        return None
    if any(word in text for word in _KERAS):
        return "keras"
    return "tables" if any(word in text for word in _TABLES) else "other"
