"""What a SavedModel's folder tells without TensorFlow: the tags of its graphs, and files that are not there.

Standard library only, and only what loading needs; ``cpr.saved_model`` has the full reader.
"""

import os
import re
from pathlib import Path
from typing import BinaryIO, Iterator, List, Optional, Tuple

from cpr.errors import ModelError

GRAPH_NAME = "saved_model.pb"

_META_GRAPHS, _META_INFO, _TAGS = 2, 1, 4  # field numbers of saved_model.proto and meta_graph.proto
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protobuf
_SHARD = re.compile(r"variables\.data-(\d{5})-of-(\d{5})")
_LFS_MARK = b"version https://git-lfs.github.com/spec/"
AGAIN = "Export the model again, or copy its whole folder again from where it came."
"""The remedy for files that are not what was exported."""


def read_tags(path: str) -> List[Tuple[str, ...]]:
    """The tags of each MetaGraph in the ``saved_model.pb`` of a folder; the graphs themselves are skipped unread.

    :class:`~cpr.errors.ModelError` where the file is empty, cut or altered; ``OSError`` where it cannot be read.
    """
    file = Path(path) / GRAPH_NAME
    with open(str(file), "rb") as stream:
        end = file.stat().st_size
        try:
            found = [tuple(_meta_graph_tags(stream, stop)) for stop in _fields(stream, end, _META_GRAPHS)]
        except (ValueError, IndexError):
            found = []
    if found:
        return found
    if _is_pointer(file):
        raise _missing(path, file, "is a Git LFS pointer: its content was not fetched", "Run `git lfs pull`.")
    raise _missing(path, file, "is {}".format("cut or altered" if end else "empty"), AGAIN)


def unready_file(path: str) -> Optional[ModelError]:
    """A pipe, device or socket among the weights and assets, as an error to raise: TensorFlow would wait for it for ever."""
    for folder in (Path(path) / "variables", Path(path) / "assets"):
        readable = os.access(str(folder), os.R_OK | os.X_OK) and folder.is_dir()
        for file in sorted(folder.iterdir()) if readable else []:
            if file.exists() and not file.is_file() and not file.is_dir():
                return _missing(path, file, "is no file but a pipe, a device or a socket", AGAIN)
    return None


def missing_files(path: str) -> Optional[ModelError]:
    """The first file of weights that is not there, or not itself, as an error to raise; ``None`` where all are there.

    A model may have no weights at all: ask only when TensorFlow has failed on them.
    """
    folder = Path(path) / "variables"
    index = folder / "variables.index"
    names = {child.name for child in folder.iterdir()} if folder.is_dir() else set()
    if not names:
        return _missing(path, folder, "is missing: it would hold the weights", AGAIN)
    shards = sorted(name for name in names if _SHARD.match(name))
    if index.name not in names:
        return _missing(path, index, "is missing: it would say where each weight lies", AGAIN)
    count = max([int(name.rpartition("-")[2]) for name in shards], default=1)
    wanted = ["variables.data-{:05d}-of-{:05d}".format(number, count) for number in range(count)]
    for file in [index] + [folder / name for name in wanted]:
        if file.name not in names:
            return _missing(path, file, "is missing: it would hold weights", AGAIN)
        if _is_pointer(file):
            return _missing(path, file, "is a Git LFS pointer: its content was not fetched", "Run `git lfs pull`.")
    return None


def _missing(path: str, file: Path, what: str, remedy: str) -> ModelError:
    name = file.relative_to(path).as_posix() + ("" if file.suffix else "/")
    return ModelError("The SavedModel {} cannot be loaded: {} {}.".format(path, name, what), remedy, str(file))


def _is_pointer(file: Path) -> bool:
    try:
        with open(str(file), "rb") as stream:
            return stream.read(len(_LFS_MARK)) == _LFS_MARK
    except OSError:
        return False


def _meta_graph_tags(stream: BinaryIO, end: int) -> Iterator[str]:
    for info_end in _fields(stream, end, _META_INFO):
        for tag_end in _fields(stream, info_end, _TAGS):
            yield stream.read(tag_end - stream.tell()).decode("utf-8")


def _fields(stream: BinaryIO, end: int, number: int) -> Iterator[int]:
    """Where each field ``number``, a message or a text, ends; the stream stands at its start. All others are skipped.

    ``ValueError`` or ``IndexError`` where the bytes up to ``end`` are no message.
    """
    while stream.tell() < end:
        key = _varint(stream)
        wire = key & 7
        if wire == _VARINT:
            _varint(stream)
            continue
        if wire not in (_FIXED64, _BYTES, _FIXED32):
            raise ValueError("wire type {}".format(wire))
        size = _varint(stream) if wire == _BYTES else 8 if wire == _FIXED64 else 4
        stop = stream.tell() + size
        if stop > end:
            raise ValueError("a field beyond the end")
        if wire == _BYTES and key >> 3 == number:
            yield stop
        stream.seek(stop)


def _varint(stream: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
    raise ValueError("a number too long")
