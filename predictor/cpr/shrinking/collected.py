"""The lists beside a graph: collections of TensorFlow 1, and the files that it reads."""

from __future__ import annotations

from typing import Any

from cpr.shrinking import _tensorflow
from cpr.shrinking.objects import Pruned
from cpr.shrinking.scopes import Scope, node_of, reached

INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")
_ASSETS, TABLES = "saved_model_assets", "table_initializer"
_VARIABLES = ("variables", "local_variables")
"""Collections by which TensorFlow 2 finds the variables of what TensorFlow 1 saved, to let go of them with the model."""


def asset_files(meta: Any, serving: set[str], objects: Pruned | None) -> set[str]:
    """Leave out the files that nothing reads; the nodes that hold the names of the others."""
    files = list(meta.asset_file_def)
    if objects is not None:
        kept = [files[number] for number in objects.assets]
    else:
        kept = [file for file in files if node_of(file.tensor_info.name) in serving]
    del meta.asset_file_def[:]
    meta.asset_file_def.extend(kept)
    names = {node_of(file.tensor_info.name) for file in kept}
    if _ASSETS in meta.collection_def:
        listed = meta.collection_def[_ASSETS].any_list.value
        for position in reversed(range(len(listed))):
            file = _tensorflow.asset_file()
            listed[position].Unpack(file)
            if node_of(file.tensor_info.name) in serving | names:
                names.add(node_of(file.tensor_info.name))
            else:
                del listed[position]
    return names


def keep_collections(meta: Any, main: Scope, serving: set[str], restored: set[str]) -> set[str]:
    """Leave out what only a training reads; the nodes that the rest needs."""
    needed: set[str] = set()
    for key in list(meta.collection_def):
        collection = meta.collection_def[key]
        if key in _VARIABLES:
            needed |= _variables(collection.bytes_list.value, main, serving, restored)
        elif key not in (*INIT_COLLECTIONS, _ASSETS, TABLES):
            del meta.collection_def[key]
    return needed


def _variables(listed: Any, main: Scope, serving: set[str], restored: set[str]) -> set[str]:
    """The variables that are left; those that are restored get zeros to begin with, and not what a training began with."""
    needed: set[str] = set()
    for position in reversed(range(len(listed))):
        variable = _tensorflow.variable(listed[position])
        node = main.by_name.get(node_of(variable.variable_name))
        if node is None or node.name not in serving or variable.HasField("save_slice_info_def"):
            del listed[position]
            continue
        shape = node.attr["shape"].shape
        if node.name in restored and not shape.unknown_rank and all(each.size >= 0 for each in shape.dim):
            _zeroed(main, node, variable, [each.size for each in shape.dim])
            listed[position] = variable.SerializeToString()
        needed |= reached(main, filter(None, (variable.initializer_name, variable.initial_value_name, variable.snapshot_name)))
    return needed


def _zeroed(main: Scope, node: Any, variable: Any, shape: list[int]) -> None:
    import numpy as np

    tf = _tensorflow.tensorflow()
    dtype = node.attr["dtype"].type
    dims, value = main.fresh(f"{node.name}/dims"), main.fresh(f"{node.name}/zeros")
    main.add(_tensorflow.constant(dims, np.array(shape, np.int32)))
    if dtype == tf.string.as_datatype_enum:
        main.add(_tensorflow.constant(f"{value}/value", ""))
    else:
        main.add(_tensorflow.constant(f"{value}/value", tf.zeros([], dtype).numpy()))
    main.add(_tensorflow.node("Fill", value, [dims, f"{value}/value"], T=dtype, index_type=tf.int32.as_datatype_enum))
    assign = main.by_name[node_of(variable.initializer_name)]
    if assign.op in ("Assign", "AssignVariableOp"):
        assign.input[1] = value
        variable.initial_value_name = f"{value}:0"
