"""One graph of three: preprocessing, the signature of a SavedModel, postprocessing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpr.embedding import rowless, tracking
from cpr.embedding._tensorflow import tensorflow
from cpr.embedding.lifting import Lifted
from cpr.errors import CprError, ModelError, UsageError

if TYPE_CHECKING:
    from cpr.interface._signature import Signature
    from cpr.interface.columns import Tensor
    from cpr.models import LoadedModel

Part = Callable[[Any], Any]
"""A function of a batch: of a tensor where there is one, else of a dict of tensors by name; it gives one or a dict."""

_BARE = "output_0"
"""What TensorFlow calls a result without a name."""


def compose(
    model: LoadedModel,
    signature: Signature,
    folder: Path,
    preprocess: Part | None,
    postprocess: Part | None,
    inputs: Mapping[str, Any] | None,
) -> None:
    """Write a SavedModel whose one signature, called as ``signature`` is, does all three.

    It has the variables, tables and assets that they use, each once, and no more. ``inputs`` has shape and type by name.
    ``ModelError`` or ``UsageError`` where the three do not fit together, or a batch is not free.
    """
    tf = tensorflow()
    _check_batch({tensor.name: tensor.shape for tensor in signature.inputs}, "input", signature.name)
    specs = _specs(tf, preprocess, inputs, signature.inputs)
    called, owner = _callable(tf, model, signature.name)
    run = rowless.safe(tf, called, signature)

    before, after = (None if part is None else tf.function(part) for part in (preprocess, postprocess))

    def serve(**given: Any) -> dict[str, Any]:
        fed = given if before is None else _named(before(_bare(given)), [tensor.name for tensor in signature.inputs])
        answer = run(**_fitted(tf, fed, signature))
        return dict(answer) if after is None else _named(after(_bare(answer)), [_BARE])

    concrete = _traced(tf, serve, specs)
    shapes = {name: _shape(name, output) for name, output in concrete.structured_outputs.items()}
    _check_batch(shapes, "output", signature.name)
    root = tracking.holder(tf, concrete, [owner, preprocess, postprocess])
    tf.saved_model.save(root, str(folder), signatures={signature.name: concrete})


def _callable(tf: Any, model: LoadedModel, name: str) -> tuple[Callable[..., Any], Any]:
    """The signature as a function of tensors by name, and what holds its variables and tables."""
    root = model.module if model.loader == "object" else None
    if root is None or isinstance(getattr(root, "graph", None), tf.Graph):  # of TensorFlow 1
        lifted = Lifted(tf, model.path, model.tags, name)
        return lifted, lifted
    return root.signatures[name], root


def _specs(tf: Any, preprocess: Part | None, inputs: Mapping[str, Any] | None, model: Sequence[Tensor]) -> dict[str, Any]:
    """By name; without ``inputs`` the model's own, or a batch of strings under the name that ``preprocess`` has for them."""
    if preprocess is None and inputs is None:
        return {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name) for tensor in model}
    specs = {}
    for name, given in (inputs or {_first_argument(preprocess): ([None], "string")}).items():
        try:
            shape, dtype = (given.shape, given.dtype) if isinstance(given, tf.TensorSpec) else given
            specs[name] = tf.TensorSpec(shape, tf.as_dtype(dtype), name)
        except (TypeError, ValueError):
            raise UsageError(
                f"The input {name!r} is given as {given!r}.", 'Give its shape and type: ([None], "string").', "inputs"
            ) from None
    _check_batch({name: spec.shape.as_list() for name, spec in specs.items() if spec.shape.rank is not None}, "input", "inputs")
    return specs


def _first_argument(part: Any) -> str:
    plain = getattr(part, "python_function", part)
    if inspect.isfunction(plain) or inspect.ismethod(plain):
        return next(iter(inspect.signature(plain).parameters), "inputs")
    return "inputs"


def _traced(tf: Any, serve: Callable[..., Any], specs: Mapping[str, Any]) -> Any:
    try:
        return tf.function(serve, autograph=False).get_concrete_function(**specs)
    except CprError:
        raise
    except Exception as error:  # the author's functions may do anything
        text = next((line for line in str(error).splitlines()[::-1] if line.strip()), type(error).__name__)
        raise ModelError(
            f"preprocess and postprocess do not become a graph: {text.strip()}",
            "They get batches of tensors, of which only the shapes are known, and must use operations of TensorFlow.",
        ) from error


def _bare(values: Mapping[str, Any]) -> Any:
    return next(iter(values.values())) if len(values) == 1 else dict(values)


def _named(value: Any, names: Sequence[str]) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    if len(names) == 1:
        return {names[0]: value}
    raise ModelError(
        f"preprocess gives one tensor, and the model takes {', '.join(names)}.", "Return a dict of tensors by these names."
    )


def _fitted(tf: Any, fed: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    """What the model takes, in its words; ``ModelError`` tells what ``preprocess`` gives instead."""
    wanted = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in signature.inputs}
    if set(fed) != set(wanted):
        raise _misfit(", ".join(sorted(map(str, fed))), ", ".join(wanted))
    for name, spec in wanted.items():
        tensor = fed[name]
        if not isinstance(tensor, tf.Tensor):
            raise _misfit(f"a {type(tensor).__name__} for {name}", "a dense tensor")
        if tensor.dtype != spec.dtype or not spec.shape.is_compatible_with(tensor.shape):
            given = f"{tensor.dtype.name} {tensor.shape} for {name}"
            raise _misfit(given, f"{spec.dtype.name} {spec.shape}")
    return dict(fed)


def _misfit(given: str, wanted: str) -> ModelError:
    return ModelError(f"preprocess gives {given}, and the model takes {wanted}.", "Make what the model was trained on.")


def _shape(name: str, output: Any) -> Sequence[int | None] | None:
    shape = getattr(output, "shape", None)
    if type(output).__name__ in ("RaggedTensor", "SparseTensor") or shape is None:
        raise ModelError(f"The output {name!r} is a {type(output).__name__}.", "Return dense tensors from postprocess.", name)
    return None if shape.rank is None else tuple(shape.as_list())


def _check_batch(shapes: Mapping[str, Sequence[int | None] | None], kind: str, signature: str) -> None:
    for name, shape in shapes.items():
        if shape is not None and (not shape or shape[0] is not None):
            raise ModelError(
                f"The {kind} {name!r} has the shape {list(shape)}: its outer dimension is not free for batches.",
                "Make the first dimension None, one row for each instance; in a model, `cpr export` does so where it is safe.",
                signature,
            )
