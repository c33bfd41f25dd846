"""Small SavedModels of every kind that the interface meets. Needs TensorFlow 2.15 or newer."""

import shutil
from pathlib import Path

import tensorflow as tf

from support.carried_dtypes import DTYPES

v1 = tf.compat.v1


def write_all(folder):
    """Every model, each in a folder of its own below ``folder`` with the SavedModel in a sub-folder."""
    for name, write in WRITERS.items():
        (folder / name).mkdir()
        write(str(folder / name / "saved_model"))
    shutil.copytree(Path(__file__).parent / "old_optimizer", folder / "old_optimizer")


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


def ragged(path):
    """Composite tensors: the input is stored as its parts, the output as one."""
    twice = tf.function(lambda x: {"y": x * 2.0, "sizes": x.row_lengths()})
    total = tf.function(lambda x: {"y": tf.reduce_sum(x, axis=1)})
    spec = tf.RaggedTensorSpec([None, None], tf.float32)
    signatures = {"twice": twice.get_concrete_function(x=spec), "total": total.get_concrete_function(x=spec)}
    tf.saved_model.save(tf.Module(), path, signatures=signatures)


def squeezed(path):
    """One instance loses its batch dimension, as in many an export."""
    save(path, {"serving_default": (lambda x: {"y": tf.squeeze(x * 2)}, {"x": ([None], tf.float32)})})


def refusing(path):
    """Signatures that load and do not all run: for want of a kernel or of a function, or because zeros are no image."""

    def recurrent(x):
        state, weights = tf.zeros([1, 1, 4]), tf.zeros([200])  # runs on a GPU alone
        cell = tf.raw_ops.CudnnRNN(
            input=x, input_h=state, input_c=state, params=weights, rnn_mode="lstm", is_training=False, name="recurrent"
        )
        return {"y": cell.output}

    text = {"x": ([None], tf.string)}
    signatures = {
        "fine": (lambda x: {"y": x}, {"x": ([None], tf.float32)}),
        "image": (lambda x: {"y": tf.io.decode_png(x[0])}, text),
        "file": (lambda x: {"y": tf.io.read_file(x[0])}, text),
        "python": (lambda x: {"y": tf.numpy_function(lambda value: value, [x], tf.float32)}, {"x": ([None], tf.float32)}),
        "kernel": (recurrent, {"x": ([1, 1, 4], tf.float32)}),
    }
    save(path, signatures)


# --- TensorFlow 1: a graph without an object graph --------------------------------------------------------------------------


def save_graph(path, build, *tag_sets, as_text=False):
    """``build(tags)`` makes a graph and returns its signatures: name to ``({input: tensor}, {output: tensor})``."""
    builder = v1.saved_model.Builder(path)
    for index, tags in enumerate(tag_sets or (("serve",),)):
        config = v1.ConfigProto(allow_soft_placement=True)
        with v1.Graph().as_default(), v1.Session(config=config) as session:
            signatures = {
                name: v1.saved_model.predict_signature_def(inputs, outputs) for name, (inputs, outputs) in build(tags).items()
            }
            session.run(v1.global_variables_initializer())
            tables = v1.get_collection(v1.GraphKeys.TABLE_INITIALIZERS)
            if index:
                builder.add_meta_graph(tags, signatures)
            else:
                builder.add_meta_graph_and_variables(
                    session,
                    tags,
                    signatures,
                    assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
                    main_op=v1.tables_initializer() if tables and "forget" not in tags else None,
                )
    builder.save(as_text)


def placeholder(dtype, *shape):
    return v1.placeholder(dtype, shape)


def tensorflow1(path):
    """Input names that are no Python names."""

    def build(tags):
        left, right = placeholder(tf.float32, None, 2), placeholder(tf.float32, None, 2)
        weight = v1.get_variable("weight", initializer=3.0)
        return {"serving_default": ({"in/left": left, "right-1": right}, {"out:0": (left - right) * weight})}

    save_graph(path, build)


def by_tags(tags):
    """One MetaGraph multiplies by the weight, the other adds it."""
    x = placeholder(tf.float32, None)
    weight = v1.get_variable("weight", initializer=10.0)
    return {"serving_default": ({"x": x}, {"y": x + weight if "gpu" in tags else x * weight})}


def tensorflow1_tags(path):
    save_graph(path, by_tags, ("serve",), ("serve", "gpu"))


def tensorflow1_other_tags(path):
    save_graph(path, by_tags, ("train",), ("gpu", "train"))


def tensorflow1_text(path):
    save_graph(path, by_tags, ("gpu", "serve"), ("serve",), as_text=True)


def tensorflow1_sparse(path):
    def build(tags):
        x = v1.sparse_placeholder(tf.float32, [None, 2])
        return {"serving_default": ({"x": x}, {"y": v1.sparse_reduce_sum(x, axis=1)})}

    save_graph(path, build)


def tensorflow1_references(path):
    """Variables as TensorFlow 1 had them, on a device that is not everywhere."""

    def build(tags):
        with tf.device("/GPU:0"):
            x = v1.placeholder(tf.float32, [None], name="x")
            weight = v1.get_variable("weight", initializer=[3.0], use_resource=False)
            return {"serving_default": ({"x": x}, {"y": tf.multiply(x, weight, name="y")})}

    save_graph(path, build)


def table(path):
    words = path + ".words"
    with open(words, "w") as file:
        file.write("zero\none\ntwo\n")
    line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    initializer = tf.lookup.TextFileInitializer(words, tf.string, line, tf.int64, number)
    word = placeholder(tf.string, None)
    return {"serving_default": ({"word": word}, {"line": tf.lookup.StaticHashTable(initializer, -1).lookup(word)})}


def tensorflow1_table(path):
    """With a vocabulary among its assets, and an op that reads it."""
    save_graph(path, lambda tags: table(path))


def tensorflow1_forgotten(path):
    """Nothing fills its table, nor its local variable."""

    def build(tags):
        x = placeholder(tf.float32, None)
        local = v1.get_variable("local", initializer=2.0, collections=[v1.GraphKeys.LOCAL_VARIABLES], use_resource=False)
        return {**table(path), "local": ({"x": x}, {"y": x * local})}

    save_graph(path, build, ("forget",))


def tensorflow1_unfed(path):
    """One of its signatures leaves out a placeholder."""

    def build(tags):
        x, rate = placeholder(tf.float32, None), v1.placeholder(tf.float32, [], name="rate")
        return {"serving_default": ({"x": x}, {"y": x + 1}), "rated": ({"x": x}, {"y": x * rate})}

    save_graph(path, build)


def tensorflow1_waiting(path):
    """It asks for the next element of a queue that nothing fills, as in a training graph."""

    def build(tags):
        x = placeholder(tf.float32, None)
        return {"serving_default": ({"x": x}, {"y": x + v1.FIFOQueue(1, tf.float32, [[]]).dequeue()})}

    save_graph(path, build)


WRITERS = {
    write.__name__: write
    for write in (
        *(linear, mixed, several, unnamed, identities, ragged_sizes, unknown_rank, fixed_batch, scalar_input, unbatched),
        *(not_text, parsing, lookup, without_signature, keras, ragged, squeezed, refusing),
        *(tensorflow1, tensorflow1_tags, tensorflow1_other_tags, tensorflow1_text, tensorflow1_sparse, tensorflow1_references),
        *(tensorflow1_table, tensorflow1_forgotten, tensorflow1_unfed, tensorflow1_waiting),
    )
}
