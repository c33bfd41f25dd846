"""Train the digits model, and write model/ and examples.jsonl. Run by hand: python train.py

Needs tensorflow, pillow and scikit-learn (pip install 'cpr-kit[train]'). The data set ships inside scikit-learn.
"""

import base64
import io
import json
import sys
from pathlib import Path

import numpy as np
import pictures
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
MODEL = HERE / "model"


class Network(tf.Module):
    """A grid of 8x8 ink values to the probabilities of ten digits: two convolutions and one dense layer."""

    def __init__(self):
        super().__init__()
        start = tf.keras.initializers.HeNormal
        self.first = tf.Variable(start(seed=1)((3, 3, 1, 16)))
        self.second = tf.Variable(start(seed=2)((3, 3, 16, 32)))
        self.dense = tf.Variable(start(seed=3)((4 * 4 * 32, 10)))
        self.biases = [tf.Variable(tf.zeros(size)) for size in (16, 32, 10)]

    def logits(self, grids):
        layer = tf.nn.relu(tf.nn.conv2d(grids[..., None], self.first, 1, "SAME") + self.biases[0])
        layer = tf.nn.relu(tf.nn.conv2d(layer, self.second, 1, "SAME") + self.biases[1])
        layer = tf.nn.max_pool2d(layer, 2, 2, "SAME")
        return tf.reshape(layer, [-1, 4 * 4 * 32]) @ self.dense + self.biases[2]

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8], tf.float32, "ink")])
    def serve(self, ink):
        return {"probabilities": tf.nn.softmax(self.logits(ink))}


def main():
    tf.keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()
    data = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(
        data.images, data.target, test_size=0.3, stratify=data.target, random_state=1
    )
    network = Network()
    sizes = [(8, 8), (20, 20), (28, 28)]
    grids = np.stack([pictures.grid(png(image, size)) for size in sizes for image in train_x])
    fit(network, grids, np.tile(train_y, len(sizes)))
    export(network)
    measure(test_x, test_y)
    write_examples(test_x, test_y)


def fit(network, grids, labels, epochs=30, batch=128):
    adam = tf.keras.optimizers.Adam(2e-3)
    rows = tf.data.Dataset.from_tensor_slices((grids, labels)).shuffle(len(grids), seed=1).batch(batch)

    @tf.function
    def step(ink, digits):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(digits, network.logits(ink)))
        adam.apply_gradients(zip(tape.gradient(loss, network.trainable_variables), network.trainable_variables))

    adam.build(network.trainable_variables)
    for _ in range(epochs):
        for ink, digits in rows:
            step(ink, digits)


def export(network):
    sys.path.append(str(HERE.parent / "tools"))
    from exporting import save

    save(network, MODEL / "saved_model")


def measure(images, digits):
    """Accuracy through the predictor itself, from PNG bytes to digit, at two sizes."""
    predictor = load()
    for side in (8, 28):
        answers = predictor.predict([png(image, (side, side)) for image in images])
        right = sum(answer["digit"] == digit for answer, digit in zip(answers, digits))
        print("held out, as {0}x{0} PNG: {1} of {2} right ({3:.1%})".format(side, right, len(digits), right / len(digits)))


def write_examples(images, digits):
    first = [int(np.argmax(digits == digit)) for digit in range(10)]
    requests = [
        {"instances": [b64(png(images[first[7]], (8, 8)))]},
        {"instances": [b64(png(images[index], (28, 28))) for index in first]},
        {"instances": [b64(png(images[first[3]], (64, 64), light_on_dark=True)), b64(png(images[first[3]], (200, 300)))]},
        {"instances": [b64(png(images[first[5]], (40, 40), mode="RGBA")), b64(png(images[first[5]], (9, 17), mode="1"))]},
        {"instances": [b64(png(images[first[0]], (28, 28)))["b64"]]},  # the base64 alone, as some clients send it
        {"instances": [b64(png(np.zeros((8, 8)), (1, 1)))]},  # one white pixel: no digit at all, and still an answer
    ]
    predictor = load()
    with open(HERE / "examples.jsonl", "w", encoding="utf-8") as file:
        for request in requests:
            expect = {"predictions": predictor.predict(**request), "rtol": 0.01, "atol": 0.01}
            file.write(json.dumps({**request, "expect": expect}) + "\n")


def load():
    from predictor import DigitPredictor

    return DigitPredictor.from_path(str(MODEL))


def png(image, size, light_on_dark=False, mode="L"):
    """A picture of ``image`` (ink from 0 to 16), enlarged to fit ``size`` (width, height), dark on light as on paper."""
    ink = np.round(image * 255 / 16).astype(np.uint8)
    digit = Image.fromarray(ink if light_on_dark else 255 - ink).resize((min(size), min(size)), Image.NEAREST)
    picture = Image.new("L", size, 0 if light_on_dark else 255)
    picture.paste(digit, ((size[0] - min(size)) // 2, (size[1] - min(size)) // 2))
    file = io.BytesIO()
    picture.convert(mode).save(file, "PNG")
    return file.getvalue()


def b64(data):
    return {"b64": base64.b64encode(data).decode("ascii")}


if __name__ == "__main__":
    main()
