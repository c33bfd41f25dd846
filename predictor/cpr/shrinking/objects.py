"""The objects that TensorFlow 2 restores, without those that no signature needs; the checkpoint's view of them kept in step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from cpr.errors import ModelError

_SIGNATURES = "signatures"
_GENERIC, _SIGNATURE_MAP = "_generic_user_object", "signature_map"


class Pruned(NamedTuple):
    """``saved`` is the ``SavedObjectGraph`` and ``stored`` the checkpoint's ``TrackableObjectGraph``; ``keys`` are the names in
    the checkpoint that they refer to, ``functions`` the library functions, ``nodes`` nodes of the graph, ``assets`` the numbers
    of asset files before the pruning."""

    saved: Any
    stored: Any
    keys: frozenset[str]
    functions: frozenset[str]
    nodes: frozenset[str]
    assets: tuple[int, ...]


def pruned_objects(saved: Any, stored: Any) -> Pruned:
    """What the signatures need, at the place where it was: names in the checkpoint are made from the way to a variable.

    ``ModelError`` where there is no signature, or the checkpoint was written by Python code that is not here.
    """
    needed = _needed(saved)
    kept = needed | set(_on_the_way(saved, needed))
    order = [number for number in range(len(saved.nodes)) if number in kept]
    new = {number: position for position, number in enumerate(order)}
    places = _matched(saved, stored, kept)
    graph, trackable = type(saved)(), type(stored)()
    assets: list[int] = []
    for number in order:
        item = graph.nodes.add()
        item.CopyFrom(saved.nodes[number])
        whole = number in needed and number != 0
        _slimmed(item, new, whole)
        if item.WhichOneof("kind") == "asset":
            assets.append(item.asset.asset_file_def_index)
            item.asset.asset_file_def_index = len(assets) - 1
        other = trackable.nodes.add()
        for child in item.children:
            other.children.add(node_id=child.node_id, local_name=child.local_name)
        if whole and number in places:
            _with_values(other, stored.nodes[places[number]])
    functions = set(_functions(graph))
    for name in sorted(functions):
        entry = saved.concrete_functions[name]
        graph.concrete_functions[name].CopyFrom(entry)
        graph.concrete_functions[name].bound_inputs[:] = [new[bound] for bound in entry.bound_inputs]
    keys = frozenset(attribute.checkpoint_key for node in trackable.nodes for attribute in node.attributes)
    return Pruned(graph, trackable, keys, frozenset(functions), frozenset(_graph_nodes(graph)), tuple(assets))


def _slimmed(item: Any, new: dict[int, int], whole: bool) -> None:
    """Renumber what an object refers to. One that is only on the way to others stays as a plain holder of these."""
    children = [child for child in item.children if child.node_id in new]
    dependencies = [child for child in item.dependencies if child.node_id in new]
    saveables = dict(item.saveable_objects)
    del item.children[:], item.slot_variables[:], item.dependencies[:]
    for child in children:
        item.children.add(node_id=new[child.node_id], local_name=child.local_name)
    if whole:
        for child in dependencies:
            item.dependencies.add(node_id=new[child.node_id], local_name=child.local_name)
        for name, saveable in saveables.items():
            item.saveable_objects[name].save_function = new[saveable.save_function]
            item.saveable_objects[name].restore_function = new[saveable.restore_function]
    else:
        item.ClearField("saveable_objects")
    if not whole or item.WhichOneof("kind") == "user_object":
        identifier = item.user_object.identifier
        if identifier == _SIGNATURE_MAP and whole:
            return
        item.ClearField("registered_name")
        item.ClearField("serialized_user_proto")
        item.user_object.Clear()
        item.user_object.identifier = _GENERIC
        item.user_object.version.producer = 1
        item.user_object.version.min_consumer = 1


def _needed(saved: Any) -> set[int]:
    """The signatures and all that runs with them: what they capture, and what creates, fills and restores that."""
    nodes = saved.nodes
    start = [child.node_id for child in (nodes[0].children if nodes else ()) if child.local_name == _SIGNATURES]
    if not start or not nodes[start[0]].children:
        raise ModelError(
            "The model's objects have no signature, so there is nothing that a request could run.",
            "Export it with signatures: tf.saved_model.save(model, DIR, signatures=…), or model.export(DIR).",
        )
    found: set[int] = {0}
    todo = start
    while todo:
        number = todo.pop()
        if number in found:
            continue
        found.add(number)
        item = nodes[number]
        if item.registered_saver:
            raise ModelError(
                f"{item.registered_name or 'An object'} is saved by Python code of its own ({item.registered_saver}).",
                "Nothing can be done here: the names of its files are known to that code alone.",
            )
        todo += (child.node_id for child in (*item.children, *item.dependencies))
        for saveable in item.saveable_objects.values():
            todo += (saveable.save_function, saveable.restore_function)
        for name in _functions_of(item):
            todo += saved.concrete_functions[name].bound_inputs
    return found


def _on_the_way(saved: Any, needed: set[int]) -> Iterator[int]:
    """The objects through which the shortest way from the root leads to each of these."""
    parents = {0: -1}
    queue = [0]
    for number in queue:
        for child in saved.nodes[number].children:
            if child.node_id not in parents:
                parents[child.node_id] = number
                queue.append(child.node_id)
    for number in needed:
        while number > 0:
            number = parents.get(number, 0)
            yield number


def _matched(saved: Any, stored: Any, kept: set[int]) -> dict[int, int]:
    """The number that each object has in the checkpoint: they are walked together, by the names of their children."""
    places = {0: 0}
    queue = [0]
    for number in queue:
        inside = {child.local_name: child.node_id for child in stored.nodes[places[number]].children}
        for child in saved.nodes[number].children:
            if child.node_id in kept and child.node_id not in places and child.local_name in inside:
                places[child.node_id] = inside[child.local_name]
                queue.append(child.node_id)
    return places


def _with_values(item: Any, stored: Any) -> None:
    """What the checkpoint holds of an object."""
    if stored.HasField("registered_saver") and stored.registered_saver.name:
        raise ModelError(
            f"An object is saved by Python code of its own ({stored.registered_saver.name}).",
            "Nothing can be done here: the names of its files are known to that code alone.",
        )
    for attribute in stored.attributes:
        item.attributes.add().CopyFrom(attribute)


def _functions_of(item: Any) -> list[str]:
    kind = item.WhichOneof("kind")
    if kind == "function":
        return list(item.function.concrete_functions)
    if kind == "bare_concrete_function":
        return [item.bare_concrete_function.concrete_function_name]
    if kind == "captured_tensor":
        return [item.captured_tensor.concrete_function]
    return []


def _functions(graph: Any) -> Iterator[str]:
    for item in graph.nodes:
        yield from _functions_of(item)


def _graph_nodes(graph: Any) -> Iterator[str]:
    """The nodes of the graph that objects name: constants that functions capture."""
    for item in graph.nodes:
        if item.WhichOneof("kind") == "constant":
            yield item.constant.operation
