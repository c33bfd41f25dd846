"""Functions of TensorFlow 2 as signatures: traced with a free batch where that is safe, and saved with what they use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cpr.errors import ModelError, UsageError
from cpr.exporting import batching
from cpr.interface._failures import cause


def spec(tf: Any, name: str, given: Any) -> Any:
    """A ``TensorSpec`` called ``name`` of another one, or of shape and dtype. ``UsageError`` for anything else."""
    try:
        if isinstance(given, tf.TensorSpec):
            return tf.TensorSpec(given.shape, given.dtype, name)
        shape, dtype = given
        return tf.TensorSpec(shape, tf.as_dtype(dtype), name)
    except (TypeError, ValueError):
        raise UsageError(
            f"The input {name!r} is given as {given!r}.", 'Give its shape and type: ([None, 4], "float32").', "inputs"
        ) from None


def restore(tf: Any, owner: Any, checkpoint: str) -> None:
    """Load weights into ``owner``: a checkpoint of ``tf.train.Checkpoint``, of it or with it as a part, or Keras's HDF5.

    ``ModelError`` where they are not its weights.
    """
    try:
        if checkpoint.endswith((".h5", ".hdf5")):
            owner.load_weights(checkpoint)
            return
        prefix = checkpoint.removesuffix(".index")
        keys = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
        parts = sorted({key.partition("/")[0] for key in keys if "/" in key})
        for reader in [tf.train.Checkpoint(owner), *(tf.train.Checkpoint(**{part: owner}) for part in parts)]:
            try:
                reader.read(prefix).assert_existing_objects_matched().expect_partial()
            except AssertionError:
                continue
            return
    except Exception as error:  # of TensorFlow's, Keras's and HDF5's, by what is amiss
        raise _no_weights(checkpoint, cause(error)) from error
    raise _no_weights(checkpoint, "it holds no value for some variables of the model")


def _no_weights(checkpoint: str, why: str) -> ModelError:
    return ModelError(
        f"The weights {checkpoint} cannot be loaded into the model: {why}", "Name the weights of this model.", checkpoint
    )


def numbered(values: Any) -> list[str]:
    """Names for results that have none, as TensorFlow gives them."""
    return [f"output_{number}" for number in range(len(values))]


def traced(tf: Any, serve: Callable[..., Any], specs: Mapping[str, Any], keep_batch: bool) -> tuple[Any, list[str], int | None]:
    """The concrete function of ``serve``, which takes tensors by name and gives a mapping of them.

    Gives also what to tell of the batch, and how many rows ``serve`` itself is fixed to where the traced one is not.
    """
    shapes = {key: _shape(each) for key, each in specs.items()}
    rows, why = (None, "") if keep_batch else batching.fixed_rows(shapes)
    if rows is not None:
        free = {key: tf.TensorSpec(batching.freed(shapes[key]), each.dtype, key) for key, each in specs.items()}
        try:
            trial = _concrete(tf, serve, free)
        except Exception as error:  # a function may do anything with its shapes
            why = f"the function cannot be traced so: {cause(error)}"
        else:
            why = batching.refused(asked(tf, trial, specs), asked(tf, serve, specs), *_ends(free, trial), rows)
            if not why:
                return trial, [f"batch: free, was fixed to {rows}"], rows
    try:
        final = _concrete(tf, serve, specs)
    except Exception as error:  # the author's own code
        raise ModelError(
            f"The model cannot be traced: {cause(error)}",
            "It must run on tensors of its inputs' shapes and types, in inference mode.",
        ) from error
    return final, [f"{batching.STAYS}{why}"] if why else [], None


def save(tf: Any, owner: Any, concrete: Any, key: str, folder: Path) -> None:
    """Write a SavedModel with the one signature, and with the variables and tables that it uses.

    Of those of ``owner`` (a Keras model) that are out of reach the owner itself is saved.
    """
    holder = tf.Module()
    holder.weights = sorted(concrete.graph.variables, key=lambda variable: variable.name)
    layers = getattr(owner, "_flatten_layers", lambda: ())()
    holder.tables = [table for layer in layers if (table := getattr(layer, "lookup_table", None)) is not None]
    try:
        tf.saved_model.save(holder, str(folder), signatures={key: concrete})
    except (AssertionError, ValueError):  # it uses something that is neither
        tf.saved_model.save(owner, str(folder), signatures={key: concrete})


def _concrete(tf: Any, serve: Callable[..., Any], specs: Mapping[str, Any]) -> Any:
    return tf.function(serve).get_concrete_function(**specs)


def _ends(specs: Mapping[str, Any], concrete: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs with type and shape, outputs with their shapes."""
    inputs = {key: (each.dtype.name, _shape(each)) for key, each in specs.items()}
    return inputs, {key: _shape(each) for key, each in concrete.structured_outputs.items()}


def _shape(tensor: Any) -> batching.Shape:
    return None if tensor.shape.rank is None else tuple(tensor.shape.as_list())


def asked(tf: Any, function: Callable[..., Any], specs: Mapping[str, Any]) -> batching.Ask:
    """``function`` of tensors as one of arrays."""

    def ask(arrays: Mapping[str, Any]) -> Mapping[str, Any]:
        given = {key: tf.constant(array, specs[key].dtype) for key, array in arrays.items()}
        return {key: value.numpy() for key, value in function(**given).items()}

    return ask
