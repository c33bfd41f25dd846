"""Gradients of a restored signature: beside the loader of models, the one place that calls TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cpr.errors import RequestError
from cpr.interface._failures import run_error
from cpr.interface._signature import Signature

_REMEDY = 'Explain it by sampled Shapley: send "explanation": {"method": "sampled-shapley"}.'


class Differentiated:
    """One output of a signature as a function of its inputs. All arrays have one row a point; ``targets`` are flat indices."""

    def __init__(self, signature: Signature, output: str) -> None:
        self._signature = signature
        self._output = output

    def scores(self, points: Mapping[str, Any], targets: Any) -> Any:
        """The output's value at each point, in float64."""
        import tensorflow as tf

        return self._checked(lambda: self._scores(tf, _tensors(tf, points), targets).numpy().astype(np.float64))

    def gradients(self, points: Mapping[str, Any], targets: Any) -> dict[str, Any]:
        """The slope of that value along each input, in the input's shape; zeros for an input that it does not depend on.

        ``RequestError`` where no gradient flows at all.
        """
        import tensorflow as tf

        slopes: dict[str, Any] = self._checked(lambda: self._gradients(tf, points, targets))
        return slopes

    def _gradients(self, tf: Any, points: Mapping[str, Any], targets: Any) -> dict[str, Any]:
        tensors = _tensors(tf, points)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(tensors)
            total = tf.reduce_sum(self._scores(tf, tensors, targets))
        slopes = tape.gradient(total, tensors)
        if all(slope is None for slope in slopes.values()):
            raise RequestError(
                f"No gradient flows from the output {self._output!r} back to an input: an operation between them has none, "
                "such as rounding, a comparison or a cast to whole numbers.",
                _REMEDY,
                self._output,
            )
        return {
            name: np.zeros_like(points[name]) if slope is None else tf.convert_to_tensor(slope).numpy()
            for name, slope in slopes.items()
        }

    def _scores(self, tf: Any, tensors: Mapping[str, Any], targets: Any) -> Any:
        dtypes = {each.name: each.dtype for each in self._signature.inputs}
        outputs = self._signature.function(**{name: tf.cast(tensor, dtypes[name]) for name, tensor in tensors.items()})
        flat = tf.reshape(outputs[self._output], [len(targets), -1])
        return tf.gather(flat, tf.constant(targets, tf.int32), batch_dims=1)

    def _checked(self, call: Any) -> Any:
        import tensorflow as tf

        try:
            return call()
        except LookupError as error:  # "gradient registry has no entry for: …", "No gradient defined for operation …"
            reason = str(error.args[0] if error.args else error).partition("\n")[0].rstrip(".")
            raise RequestError(f"The model has an operation without a gradient: {reason}.", _REMEDY, self._output) from None
        except tf.errors.OpError as error:
            raise run_error(tf, f"the signature {self._signature.name!r}", error) from error


def _tensors(tf: Any, points: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tf.constant(array) for name, array in points.items()}
