"""Compute beforehand what does not depend on a request: vectors made of variables, and the scales of batch norms, which the
kernels in front of them take over.

Only where a variable is never written to, and only vectors: a large constant takes many times its size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from cpr.shrinking import _tensorflow
from cpr.shrinking.arguments import drop_unused_arguments
from cpr.shrinking.model import Model, Stored
from cpr.shrinking.pruning import pruned
from cpr.shrinking.restoring import read_targets
from cpr.shrinking.scopes import MAIN, Scope, node_of, scopes_of
from cpr.shrinking.sites import READ, VALUE, find_sites

_PURE = {
    *("Add", "AddV2", "Sub", "Mul", "RealDiv", "Rsqrt", "Sqrt", "Square", "Neg", "Reciprocal", "Inv", "Maximum", "Minimum"),
    *("Reshape", "Squeeze", "ExpandDims", "Identity", "Exp", "Softplus", "Sigmoid", "Tanh"),
}
_NORMS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_KERNELS = {"Conv2D": 1, "DepthwiseConv2dNative": 2, "MatMul": 1}
"""Operations with a kernel as their second input, and how many of its last axes are those of the channels that come out."""

_MOST = 1 << 16
"""Bytes of a constant that is made."""


class _Reads(NamedTuple):
    """The variables that nodes of a scope read, by node, and how often each is read anywhere, by its name in the checkpoint."""

    keys: Mapping[str, str]
    counts: Mapping[str, int]
    tensors: Mapping[str, Stored]

    def small(self, name: str) -> bool:
        return name in self.keys and self.tensors[self.keys[name]].bytes <= _MOST


def folded(model: Model) -> Model:
    """The model with these values in it, and without the variables that are in them. Its answers differ by rounding alone.

    A model with several graphs stays as it is: they share their variables.
    """
    if len(model.proto.meta_graphs) != 1:
        return model
    proto = model.copied_proto()
    meta = proto.meta_graphs[0]
    targets = read_targets(meta)
    reads: dict[str, dict[str, str]] = {}
    counts: dict[str, int] = {}
    taken = _taken(meta)
    keys = {target.node: target.keys[0] for target in targets if not target.is_table and target.slices == ("",)}
    for node, variable in find_sites(meta, targets).items():
        if variable.blocked is None and node in keys and keys[node] in model.tensors:
            for place, name, kind in dict.fromkeys(variable.sites):
                if place == MAIN and name not in taken:
                    continue  # the read that a collection names
                counts[keys[node]] = counts.get(keys[node], 0) + 1
                if kind in (READ, VALUE):
                    reads.setdefault(place, {})[name] = keys[node]
    kernels: dict[str, Stored] = {}
    for name, scope in scopes_of(meta.graph_def).items():
        found = {
            read: key for read, key in reads.get(name, {}).items() if scope.by_name[read].op in ("ReadVariableOp", "Identity")
        }
        if found:
            _fold(scope, _Reads(found, counts, model.tensors), kernels)
            if name != MAIN:  # there, what nobody takes is pruned, but for what collections name
                _drop_unread(scope)
    drop_unused_arguments(meta)
    return pruned(replace(model, proto=proto, tensors={**model.tensors, **kernels}))


def _taken(meta: Any) -> set[str]:
    """The nodes of the graph whose outputs a node or a signature takes."""
    outputs = {node_of(info.name) for signature in meta.signature_def.values() for info in signature.outputs.values()}
    return outputs | scopes_of(meta.graph_def)[MAIN].uses().keys()


def _fold(scope: Scope, reads: _Reads, kernels: dict[str, Stored]) -> None:
    uses = scope.uses()
    fixed = _fixed(scope, reads)
    made = [node for node in scope.nodes if _is_made(node, fixed, reads) and _leaves(node, fixed, uses, scope)]
    norms = [node for node in scope.nodes if _is_norm(node) and all(node_of(each) in fixed for each in node.input[1:5])]
    wanted = {node.name for node in made} | {node_of(each) for node in norms for each in node.input[1:5]}
    values = _computed(scope, reads, fixed, wanted)
    for node in made:
        if values[node.name].nbytes <= _MOST and values[node.name].size == max(values[node.name].shape, default=1):
            _rewritten(scope, node, _tensorflow.constant(node.name, values[node.name]), "output")
    for node in norms:
        _norm(scope, node, [values[node_of(each)] for each in node.input[1:5]], reads, kernels)
    for node in [node for node in scope.nodes if node.op == "Mul"]:
        _scale(scope, node, values, reads, kernels)


def _fixed(scope: Scope, reads: _Reads) -> set[str]:
    """The nodes whose value no request changes, in the order in which they stand or not."""
    found: set[str] = set()
    pending = [node for node in scope.nodes if node.op in _PURE or node.op == "Const" or node.name in reads.keys]
    while True:
        new = {
            node.name
            for node in pending
            if node.name not in found and (node.op == "Const" or reads.small(node.name) or _all_fixed(node, found))
        }
        if not new:
            return found
        found |= new


def _all_fixed(node: Any, found: set[str]) -> bool:
    return (
        node.op in _PURE
        and bool(node.input)
        and all(not each.startswith("^") and node_of(each) in found for each in node.input)
    )


def _is_made(node: Any, fixed: set[str], reads: _Reads) -> bool:
    return node.name in fixed and node.op in _PURE and node.name not in reads.keys


def _leaves(node: Any, fixed: set[str], uses: Mapping[str, list[Any]], scope: Scope) -> bool:
    """Whether a value goes on to what a request changes, and is made of a variable."""
    users = uses.get(node.name, [])
    made_of = {node_of(each) for each in node.input}
    return any(use.node.name not in fixed for use in users) and any(scope.by_name[each].op != "Const" for each in made_of)


def _is_norm(node: Any) -> bool:
    return node.op in _NORMS and "is_training" in node.attr and not node.attr["is_training"].b and _is_last(node)


def _is_last(node: Any) -> bool:
    """Whether channels are the last axis."""
    return "data_format" not in node.attr or node.attr["data_format"].s in (b"", b"NHWC")


def _computed(scope: Scope, reads: _Reads, fixed: set[str], wanted: set[str]) -> dict[str, Any]:
    """The values of nodes, as TensorFlow computes them."""
    if not wanted:
        return {}
    needed, todo = set(), list(wanted)
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo += [] if name in reads.keys else [node_of(each) for each in scope.by_name[name].input]
    nodes = []
    for name in sorted(needed & fixed):
        if name in reads.keys:
            nodes.append(_tensorflow.constant(name, reads.tensors[reads.keys[name]].load().numpy()))
            continue
        copied = type(scope.by_name[name]).FromString(scope.by_name[name].SerializeToString())
        copied.input[:] = [node_of(each) for each in copied.input]
        nodes.append(copied)
    return _tensorflow.computed(nodes, sorted(wanted))


def _rewritten(scope: Scope, node: Any, new: Any, output: str) -> None:
    """Put another node in the place of one, under its name; whoever takes its first output takes that of the new one."""
    if scope.function is not None:
        for use in scope.uses().get(node.name, ()):
            use.node.input[use.position] = f"{node.name}:{output}:0"
        for key, value in scope.function.ret.items():
            if node_of(value) == node.name:
                scope.function.ret[key] = f"{node.name}:{output}:0"
    node.CopyFrom(new)


def _kernel_in_front(scope: Scope, written: str, reads: _Reads) -> tuple[Any, str] | None:
    """The operation that one alone takes, if its kernel is read there alone, and the kernel's name in the checkpoint."""
    source = scope.by_name.get(node_of(written))
    if source is None or source.op not in _KERNELS or len(scope.uses().get(source.name, ())) != 1 or not _is_last(source):
        return None
    if any(node_of(value) == source.name for value in (scope.function.ret.values() if scope.function is not None else ())):
        return None
    read = node_of(source.input[1])
    transposed = "transpose_b" in source.attr and source.attr["transpose_b"].b
    if read not in reads.keys or reads.counts[reads.keys[read]] != 1 or len(scope.uses().get(read, ())) != 1 or transposed:
        return None
    return source, reads.keys[read]


def _scaled(op: str, key: str, scale: Any, reads: _Reads, kernels: dict[str, Stored]) -> bool:
    """Let the kernel take over the factors of its channels, if they are one for each."""
    tensor = kernels.get(key, reads.tensors[key])
    channels = tensor.shape[-_KERNELS[op] :]
    if scale.size != _product(channels) or scale.shape[-1:] != (scale.size,):
        return False
    factors = scale.reshape(channels)
    kernels[key] = Stored(tensor.dtype, tensor.shape, lambda: tensor.load() * factors)
    return True


def _product(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


def _scale(scope: Scope, node: Any, values: Mapping[str, Any], reads: _Reads, kernels: dict[str, Stored]) -> None:
    """``Mul(Conv2D(x, kernel), scale)``, as Keras 3 normalises."""
    for written, other in ((node.input[0], node.input[1]), (node.input[1], node.input[0])):
        scale = values.get(node_of(other))
        found = _kernel_in_front(scope, written, reads) if scale is not None else None
        if found is not None and _scaled(found[0].op, found[1], scale, reads, kernels):
            through = _tensorflow.node("Identity", node.name, [written], T=node.attr["T"].type)
            _rewritten(scope, node, through, "output")
            return


def _norm(scope: Scope, node: Any, values: list[Any], reads: _Reads, kernels: dict[str, Stored]) -> None:
    """``FusedBatchNorm(Conv2D(x, kernel), …)``, as TensorFlow 1 and Keras 2 normalise."""
    import numpy as np

    scale, offset, mean, variance = values
    found = _kernel_in_front(scope, node.input[0], reads)
    outputs = {scope.tensor(use.node.input[use.position]) for use in scope.uses().get(node.name, ())}
    if found is None or any(tensor is None or tensor.output not in ("", "y") or tensor.position for tensor in outputs):
        return
    factors = scale / np.sqrt(variance + np.float32(node.attr["epsilon"].f if "epsilon" in node.attr else 1e-4))
    if not _scaled(found[0].op, found[1], factors, reads, kernels):
        return
    shift = scope.fresh(f"{node.name}/shift")
    scope.add(_tensorflow.constant(shift, (offset - mean * factors).astype(offset.dtype)))
    inputs = [node.input[0], scope.written(shift, "output")]
    _rewritten(scope, node, _tensorflow.node("AddV2", node.name, inputs, T=node.attr["T"].type), "z")


def _drop_unread(scope: Scope) -> None:
    """Leave out of a function the reads of variables whose value nobody takes any more, and what was computed from them."""
    droppable = _PURE | {"Const", "ReadVariableOp"}
    while True:
        used = scope.uses().keys() | {node_of(value) for value in scope.function.ret.values()}
        gone = {node.name for node in scope.nodes if node.op in droppable and node.name not in used}
        if not gone:
            return
        scope.drop(gone)
