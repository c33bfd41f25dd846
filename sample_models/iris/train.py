"""Train the iris model, and write model/ and examples.jsonl. Run by hand: python train.py

Needs tensorflow and scikit-learn (pip install 'cpr-kit[train]'). The data set ships inside scikit-learn.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

HERE = Path(__file__).resolve().parent
MODEL = HERE / "model"
FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


class Network(tf.Module):
    """Four standardised measurements to the probabilities of three species, over one hidden layer."""

    def __init__(self, hidden=12):
        super().__init__()
        start = tf.keras.initializers.GlorotUniform(seed=1)
        self.hidden_weights = tf.Variable(start((4, hidden)))
        self.hidden_bias = tf.Variable(tf.zeros(hidden))
        self.output_weights = tf.Variable(start((hidden, 3)))
        self.output_bias = tf.Variable(tf.zeros(3))

    def logits(self, measurements):
        hidden = tf.nn.relu(measurements @ self.hidden_weights + self.hidden_bias)
        return hidden @ self.output_weights + self.output_bias

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, "measurements")])
    def serve(self, measurements):
        return {"probabilities": tf.nn.softmax(self.logits(measurements))}


def main():
    tf.keras.utils.set_random_seed(1)
    data = load_iris()
    train_x, test_x, train_y, test_y = train_test_split(
        data.data, data.target, test_size=0.3, stratify=data.target, random_state=1
    )
    mean, scale = train_x.mean(axis=0), train_x.std(axis=0)
    network = Network()
    fit(network, standardise(train_x, mean, scale), train_y)
    guesses = np.argmax(network.logits(standardise(test_x, mean, scale)), axis=1)
    right = int((guesses == test_y).sum())
    print("held out: {} of {} right ({:.1%})".format(right, len(test_y), right / len(test_y)))
    export(network, mean, scale, data.target_names.tolist())
    write_examples(test_x)


def standardise(rows, mean, scale):
    return tf.constant((rows - mean) / scale, tf.float32)


def fit(network, rows, labels, steps=200, rate=0.5, decay=1e-3):
    """Plain gradient descent on all rows at once: no shuffling, so the result is the same on every run."""
    for _ in range(steps):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, network.logits(rows))
            loss = tf.reduce_mean(losses) + decay * sum(tf.nn.l2_loss(each) for each in network.trainable_variables)
        for variable, gradient in zip(network.trainable_variables, tape.gradient(loss, network.trainable_variables)):
            variable.assign_sub(rate * gradient)


def export(network, mean, scale, species):
    sys.path.append(str(HERE.parent / "tools"))
    from exporting import save

    save(network, MODEL / "saved_model")
    scaler = {"features": FEATURES, "mean": mean.tolist(), "scale": scale.tolist(), "species": species}
    (MODEL / "scaler.json").write_text(json.dumps(scaler, indent=2) + "\n", encoding="utf-8")


def write_examples(test_x):
    from predictor import IrisPredictor

    predictor = IrisPredictor.from_path(str(MODEL))
    flowers = [[round(value, 1) for value in row] for row in test_x.tolist()]
    requests = [
        {"instances": flowers[:1]},
        {"instances": flowers[1:9]},
        {"instances": [dict(zip(FEATURES, flowers[9])), flowers[10]]},  # by name and by position, side by side
        {"instances": [[5, 3, 1, 0], [0, 0, 0, 0]]},  # whole numbers, and a flower that cannot be
        {"instances": [[1e6, -1e6, 1e6, -1e6]], "signature_name": "serving_default"},  # far outside the data
        {"instances": flowers[11:]},
    ]
    with open(HERE / "examples.jsonl", "w", encoding="utf-8") as file:
        for request in requests:
            expect = {"predictions": predictor.predict(**request), "rtol": 1e-4, "atol": 1e-5}
            file.write(json.dumps({**request, "expect": expect}) + "\n")


if __name__ == "__main__":
    main()
