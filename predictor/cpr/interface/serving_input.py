"""Serving input functions for an Estimator: what its exported graph takes from requests.

They run where the Estimator does, on TensorFlow 1.15 to 2.15; later releases have none.
"""

from typing import Any, Callable, Mapping

from cpr.errors import ModelError, UsageError
from cpr.interface._tensorflow import tensorflow

Features = Mapping[str, Any]
"""By name ``(dtype, shape of one row)``, or a feature of ``tf.io``, as for ``tf.io.parse_example``."""


def raw_serving_input(features: Features) -> Callable[[], Any]:
    """A serving input function whose requests hold the features themselves: one input each, any number of rows.

    ``{"age": ("float32", []), "words": ("string", [8])}``. :class:`~cpr.errors.UsageError` for a feature without a fixed
    length, :class:`~cpr.errors.ModelError`, when it is called, for a TensorFlow that has no Estimators.
    """
    for name in features:
        if not _is_pair(features[name]) and not hasattr(features[name], "shape"):
            raise _unfit(name, features[name])

    def receiver() -> Any:
        tf = _with_estimators()
        placeholders = {}
        for name in sorted(features):
            dtype, shape = _row(features[name])
            placeholders[name] = tf.compat.v1.placeholder(tf.as_dtype(dtype), [None, *shape], name=name)
        return tf.estimator.export.ServingInputReceiver(dict(placeholders), placeholders)

    return receiver


def parsing_serving_input(features: Features, name: str = "examples") -> Callable[[], Any]:
    """A serving input function whose requests hold serialised ``tf.Example`` messages, in one input called ``name``.

    What classification and regression requests need. Features as for :func:`raw_serving_input`, of any kind of ``tf.io``.
    """

    def receiver() -> Any:
        tf = _with_estimators()
        specs = {}
        for feature in features:
            given = features[feature]
            if _is_pair(given):
                dtype, shape = _row(given)
                given = tf.io.FixedLenFeature(shape, tf.as_dtype(dtype))
            specs[feature] = given
        messages = tf.compat.v1.placeholder(tf.string, [None], name="input_example_tensor")
        return tf.estimator.export.ServingInputReceiver(tf.io.parse_example(messages, specs), {name: messages})

    return receiver


def _with_estimators() -> Any:
    tf = tensorflow("A serving input function")
    if not hasattr(tf, "estimator"):
        raise ModelError(
            "Estimators need TensorFlow 2.15 or older; this is {}.".format(tf.__version__),
            "Run it with the TensorFlow of the training.",
        )
    return tf


def _is_pair(given: Any) -> bool:
    return isinstance(given, (tuple, list)) and len(given) == 2 and not hasattr(given, "_fields")


def _row(given: Any) -> Any:
    """Type and shape of a row."""
    if _is_pair(given):
        dtype, shape = given
    else:
        dtype, shape = given.dtype, given.shape
    return dtype, list(shape)


def _unfit(name: str, given: Any) -> UsageError:
    return UsageError(
        "The feature {!r} is given as {!r}, which has no fixed length.".format(name, given),
        "Give its type and the shape of a row, as in ('float32', [3]), or take parsing_serving_input.",
        name,
    )
