"""SavedModels, read without TensorFlow and without protobuf: only the standard library, in milliseconds.

::

    model = read_saved_model("model")
    signature = model.meta_graphs[0].signatures["serving_default"]
    signature.inputs["x"].dtype, signature.inputs["x"].shape    # "float32", (None, 4)

    model.meta_graphs[0].calls["serving_default"].ops           # what a request runs: {"MatMul": 1, …}

``wire`` walks protocol-buffer bytes and ``pbtxt`` turns their text form into them. ``reader`` makes the values: ``graph`` what
a request runs (``nodes``, ``constants``, ``dropout``, ``norms``, ``passage``), ``objects`` what TensorFlow 2 restores,
``extras`` what lies beside. ``checkpoint`` reads ``variables.index``, ``findings`` says what is wrong with a folder,
``survey`` puts all of it into one value, and ``requests`` writes an example request for a signature. Whatever the bytes hold,
the only exception is :class:`cpr.errors.ModelError`.
"""

from cpr.saved_model.checkpoint import CheckpointIndex, Variable, read_checkpoint_index
from cpr.saved_model.graph import Call
from cpr.saved_model.objects import ModelVariable, ObjectGraph
from cpr.saved_model.reader import MetaGraph, SavedModel, Signature, TensorInfo, read_saved_model

__all__ = [
    "Call",
    "CheckpointIndex",
    "MetaGraph",
    "ModelVariable",
    "ObjectGraph",
    "SavedModel",
    "Signature",
    "TensorInfo",
    "Variable",
    "read_checkpoint_index",
    "read_saved_model",
]
