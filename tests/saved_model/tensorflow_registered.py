"""What the installed TensorFlow has registered, as JSON: the oracle of test_operations.py, in a process of its own."""

import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.framework import kernels


def operations():
    listed = op_def_pb2.OpList()
    listed.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    return listed.op


def names_a_place(operation):
    """Whether one of its inputs or attributes is named as what says where a file or a machine is."""
    words = {word for part in (*operation.input_arg, *operation.attr) for word in part.name.split("_")}
    return bool(
        words & {"file", "filename", "filenames", "files", "path", "dir", "logdir", "directory", "address", "uri", "urls"}
    )


def on_the_cpu():
    tf.function(lambda x: x + 1, jit_compile=True)(tf.constant(1.0))  # the kernels of XLA register themselves only then
    listed = kernels.get_all_registered_kernels().kernel
    return sorted({kernel.op for kernel in listed if kernel.device_type in ("CPU", "DEFAULT", "XLA_CPU_JIT")})


def run(name, attributes):
    """What a session says of a node of this operation whose inputs are two numbers; empty where it runs."""
    with tf.Graph().as_default() as graph:
        node = graph.create_op(name, [tf.constant([1.0]), tf.constant([2.0])], [tf.float32], attrs=attributes)
        try:
            tf.compat.v1.Session(graph=graph).run(node)
        except tf.errors.OpError as error:
            return error.message
    return ""


def attribute(**value):
    return tf.compat.v1.AttrValue(**value)


number, vector = attribute(type=1), attribute(shape=tf.TensorShape([1]).as_proto())
says = {
    "operations": [operation.name for operation in operations()],
    "places": [operation.name for operation in operations() if names_a_place(operation)],
    "on_the_cpu": on_the_cpu(),
    "graph_def": [
        tf.version.GRAPH_DEF_VERSION,
        tf.version.GRAPH_DEF_VERSION_MIN_CONSUMER,
        tf.version.GRAPH_DEF_VERSION_MIN_PRODUCER,
    ],
    "replaced": run("AccumulateNV2", {"N": attribute(i=2), "T": number, "shape": vector}),
    "without_kernel": run("RiscAdd", {"T": number}),
}
json.dump(says, sys.stdout)
