"""Signatures for a SavedModel that has none, or not the one that is wanted: of tensors of its graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cpr.errors import ModelError, UsageError
from cpr.exporting._tensorflow import quiet
from cpr.exporting.editing import callable_keys
from cpr.exporting.graph_ends import ends
from cpr.exporting.wanted import PREDICT, Run, Wanted, listed
from cpr.saved_model.reader import DEFAULT_SIGNATURE


def add(source: Path, model: Any, wanted: Wanted) -> Run:
    """Add the signature of these tensors to the one MetaGraph of ``model``; gives how to ask the source for them.

    ``UsageError`` where there are several, or where TensorFlow 2 wrote it: its loader would not see the signature.
    """
    from cpr.models import load_model

    if len(model.meta_graphs) != 1:
        raise UsageError("The model has several graphs.", "Choose one with --from-tags.", "--from-tags")
    (graph,) = model.meta_graphs
    if graph.object_graph_def.nodes:
        raise UsageError(
            "TensorFlow 2 wrote the model; tensors of its graph cannot become a signature that its loader sees.",
            "Rename what is there (--rename-input, --rename-output), or name a function: --function NAME.",
            "--input",
        )
    chosen = ends(graph.graph_def, wanted, trained=True)
    key = wanted.signature or DEFAULT_SIGNATURE
    with quiet() as tf, tf.Graph().as_default() as imported:
        tf.import_graph_def(graph.graph_def, name="")
        info = tf.compat.v1.saved_model.build_tensor_info
        signature = tf.compat.v1.saved_model.build_signature_def(
            *({name: info(imported.get_tensor_by_name(each)) for name, each in side.items()} for side in chosen[:2]), PREDICT
        )
        graph.signature_def[key].CopyFrom(signature)
    loaded = load_model(source, tags=wanted.from_tags, loader="session")

    def run(signature: str, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
        if signature != key:
            return loaded.call(arrays, signature)
        answered: dict[str, Any] = loaded.run({chosen.inputs[name]: each for name, each in arrays.items()}, chosen.outputs)
        return answered

    return run


def refuse_without(model: Any, source: Path) -> None:
    """``ModelError`` for a model that no request can call, with what could be."""
    for graph in model.meta_graphs:
        if callable_keys(graph):
            return
    (graph, *_) = model.meta_graphs
    nodes = graph.object_graph_def.nodes
    if not nodes:
        remedy = "Name the tensors of one: `--input NAME=TENSOR --output NAME=TENSOR`."
    else:
        children = nodes[0].children
        functions = [each.local_name for each in children if nodes[each.node_id].WhichOneof("kind") == "function"]
        remedy = f"Name the function to serve, `--function NAME`; it has {listed(functions)}."
    raise ModelError("The model has no signature, so no request can call it.", remedy, str(source))
