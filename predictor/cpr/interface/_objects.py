"""The object loader: ``tf.saved_model.load``, which restores the Python objects that TensorFlow 2 saved."""

from typing import Any, Dict, List, Mapping, Sequence

from cpr.interface._signature import HOOKS, Signature, dense, not_dense, shape_of
from cpr.interface.columns import Tensor


class ObjectSignature(Signature):
    """A signature as a restored function."""

    def __init__(self, tf: Any, name: str, function: Any) -> None:
        specs = function.structured_input_signature[1]
        super().__init__(tf, name, _tensors(specs), _tensors(function.structured_outputs))
        self.function = function

    def _run(self, arrays: Mapping[str, Any], longest: int) -> Dict[str, Any]:
        tf = self._tf
        outputs = self.function(**{each.name: _constant(tf, arrays[each.name], each.dtype) for each in self.inputs})
        return {name: _numpy(tf, name, outputs[name]) for name in sorted(outputs)}


class ObjectModel:
    """A SavedModel as restored objects. ``module`` is the root of them, and keeps what the signatures refer to alive.

    ``is_tf1``: TensorFlow 1 wrote it, without any object; then ``module`` holds its graph.
    """

    loader = "object"
    reason = ""

    def __init__(self, tf: Any, path: str, tags: Sequence[str]) -> None:
        self.tags = tuple(tags)
        self.module = tf.saved_model.load(path, tags=list(tags))
        self.is_tf1 = isinstance(getattr(self.module, "graph", None), tf.Graph)
        functions = self.module.signatures
        names = [name for name in sorted(functions) if name not in HOOKS]
        self.signatures: Dict[str, Signature] = {name: ObjectSignature(tf, name, functions[name]) for name in names}

    def close(self) -> None:
        """Nothing: what was restored goes with its last user."""


def _tensors(specs: Mapping[str, Any]) -> List[Tensor]:
    return [_tensor(name, specs[name]) for name in sorted(specs)]


def _tensor(name: str, spec: Any) -> Tensor:
    """``spec`` is a ``TensorSpec``, a tensor of the graph, or stands for one made of several: refused when it is fed."""
    kind = type(spec).__name__.replace("Spec", "")
    if kind not in ("Tensor", "SymbolicTensor", "EagerTensor"):
        return Tensor(name, kind, None)
    return Tensor(name, spec.dtype.name, shape_of(spec.shape))


def _constant(tf: Any, array: Any, dtype: str) -> Any:
    """``array`` as a tensor; bfloat16 comes as float32, because NumPy itself does not know it."""
    if dtype == "bfloat16":
        return tf.cast(tf.constant(array), tf.bfloat16)
    return tf.constant(array, dtype=dtype)


def _numpy(tf: Any, name: str, value: Any) -> Any:
    if not isinstance(value, tf.Tensor):
        raise not_dense(name, type(value).__name__)
    return dense(value.numpy())
