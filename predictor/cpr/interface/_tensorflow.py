"""TensorFlow, and nothing else: the one module of the project that imports it, when a model is loaded.

TensorFlow 2.x; run with 2.9, 2.11, 2.15 and 2.21. SavedModels written by TensorFlow 1 load as well.
"""

from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from cpr.errors import MissingExtra, ModelError, RequestError
from cpr.interface.columns import Shape, Tensor


class Signature:
    """One signature of a loaded model: its inputs, and a call that runs it. Safe to call from several threads."""

    def __init__(self, tf: Any, name: str, function: Any) -> None:
        self._tf = tf
        self._function = function
        self.name = name
        specs = function.structured_input_signature[1]
        self.inputs: List[Tensor] = [_tensor(key, specs[key]) for key in sorted(specs)]

    def run(self, arrays: Mapping[str, Any]) -> Dict[str, Any]:
        """Output arrays by name, in alphabetical order of the names; strings have dtype object and hold bytes.

        ``arrays`` holds one array for each input, as :func:`cpr.interface.rows.to_tensors` makes them. What the
        graph refuses is a :class:`~cpr.errors.RequestError`, any other failure of TensorFlow a
        :class:`~cpr.errors.ModelError`.
        """
        tf = self._tf
        feed = {each.name: _constant(tf, arrays[each.name], each.dtype) for each in self.inputs}
        try:
            outputs = self._function(**feed)
            return {name: _numpy(name, outputs[name]) for name in sorted(outputs)}
        except tf.errors.InvalidArgumentError as error:
            raise RequestError(
                "The model refused the instances: {}".format(_cause(error)),
                "Send instances of the kind that the signature {!r} was made for.".format(self.name),
                "instances",
            ) from error
        except tf.errors.OpError as error:
            raise ModelError(
                "The model failed while running the signature {!r}: {}".format(self.name, _cause(error)),
                "Run the same instances through the model where it was trained; the error above is TensorFlow's.",
                self.name,
            ) from error


class Model:
    """A loaded SavedModel: its signatures by name. Keeps what they refer to alive."""

    def __init__(self, tf: Any, loaded: Any) -> None:
        self._loaded = loaded
        self.signatures = {name: Signature(tf, name, loaded.signatures[name]) for name in sorted(loaded.signatures)}


def load(path: str, tags: Optional[Tuple[str, ...]] = None) -> Model:
    """Load the SavedModel at ``path``; ``tags`` pick the MetaGraph where there are several.

    Raises :class:`~cpr.errors.ModelError` where TensorFlow cannot, :class:`~cpr.errors.MissingExtra` where it is
    not installed.
    """
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise MissingExtra("tensorflow", "Loading the SavedModel {}".format(path)) from None
    if tf.__version__.startswith("1."):
        raise ModelError(
            "SavedModelPredictor needs TensorFlow 2; this is {}.".format(tf.__version__),
            "Choose a runtime version with TensorFlow 2. The SavedModel itself may stay one that TensorFlow 1 wrote.",
            path,
        )
    try:
        return Model(tf, tf.saved_model.load(path, tags=None if tags is None else list(tags)))
    except Exception as error:  # a damaged or foreign model makes TensorFlow raise nearly anything
        raise ModelError(
            "TensorFlow {} cannot load the SavedModel {}: {}".format(tf.__version__, path, _first_line(error)),
            "If a newer TensorFlow exported it, export it with this one or an older one. If it has several MetaGraphs, choose "
            "one with tags in routine.yaml. If files are missing, export it again. 'cpr inspect' shows what it holds.",
            path,
        ) from error


def _tensor(name: str, spec: Any) -> Tensor:
    dtype = getattr(spec, "dtype", None)
    if type(spec).__name__ != "TensorSpec" or dtype is None:
        return Tensor(name, type(spec).__name__.replace("Spec", ""), None)  # sparse or ragged: refused when it is fed
    return Tensor(name, dtype.name, _shape(spec.shape))


def _shape(shape: Any) -> Optional[Shape]:
    return None if shape.rank is None else tuple(shape.as_list())


def _constant(tf: Any, array: Any, dtype: str) -> Any:
    """``array`` as a tensor; bfloat16 comes as float32, because NumPy itself does not know it."""
    if dtype == "bfloat16":
        return tf.cast(tf.constant(array), tf.bfloat16)
    return tf.constant(array, dtype=dtype)


def _numpy(name: str, value: Any) -> Any:
    if not hasattr(value, "numpy"):
        raise ModelError(
            "The output {!r} is a {}, not a dense tensor.".format(name, type(value).__name__),
            "Export a signature whose outputs are dense: tf.sparse.to_dense, or RaggedTensor.to_tensor.",
            name,
        )
    array = value.numpy()
    return np.array(array, object) if isinstance(array, bytes) else np.asarray(array)


def _cause(error: BaseException) -> str:
    """The line that says what is wrong, where an operation of a graph failed: the one above the name of its node.

    What stands before it ("Graph execution error:", where the node was made) differs from version to version.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    node = next((index for index, line in enumerate(lines) if line.startswith("[[")), 0)
    return lines[node - 1] if node else _first_line(error)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
