"""What TensorFlow itself answers, by both of its loaders: the oracle."""

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1


def rows(name, dtype, shape):
    """Some input of this type: the same each time."""
    random = np.random.default_rng(1)
    shape = [3] if shape is None else [6 if size is None else size for size in shape]
    if dtype == "string":
        return np.array(random.choice([b"zero", b"one", b"other"], shape), object)
    if dtype.startswith("float"):
        return random.normal(size=shape).astype(dtype)
    return random.integers(0, 100, shape).astype(dtype)


def by_objects(path):
    """Outputs by signature and name."""
    model = tf.saved_model.load(str(path))
    found = {}
    for key, function in model.signatures.items():
        specs = function.structured_input_signature[1]
        inputs = {name: rows(name, spec.dtype.name, spec.shape.as_list()) for name, spec in specs.items()}
        found[key] = {name: value.numpy() for name, value in function(**{k: tf.constant(v) for k, v in inputs.items()}).items()}
    return found


def by_session(path, tags=("serve",)):
    found = {}
    with v1.Session(graph=v1.Graph()) as session:
        meta = v1.saved_model.loader.load(session, list(tags), str(path))
        for key, signature in meta.signature_def.items():
            if key.startswith("__saved_model"):
                continue
            feeds = {}
            for name, info in signature.inputs.items():
                shape = (
                    None if info.tensor_shape.unknown_rank else [None if d.size < 0 else d.size for d in info.tensor_shape.dim]
                )
                feeds[info.name] = rows(name, tf.as_dtype(info.dtype).name, shape)
            found[key] = session.run({name: info.name for name, info in signature.outputs.items()}, feeds)
    return found


def largest_difference(one, other):
    """Of all floats; what is no float must be equal."""
    assert one.keys() == other.keys()
    worst = 0.0
    for key, outputs in one.items():
        assert outputs.keys() == other[key].keys()
        for name, array in outputs.items():
            left, right = np.asarray(array), np.asarray(other[key][name])
            assert (left.shape, left.dtype) == (right.shape, right.dtype)
            if left.dtype.kind == "f":
                worst = max(worst, float(np.abs(left - right).max()))
            else:
                assert (left == right).all()
    return worst
