"""Exports an Estimator, in a process of the Python and TensorFlow that it was trained with. Runs on Python 3.7.

    python estimator_child.py REQUEST.json

The request names the functions that make the Estimator and its serving input; the answer is written beside it.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from pathlib import Path
from typing import Any, Dict, List, Tuple

_ROWS = 3


def main(place: str) -> None:
    """Do what the request in the file ``place`` says; every outcome ends in ``answer.json``."""
    request = json.loads(Path(place).read_text(encoding="utf-8"))
    try:
        answer = export(request, Path(place).parent)
    except Exception:  # the author's own code does what it likes
        answer = {"error": "failed", "traceback": traceback.format_exc()}
    Path(place).with_name("answer.json").write_text(json.dumps(answer), encoding="utf-8")


def export(request: Dict[str, Any], folder: Path) -> Dict[str, Any]:
    """Export; gives the path, and of the signatures whose answers could be had from the Estimator itself their arrays."""
    from cpr.interface._tensorflow import tensorflow

    tf = tensorflow("Exporting an Estimator")
    if not hasattr(tf, "estimator"):
        return {"error": "no estimator", "tensorflow": tf.__version__}
    tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
    sys.path.insert(0, request["directory"])
    estimator = _function(request["estimator"])(request["model_dir"])
    receiver = _function(request["serving_input"])
    if not hasattr(estimator, "export_saved_model"):
        return {"error": "no estimator here", "kind": type(estimator).__name__}
    made = estimator.export_saved_model(str(folder / "export"), receiver, checkpoint_path=request["checkpoint"])
    path = made.decode() if isinstance(made, bytes) else str(made)
    asked = ask(tf, estimator, path, request["checkpoint"], folder)
    return {"path": path, "tensorflow": tf.__version__, "asked": asked}


def _function(reference: str) -> Any:
    """``file.py:name`` or ``module:name``."""
    place, _, name = reference.rpartition(":")
    if place.endswith(".py"):
        sys.path.insert(0, str(Path(place).resolve().parent))
        place = Path(place).stem
    return getattr(importlib.import_module(place), name)


def ask(tf: Any, estimator: Any, path: str, checkpoint: Any, folder: Path) -> List[str]:
    """Signatures that take the features as they are, answered by the Estimator's own ``predict``.

    Their names; the arrays go to ``0.npz`` and so on in ``folder``, inputs as ``i_NAME`` and outputs as ``o_NAME``.
    """
    import numpy as np

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        definitions = tf.compat.v1.saved_model.load(session, ["serve"], path).signature_def
        sides = {key: _side(tf, session.graph, each.inputs) for key, each in sorted(definitions.items())}
    asked: List[str] = []
    for key, inputs in sides.items():
        arrays = {name: _rows(np, dtype, shape) for name, (dtype, shape) in inputs.items()}

        answered = _predicted(tf, estimator, checkpoint, arrays)
        wanted = sorted(definitions[key].outputs)
        if not set(wanted) <= set(answered):
            continue
        kept = {"i_" + name: _plain(np, array) for name, array in arrays.items()}
        kept.update(("o_" + name, _plain(np, np.asarray(answered[name]))) for name in wanted)
        np.savez(str(folder / "{}.npz".format(len(asked))), **kept)
        asked.append(key)
    return asked


def _predicted(tf: Any, estimator: Any, checkpoint: Any, arrays: Dict[str, Any]) -> Dict[str, Any]:
    """The Estimator's own answer, empty where it takes other features than its serving input."""

    def data() -> Any:
        return tf.data.Dataset.from_tensors(dict(arrays))

    try:
        found = estimator.predict(data, checkpoint_path=checkpoint, yield_single_examples=False)
        return dict(next(iter(found)))
    except Exception:  # of TensorFlow's or the author's, by what is amiss
        return {}


def _side(tf: Any, graph: Any, infos: Any) -> Dict[str, Tuple[Any, List[int]]]:
    """Type and shape of a row, by input."""
    found = {}
    for name, info in infos.items():
        if not info.name:
            continue
        tensor = graph.get_tensor_by_name(info.name)
        sizes = [] if tensor.shape.rank is None else tensor.shape.as_list()
        found[name] = (tensor.dtype.base_dtype.as_numpy_dtype, [1 if size is None else size for size in sizes[1:]])
    return found


def _rows(np: Any, dtype: Any, shape: List[int]) -> Any:
    count = _ROWS * int(np.prod(shape))
    numbers = np.arange(count).reshape([_ROWS, *shape])
    if dtype is object:
        return np.array([str(number).encode() for number in range(count)], object).reshape([_ROWS, *shape])
    return np.sin(numbers + 1).astype(dtype) if np.dtype(dtype).kind == "f" else (numbers % 2).astype(dtype)


def _plain(np: Any, array: Any) -> Any:
    """Text as bytes of a fixed width: no array of objects is written."""
    return array.astype("S") if array.dtype.kind == "O" else array


if __name__ == "__main__":
    main(sys.argv[1])
