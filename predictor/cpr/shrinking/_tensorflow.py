"""TensorFlow for the transformations: its protobuf classes, its operations, its reader and writer of checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cpr.errors import MissingExtra, ModelError, OutputError

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def tensorflow() -> Any:
    """The module. ``MissingExtra`` where it is not installed."""
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise MissingExtra("tensorflow", "Making a model smaller") from None
    return tf


def parsed(folder: Path) -> Any:
    """The ``SavedModel`` message in a folder, from its binary form or its text."""
    tensorflow()
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    try:
        return parse_saved_model(str(folder))
    except Exception as error:  # of TensorFlow's, the file system's and protobuf's, by version
        first = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"TensorFlow cannot read the graph: {first}", "Export the model again, or fetch it again.", str(folder)
        ) from None


def node(op: str, name: str, inputs: Sequence[str], **attributes: Any) -> Any:
    """A ``NodeDef``. An attribute is a data type (``int``), a list of such, or an ``AttrValue``."""
    from tensorflow.core.framework import attr_value_pb2, node_def_pb2

    made = node_def_pb2.NodeDef(op=op, name=name, input=inputs)
    for key, value in attributes.items():
        if isinstance(value, int):
            value = attr_value_pb2.AttrValue(type=value)
        elif isinstance(value, list):
            value = attr_value_pb2.AttrValue(list=attr_value_pb2.AttrValue.ListValue(type=value))
        made.attr[key].CopyFrom(value)
    return made


def constant(name: str, array: Any, controls: Sequence[str] = ()) -> Any:
    """A ``Const`` of a NumPy array or of a list of texts."""
    from tensorflow.core.framework import attr_value_pb2

    tensor = tensorflow().make_tensor_proto(array)
    return node("Const", name, controls, dtype=tensor.dtype, value=attr_value_pb2.AttrValue(tensor=tensor))


def variable_node(name: str, dtype: int, shape: Sequence[int]) -> Any:
    """The ``VarHandleOp`` of a resource variable."""
    from tensorflow.core.framework import attr_value_pb2, tensor_shape_pb2

    dims = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in shape]
    made = attr_value_pb2.AttrValue(shape=tensor_shape_pb2.TensorShapeProto(dim=dims))
    shared = attr_value_pb2.AttrValue(s=name.encode())
    return node("VarHandleOp", name, [], dtype=dtype, shape=made, shared_name=shared)


def variable_entry(name: str, initializer: str, snapshot: str, value: str) -> bytes:
    """A ``VariableDef`` of a resource variable, as collections hold it."""
    from tensorflow.core.framework import variable_pb2

    made = variable_pb2.VariableDef(variable_name=name, initializer_name=initializer, snapshot_name=snapshot)
    made.initial_value_name, made.is_resource, made.trainable = value, True, False
    return bytes(made.SerializeToString())


def function_attribute(name: str) -> Any:
    """The ``AttrValue`` that names a library function."""
    from tensorflow.core.framework import attr_value_pb2

    return attr_value_pb2.AttrValue(func=attr_value_pb2.NameAttrList(name=name))


def function(name: str, inputs: Sequence[tuple[str, int]], output: tuple[str, int], source: str, nodes: Sequence[Any]) -> Any:
    """A stateful ``FunctionDef`` with one output, which is the tensor ``source``."""
    from tensorflow.core.framework import function_pb2

    made = function_pb2.FunctionDef(node_def=nodes, ret={output[0]: source})
    made.signature.name = name
    made.signature.is_stateful = True
    for argument, dtype in inputs:
        made.signature.input_arg.add(name=argument, type=dtype)
    made.signature.output_arg.add(name=output[0], type=output[1])
    return made


def operation(name: str) -> Any:
    """The ``OpDef`` of an operation, ``None`` for one that this TensorFlow does not have."""
    from tensorflow.python.framework import op_def_registry

    return op_def_registry.get(name)


def number(node: Any, attribute: str) -> int:
    """An integer attribute, 0 where the node does not have it. To look is to make one: an empty attribute is no valid node."""
    return int(node.attr[attribute].i) if attribute in node.attr else 0


def computed(nodes: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    """The first outputs of nodes of a graph, as NumPy arrays."""
    from tensorflow.core.framework import graph_pb2

    v1 = tensorflow().compat.v1
    with v1.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        v1.import_graph_def(graph_pb2.GraphDef(node=nodes), name="")
        values: dict[str, Any] = session.run({name: f"{name}:0" for name in names})
    return values


def texts_of(node: Any) -> list[str]:
    """The values of a ``Const`` of strings."""
    tf = tensorflow()
    return [value.decode() for value in tf.make_ndarray(node.attr["value"].tensor).ravel().tolist()]


def trackable_graph(data: bytes) -> Any:
    """A ``TrackableObjectGraph``: what a checkpoint of TensorFlow 2 says of the objects in it."""
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    return trackable_object_graph_pb2.TrackableObjectGraph.FromString(data)


def asset_file() -> Any:
    """An empty ``AssetFileDef``."""
    from tensorflow.core.protobuf import meta_graph_pb2

    return meta_graph_pb2.AssetFileDef()


def variable(data: bytes) -> Any:
    """A ``VariableDef``: what a collection of TensorFlow 1 says of a variable."""
    from tensorflow.core.framework import variable_pb2

    return variable_pb2.VariableDef.FromString(data)


def restored(prefix: str, key: str, dtype: int) -> Any:
    """One tensor of a checkpoint, whole also where it lies there in slices."""
    tf = tensorflow()
    return tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=[key], shape_and_slices=[""], dtypes=[tf.as_dtype(dtype)])[0]


def catalogue(prefix: str) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Type and shape of every tensor of a checkpoint, by its key."""
    tf = tensorflow()
    try:
        reader = tf.train.load_checkpoint(prefix)
    except Exception as error:
        raise ModelError(
            f"TensorFlow cannot read the weights: {str(error).strip().partition(chr(10))[0]}",
            "Export the model again, or fetch it again: `cpr inspect --verify` says what is damaged.",
            prefix,
        ) from None
    shapes = reader.get_variable_to_shape_map()
    return {key: (dtype.as_datatype_enum, tuple(shapes[key])) for key, dtype in reader.get_variable_to_dtype_map().items()}


def save_part(prefix: str, tensors: Mapping[str, Any]) -> None:
    """Write tensors as a checkpoint of their own."""
    tf = tensorflow()
    keys = sorted(tensors)
    try:
        tf.raw_ops.SaveV2(
            prefix=prefix, tensor_names=keys, shape_and_slices=[""] * len(keys), tensors=[tensors[key] for key in keys]
        )
    except tf.errors.OpError as error:  # the file system's, in words of TensorFlow's own
        raise OutputError(
            f"The weights cannot be written: {error.message}", "Free some space, or name a folder where you may write.", prefix
        ) from None


def merge_parts(prefixes: Sequence[str], destination: str) -> None:
    """Make one checkpoint of several by renaming their files."""
    tensorflow().raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=list(prefixes), destination_prefix=destination, delete_old_dirs=True
    )
