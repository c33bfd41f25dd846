"""Makes models with faults that TensorFlow does not mind in saving, and sound ones: ``python faulty_models.py FOLDER``.

Run in a process of its own, once for all tests. ``FOLDER/<name>/`` becomes a SavedModel, and ``FOLDER/says.json`` what
TensorFlow does with it: whether it loads it, what a request of each signature ends in, whether the same request gives the same
answer twice, and whether the answer to a row is the same with other rows beside it.
"""

import json
import os
import shutil
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2

v1 = tf.compat.v1

LONGEST = 1000
"""Milliseconds that a request may take: one that waits for a queue would take for ever."""


def numbers(*shape, dtype=tf.float32, name="x"):
    return tf.TensorSpec(shape, dtype, name)


def module(path, function, *specs, **variables):
    """A SavedModel of a ``tf.Module`` with ``variables``, whose one signature is ``function(module, *inputs)``."""
    holder = tf.Module()
    for name, value in variables.items():
        setattr(holder, name, value)
    signature = tf.function(lambda *inputs: function(holder, *inputs), input_signature=specs)
    tf.saved_model.save(holder, path, signature)


def session(path, build, **options):
    """A SavedModel of TensorFlow 1; ``build`` returns inputs and outputs of each signature, or of one alone."""
    with tf.Graph().as_default(), v1.Session() as run:
        signatures = build()
        if isinstance(signatures, tuple):
            signatures = {"serving_default": signatures}
        run.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(path)
        definitions = {
            key: v1.saved_model.predict_signature_def(inputs, outputs) for key, (inputs, outputs) in signatures.items()
        }
        if "main_op" in options:
            options["main_op"] = v1.get_collection("main_op")[0]
        builder.add_meta_graph_and_variables(run, ["serve"], definitions, **options)
        builder.save()


def placeholder(name="x", shape=(None, 2), dtype=tf.float32):
    return v1.placeholder(dtype, shape, name)


# -- what an ordinary export looks like


def make_sound_keras(path):
    """Layers that behave in another way when they learn, and such that keep a table and random numbers."""
    inputs = keras.Input([8, 8, 1])
    x = keras.layers.Conv2D(4, 3)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.SpatialDropout2D(0.5)(x)
    x = keras.layers.Reshape([36, 4])(x)
    x = keras.layers.LSTM(3, dropout=0.5)(x)
    x = keras.layers.GaussianNoise(0.5)(x)
    outputs = keras.layers.Dense(2)(keras.layers.Dropout(0.5)(x))
    keras.Model(inputs, outputs).export(path, verbose=False)


def make_sound_text(path):
    words = keras.layers.TextVectorization(vocabulary=["one", "two"], output_sequence_length=4)
    layers = [keras.Input([1], dtype="string"), words, keras.layers.Embedding(4, 3), keras.layers.Flatten()]
    keras.Sequential(layers).export(path, verbose=False)


def make_sound_saved_keras(path):
    """A Keras 3 model that learned, saved with TensorFlow's own function: with its optimizer."""
    model = keras.Sequential([keras.Input([4]), keras.layers.Dense(3), keras.layers.Dropout(0.5), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(np.zeros([4, 4], np.float32), np.zeros([4, 2], np.float32), verbose=0)
    tf.saved_model.save(model, path)


def make_sound_default(path):
    """A placeholder that need not be fed."""

    def build():
        x = placeholder()
        keep = v1.placeholder_with_default(1.0, [], "keep")
        return {"x": x}, {"y": x * keep}

    session(path, build)


def make_sound_iterator(path):
    """An iterator over data in the graph, made when the model is loaded."""

    def build():
        x = placeholder()
        data = tf.data.Dataset.from_tensors(tf.constant([3.0])).repeat()
        iterator = v1.data.make_initializable_iterator(data)
        v1.add_to_collection("main_op", iterator.initializer)
        return {"x": x}, {"y": x * iterator.get_next()}

    session(path, build, main_op=True)


def make_sound_loop(path):
    """A dataset that lives within the request."""

    def run(_, x):
        total = tf.zeros([])
        for number in tf.data.Dataset.range(3):
            total += tf.cast(number, tf.float32)
        return {"y": x + total}

    module(path, run, numbers(None, 2))


def make_sound_random(path):
    """A request that asks for random numbers, and no dropout."""
    module(path, lambda _, x: {"y": x + 0 * tf.random.uniform(tf.shape(x))}, numbers(None, 2))


def make_sound_layer_norm(path):
    """As Keras 2 normalises each row for itself, with the operation for batches."""

    def run(_, x):
        rows = tf.shape(x)[0]
        turned = tf.reshape(x, [1, rows, 6, 1])
        y, *_ = v1.nn.fused_batch_norm(turned, tf.ones([rows]), tf.zeros([rows]), data_format="NCHW", is_training=True)
        return {"y": tf.reshape(y, [-1, 6])}

    module(path, run, numbers(None, 6))


def make_sound_objects(path):
    """A graph of TensorFlow 1 whose checkpoint is one of objects, as Keras of TensorFlow 1.15 exports them."""

    def build():
        x = placeholder()
        return {"x": x}, {"y": x * v1.get_variable("weights", [2], initializer=v1.ones_initializer(), use_resource=True)}

    session(path, build)
    tf.raw_ops.SaveV2(
        prefix=str(Path(path, "variables", "variables")),
        tensor_names=["_CHECKPOINTABLE_OBJECT_GRAPH", "weights"],
        shape_and_slices=["", ""],
        tensors=[b"", np.ones([2], np.float32)],
    )


def make_sound_examples(path):
    """Signatures that parse ``tf.Example``, as an Estimator's do."""
    with tf.Graph().as_default(), v1.Session() as run:
        examples = v1.placeholder(tf.string, [None], "examples")
        x = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([], tf.float32, 0.0)})["x"]
        build = v1.saved_model
        definitions = {
            "classification": build.classification_signature_def(examples, None, tf.stack([x, 1 - x], 1)),
            "regression": build.regression_signature_def(examples, x),
            "serving_default": build.predict_signature_def({"examples": examples}, {"x": x}),
        }
        builder = build.Builder(path)
        builder.add_meta_graph_and_variables(run, ["serve"], definitions)
        builder.save()


# -- a training graph where a serving graph belongs


def make_queue(path):
    def build():
        queue = v1.FIFOQueue(4, tf.float32, [2])
        return {"x": placeholder()}, {"y": queue.dequeue_many(2)}

    session(path, build)


def make_reader(path):
    def build():
        names = v1.FIFOQueue(4, tf.string)
        _, record = v1.TFRecordReader().read(names)
        return {"x": placeholder()}, {"y": tf.reshape(tf.strings.length(record), [1])}

    session(path, build)


def make_iterator(path):
    """As ``sound_iterator``, but nothing makes the iterator when the model is loaded."""

    def build():
        x = placeholder()
        data = tf.data.Dataset.from_tensors(tf.constant([3.0])).repeat()
        return {"x": x}, {"y": x * v1.data.make_initializable_iterator(data).get_next()}

    session(path, build)


def make_one_shot(path):
    """The next element of a data set in the graph, whatever the request holds."""

    def build():
        data = tf.data.Dataset.from_tensors(tf.constant([3.0])).repeat()
        return {"x": placeholder()}, {"y": v1.data.make_one_shot_iterator(data).get_next()}

    session(path, build)


def make_dropout(path):
    model = keras.Sequential([keras.Input([40]), keras.layers.Dropout(0.5)])
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", lambda x: model(x, training=True), [keras.InputSpec(shape=(None, 40), dtype="float32")])
    archive.write_out(path, verbose=False)


def make_tf1_dropout(path):
    def build():
        x = placeholder(shape=(None, 40))
        return {"x": x}, {"y": v1.nn.dropout(x, rate=0.5)}

    session(path, build)


def make_norm(path):
    def run(_, x):
        y, *_ = v1.nn.fused_batch_norm(x, tf.ones([2]), tf.zeros([2]), is_training=True)
        return {"y": y}

    module(path, run, numbers(None, 4, 4, 2))


def make_tf1_norm(path):
    def build():
        x = placeholder(shape=(None, 4, 4, 2))
        y, *_ = v1.nn.fused_batch_norm(x, tf.ones([2]), tf.zeros([2]), is_training=True)
        return {"x": x}, {"y": y}

    session(path, build)


def make_keras_norm(path):
    """Keras 3 computes the statistics itself, and keeps a running mean of them."""
    layer = keras.layers.BatchNormalization()
    layer.build([None, 4, 4, 2])
    module(path, lambda _, x: {"y": layer(x, training=True)}, numbers(None, 4, 4, 2), layer=layer)


def learning(key):
    x = placeholder()
    weights = v1.get_variable("weights", [2, 1], initializer=v1.ones_initializer())
    y = tf.matmul(x, weights)
    step = v1.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_mean(tf.square(y - 7)))
    with tf.control_dependencies([step]):
        return {"serving_default": ({"x": x}, {"y": y}), key: ({"x": x}, {"y": y + 0})}


def make_trains(path):
    """The default signature makes a step of gradient descent."""
    session(path, lambda: learning("serving_default"))


def make_trains_by_name(path):
    session(path, lambda: learning("train"))


def make_keras_trains(path):
    """Keras 3's optimizers have no operation of their own."""
    layer, optimizer = keras.layers.Dense(1, "relu", kernel_initializer="ones"), keras.optimizers.SGD(0.1)
    layer.build([None, 2])
    optimizer.build(layer.trainable_variables)

    def run(_, x):
        with tf.GradientTape() as tape:
            y = layer(x)
            loss = tf.reduce_mean(tf.square(y - 7.0))
        optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
        return {"y": y}

    module(path, run, numbers(None, 2), layer=layer, optimizer=optimizer)


def make_trained_here(path):
    """The training's operations lie in the graph, and no signature reaches them."""

    def build():
        x = placeholder()
        weights = v1.get_variable("weights", [2, 3], initializer=v1.ones_initializer())
        y = tf.matmul(x, weights)
        labels = tf.zeros([1], tf.int64)
        loss = tf.reduce_mean(v1.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=y))
        v1.train.AdamOptimizer().minimize(loss)
        return {"x": x}, {"y": y}

    session(path, build)


def make_unfed(path):
    def build():
        x = placeholder()
        return {"x": x}, {"y": x * v1.placeholder(tf.float32, [], "keep_prob")}

    session(path, build)


def make_unfed_in_one(path):
    def build():
        x = placeholder()
        keep = v1.placeholder(tf.float32, [], "keep_prob")
        return {"serving_default": ({"x": x}, {"y": x + 1}), "scaled": ({"x": x}, {"y": x * keep})}

    session(path, build)


# -- what a request can carry


def make_fixed_rows(path):
    module(path, lambda _, x: {"y": x + 1}, numbers(1, 4))


def make_scalar(path):
    module(path, lambda _, x: {"y": x + 1}, numbers())


def make_scalar_output(path):
    module(path, lambda _, x: {"y": x + 1, "version": tf.constant(3)}, numbers(None, 4))


def make_wide(path):
    module(path, lambda _, x, i: {"y": x, "i": i}, numbers(None, dtype=tf.float64), numbers(None, dtype=tf.int64, name="i"))


def make_keras_wide(path):
    keras.Sequential([keras.Input([2], dtype="int64"), keras.layers.Embedding(100, 2)]).export(path, verbose=False)


def make_bytes(path):
    def run(_, image):
        pixels = tf.map_fn(
            lambda one: tf.io.encode_png(tf.io.decode_jpeg(one, channels=3)), image, fn_output_signature=tf.string
        )
        return {"picture": pixels}

    module(path, run, numbers(None, dtype=tf.string, name="image"))


def make_bytes_named(path):
    def run(_, image_bytes):
        pixels = tf.map_fn(
            lambda one: tf.io.encode_png(tf.io.decode_jpeg(one, channels=3)), image_bytes, fn_output_signature=tf.string
        )
        return {"picture_bytes": pixels, "text": tf.strings.join([image_bytes, "."])}

    module(path, run, numbers(None, dtype=tf.string, name="image_bytes"))


def make_method_name(path):
    with tf.Graph().as_default(), v1.Session() as run:
        x = placeholder()
        info = v1.saved_model.build_tensor_info
        signature = v1.saved_model.build_signature_def({"x": info(x)}, {"y": info(x + 1)}, "mine/predict")
        builder = v1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(run, ["serve"], {"serving_default": signature})
        builder.save()


def make_signed_elsewhere(path):
    with tf.Graph().as_default(), v1.Session() as run:
        x = placeholder()
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": x + 1})
        builder = v1.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(run, ["serve"], {})
        builder.add_meta_graph(["train"], {"serving_default": signature})
        builder.save()


# -- operations


def make_reads_files(path):
    module(path, lambda _, x: {"y": tf.map_fn(tf.io.read_file, x)}, numbers(None, dtype=tf.string))


def make_calls_python(path):
    def run(_, x):
        y = tf.numpy_function(lambda value: value + 1, [x], tf.float32)
        y.set_shape([None, 2])
        return {"y": y}

    module(path, run, numbers(None, 2))


def make_writes_unused(path):
    def build():
        x = placeholder()
        tf.io.write_file("/nowhere", tf.strings.as_string(x[0, 0]))
        return {"x": x}, {"y": x + 1}

    session(path, build)


def make_references(path):
    def build():
        x = placeholder()
        return {"x": x}, {"y": tf.matmul(x, v1.get_variable("weights", [2, 2], use_resource=False))}

    session(path, build)


# -- bytes that nobody reads


def make_twice(path):
    keras.Sequential([keras.Input([600]), keras.layers.Dense(500, use_bias=False)]).export(path, verbose=False)


def make_once(path):
    """The same as ``twice``, written in another way."""
    tf.saved_model.save(keras.Sequential([keras.Input([600]), keras.layers.Dense(500, use_bias=False)]), path)


# -- weights of another model: <kind>_<variant>, whose checkpoints are put under the graph of <kind>_base

VARIABLES = {
    "base": {"a": ([3], tf.float32), "b": ([2, 2], tf.float32)},
    "same": {"a": ([3], tf.float32), "b": ([2, 2], tf.float32)},
    "names": {"c": ([3], tf.float32), "d": ([2, 2], tf.float32)},
    "fewer": {"a": ([3], tf.float32)},
    "more": {"a": ([3], tf.float32), "b": ([2, 2], tf.float32), "c": ([9], tf.float32)},
    "shapes": {"a": ([4], tf.float32), "b": ([2, 2], tf.float32)},
    "types": {"a": ([3], tf.int32), "b": ([2, 2], tf.float32)},
}


def module_of(path, variables, value=0):
    values = {name: tf.Variable(tf.cast(tf.fill(shape, value), dtype)) for name, (shape, dtype) in variables.items()}
    module(path, lambda holder, x: {"y": x + tf.cast(tf.reduce_sum(holder.a), tf.float32)}, numbers(None, 2), **values)


def graph_of(path, variables, resources):
    def build():
        x = placeholder()
        made = [v1.get_variable(name, shape, dtype, use_resource=resources) for name, (shape, dtype) in variables.items()]
        return {"x": x}, {"y": x + tf.cast(tf.reduce_sum(made[0]), tf.float32)}

    session(path, build)


def swapped(folder):
    """``swapped/<kind>_<variant>``: the graph of one model, the weights of another."""
    makers = {
        "module": lambda path, variables: module_of(
            path, {"a": ([3], tf.float32), **variables} if "c" in variables else variables
        ),
        "reference": lambda path, variables: graph_of(path, variables, False),
        "resource": lambda path, variables: graph_of(path, variables, True),
    }
    for kind, make in makers.items():
        for variant, variables in VARIABLES.items():
            make(str(folder / "parts" / f"{kind}_{variant}"), variables)
            path = folder / "swapped" / f"{kind}_{variant}"
            shutil.copytree(folder / "parts" / f"{kind}_base", path)
            shutil.rmtree(path / "variables")
            shutil.copytree(folder / "parts" / f"{kind}_{variant}" / "variables", path / "variables")
            yield path


# -- sound models that were damaged later


def damaged(folder):
    for name, damage in sorted(globals().items()):
        if name.startswith("damage_"):
            path = folder / name.removeprefix("damage_")
            kind = "reference" if path.name.startswith("reference_") else "module"
            shutil.copytree(folder / "parts" / f"{kind}_base", path)
            damage(path)
            yield path


def damage_altered(path):
    (shard,) = path.glob("variables/*.data-*")
    content = bytearray(shard.read_bytes())
    content[2] ^= 1
    shard.write_bytes(content)


def damage_longer(path):
    (shard,) = path.glob("variables/*.data-*")
    with open(shard, "ab") as file:
        file.write(bytes(100))


def damage_retrained(path):
    """Other values under the same names."""
    other = path.with_name("other")
    module_of(str(other), VARIABLES["base"], 7.0)
    shutil.rmtree(path / "variables")
    shutil.move(other / "variables", path / "variables")
    shutil.rmtree(other)


def damage_module_for_newer(path):
    altered(path, lambda graph: setattr(graph.versions, "min_consumer", tf.version.GRAPH_DEF_VERSION + 1))


def damage_reference_for_newer(path):
    damage_module_for_newer(path)


def damage_reference_by_newer(path):
    altered(path, lambda graph: setattr(graph.versions, "producer", tf.version.GRAPH_DEF_VERSION + 100))


def damage_module_custom(path):
    """An operation that nobody registered, in a function."""
    altered(path, lambda graph: setattr(graph.library.function[0].node_def.add(name="mine"), "op", "MyVeryOwnOperation"))


def damage_reference_custom(path):
    altered(path, lambda graph: setattr(graph.node.add(name="mine"), "op", "MyVeryOwnOperation"))


def altered(path, alter):
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    alter(model.meta_graphs[0].graph_def)
    (path / "saved_model.pb").write_bytes(model.SerializeToString())


def damage_other_form_binary(path):
    (path / "saved_model.pb").rename(path / "saved_model.pbtxt")


def damage_other_form_text(path):
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    (path / "saved_model.pb").write_text(text_format.MessageToString(model))


def frozen(folder):
    """A graph alone, as ``tf.compat.v1.graph_util`` freezes them; no SavedModel."""
    folder.mkdir()
    with tf.Graph().as_default() as graph:
        placeholder() + 1.0
        (folder / "frozen.pb").write_bytes(graph.as_graph_def().SerializeToString())


# -- what TensorFlow does with them


def says_of(path):
    """Why TensorFlow does not load it, or ``None`` where it does; and what requests of its signatures end in."""
    try:
        graph = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes()).meta_graphs[0]
    except Exception:
        return {"loads": loads(path), "signatures": {}}
    signatures = {key: signature for key, signature in graph.signature_def.items() if not key.startswith("__")}
    try:
        if graph.HasField("object_graph_def"):
            functions = tf.saved_model.load(str(path)).signatures
            found = {key: answer(signature, calling(functions[key])) for key, signature in signatures.items()}
        else:
            with tf.Graph().as_default(), v1.Session() as run:
                v1.saved_model.load(run, ["serve"], str(path))
                found = {key: answer(signature, fetching(run, signature)) for key, signature in signatures.items()}
    except Exception as error:
        return {"loads": f"{type(error).__name__}: {error}"[:300], "signatures": {}}
    return {"loads": None, "signatures": found}


def loads(path):
    try:
        tf.saved_model.load(str(path))
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return None


def calling(function):
    def ask(inputs):
        return {name: value.numpy() for name, value in function(**{name: tf.constant(v) for name, v in inputs.items()}).items()}

    return ask


def fetching(run, signature):
    fetches = {name: info.name for name, info in signature.outputs.items()}

    def ask(inputs):
        feeds = {signature.inputs[name].name: value for name, value in inputs.items()}
        return run.run(fetches, feeds, v1.RunOptions(timeout_in_ms=LONGEST))

    return ask


def answer(signature, ask):
    def asked(*rows):
        return ask({name: batch(info, rows) for name, info in signature.inputs.items()})

    try:
        first, second = asked(1, 2), asked(1, 2)
    except Exception as error:
        return {"error": type(error).__name__}
    try:
        other = asked(1, 5)
        alone = all(np.array_equal(first[name][:1], other[name][:1]) for name in first)
    except Exception:
        alone = None
    return {"error": None, "repeats": all(np.array_equal(first[name], second[name]) for name in first), "alone": alone}


def batch(info, rows):
    """As many rows as the signature takes, made from one number each."""
    dtype = tf.dtypes.as_dtype(info.dtype).as_numpy_dtype
    shape = [dimension.size for dimension in info.tensor_shape.dim]
    if not shape:
        return np.array(rows[0]).astype(dtype)
    count = len(rows) if shape[0] < 0 else shape[0]
    inner = [max(size, 1) for size in shape[1:]]
    if dtype is object:
        text = JPEG if "image" in info.name else b"" if "examples" in info.name else b"1"
        return np.full([count, *inner], text)
    varied = np.arange(np.prod(inner, dtype=int)).reshape(inner)
    return np.stack([(varied * rows[index % len(rows)] + 1).astype(dtype) for index in range(count)])


JPEG = tf.io.encode_jpeg(np.zeros([2, 2, 3], np.uint8)).numpy()


def hashes():
    """The fingerprints, modulo 2**62, of bytes of many lengths, which are spelt in hexadecimal digits."""
    random = np.random.default_rng(7)
    texts = [random.bytes(size) for size in [*range(200), 1000, 4096, 65537]]
    found = tf.strings.to_hash_bucket_fast(tf.constant(texts), 1 << 62)
    return dict(zip((text.hex() for text in texts), found.numpy().tolist(), strict=True))


def main(folder):
    for name, make in sorted(globals().items()):
        if name.startswith("make_"):
            make(str(folder / name.removeprefix("make_")))
    paths = [path for path in sorted(folder.iterdir()) if path.is_dir()]
    says = {path.relative_to(folder).as_posix(): says_of(path) for path in [*paths, *swapped(folder), *damaged(folder)]}
    frozen(folder / "frozen")
    (folder / "hashes.json").write_text(json.dumps(hashes()))
    (folder / "says.json").write_text(json.dumps(says, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
