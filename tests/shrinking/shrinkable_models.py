"""Models with something to leave out: trained ones, with optimizers, loops, branches, tables; of TensorFlow 1 and 2."""

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
keras = tf.keras


def text(path):
    """An embedding, a loop, dropout and an optimizer's slots; every variable is stored twice."""
    layers = [
        keras.layers.Embedding(300, 32),
        keras.layers.LSTM(16),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(8, "softmax"),
    ]
    model = keras.Sequential([keras.Input((None,), dtype="int32", name="ids"), *layers])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.train_on_batch(np.zeros((4, 6), np.int32), np.zeros(4))
    model.export(path, verbose=False)


def saved_text(path):
    """TensorFlow's own ``save`` of a Keras 3 model, whose graph restores other variables than its signature reads."""
    model = keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(64), keras.layers.Dense(3)])
    model.compile("adam", "mse")
    model.train_on_batch(np.zeros((4, 4)), np.zeros((4, 3)))
    tf.saved_model.save(model, path)


def picture(path):
    layers = [
        keras.layers.Conv2D(16, 3, use_bias=False),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.DepthwiseConv2D(3),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(200),
        keras.layers.Dense(5),
    ]
    keras.Sequential([keras.Input((12, 12, 3), name="image"), *layers]).export(path, verbose=False)


def normed(path):
    """Convolutions with fused batch norms, as TensorFlow 1 and Keras 2 have them, whose figures are not those of the start."""

    def normal(seed, *shape):
        return tf.Variable(tf.random.stateless_normal(shape, (seed, seed)))

    module = tf.Module()
    module.kernels = [normal(1, 3, 3, 2, 8), normal(2, 3, 3, 8, 2)]
    sizes = (8, 16)
    module.norms = [[tf.Variable(tf.abs(normal(3 + part, size)) + 0.1) for part in range(4)] for size in sizes]

    @tf.function(input_signature=[tf.TensorSpec([None, 10, 10, 2], tf.float32, name="image")])
    def serve(image):
        layer = tf.nn.conv2d(image, module.kernels[0], 1, "SAME")
        layer = tf.nn.relu(tf.raw_ops.FusedBatchNormV3(x=layer, **figures(0), epsilon=1e-3, is_training=False).y)
        layer = tf.nn.depthwise_conv2d(layer, module.kernels[1], [1, 1, 1, 1], "SAME")
        layer = tf.raw_ops.FusedBatchNormV3(x=layer, **figures(1), epsilon=1e-3, is_training=False).y
        return {"scores": tf.reduce_mean(layer, [1, 2])}

    def figures(number):
        return dict(zip(("scale", "offset", "mean", "variance"), module.norms[number], strict=True))

    tf.saved_model.save(module, path, signatures=serve)


class Branches(tf.Module):
    """Two signatures; a variable that is gathered and multiplied, one read in a branch; integers within and beyond int32."""

    def __init__(self):
        self.first = tf.Variable(tf.random.stateless_normal([200, 16], (1, 2)))
        self.second = tf.Variable(tf.random.stateless_normal([200, 16], (3, 4)))
        self.small = tf.Variable(tf.range(300, dtype=tf.int64))
        self.large = tf.Variable(tf.fill([300], tf.constant(2**40, tf.int64)))
        self.unused = tf.Variable(tf.zeros([500]))
        self.huge = tf.Variable(tf.fill([400], 1e6))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="ids")])
    def scores(self, ids):
        scores = tf.matmul(tf.gather(self.first, ids), self.first, transpose_b=True)
        return {"scores": scores, "small": tf.gather(self.small, ids), "large": tf.gather(self.large, ids)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, name="ids")])
    def branch(self, ids):
        taken = tf.cond(tf.reduce_sum(ids) > 3, lambda: tf.gather(self.first, ids), lambda: tf.gather(self.second, ids))
        return {"rows": taken * 2.0, "huge": tf.gather(self.huge, ids)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, 16], tf.float32)])
    def train(self, ids, rows):
        self.second.scatter_nd_update(ids[:, None], rows)
        return tf.reduce_sum(self.unused)


def branches(path):
    module = Branches()
    module.train(tf.constant([0]), tf.ones([1, 16]))
    tf.saved_model.save(module, path, signatures={"scores": module.scores, "branch": module.branch})


def tables(path):
    """A table in the checkpoint, one in an asset, one that no signature reads, with its file, and warm-up requests."""
    words = [f"{path}.{name}" for name in ("used", "unused")]
    for name in words:
        with open(name, "w") as file:
            file.write("zero\none\ntwo\n")

    def static(name):
        line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
        return tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(name, tf.string, line, tf.int64, number), -1)

    module = tf.Module()
    module.grown = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    module.grown.insert(tf.constant(["zero", "one"]), tf.constant([5, 7], tf.int64))
    module.used, module.unused = map(static, words)
    module.vectors = tf.Variable(tf.random.stateless_normal([64, 32], (1, 2)))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])
    def serve(words):
        rows = tf.nn.embedding_lookup(module.vectors, tf.maximum(module.grown.lookup(words), 0))
        return {"line": module.used.lookup(words), "rows": rows}

    module.other = tf.function(lambda words: module.unused.lookup(words))
    module.other.get_concrete_function(tf.TensorSpec([None], tf.string))
    tf.saved_model.save(module, path, signatures=serve)


def graph(path, resource, old_loop=False):
    """TensorFlow 1: an optimizer, a partitioned variable, one that is an output itself, a table, and its own kind of loop."""
    words = f"{path}.words"
    with open(words, "w") as file:
        file.write("zero\none\ntwo\n")
    with v1.Graph().as_default(), v1.Session() as session:
        ids = v1.placeholder(tf.int32, [None, 5], "ids")

        def normal(name, *shape):
            seeded = v1.random_normal_initializer(seed=len(shape))
            return v1.get_variable(name, shape, use_resource=resource, initializer=seeded)

        vectors, weights, bias = normal("vectors", 200, 32), normal("weights", 32, 32), normal("bias", 32)
        split = v1.fixed_size_partitioner(2)
        parts = v1.get_variable("parts", [32, 10], partitioner=split, use_resource=resource)
        hidden = tf.reduce_mean(tf.nn.embedding_lookup(vectors, ids), 1)
        if old_loop:
            v1.disable_control_flow_v2()
            _, hidden = v1.while_loop(
                lambda count, state: count < 3,
                lambda count, state: (count + 1, tf.tanh(tf.matmul(state, weights) + bias)),
                [0, hidden],
            )
            v1.enable_control_flow_v2()
        else:
            hidden = tf.tanh(tf.matmul(hidden, weights) + bias)
        scores = tf.nn.softmax(tf.matmul(hidden, tf.convert_to_tensor(parts)))
        if not old_loop:
            v1.train.AdamOptimizer().minimize(tf.reduce_mean(scores))
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, path, {"ids": ids}, {"scores": scores, "weights": v1.identity(weights)})


def references(path):
    graph(path, False)


def resources(path):
    graph(path, True)


def old_loop(path):
    graph(path, False, True)


def old_loop_of_resources(path):
    graph(path, True, True)


def frozen(path):
    """TensorFlow 1 without a variable: its weights are constants, as of a frozen graph."""
    random = np.random.default_rng(0)
    with v1.Graph().as_default(), v1.Session() as session:
        ids = v1.placeholder(tf.int32, [None, 5], "ids")
        vectors = tf.constant(random.normal(size=(200, 32)).astype(np.float32))
        weights = tf.constant(random.normal(size=(32, 10)).astype(np.float32))
        scores = tf.nn.softmax(tf.matmul(tf.reduce_mean(tf.gather(vectors, ids), 1), weights))
        v1.saved_model.simple_save(session, path, {"ids": ids}, {"scores": scores})


WRITERS = {
    write.__name__: write
    for write in (
        text,
        saved_text,
        picture,
        normed,
        branches,
        tables,
        frozen,
        references,
        resources,
        old_loop,
        old_loop_of_resources,
    )
}
