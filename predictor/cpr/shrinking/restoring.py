"""What a graph restores from its checkpoint, read from the nodes that do it, and the nodes that do it written anew.

TensorFlow 1 has them in the graph, TensorFlow 2 in two functions that the graph calls. The graph's saver (``saver_def``) names
where they begin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from cpr.errors import ModelError
from cpr.shrinking import _tensorflow
from cpr.shrinking._tensorflow import OBJECT_GRAPH
from cpr.shrinking.scopes import MAIN, Scope, node_of, reached, scopes_of

_THROUGH = ("Identity", "Cast", "Reshape")
_INTO = ("AssignVariableOp", "Assign", "LookupTableImportV2", "LookupTableImport")


class Target(NamedTuple):
    """A variable or a table that is restored.

    ``node`` is its node in the graph and ``op`` what fills it: an assignment of one tensor, or a table's import of two.
    ``keys`` are the names of these in the checkpoint, ``slices`` the part of each that is meant (``""``: all), ``dtypes`` their
    types.
    """

    node: str
    op: str
    keys: tuple[str, ...]
    slices: tuple[str, ...]
    dtypes: tuple[int, ...]

    @property
    def is_table(self) -> bool:
        return self.op.startswith("LookupTable")


def read_targets(meta: Any) -> tuple[Target, ...]:
    """What a ``MetaGraphDef`` restores. ``ModelError`` where something is restored in a way that is not known."""
    restore = node_of(meta.saver_def.restore_op_name)
    if not restore:
        return ()
    scopes = scopes_of(meta.graph_def)
    main = scopes[MAIN]
    start = main.by_name.get(restore)
    if start is None:
        raise _unknown(f"its saver names the node {restore!r}, which the graph does not have")
    callee = scopes.get(start.attr["f"].func.name) if "f" in start.attr else None
    if callee is None:
        within = reached(main, [restore])
        return tuple(_targets(main, within, {}))
    arguments = [argument.name for argument in callee.function.signature.input_arg]
    return tuple(_targets(callee, set(callee.by_name), dict(zip(arguments, map(node_of, start.input), strict=False))))


def _targets(scope: Scope, within: set[str], passed: dict[str, str]) -> Iterator[Target]:
    """``passed`` are the nodes that a function's arguments come from."""
    parts: dict[str, dict[int, tuple[str, str, int]]] = {}
    for name in sorted(within):
        node = scope.by_name[name]
        if node.op != "RestoreV2":
            continue
        keys, slices = (_tensorflow.texts_of(scope.by_name[node_of(node.input[index])]) for index in (1, 2))
        for index, (key, part, dtype) in enumerate(zip(keys, slices, node.attr["dtypes"].list.type, strict=True)):
            for filled, position in _filled(scope, within, name, index):
                parts.setdefault(filled, {})[position] = (key, part, dtype)
            if key == OBJECT_GRAPH:
                continue
    for filled, tensors in parts.items():
        node = scope.by_name[filled]
        handle = node_of(node.input[0])
        ordered = [tensors[position] for position in sorted(tensors)]
        if len(ordered) != (2 if node.op.startswith("LookupTable") else 1):
            raise _unknown(f"{filled!r} takes other values than those of the checkpoint")
        yield Target(passed.get(handle, handle), node.op, *map(tuple, zip(*ordered, strict=True)))


def _filled(scope: Scope, within: set[str], name: str, index: int) -> Iterator[tuple[str, int]]:
    """The nodes that take the output of a ``RestoreV2`` node, and as which of their inputs."""
    todo = [(name, index)]
    while todo:
        source, output = todo.pop()
        for use in scope.uses().get(source, ()):
            tensor = scope.tensor(use.node.input[use.position])
            if tensor is None or tensor.position != output or use.node.name not in within:
                continue
            if use.node.op in _THROUGH and use.position == 0:
                todo.append((use.node.name, 0))
            elif use.node.op in _INTO and use.position > 0:
                yield use.node.name, use.position
            else:
                raise _unknown(f"{use.node.name!r} ({use.node.op}) takes a tensor of the checkpoint")


def saver_nodes(meta: Any, targets: Sequence[Target]) -> set[str]:
    """The nodes of the graph that save and restore, but for the variables and the file's name."""
    saver, main = meta.saver_def, scopes_of(meta.graph_def)[MAIN]
    found = reached(main, filter(None, (saver.save_tensor_name, saver.restore_op_name)))
    return found - reached(main, [saver.filename_tensor_name]) - {target.node for target in targets}


def write_saver(meta: Any, targets: Sequence[Target]) -> None:
    """Make the graph restore these and nothing else. The nodes that did so before are left to be pruned."""
    saver = meta.saver_def
    if not saver.restore_op_name:
        return
    scopes = scopes_of(meta.graph_def)
    main = scopes[MAIN]
    saver.sharded = False
    if meta.HasField("object_graph_def"):
        _by_functions(meta, main, scopes, targets)
        return
    if not targets:
        saver.Clear()
        return
    prefix = "serving_saver"
    while any(name.startswith(f"{prefix}/") for name in main.by_name):
        prefix += "_"
    saving, restoring = _nodes(main, f"{prefix}/", saver.filename_tensor_name.removesuffix(":0"), targets, {})
    for node in (*saving, *restoring):
        main.add(node)
    saver.save_tensor_name = f"{saving[-1].name}:0"
    main.add(_tensorflow.node("NoOp", f"{prefix}/restore_all", [f"^{node.name}" for node in restoring if node.op in _INTO]))
    saver.restore_op_name = f"{prefix}/restore_all"


def _by_functions(meta: Any, main: Scope, scopes: dict[str, Scope], targets: Sequence[Target]) -> None:
    tf = _tensorflow.tensorflow()
    string, resource = tf.string.as_datatype_enum, tf.resource.as_datatype_enum
    saver = meta.saver_def
    _drop_calls(meta, main, scopes)
    handles = list(dict.fromkeys(target.node for target in targets))
    arguments = {handle: f"resource_{index}" for index, handle in enumerate(handles)}
    inside = Scope("", [], function=meta)  # a scope that is written as a function's: nothing but names are made in it
    made = _nodes(inside, "", "file_prefix", targets, arguments)
    signature = [("file_prefix", string), *((name, resource) for name in arguments.values())]
    for nodes, name in zip(made, ("save", "restore"), strict=True):
        function = f"__inference__serving_{name}"
        while function in scopes:
            function += "_"
        effects = [node.name for node in nodes if node.op in (*_INTO, "SaveV2")]
        done = _tensorflow.node("Identity", "Identity", ["file_prefix", *(f"^{effect}" for effect in effects)], T=string)
        body = _tensorflow.function(function, signature, ("identity", string), "Identity:output:0", [*nodes, done])
        for effect in effects:
            body.control_ret[effect] = effect
            body.signature.control_output.append(effect)
        meta.graph_def.library.function.append(body)
        call = _tensorflow.node(
            "StatefulPartitionedCall",
            main.fresh(f"serving_{name}"),
            [node_of(saver.filename_tensor_name), *handles],
            Tin=[dtype for _, dtype in signature],
            Tout=[string],
            f=_tensorflow.function_attribute(function),
        )
        main.add(call)
        if name == "save":
            saver.save_tensor_name = f"{call.name}:0"
        else:
            saver.restore_op_name = call.name


def _drop_calls(meta: Any, main: Scope, scopes: dict[str, Scope]) -> None:
    """Free the names of the two calls that the saver names, and of their functions."""
    calls = {node_of(name) for name in (meta.saver_def.save_tensor_name, meta.saver_def.restore_op_name)} & main.by_name.keys()
    functions = {main.by_name[name].attr["f"].func.name for name in calls if "f" in main.by_name[name].attr}
    library = meta.graph_def.library.function
    for position in reversed(range(len(library))):
        if library[position].signature.name in functions:
            del scopes[library[position].signature.name], library[position]
    for position in reversed(range(len(main.nodes))):
        if main.nodes[position].name in calls and "f" in main.nodes[position].attr:
            del main.by_name[main.nodes[position].name], main.nodes[position]


def _nodes(
    scope: Scope, prefix: str, file: str, targets: Sequence[Target], arguments: dict[str, str]
) -> tuple[list[Any], list[Any]]:
    """The nodes that save the targets and those that restore them, in their order."""
    make = _tensorflow.node
    keys = [key for target in targets for key in target.keys]
    slices = [part for target in targets for part in target.slices]
    dtypes = [dtype for target in targets for dtype in target.dtypes]
    saving: list[Any] = []
    restoring: list[Any] = []
    values: list[str] = []
    for number, target in enumerate(targets):
        handle = arguments.get(target.node, target.node)
        restored = [scope.written(f"{prefix}RestoreV2", "tensors", len(values) + index) for index in range(len(target.keys))]
        names = f"{prefix}Read_{number}", f"{prefix}{target.op}_{number}"
        if target.is_table:
            of_table = dict(zip(("Tkeys", "Tvalues"), target.dtypes, strict=True))
            saving.append(make(target.op.replace("Import", "Export"), names[0], [handle], **of_table))
            values += [scope.written(names[0], "keys"), scope.written(names[0], "values", 0 if arguments else 1)]
            into = dict(zip(("Tin", "Tout"), target.dtypes, strict=True))
        elif target.op == "AssignVariableOp":
            saving.append(make("ReadVariableOp", names[0], [handle], dtype=target.dtypes[0]))
            values.append(scope.written(names[0], "value"))
            into = {"dtype": target.dtypes[0]}
        else:
            values.append(handle)
            into = {"T": target.dtypes[0]}
        restoring.append(make(target.op, names[1], [handle, *restored], **into))
    if not keys:  # a model without a variable: TensorFlow reads its objects all the same
        keys, slices, dtypes = [OBJECT_GRAPH], [""], [_tensorflow.tensorflow().string.as_datatype_enum]
        saving.append(_tensorflow.constant(f"{prefix}Objects", ""))
        values.append(scope.written(f"{prefix}Objects", "output"))

    def named(op: str) -> list[Any]:
        return [_tensorflow.constant(f"{prefix}{op}/{what}", texts) for what, texts in _lists(keys, slices)]

    def inputs(op: str) -> list[str]:
        return [file, *(scope.written(f"{prefix}{op}/{what}", "output") for what, _ in _lists(keys, slices))]

    restoring = [*named("RestoreV2"), make("RestoreV2", f"{prefix}RestoreV2", inputs("RestoreV2"), dtypes=dtypes), *restoring]
    saving += [*named("SaveV2"), make("SaveV2", f"{prefix}SaveV2", [*inputs("SaveV2"), *values], dtypes=dtypes)]
    if not arguments and scope.function is None:
        string = _tensorflow.tensorflow().string.as_datatype_enum
        saving.append(make("Identity", f"{prefix}saved", [file, f"^{prefix}SaveV2"], T=string))
    return saving, restoring


def _lists(keys: list[str], slices: list[str]) -> tuple[tuple[str, list[str]], tuple[str, list[str]]]:
    return ("tensor_names", keys), ("shape_and_slices", slices)


def _unknown(what: str) -> ModelError:
    return ModelError(
        f"How the model restores its weights is not known here: {what}.",
        "Export it again with tf.saved_model.save, or with TensorFlow 1's SavedModelBuilder.",
    )
