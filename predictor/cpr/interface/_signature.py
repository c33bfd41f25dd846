"""A signature of a loaded model, whichever loader loaded it."""

from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from cpr.errors import ModelError
from cpr.interface._failures import run_error
from cpr.interface.columns import Shape, Tensor

HOOKS = ("__saved_model_init_op", "__saved_model_train_op")
"""Signatures that are TensorFlow's own: what runs when the model is loaded, and in a training."""


class Signature:
    """One signature of a loaded model: its inputs and outputs, and a call that runs it. Safe to call from several threads.

    ``inputs`` and ``outputs`` are in alphabetical order of their names. ``function`` is the restored function, through which
    gradients flow; ``None`` in a session.
    """

    function: Any = None

    def __init__(self, tf: Any, name: str, inputs: List[Tensor], outputs: List[Tensor]) -> None:
        self._tf = tf
        self.name = name
        self.inputs = inputs
        self.outputs = outputs

    def run(self, arrays: Mapping[str, Any], longest: int = 0) -> Dict[str, Any]:
        """Output arrays by name, in alphabetical order of the names; strings have dtype object and hold bytes.

        ``arrays`` holds one array for each input, as :func:`cpr.interface.rows.to_tensors` makes them. What the
        graph refuses is a :class:`~cpr.errors.RequestError`, any other failure of TensorFlow a
        :class:`~cpr.errors.ModelError`. ``longest`` ends a run in a session after so many milliseconds (0: never), and
        that is such a failure.
        """
        try:
            return self._run(arrays, longest)
        except self._tf.errors.OpError as error:
            raise run_error(self._tf, "the signature {!r}".format(self.name), error) from error

    def _run(self, arrays: Mapping[str, Any], longest: int) -> Dict[str, Any]:
        raise NotImplementedError


def shape_of(shape: Any) -> Optional[Shape]:
    """A ``tf.TensorShape`` as a tuple."""
    return None if shape.rank is None else tuple(shape.as_list())


def dense(value: Any) -> Any:
    """What TensorFlow gives for a dense tensor, as an array: a scalar string comes as plain bytes."""
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def not_dense(name: str, kind: str) -> ModelError:
    """The error for an output that is made of several tensors."""
    return ModelError(
        "The output {!r} is a {}, not a dense tensor.".format(name, kind),
        "Export a signature whose outputs are dense: tf.sparse.to_dense, or RaggedTensor.to_tensor.",
        name,
    )
