"""A SavedModel's tags, signature names, input and output names and method names: edited in the protobuf.

Nothing is run and no weight is touched. Where TensorFlow 2 wrote the model, its object graph is edited as well.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cpr.errors import ModelError, UsageError
from cpr.exporting import object_graph
from cpr.exporting._tensorflow import copied, saved_model_message
from cpr.exporting.methods import set_method
from cpr.exporting.wanted import PREDICT, Names, Wanted, listed
from cpr.interface._signature import HOOKS
from cpr.saved_model.extras import FINGERPRINT_NAME
from cpr.saved_model.reader import DEFAULT_SIGNATURE, PB_NAME

SERVE = "serve"


def edit(folder: Path, wanted: Wanted) -> tuple[Names, tuple[str, ...]]:
    """Edit the SavedModel in ``folder`` in place; gives the old names by the new ones, and what else was changed, in words.

    ``UsageError`` for a name that is not there, ``ModelError`` where the model leaves it open what is meant.
    """
    path = folder / PB_NAME
    model = saved_model_message()
    model.ParseFromString(path.read_bytes())
    before = model.SerializeToString(deterministic=True)
    graphs = list(model.meta_graphs)
    notes = _set_tags(graphs, wanted)
    notes += [note for graph in graphs for note in _fill_methods(graph)]
    _check_renamed(graphs, wanted.rename_signatures)
    names = [_edit_graph(graph, wanted) for graph in graphs]
    after = model.SerializeToString(deterministic=True)
    if after != before:
        path.write_bytes(after)
        (folder / FINGERPRINT_NAME).unlink(missing_ok=True)  # of the file as it was; loading asks for none
    return _together(names), tuple(dict.fromkeys(notes))


def _together(names: list[Names]) -> Names:
    """Of all graphs: a name that two of them have was changed alike in both."""
    sides: tuple[dict[str, str], dict[str, Mapping[str, str]], dict[str, Mapping[str, str]]] = ({}, {}, {})
    for each in names:
        sides[0].update(each.signatures)
        for mine, whole in ((each.inputs, sides[1]), (each.outputs, sides[2])):
            for key, renamed in mine.items():
                whole[key] = {**whole.get(key, {}), **renamed}
    return Names(*sides)


def callable_keys(graph: Any) -> list[str]:
    """The signatures of a ``MetaGraphDef`` that a request can name."""
    return sorted(key for key in graph.signature_def if key not in HOOKS)


def chosen_key(graph: Any, wanted: str | None) -> str:
    """The signature ``wanted``, else the only one, else ``serving_default``."""
    keys = callable_keys(graph)
    if wanted is None and len(keys) == 1:
        return keys[0]
    key = DEFAULT_SIGNATURE if wanted is None else wanted
    if key in keys:
        return key
    if wanted is None:
        raise UsageError(f"The model has the signatures {listed(keys)}.", "Name one with --signature.", "--signature")
    raise unknown("signature", key, keys, "--signature")


def unknown(what: str, name: str, there: Iterable[str], where: str) -> UsageError:
    """The error for a name that is not there, with the nearest that is."""
    there = list(there)
    near = difflib.get_close_matches(name, there, n=1)
    remedy = f"Did you mean {near[0]!r}?" if near else "Name one that is there."
    return UsageError(f"There is no {what} {name!r}; there are: {listed(there)}.", remedy, where)


def _set_tags(graphs: list[Any], wanted: Wanted) -> list[str]:
    if len(graphs) > 1:
        if wanted.tags is not None:
            there = "; ".join(",".join(graph.meta_info_def.tags) for graph in graphs)
            raise UsageError(
                f"The model has {len(graphs)} graphs, with the tags {there}; --tags would be those of one.",
                "Choose the graph with --from-tags.",
                "--tags",
            )
        if not any(SERVE in graph.meta_info_def.tags for graph in graphs):
            there = "; ".join(",".join(graph.meta_info_def.tags) for graph in graphs)
            raise ModelError(
                f"No graph has the tag {SERVE}, which servers ask for; the tags are {there}.",
                f"Take one: `--from-tags {','.join(graphs[0].meta_info_def.tags)} --tags {SERVE}`.",
                "tags",
            )
        return []
    (graph,) = graphs
    old = list(graph.meta_info_def.tags)
    if wanted.tags is None and old and SERVE not in old:
        raise ModelError(
            f"The graph has the tags {', '.join(old)}, and servers ask for {SERVE}.",
            "Add `--tags serve` if it is the graph to serve; one that was made for training is not.",
            "tags",
        )
    new = list(wanted.tags) if wanted.tags is not None else old or [SERVE]
    if new == old:
        return []
    graph.meta_info_def.tags[:] = new
    return [f"tags: {','.join(new)} (were {','.join(old) or 'missing'})"]


def _fill_methods(graph: Any) -> list[str]:
    """Servers refuse a signature that says not what it is for."""
    blank = [key for key in callable_keys(graph) if not graph.signature_def[key].method_name]
    for key in blank:
        graph.signature_def[key].method_name = PREDICT
    return [f"method name of {key}: {PREDICT} (was missing)" for key in blank]


def _check_renamed(graphs: list[Any], renamed: Mapping[str, str]) -> None:
    there = {key for graph in graphs for key in callable_keys(graph)}
    for old in renamed:
        if old not in there:
            raise unknown("signature", old, sorted(there), "--rename-signature")


def _edit_graph(graph: Any, wanted: Wanted) -> Names:
    signatures = _rename_signatures(graph, wanted.rename_signatures)
    chosen = wanted.signature
    if chosen is not None:
        chosen = wanted.rename_signatures.get(chosen, chosen)
        chosen_key(graph, chosen)
    keys = callable_keys(graph) if chosen is None else [chosen]
    old_inputs = _rename_side(graph, keys, "inputs", wanted.rename_inputs)
    old_outputs = _rename_side(graph, keys, "outputs", wanted.rename_outputs)
    if wanted.method is not None:
        key = chosen_key(graph, chosen)
        inputs, outputs = set_method(graph.signature_def[key], key, wanted.method)
        _apply(graph, key, "inputs", inputs)
        _apply(graph, key, "outputs", outputs)
        old_inputs[key] = _followed(inputs, old_inputs.get(key, {}))
        old_outputs[key] = _followed(outputs, old_outputs.get(key, {}))
    for key in {*old_inputs, *old_outputs}:
        sides = (old_inputs.get(key, {}), old_outputs.get(key, {}))
        if any(sides):
            inputs, outputs = ({old: new for new, old in side.items() if old != new} for side in sides)
            object_graph.rename_tensors(graph, key, inputs, outputs)
    return Names(signatures, old_inputs, old_outputs)


def _rename_signatures(graph: Any, renamed: Mapping[str, str]) -> dict[str, str]:
    """New to old. All at once, so that two can change places."""
    taken = {old: new for old, new in renamed.items() if old in callable_keys(graph)}
    final = [taken.get(key, key) for key in callable_keys(graph)]
    _refuse_twice(final, "signature", "--rename-signature")
    definitions = {
        old: type(graph.signature_def[old]).FromString(graph.signature_def[old].SerializeToString()) for old in taken
    }
    for old in taken:
        del graph.signature_def[old]
        object_graph.rename_signature(graph, old, f"\0{old}")
    for old, new in taken.items():
        graph.signature_def[new].CopyFrom(definitions[old])
        object_graph.rename_signature(graph, f"\0{old}", new)
    return {new: old for old, new in taken.items()}


def _rename_side(graph: Any, keys: list[str], side: str, renamed: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """By signature, new to old."""
    found: dict[str, dict[str, str]] = {}
    option = f"--rename-{side.removesuffix('s')}"
    there = sorted({name for key in keys for name in getattr(graph.signature_def[key], side)})
    for old in renamed:
        if old not in there:
            raise unknown(side.removesuffix("s"), old, there, option)
    for key in keys:
        mine = {old: new for old, new in renamed.items() if old in getattr(graph.signature_def[key], side)}
        if mine:
            _apply(graph, key, side, mine)
            found[key] = {new: old for old, new in mine.items()}
    return found


def _apply(graph: Any, key: str, side: str, renamed: Mapping[str, str]) -> None:
    infos = getattr(graph.signature_def[key], side)
    _refuse_twice([renamed.get(name, name) for name in infos], side.removesuffix("s"), f"--rename-{side.removesuffix('s')}")
    kept = {renamed.get(name, name): copied(info) for name, info in infos.items()}
    for name in list(infos):
        del infos[name]
    for name, info in kept.items():
        infos[name].CopyFrom(info)


def _followed(last: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Two renamings after each other, new to old: ``last`` is old to new, ``before`` new to old."""
    kept = {last.get(new, new): old for new, old in before.items()}
    return {**{new: old for old, new in last.items() if old not in before}, **kept}


def _refuse_twice(names: list[str], what: str, where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"Two {what}s would be called {twice[0]!r}.", "Give each a name of its own.", where)
