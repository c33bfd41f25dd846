"""Lookup tables of a graph: what fills them when the model is loaded, and the files that they are filled from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from cpr.errors import ModelError

_FROM_FILE = frozenset(("InitializeTableFromTextFile", "InitializeTableFromTextFileV2"))
_FILLING = frozenset(("InitializeTable", "InitializeTableV2", "LookupTableImport", "LookupTableImportV2")) | _FROM_FILE


def table_initializers(nodes: Mapping[str, Any], kept: Iterable[str]) -> tuple[str, ...]:
    """The nodes that fill the tables among ``kept``."""
    there = set(kept)
    return tuple(
        name for name, node in nodes.items() if node.op in _FILLING and node.input and node.input[0].partition(":")[0] in there
    )


def place_files(tf: Any, graph: Any, needed: Collection[str], beside: Path) -> tuple[str, ...]:
    """Let every table among the nodes that are ``needed`` read its file where it lies now; gives the tensors with their names.

    A file that is not where the training had it is looked for beside the graph. ``ModelError`` where it is not there either.
    """
    nodes = {node.name: node for node in graph.node}
    tensors = []
    for node in graph.node:
        if node.name not in needed or node.op not in _FROM_FILE or len(node.input) < 2:
            continue
        name = node.input[1].partition(":")[0]
        constant = nodes.get(name)
        if constant is None or constant.op != "Const":
            continue
        written = Path(tf.make_ndarray(constant.attr["value"].tensor).item().decode())
        constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(str(_found(written, beside).resolve())))
        tensors.append(f"{name}:0")
    return tuple(dict.fromkeys(tensors))


def _found(written: Path, beside: Path) -> Path:
    for path in (written, beside / written.name, beside / "assets" / written.name):
        if path.is_file():
            return path
    raise ModelError(
        f"A table of the graph reads the file {written}, which is not there.", f"Put it into {beside}.", str(written)
    )
