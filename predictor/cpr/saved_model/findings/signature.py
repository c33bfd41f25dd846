"""CPR651 to CPR655: what a request in JSON rows can carry to a signature and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized

from cpr.report import Finding, Severity
from cpr.saved_model import kinds
from cpr.saved_model.findings.served import Said, by_signature
from cpr.saved_model.findings.words import shape_text
from cpr.saved_model.graph import Call
from cpr.saved_model.reader import MetaGraph, Signature, TensorInfo

_METHOD_NAMES = frozenset(f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))
_OF_EXAMPLES = frozenset(f"tensorflow/serving/{name}" for name in ("classify", "regress"))
_WIDE = {"float64": "float32", "int64": "int32"}


def findings(graphs: tuple[MetaGraph, ...], file: str) -> Iterator[Finding]:
    """For the graphs that a server could load; ``file`` is the place of them."""
    return by_signature(graphs, file, _rules)


def _rules(_: str, signature: Signature, call: Call | None) -> Iterator[Said]:
    yield from _unbatched(signature)
    yield from _wide(signature)
    if call is not None:
        yield from _bytes_names(signature, call)
    if signature.method_name not in _METHOD_NAMES:
        spelt = repr(signature.method_name) if signature.method_name else "empty"
        yield Said(kinds.METHOD_NAME, f"the method name is {spelt}, and servers refuse it")
    yield from _composite(signature)


def _unbatched(signature: Signature) -> Iterator[Said]:
    """Fixed outer dimensions of inputs; scalars; and outputs that cannot follow the rows of a request."""
    inputs = _dense(signature.inputs)
    fixed = {name: info.shape for name, info in inputs.items() if info.shape and info.shape[0] is not None}
    scalars = [name for name, info in inputs.items() if info.shape == ()]
    if fixed:
        rows = sorted({shape[0] or 0 for shape in fixed.values()})
        shapes = ", ".join(f"{name} {shape_text(shape)}" for name, shape in fixed.items())
        instances = "1 instance" if rows == [1] else f"{' and '.join(map(str, rows))} instances"
        yield Said(kinds.UNBATCHED, f"the outer dimension of {shapes} is fixed, so a request must have exactly {instances}")
    if scalars:
        yield Said(
            kinds.UNBATCHED,
            f"{', '.join(scalars)} {_is(scalars)} a single value, and JSON rows always make a list",
            "Give it an outer dimension, tf.TensorSpec([None]), where requests come as JSON rows.",
            Severity.NOTE,
        )
    if inputs and not fixed and not scalars:
        yield from _unbatched_outputs(signature)


def _unbatched_outputs(signature: Signature) -> Iterator[Said]:
    outputs = {name: info.shape for name, info in _dense(signature.outputs).items()}
    fixed = {name: shape for name, shape in outputs.items() if shape is not None and (not shape or shape[0] is not None)}
    if fixed:
        shapes = ", ".join(f"{name} {shape_text(shape)}" for name, shape in fixed.items())
        yield Said(
            kinds.UNBATCHED,
            f"any number of rows goes in, and {shapes} comes out: it does not follow the rows",
            "Return one row for each instance, or leave this output out of the signature.",
        )


def _wide(signature: Signature) -> Iterator[Said]:
    wide = {name: info.dtype for name, info in _dense(signature.inputs).items() if info.dtype in _WIDE}
    if wide:
        what = ", ".join(f"{name} is {dtype}" for name, dtype in wide.items())
        narrow = " and ".join(sorted({_WIDE[dtype] for dtype in wide.values()}))
        yield Said(kinds.WIDE_INPUT, f"{what}, where {narrow} would do for most models")


def _bytes_names(signature: Signature, call: Call) -> Iterator[Said]:
    for name, op in call.encodes.items():
        if not name.endswith("_bytes"):
            yield Said(
                kinds.BYTES_NAME,
                f"the output {name} holds bytes, from {op}, and is sent as text",
                f"Name it {name}_bytes.",
            )
    # To classify and to regress is to name the one input `inputs`: servers refuse another name.
    decodes = {} if signature.method_name in _OF_EXAMPLES else call.decodes
    for name, op in decodes.items():
        if not name.endswith("_bytes"):
            yield Said(
                kinds.BYTES_NAME,
                f"the input {name} takes bytes, for {op}, and its name does not say so",
                f"Name it {name}_bytes, as clients expect of bytes.",
            )


def _composite(signature: Signature) -> Iterator[Said]:
    for side, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        found = [f"{name} ({info.kind})" for name, info in tensors.items() if info.kind is not None]
        if found:
            yield Said(kinds.COMPOSITE, f"the {side}{'' if len(found) == 1 else 's'} {', '.join(found)} cannot be a JSON row")


def _dense(tensors: Mapping[str, TensorInfo]) -> dict[str, TensorInfo]:
    return {name: info for name, info in tensors.items() if info.kind is None}


def _is(items: Sized) -> str:
    return "is" if len(items) == 1 else "are each"
