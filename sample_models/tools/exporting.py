"""Export a trained model so that the oldest TensorFlow in use can load it. Shared by the training scripts."""

import shutil
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

TOO_NEW = "DisableCopyOnRead"


def save(module, folder):
    """``tf.saved_model.save`` of ``module`` with its ``serve`` as the one signature, made fit for older versions."""
    shutil.rmtree(folder, ignore_errors=True)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    for_older(folder)


def for_older(folder):
    """Take out of a SavedModel what TensorFlow 2.9 does not know.

    A TensorFlow newer than 2.9 puts the operation ``DisableCopyOnRead`` into the function that writes checkpoints, to save
    memory while writing. TensorFlow 2.9 (AI Platform's runtime 2.9) does not know it and refuses the whole model, though
    serving never writes a checkpoint. It has no output and computes nothing, so it is taken out.
    """
    path = Path(folder) / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    graph = model.meta_graphs[0]
    for function in graph.graph_def.library.function:
        _take_out(function)
    listed = graph.meta_info_def.stripped_op_list.op
    listed.remove(next(op for op in listed if op.name == TOO_NEW))
    path.write_bytes(model.SerializeToString(deterministic=True))
    (Path(folder) / "fingerprint.pb").unlink()  # of the file as it was; loading asks for none
    (Path(folder) / "assets").rmdir()  # empty


def _take_out(function):
    nodes = [node for node in function.node_def if node.op != TOO_NEW]
    gone = {node.name for node in function.node_def if node.op == TOO_NEW}
    for node in nodes:
        inputs = [name for name in node.input if name.lstrip("^") not in gone]
        del node.input[:]
        node.input.extend(inputs)
    for key in [key for key, name in function.control_ret.items() if name in gone]:
        del function.control_ret[key]
        function.signature.control_output.remove(key)
    del function.node_def[:]
    function.node_def.extend(nodes)
