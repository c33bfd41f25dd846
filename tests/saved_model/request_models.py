"""Models whose requests run what the reader must see or must not mistake; ``tensorflow_says.py`` makes them all.

A signature or a model whose name ends in ``_off`` has no dropout and no batch normalisation in training mode.
"""

import contextlib
from pathlib import Path

import tensorflow as tf
from protobuf_fields import within
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import function as tf1_function

v1 = tf.compat.v1


class Structured(tf.Module):
    """Functions that call functions, outputs within outputs, variables behind names with dots and slashes, optimizer slots."""

    def __init__(self):
        super().__init__()
        self.layers = [tf.Variable([[1.0], [2.0]], name="first"), {"a.b": tf.Variable(3.0), "c/d": tf.Variable(4.0)}]
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.any_shape = tf.Variable([1.0], shape=tf.TensorShape(None))
        self.optimizer = v1.train.AdamOptimizer(0.1)
        self.never_traced = tf.function(lambda x: x)

    @tf.function
    def inner(self, x):
        return tf.matmul(x, self.layers[0]) + self.layers[1]["a.b"]

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="x"), tf.TensorSpec([None], tf.bool, "mask")])
    def outer(self, x, mask):
        self.steps.assign_add(1)
        return [self.inner(x), ~mask, self.steps + 1]

    @tf.function(input_signature=[])
    def train(self):
        self.optimizer.minimize(lambda: tf.reduce_sum(self.layers[0] * self.layers[1]["c/d"]))
        return self.any_shape


def make_structured(path):
    module = Structured()
    module.train()
    tf.saved_model.save(module, path, {"serving_default": module.outer, "train": module.train})


def make_composite(path):
    module = tf.Module()

    @tf.function(
        input_signature=[
            tf.RaggedTensorSpec([None, None], tf.int32),
            tf.SparseTensorSpec([None, 7], tf.float32),
        ]
    )
    def both(ragged, sparse):
        return {"ragged": ragged + 1, "sum": tf.sparse.reduce_sum(sparse, 1)}

    module.both = both
    tf.saved_model.save(module, path, both)


def keras_layers(training):
    layers = tf.keras.layers
    x = inputs = layers.Input([8, 8, 2])
    x = layers.Conv2D(3, 3)(x)
    x = layers.BatchNormalization()(x, training=training)
    x = layers.LayerNormalization()(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.25)(x, training=training)
    return tf.keras.Model(inputs, layers.Dense(3)(x))


def make_keras_off(path):
    keras_layers(False).export(path, verbose=False)


def make_keras_training(path):
    keras_layers(True).export(path, verbose=False)


def make_keras_saved(path):
    """A Keras 3 model as TensorFlow itself saves it."""
    tf.saved_model.save(keras_layers(False), path)


class Conditions(tf.Module):
    """Dropout in branches, loops and functions, and random numbers that are no dropout."""

    def __init__(self):
        super().__init__()
        self.weight = tf.Variable(0.5)

    x = tf.TensorSpec([None, 8], tf.float32, "x")

    @tf.function(input_signature=[x])
    def branch_off(self, x):
        return {"y": tf.cond(tf.reduce_sum(x) > 1e9, lambda: tf.nn.dropout(x, 0.4), lambda: x)}

    @tf.function(input_signature=[x])
    def case_off(self, x):
        index = tf.cast(tf.reduce_sum(x), tf.int32)
        return {"y": tf.switch_case(index, [lambda: tf.nn.dropout(x, 0.4), lambda: x, lambda: x + 1])}

    @tf.function(input_signature=[x])
    def sampling_off(self, x):
        noise = tf.random.normal(tf.shape(x)) + tf.random.uniform(tf.shape(x), maxval=4)
        chosen = tf.where(tf.random.uniform(tf.shape(x)) < 0.1, noise, x)
        weights = tf.cast(tf.random.uniform(tf.shape(x)) < tf.sigmoid(x), tf.float32)
        halves = tf.cast(tf.random.uniform(tf.shape(x)) >= 0.5, tf.float32)
        return {"y": chosen, "z": weights * x, "h": halves * x, "c": tf.random.categorical(x, 1)}

    @tf.function(input_signature=[x])
    def unused_off(self, x):
        """The shape is the same whether it is dropout or not."""
        tf.nn.dropout(x, 0.4)
        return {"y": x + 1}

    @tf.function(input_signature=[x])
    def loop(self, x):
        return {"y": tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.nn.dropout(y, 0.4)), [0, x])[1]}

    @tf.function
    def inner(self, x):
        return tf.nn.experimental.stateless_dropout(x, 0.1, seed=[1, 2]) - self.weight * tf.reduce_mean(x)

    @tf.function(input_signature=[x])
    def called(self, x):
        return {"y": self.inner(x) + self.inner(x + 1)}

    @tf.function(input_signature=[x])
    def small(self, x):
        return {"y": tf.cast(tf.nn.dropout(tf.cast(x, tf.bfloat16), 0.02), tf.float32), "z": tf.nn.dropout(x, 0.99)}


def make_conditions(path):
    module = Conditions()
    names = ("branch_off", "case_off", "sampling_off", "unused_off", "loop", "called", "small")
    tf.saved_model.save(module, path, {name: getattr(module, name) for name in names})


class Bytes(tf.Module):
    texts = tf.TensorSpec([None], tf.string, "texts")
    numbers = tf.TensorSpec([None, 4, 4, 3], tf.uint8, "numbers")

    @tf.function
    def picture(self, content):
        return tf.image.resize(tf.io.decode_jpeg(content, 3), [4, 4])

    @tf.function
    def png(self, numbers):
        return tf.io.encode_png(numbers)

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string, name) for name in ("pictures", "examples", "words")],
    )
    def reads(self, pictures, examples, words):
        parsed = tf.io.parse_example(examples, {"a": tf.io.FixedLenFeature([], tf.float32)})
        return {
            "pictures": tf.map_fn(self.picture, pictures, fn_output_signature=tf.float32),
            "a": parsed["a"],
            "words": tf.strings.lower(words),
        }

    @tf.function(input_signature=[texts, tf.TensorSpec([None], tf.string, "encoded")])
    def reads_one(self, texts, encoded):
        first = tf.reshape(texts, [-1])[0]
        ending = tf.strings.substr(first, 0, 3)
        image = tf.cond(ending == b"\xff\xd8\xff", lambda: tf.io.decode_jpeg(first), lambda: tf.io.decode_bmp(first))
        return {"image": image, "plain": tf.io.decode_raw(tf.io.decode_base64(encoded), tf.uint8)}

    @tf.function(input_signature=[numbers, tf.TensorSpec([None, 2], name="x"), texts])
    def writes(self, numbers, x, texts):
        return {
            "pictures": tf.map_fn(self.png, numbers, fn_output_signature=tf.string),
            "one": tf.expand_dims(tf.io.encode_jpeg(numbers[0]), 0),
            "tensor": tf.io.serialize_tensor(x),
            "encoded": tf.io.encode_base64(tf.io.encode_png(numbers[0])),
            "same": tf.identity(texts),
            "either": tf.cond(tf.reduce_sum(x) > 0, lambda: tf.io.encode_png(numbers[0]), lambda: texts[0]),
        }


def make_bytes(path):
    module = Bytes()
    names = ("reads", "reads_one", "writes")
    tf.saved_model.save(module, path, {name: getattr(module, name) for name in names})


def make_custom_gradient(path):
    """A function that nothing but a gradient calls."""
    module = tf.Module()

    @tf.custom_gradient
    def twice(x):
        return 2 * x, lambda upstream: 2 * upstream

    module.twice = tf.function(lambda x: {"y": twice(x)}, input_signature=[tf.TensorSpec([None], name="x")])
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    tf.saved_model.save(module, path, module.twice, options)


@contextlib.contextmanager
def tf1_session(control_flow="v1"):
    v1.disable_control_flow_v2() if control_flow == "v1" else v1.enable_control_flow_v2()
    try:
        with tf.Graph().as_default(), v1.Session() as session:
            yield session
    finally:
        v1.enable_control_flow_v2()


def tf1_save(path, session, signatures, **options):
    session.run([v1.global_variables_initializer(), v1.local_variables_initializer()])
    builder = v1.saved_model.Builder(path)
    definitions = {}
    for key, sides in signatures.items():
        inputs, outputs = ({name: v1.saved_model.build_tensor_info(tensor) for name, tensor in side.items()} for side in sides)
        definitions[key] = v1.saved_model.build_signature_def(inputs, outputs, "tensorflow/serving/predict")
    builder.add_meta_graph_and_variables(session, ["serve"], definitions, **options)
    builder.save()


def make_tf1_dropout(path):
    """Every form of it, each with a signature of its own."""
    with tf1_session() as session:
        x = v1.placeholder(tf.float32, [None, 8], "x")
        fed, unfed = v1.placeholder(tf.float32, [], "keep_fed"), v1.placeholder(tf.float32, [], "keep_unfed")
        off, half = v1.placeholder_with_default(1.0, [], "keep_1"), v1.placeholder_with_default(0.5, [], "keep_half")
        training = v1.placeholder_with_default(False, [], "training")
        random = tf.random.uniform(tf.shape(x))
        dropped = v1.nn.dropout(x, rate=0.4, name="dropped")
        kept = tf.cast(tf.random.uniform(tf.shape(x)) >= 0.3, tf.float32)
        outputs = {
            "rate": v1.nn.dropout(x, rate=0.4, name="rate"),
            "keep": v1.nn.dropout(x, keep_prob=tf.constant(0.6), name="keep"),
            "default_off": v1.nn.dropout(x, rate=1 - off, name="default_off"),
            "default_half": v1.nn.dropout(x, rate=1 - half, name="default_half"),
            "fed_off": v1.nn.dropout(x, rate=1 - fed, name="fed_off"),
            "fed_half_off": v1.nn.dropout(x, rate=1 - half, name="fed_half_off"),
            "unfed": v1.nn.dropout(x, rate=1 - unfed, name="unfed"),
            "old": x / 0.75 * tf.floor(0.75 + random, "old"),
            "old_off": x / 0.5 * tf.floor(0.75 + random, "old_off"),
            "reversed": tf.where(tf.greater(0.2, tf.random.uniform(tf.shape(x))), tf.zeros_like(x), x / 0.8),
            "below": tf.cast(tf.random.uniform(tf.shape(x)) < 0.8, tf.float32) * x / 0.8,
            "double": tf.cast(v1.nn.dropout(tf.cast(x, tf.float64), rate=0.4), tf.float32),
            "half": tf.cast(v1.nn.dropout(tf.cast(x, tf.float16), rate=0.4), tf.float32),
            "alpha": 0.9 * (x * kept + -1.7580993408473766 * (1 - kept)) + 0.4,
            "alpha_constant": tf.raw_ops.SelectV2(condition=tf.random.uniform(tf.shape(x)) >= 0.3, t=x, e=-1.7580993408473766),
            "mask_divided": x * (tf.cast(tf.random.uniform(tf.shape(x)) >= 0.3, tf.float32) / 0.7),
            "guarded_off": tf.cond(training, lambda: v1.nn.dropout(x, rate=0.4), lambda: x),
            "chosen_off": tf.cond(training, lambda: dropped, lambda: x),
            "where_off": tf.where(tf.logical_not(training), x, dropped),
            "waited_off": waiting(x, v1.nn.dropout(x, rate=0.4)),
            "after": v1.nn.dropout(tf.cond(training, lambda: x + 1, lambda: x), rate=0.4, name="after"),
            "loop": tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, v1.nn.dropout(y, rate=0.4)), [0, x])[1],
            "noise_off": x * tf.random.normal(tf.shape(x), 1.0, 0.1),
        }
        inputs = {key: {"x": x} for key in outputs}
        inputs["fed_off"]["keep"] = fed
        inputs["fed_half_off"]["keep"] = half
        tf1_save(path, session, {key: (inputs[key], {"y": y}) for key, y in outputs.items()})


def waiting(x, other):
    """Something that runs after another tensor and does not use it."""
    with tf.control_dependencies([other]):
        return tf.identity(x)


def make_tf1_norms(path):
    """Batch normalisation in every spelling; the attributes with default values are left out."""
    with tf1_session() as session:
        x = v1.placeholder(tf.float32, [None, 2, 2, 3], "x")
        ones, zeros, none = tf.ones([3]), tf.zeros([3]), tf.constant([], tf.float32)
        training = v1.placeholder_with_default(False, [], "training")
        raw = tf.raw_ops

        def fused(op, is_training):
            mean, variance = (none, none) if is_training else (zeros, ones)
            arguments = {"x": x, "scale": ones, "offset": zeros, "mean": mean, "variance": variance}
            return op(**arguments, is_training=is_training).y

        def averaged(decay):
            mean, variance = tf.nn.moments(x, [0, 1, 2])
            moving = v1.get_variable(f"moving_{decay}", [3], use_resource=decay == "sub")
            if decay == "sub":
                update = moving.assign_sub((moving - mean) * 0.01)
            elif decay == "add":
                update = v1.assign(moving, moving * 0.99 + mean * 0.01)
            elif decay == "half":
                update = v1.assign(moving, moving * 0.99 + mean * 0.5)
            else:
                update = v1.assign(moving, v1.get_variable("another", [3], use_resource=False) * 0.99 + mean * 0.01)
            v1.add_to_collection("updates", update)
            return (x - mean) / tf.sqrt(variance + 0.001)

        outputs = {
            "v1": fused(raw.FusedBatchNorm, True),
            "v1_off": fused(raw.FusedBatchNorm, False),
            "v2": fused(raw.FusedBatchNormV2, True),
            "v3": fused(raw.FusedBatchNormV3, True),
            "v3_off": fused(raw.FusedBatchNormV3, False),
            "guarded_off": tf.cond(
                training, lambda: fused(raw.FusedBatchNormV3, True), lambda: fused(raw.FusedBatchNormV3, False)
            ),
            "sub": averaged("sub"),
            "add": averaged("add"),
            "half_off": averaged("half"),
            "another_off": averaged("another"),
        }
        signatures = {key: ({"x": x}, {"y": y}) for key, y in outputs.items()}
        tf1_save(path, session, signatures, strip_default_attrs=True)


def make_tf1_training(path):
    """A training graph, as none should be saved: input queues, a reader, dropout, an optimizer, a placeholder left open."""
    file = Path(path).with_name("numbers.csv")
    file.write_text("1,2,0\n3,4,1\n")
    with tf1_session() as session:
        names = v1.train.string_input_producer([str(file)])
        _, line = v1.TextLineReader().read(names)
        *columns, label = tf.io.decode_csv(line, [[0.0], [0.0], [0]])
        batch, labels = v1.train.shuffle_batch([tf.stack(columns), label], 2, 10, 2)
        keep = v1.placeholder(tf.float32, [], "keep_prob")
        x = v1.placeholder_with_default(batch, [None, 2], "x")
        weights = v1.get_variable("weights", [2, 2], use_resource=False)
        logits = tf.matmul(v1.nn.dropout(x, rate=1 - keep), weights)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
        step = v1.train.AdamOptimizer().minimize(loss)
        with tf.control_dependencies([step]):
            trained = tf.identity(loss)
        rows = v1.placeholder(tf.float32, [None, 2], "rows")
        served = tf.matmul(rows, weights)
        signatures = {
            "train": ({"keep": keep}, {"loss": trained}),
            "queue": ({}, {"y": tf.identity(batch)}),
            "unfed": ({"x": x}, {"y": logits}),
            "serving_default": ({"x": rows}, {"y": served}),
            "echo": ({"x": rows}, {"y": rows}),
            "after": ({"x": rows}, {"y": after(rows, weights)}),
        }
        tf1_save(path, session, signatures)


def after(rows, weights):
    """Something that only waits for the placeholder, and for a part of a node with several outputs."""
    first, _ = tf.split(weights, 2)
    with tf.control_dependencies([rows.op]):
        return tf.identity(first)


def make_tf1_functions(path):
    """Functions as TensorFlow 1 calls them: by the name of the operation, and in the attribute of another."""

    @tf1_function.Defun(tf.float32, func_name="twice")
    def twice(x):
        return 2.0 * x

    @tf1_function.Defun(tf.float32, tf.float32, func_name="sum_and_twice")
    def sum_and_twice(x, y):
        return x + y, twice(y)

    with tf1_session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        total, doubled = sum_and_twice(x, x + 1)
        dataset = v1.data.make_one_shot_iterator(tf.data.Dataset.range(3).map(lambda n: tf.square(n)).batch(3)).get_next()
        outputs = {"total": total, "doubled": doubled}
        legacy = tf.group(v1.assign(v1.get_variable("v", [], use_resource=False), tf.reduce_sum(tf.ones([2]))))
        signatures = {"serving_default": ({"x": x}, outputs), "dataset": ({"x": x}, {"y": dataset + tf.cast(x[0], tf.int64)})}
        tf1_save(path, session, signatures, legacy_init_op=legacy)


def make_tf1_functional(path):
    """The control flow of TensorFlow 2 in a graph of TensorFlow 1."""
    with tf1_session("v2") as session:
        x = v1.placeholder(tf.float32, [None], "x")
        training = v1.placeholder_with_default(False, [], "training")
        guarded = tf.cond(training, lambda: tf.nn.dropout(x, 0.4), lambda: x)
        loop = tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.nn.dropout(y, 0.4)), [0, x])[1]
        dropped = tf.nn.dropout(x, 0.4)
        chosen = tf.cond(training, lambda: dropped, lambda: x)
        outputs = {"guarded_off": guarded, "chosen_off": chosen, "loop": loop}
        tf1_save(path, session, {key: ({"x": x}, {"y": y}) for key, y in outputs.items()})


def make_tf1_pictures(path):
    """Bytes through the loops of TensorFlow 1."""
    with tf1_session() as session:
        contents = v1.placeholder(tf.string, [None], "contents")
        images = tf.map_fn(lambda content: tf.io.decode_jpeg(content, 1), contents, dtype=tf.uint8)
        encoded = tf.map_fn(tf.io.encode_png, images, dtype=tf.string)
        names = tf.strings.join([contents, contents])
        tf1_save(
            path, session, {"serving_default": ({"contents": contents}, {"png": encoded, "images": images, "names": names})}
        )


def make_versions(path):
    """What a graph says of the releases that may read it."""
    with tf1_session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        tf1_save(path, session, {"serving_default": ({"x": x}, {"y": x + 1})})
    file = Path(path, "saved_model.pb")
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    versions = model.meta_graphs[0].graph_def.versions
    versions.min_consumer = 12
    versions.bad_consumers.extend([7, 300, -1])
    file.write_bytes(model.SerializeToString())


def asked(signature):
    """A request with a ``ModelSpec``."""
    return within(1, within(1, b"model") + (within(3, signature) if signature else b""))


WARMUP = (
    within(6, within(1, asked(b"mixed") + within(2, b"") + within(3, b"y"))),
    within(6, within(1, asked(b""))),
    within(1, b"") + within(2, within(1, asked(b"classes"))),
    within(3, within(1, asked(b"amounts")) + within(2, b"")),
    within(4, within(1, within(1, asked(b"one")) + within(1, asked(b"two") + within(2, b"method")))),
    within(5, within(1, asked(b"ignored"))),
    within(7, within(1, asked(b"first")) + within(1, asked(b"second"))),
    b"",
)
"""``PredictionLog`` messages: predict (twice), classify, regress, multi-inference, session run, streamed predict, none."""


def make_warm(path):
    module = tf.Module()
    module.half = tf.function(lambda x: {"y": x / 2}, input_signature=[tf.TensorSpec([None], name="x")])
    tf.saved_model.save(module, path, module.half)
    folder = Path(path, "assets.extra")
    folder.mkdir()
    with tf.io.TFRecordWriter(str(folder / "tf_serving_warmup_requests")) as writer:
        for record in WARMUP:
            writer.write(record)
