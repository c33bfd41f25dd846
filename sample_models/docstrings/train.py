"""Train the docstrings model, and write model/ and examples.jsonl. Run by hand: python train.py

Needs tensorflow only. The data is the source code of the standard library of the Python that runs this script: its modules are
parsed, not imported.
"""

import ast
import collections
import json
import sys
import sysconfig
import zlib
from pathlib import Path

import numpy as np
import tensorflow as tf
from tokens import Vocabulary, words

HERE = Path(__file__).resolve().parent
MODEL = HERE / "model"
LIBRARY = Path(sysconfig.get_path("stdlib"))
SOURCES = {
    "asyncio": "asyncio",
    "decimal": "_pydecimal.py",
    "email": "email",
    "http": "http",
    "importlib": "importlib",
    "ipaddress": "ipaddress.py",
    "logging": "logging",
    "mailbox": "mailbox.py",
    "multiprocessing": "multiprocessing",
    "tarfile": "tarfile.py",
    "tkinter": "tkinter",
    "turtle": "turtle.py",
    "unittest": "unittest",
    "xml": "xml",
}
MODULES = sorted(SOURCES)


class Network(tf.Module):
    """The mean of the words' vectors, then one dense layer. Takes rows of word numbers, any length, padded with 0."""

    def __init__(self, vocabulary_size, width=24):
        super().__init__()
        start = tf.keras.initializers.RandomUniform(-0.1, 0.1, seed=1)
        self.vectors = tf.Variable(start((vocabulary_size + 1, width)))
        self.weights = tf.Variable(start((width, len(MODULES))))
        self.bias = tf.Variable(tf.zeros(len(MODULES)))

    def logits(self, rows):
        known = tf.cast(rows > 0, tf.float32)[..., None]
        total = tf.reduce_sum(tf.gather(self.vectors, rows) * known, axis=1)
        return total / tf.maximum(tf.reduce_sum(known, axis=1), 1.0) @ self.weights + self.bias

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int64, "words")])
    def serve(self, words):
        return {"probabilities": tf.nn.softmax(self.logits(words))}


def main():
    tf.keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()
    pairs = sorted((text, module) for module in MODULES for text in docstrings(LIBRARY / SOURCES[module]))
    texts, labels = [text for text, _ in pairs], np.array([MODULES.index(module) for _, module in pairs])
    held_out = np.array([zlib.crc32(text.encode()) % 5 == 0 for text in texts])
    lines = common_words(text for text, out in zip(texts, held_out) if not out)
    rows = np.array(Vocabulary(lines).rows(texts))
    network = Network(len(lines))
    fit(network, rows[~held_out], labels[~held_out])
    report(network, rows[held_out], labels[held_out])
    export(network, lines)
    write_examples()


def docstrings(source):
    """Every docstring below ``source`` (a module or a package) of more than three words, each once."""
    found = set()
    for path in sorted(source.rglob("*.py")) if source.is_dir() else [source]:
        if path.parent.name in ("test", "tests"):  # of the module itself; some distributions leave them out
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                found.add(ast.get_docstring(node) or "")
    return {text for text in found if len(words(text)) > 3}


def common_words(texts):
    """Words that occur in at least two texts, most common first."""
    counts = collections.Counter(word for text in texts for word in set(words(text)))
    return [word for word, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])) if count > 1]


def fit(network, rows, labels, steps=100):
    """Adam on all rows at once."""
    adam = tf.keras.optimizers.Adam(0.02, weight_decay=0.02)
    adam.build(network.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, network.logits(rows)))
        adam.apply_gradients(zip(tape.gradient(loss, network.trainable_variables), network.trainable_variables))

    for _ in range(steps):
        step()


def report(network, rows, labels):
    guesses = np.argmax(network.logits(rows), axis=1)
    right = int((guesses == labels).sum())
    print("held out: {} of {} right ({:.1%})".format(right, len(labels), right / len(labels)))
    for number, module in enumerate(MODULES):
        mine = labels == number
        print("  {:16}{} of {}".format(module, int((guesses[mine] == number).sum()), int(mine.sum())))


def export(network, lines):
    sys.path.append(str(HERE.parent / "tools"))
    from exporting import save

    save(network, MODEL / "saved_model")
    (MODEL / "vocabulary.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (MODEL / "modules.txt").write_text("\n".join(MODULES) + "\n", encoding="utf-8")


def write_examples():
    from predictor import DocstringPredictor

    requests = [
        {"instances": ["Move the turtle forward by the specified distance, in the direction the turtle is headed."]},
        {
            "instances": [
                "Return the running event loop.",
                "Set the payload of this message to the given value.",
                "Return the widget that currently has the focus.",
                "Rounds the operand to the nearest integer in the current context.",
                "Check that two lists are equal, and report the first difference.",
                "Add a handler to this logger.",
                "Extract a member from the archive to the current directory.",
                "Is this address reserved for link-local use?",
            ]
        },
        {"instances": ["Create a pool of worker processes."], "top_k": 3},
        {"instances": ["", "Ολα τα κείμενα", "xyzzy"]},  # no word that the vocabulary knows
        {"instances": ["Parse a document. " * 400, "Parse"]},  # longer than what is looked at, beside one word
        {"instances": ["Find a loader for the module, or return None.", "SEND_HTTPHeader"], "signature_name": None},
    ]
    predictor = DocstringPredictor.from_path(str(MODEL))
    with open(HERE / "examples.jsonl", "w", encoding="utf-8") as file:
        for request in requests:
            expect = {"predictions": predictor.predict(**request), "rtol": 1e-3, "atol": 1e-4}
            file.write(json.dumps({**request, "expect": expect}) + "\n")


if __name__ == "__main__":
    main()
