"""The object graph that the loader of TensorFlow 2 reads: kept in step with the signatures of the protobuf.

A signature is there once more, as a child of the root's ``signatures``, with a function that names its arguments. Of a renamed
argument the flat order changes, too, as that is the order of the names: so a renamed signature gets a function of its own
around the one it had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cpr.errors import ModelError
from cpr.exporting._tensorflow import copied

_SIGNATURES = "signatures"


def rename_signature(graph: Any, old: str, new: str) -> None:
    """``graph`` is a ``MetaGraphDef``; one without objects has nothing to rename."""
    child = _child(graph, old)
    if child is not None:
        child.local_name = new


def rename_tensors(graph: Any, key: str, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Give inputs and outputs of the signature ``key`` new names, by old name, as the object loader sees them.

    ``ModelError`` for a signature whose values are made of several tensors.
    """
    child = _child(graph, key)
    if child is None:
        return
    node = graph.object_graph_def.nodes[child.node_id]
    if node.WhichOneof("kind") != "bare_concrete_function":
        raise _unknown(key)
    bare = node.bare_concrete_function
    concrete = graph.object_graph_def.concrete_functions
    old = concrete[bare.concrete_function_name]
    wrapped = _function(graph, bare.concrete_function_name)
    arguments = list(bare.argument_keywords)
    results = sorted(old.output_signature.dict_value.fields)
    if len(arguments) + len(old.bound_inputs) != len(wrapped.signature.input_arg):
        raise _unknown(key)
    if len(results) != len(wrapped.signature.output_arg):
        raise _unknown(key)
    name = _free_name(graph, bare.concrete_function_name)
    _wrap(
        graph.graph_def.library.function.add(),
        name,
        wrapped,
        {inputs.get(argument, argument): index for index, argument in enumerate(arguments)},
        {outputs.get(result, result): index for index, result in enumerate(results)},
    )
    fresh = concrete[name]
    fresh.CopyFrom(old)
    _rename_fields(fresh.canonicalized_input_signature.tuple_value.values[1].dict_value.fields, inputs)
    _rename_fields(fresh.output_signature.dict_value.fields, outputs)
    bare.concrete_function_name = name
    bare.argument_keywords[:] = sorted((inputs.get(argument, argument) for argument in arguments), key=_order)
    bare.ClearField("function_spec")  # made anew from the arguments


def _order(name: str) -> str:
    """What arguments are sorted by: ``sanitize_arg_name`` in ``tensorflow/core/function/polymorphism/function_type.py``."""
    legal = "".join(letter if letter.isalnum() else "_" for letter in name)
    return legal if legal[:1].isalpha() else f"arg_{legal}"


def _child(graph: Any, key: str) -> Any:
    nodes = graph.object_graph_def.nodes
    if not nodes:
        return None
    for child in nodes[0].children:
        if child.local_name == _SIGNATURES:
            return next((each for each in nodes[child.node_id].children if each.local_name == key), None)
    return None


def _function(graph: Any, name: str) -> Any:
    return next(function for function in graph.graph_def.library.function if function.signature.name == name)


def _free_name(graph: Any, name: str) -> str:
    """As TensorFlow spells them: with a number at the end, which the loader cuts off."""
    taken = {function.signature.name for function in graph.graph_def.library.function}
    stem, _, number = name.rpartition("_")
    count = int(number) if number.isdigit() else 0
    if not number.isdigit():
        stem = name
    while name in taken:
        count += 1
        name = f"{stem}_{count}"
    return name


def _wrap(function: Any, name: str, wrapped: Any, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
    """Make ``function`` one that calls ``wrapped``, whose inputs and outputs have these numbers; its captures come last."""
    signature = function.signature
    signature.name = name
    signature.is_stateful = wrapped.signature.is_stateful
    function.attr.MergeFrom(wrapped.attr)
    count = len(inputs)
    numbers = [inputs[key] for key in sorted(inputs, key=_order)] + list(range(count, len(wrapped.signature.input_arg)))
    call = function.node_def.add(name="call", op="StatefulPartitionedCall")
    call.attr["f"].func.name = wrapped.signature.name
    call.input.extend([""] * len(numbers))
    for position, number in enumerate(numbers):
        argument = signature.input_arg.add()
        argument.CopyFrom(wrapped.signature.input_arg[number])
        argument.name = f"argument_{position}"
        call.input[number] = argument.name
        if number in wrapped.arg_attr:
            function.arg_attr[position].CopyFrom(wrapped.arg_attr[number])
            function.arg_attr[position].attr.pop("_user_specified_name", None)
    call.attr["Tin"].list.type.extend(argument.type for argument in wrapped.signature.input_arg)
    call.attr["Tout"].list.type.extend(result.type for result in wrapped.signature.output_arg)
    for position, key in enumerate(sorted(outputs)):
        result = signature.output_arg.add()
        result.CopyFrom(wrapped.signature.output_arg[outputs[key]])
        result.name = f"result_{position}"
        function.ret[result.name] = f"call:output:{outputs[key]}"
    if wrapped.signature.control_output:
        signature.control_output.append("call")
        function.control_ret["call"] = "call"


def _rename_fields(fields: Any, names: Mapping[str, str]) -> None:
    kept = {names.get(key, key): copied(value) for key, value in fields.items()}
    for key in list(fields):
        del fields[key]
    for key, value in kept.items():
        if value.WhichOneof("kind") != "tensor_spec_value":
            raise _unknown(key)
        value.tensor_spec_value.name = key
        fields[key].CopyFrom(value)


def _unknown(key: str) -> ModelError:
    return ModelError(
        f"The signature {key!r} has a form whose inputs and outputs cannot be renamed: some are made of several tensors.",
        "Export the model again with the names that it should have.",
        key,
    )
