"""Graphs in files: a ``GraphDef`` or a ``MetaGraphDef``, in binary or in text, whatever the file is called."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cpr.errors import ModelError
from cpr.exporting._tensorflow import parsed_text, saved_model_message, tensorflow

_MOST = 1 << 31
"""Bytes of a message of protobuf."""

_OP = re.compile(r"[A-Za-z][\w>.]*")


def read_meta_graph(path: Path) -> Any:
    """The ``MetaGraphDef`` in a file; of a ``GraphDef`` it has the graph alone. ``ModelError`` for anything else."""
    tf = tensorflow()
    if path.stat().st_size >= _MOST:
        raise ModelError(
            f"{path} has {path.stat().st_size:,} bytes; protobuf, and so TensorFlow, reads less than {_MOST:,}.",
            "Export the graph with its weights in a checkpoint, not as constants.",
            str(path),
        )
    content = path.read_bytes()
    read = _binary if b"\0" in content[:4096] or not _is_text(content) else _text
    meta = read(content, tf.compat.v1.MetaGraphDef)
    if meta is not None and _is_graph(meta.graph_def):
        return meta
    graph = read(content, tf.compat.v1.GraphDef)
    if graph is not None and _is_graph(graph):
        meta = tf.compat.v1.MetaGraphDef()
        meta.graph_def.CopyFrom(graph)
        return meta
    model = read(content, lambda: saved_model_message())
    if model is not None and any(_is_graph(each.graph_def) for each in model.meta_graphs):
        raise ModelError(
            f"{path} is the graph file of a SavedModel under another name.",
            "Name it saved_model.pb, beside its variables folder, and export that folder.",
            str(path),
        )
    raise ModelError(
        f"{path} holds neither a GraphDef nor a MetaGraphDef.",
        "Name a frozen graph, or what TensorFlow 1's Saver (.meta) or tf.io.write_graph wrote.",
        str(path),
    )


def _is_text(content: bytes) -> bool:
    try:
        content[:4096].decode("utf-8", errors="strict")
    except UnicodeDecodeError:
        return len(content) > 4096 and b"\0" not in content[:4096] and content[:4096].isascii()
    return True


def _binary(content: bytes, kind: Callable[[], Any]) -> Any:
    message = kind()
    try:
        message.ParseFromString(content)
    except Exception:  # protobuf's DecodeError, by version of another module
        return None
    return message


def _text(content: bytes, kind: Callable[[], Any]) -> Any:
    try:
        return parsed_text(content.decode("utf-8"), kind())
    except ValueError:
        return _binary(content, kind)


def _is_graph(graph: Any) -> bool:
    """Bytes of another message may pass for a graph, but not for operations."""
    return bool(graph.node) and all(node.name and _OP.fullmatch(node.op) for node in graph.node)
