"""What TensorFlow says of SavedModels that are there already: ``python tensorflow_shows.py FOLDER…`` prints one JSON object.

For each folder ``document``, the fields of ``cpr inspect --json`` from TensorFlow's own protobufs, op registry and checkpoint
reader, and ``show``, what ``saved_model_cli show --all`` prints of it. One process for all of them.
"""

import contextlib
import io
import json
import sys
from collections import Counter
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import fingerprint_pb2, saved_model_pb2, trackable_object_graph_pb2
from tensorflow.python.framework import op_def_registry
from tensorflow.python.tools import saved_model_cli
from tensorflow_says import facts

_CHECKPOINTED = "_CHECKPOINTABLE_OBJECT_GRAPH"


def document(path):
    found = facts(path)
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    graphs = [
        {**fact, "variables": found["variables"], "unknown_ops": unknown_ops(graph), "objects": objects(graph, path)}
        for fact, graph in zip(found["meta_graphs"], model.meta_graphs, strict=True)
    ]
    return {"meta_graphs": graphs, "fingerprint": fingerprint(path)}


def unknown_ops(graph):
    """Those that this TensorFlow does not have; a function of the library may be called as one."""
    library = graph.graph_def.library.function
    nodes = [*graph.graph_def.node, *(node for function in library for node in function.node_def)]
    named = {function.signature.name for function in library}
    return sorted({node.op for node in nodes if op_def_registry.get(node.op) is None} - named)


def objects(graph, path):
    """As ``tensorflow_says.py`` has it, with the key of each variable beside it."""
    if not graph.HasField("object_graph_def"):
        return None
    nodes = graph.object_graph_def.nodes
    keys = checkpoint_keys(str(path / "variables" / "variables"))
    return {
        "classes": dict(Counter(node.user_object.identifier for node in nodes if node.HasField("user_object"))),
        "functions": sum(bool(node.function.concrete_functions) for node in nodes),
        "variables": [
            {
                "name": node.variable.name,
                "dtype": tf.dtypes.as_dtype(node.variable.dtype).name,
                "shape": tf.TensorShape(node.variable.shape).as_list(),
                "trainable": node.variable.trainable,
                "path": keys.get(index),
            }
            for index, node in enumerate(nodes)
            if node.HasField("variable")
        ],
    }


def checkpoint_keys(prefix):
    """Where each object's value lies, by the object's number: TensorFlow numbers both graphs alike, from the root outwards."""
    if not Path(prefix + ".index").exists():
        return {}
    content = tf.train.load_checkpoint(prefix).get_tensor(_CHECKPOINTED)
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(content)
    return {index: node.attributes[0].checkpoint_key for index, node in enumerate(graph.nodes) if node.attributes}


def fingerprint(path):
    if not (path / "fingerprint.pb").exists():
        return None
    read = fingerprint_pb2.FingerprintDef.FromString((path / "fingerprint.pb").read_bytes())
    fields = ("saved_model_checksum", "graph_def_program_hash", "signature_def_hash", "saved_object_graph_hash")
    found = {field: getattr(read, field) for field in (*fields, "checkpoint_hash", "uuid")}
    return {**found, "version": read.version.producer}


def show(path):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        saved_model_cli._show_all(str(path))
    return printed.getvalue()


def main(folders):
    told = {str(path): {"document": document(path), "show": show(path)} for path in folders}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
