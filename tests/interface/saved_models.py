"""Small SavedModels of every kind that the interface meets. Needs TensorFlow 2.15 or newer."""

import tensorflow as tf
from carried_dtypes import DTYPES

v1 = tf.compat.v1


def write_all(folder):
    """Every model, each in a folder of its own below ``folder`` with the SavedModel in a sub-folder."""
    for name, write in WRITERS.items():
        (folder / name).mkdir()
        write(str(folder / name / "saved_model"))


def save(path, signatures, **parts):
    """``signatures``: name to ``(function of keyword tensors, {input: TensorSpec})``; ``parts`` are what the functions hold."""
    module = tf.Module()
    for name, part in parts.items():
        setattr(module, name, part)
    concrete = {
        name: tf.function(function).get_concrete_function(
            **{key: tf.TensorSpec(*spec, name=key) for key, spec in inputs.items()}
        )
        for name, (function, inputs) in signatures.items()
    }
    tf.saved_model.save(module, path, signatures=concrete or None)


def linear(path):
    weights = tf.Variable([[2.0], [3.0]])
    save(path, {"only": (lambda x: {"y": tf.squeeze(x @ weights, 1)}, {"x": ([None, 2], tf.float32)})}, weights=weights)


def mixed(path):
    def serve(text, count):
        repeated = tf.strings.join([text, tf.strings.as_string(count)], ":")
        return {"label": repeated, "raw_bytes": tf.strings.substr(text, 0, 1), "twice": count * 2}

    save(path, {"serving_default": (serve, {"text": ([None], tf.string), "count": ([None], tf.int64)})})


def several(path, names=("serving_default", "negated")):
    inputs = {"x": ([None], tf.float32)}
    functions = (lambda x: {"y": x + 1}, lambda x: {"y": -x})
    save(path, {name: (function, inputs) for name, function in zip(names, functions, strict=True)})


def unnamed(path):
    several(path, ("plus", "minus"))


def identities(path):
    save(path, {dtype: (lambda x: {"y": tf.identity(x)}, {"x": ([None], tf.as_dtype(dtype))}) for dtype in DTYPES})


def ragged_sizes(path):
    def lengths(x):
        return {"mean": tf.reduce_mean(x, axis=[1, 2]), "shape": tf.tile(tf.shape(x)[None], [tf.shape(x)[0], 1])}

    save(path, {"serving_default": (lengths, {"x": ([None, None, None], tf.float32)})})


def unknown_rank(path):
    save(path, {"serving_default": (lambda x: {"rank": tf.fill([tf.shape(x)[0]], tf.rank(x))}, {"x": (None, tf.float32)})})


def fixed_batch(path):
    save(path, {"serving_default": (lambda x: {"y": x * 2}, {"x": ([2], tf.float32)})})


def scalar_input(path):
    inputs = {"x": ([None], tf.float32), "rate": ([], tf.float32)}
    save(path, {"serving_default": (lambda x, rate: {"y": x * rate}, inputs)})


def unbatched(path):
    save(path, {"serving_default": (lambda x: {"total": tf.reduce_sum(x)}, {"x": ([None], tf.float32)})})


def not_text(path):
    save(path, {"serving_default": (lambda x: {"data": tf.io.decode_base64(x)}, {"x": ([None], tf.string)})})


def parsing(path):
    save(path, {"serving_default": (lambda x: {"y": tf.strings.to_number(x)}, {"x": ([None], tf.string)})})


def lookup(path):
    words = path + ".words"
    with open(words, "w") as file:
        file.write("zero\none\ntwo\n")
    line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    initializer = tf.lookup.TextFileInitializer(words, tf.string, line, tf.int64, number)
    table = tf.lookup.StaticHashTable(initializer, -1)
    save(path, {"serving_default": (lambda word: {"line": table.lookup(word)}, {"word": ([None], tf.string)})}, table=table)


def without_signature(path):
    save(path, {}, weights=tf.Variable(1.0))


def keras(path):
    model = tf.keras.Sequential([tf.keras.Input((3,), name="features"), tf.keras.layers.Dense(2, "softmax")])
    model.export(path)


def tensorflow1(path):
    """As TensorFlow 1 wrote them: a frozen-in-time graph without an object graph, and input names that are no Python names."""
    with v1.Graph().as_default(), v1.Session() as session:
        left = v1.placeholder(tf.float32, [None, 2])
        right = v1.placeholder(tf.float32, [None, 2])
        weight = v1.get_variable("weight", initializer=3.0)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, path, {"in/left": left, "right-1": right}, {"out:0": (left - right) * weight})


def tensorflow1_tags(path):
    """Two MetaGraphs with the same signature: one multiplies by the weight, the other adds it."""
    builder = v1.saved_model.Builder(path)
    for tags in (["serve"], ["serve", "gpu"]):
        with v1.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None])
            weight = v1.get_variable("weight", initializer=10.0)
            y = x + weight if "gpu" in tags else x * weight
            session.run(v1.global_variables_initializer())
            signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
            if "gpu" in tags:
                builder.add_meta_graph(tags, {"serving_default": signature})
            else:
                builder.add_meta_graph_and_variables(session, tags, {"serving_default": signature})
    builder.save()


def tensorflow1_sparse(path):
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.sparse_placeholder(tf.float32, [None, 2])
        v1.saved_model.simple_save(session, path, {"x": x}, {"y": v1.sparse_reduce_sum(x, axis=1)})


WRITERS = {
    write.__name__: write
    for write in (
        *(linear, mixed, several, unnamed, identities, ragged_sizes, unknown_rank, fixed_batch, scalar_input, unbatched),
        *(not_text, parsing, lookup, without_signature, keras, tensorflow1, tensorflow1_tags, tensorflow1_sparse),
    )
}
