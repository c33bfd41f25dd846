"""Freeing the outer dimension of a SavedModel of TensorFlow 1, in its graph; functions of TensorFlow 2 are traced for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cpr.exporting import batching
from cpr.exporting._tensorflow import copied, quiet
from cpr.exporting.editing import callable_keys
from cpr.exporting.wanted import Made, Run
from cpr.interface._failures import cause
from cpr.models import load_model
from cpr.saved_model.dtypes import dtype_name
from cpr.saved_model.reader import PB_NAME


def free(folder: Path, model: Any, made: Made) -> Made:
    """Free it in the SavedModel ``model`` that lies in ``folder``, where all signatures then answer as before.

    Gives ``made`` with what to tell, and with a source that takes any number of rows. Where it is not safe nothing changes.
    """
    (graph,) = model.meta_graphs
    shapes = {
        (key, name): _shape(info) for key in callable_keys(graph) for name, info in graph.signature_def[key].inputs.items()
    }
    rows, why = batching.fixed_rows({" ".join(place): shape for place, shape in shapes.items()})
    if rows is None and not why:
        return made
    run = made.run
    if graph.object_graph_def.nodes:
        why = "TensorFlow 2 traced the functions of the model for it"
    if run is None or rows is None or why:
        return replace(made, notes=(*made.notes, f"{batching.STAYS}{why or made.why}"))
    kept = copied(model)
    why = _edit(graph) or _tried(folder, model, run, rows)
    if why:
        model.CopyFrom(kept)
        (folder / PB_NAME).write_bytes(model.SerializeToString(deterministic=True))
        return replace(made, notes=(*made.notes, f"{batching.STAYS}{why}"))
    return replace(made, notes=(*made.notes, f"batch: free, was fixed to {rows}"), run=_in_chunks(run, rows))


def _edit(graph: Any) -> str:
    """Free the placeholders of all signatures, and infer the shapes anew; gives why that cannot be."""
    nodes = {node.name: node for node in graph.graph_def.node}
    for key in callable_keys(graph):
        for name, info in graph.signature_def[key].inputs.items():
            node = nodes.get(info.name.partition(":")[0])
            if node is None or node.op != "Placeholder":
                return f"the input {name} is no placeholder of the graph"
            if node.attr["shape"].shape.dim:
                node.attr["shape"].shape.dim[0].size = -1
    for node in graph.graph_def.node:
        node.attr.pop("_output_shapes", None)
    with quiet() as tf, tf.Graph().as_default() as imported:
        try:
            tf.import_graph_def(graph.graph_def, name="")
        except ValueError as error:
            return f"the shapes in the graph do not allow another: {cause(error)}"
        for key in callable_keys(graph):
            definition = graph.signature_def[key]
            for info in (*definition.inputs.values(), *definition.outputs.values()):
                info.tensor_shape.CopyFrom(imported.get_tensor_by_name(info.name).shape.as_proto())
    return ""


def _tried(folder: Path, model: Any, run: Run, rows: int) -> str:
    """Why the edited model must not be used, empty where it may."""
    (folder / PB_NAME).write_bytes(model.SerializeToString(deterministic=True))
    (graph,) = model.meta_graphs
    with load_model(folder, tags=graph.meta_info_def.tags, loader="session") as loaded:
        for key in callable_keys(graph):
            definition = graph.signature_def[key]
            inputs = {name: (dtype_name(info.dtype) or "", _shape(info)) for name, info in definition.inputs.items()}
            outputs = {name: _shape(info) for name, info in definition.outputs.items()}
            mine, theirs = (lambda arrays, key=key: loaded.call(arrays, key)), (lambda arrays, key=key: run(key, arrays))
            why = batching.refused(mine, theirs, inputs, outputs, rows)
            if why:
                return f"{key}: {why}"
    return ""


def _in_chunks(run: Run, rows: int) -> Run:
    def chunked(key: str, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
        return batching.in_chunks(lambda part: run(key, part), rows)(arrays)

    return chunked


def _shape(info: Any) -> batching.Shape:
    shape = info.tensor_shape
    return None if shape.unknown_rank else tuple(None if each.size < 0 else each.size for each in shape.dim)
