"""Makes the models that are shrunk and the rows that they are compared on: ``python models.py FOLDER``.

Those that are there already stay. Each is a folder with ``model`` and ``rows.npz``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SAMPLES = Path(__file__).resolve().parents[2] / "sample_models"


def sample(name: str) -> Any:
    """The training script of a sample, as a module."""
    import importlib

    for other in ("train", "tokens", "pictures", "predictor"):
        sys.modules.pop(other, None)
    sys.path.insert(0, str(SAMPLES / name))
    try:
        return importlib.import_module("train")
    finally:
        sys.path.pop(0)


def docstrings() -> tuple[Any, Any, Any, int]:
    """Rows of word numbers, labels, which are held out, and how many words there are: the data of the sample."""
    import zlib

    import numpy as np

    train = sample("docstrings")
    pairs = sorted((text, name) for name in train.MODULES for text in train.docstrings(train.LIBRARY / train.SOURCES[name]))
    texts = [text for text, _ in pairs]
    held_out = np.array([zlib.crc32(text.encode()) % 5 == 0 for text in texts])
    lines = (SAMPLES / "docstrings" / "model" / "vocabulary.txt").read_text(encoding="utf-8").splitlines()
    rows = np.array(train.Vocabulary(lines).rows(texts))
    return rows, np.array([train.MODULES.index(name) for _, name in pairs]), held_out, len(lines)


def digits() -> tuple[Any, Any, Any, Any]:
    """Pictures to train and held out, and their labels, as the sample splits them."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    return train_test_split(data.images, data.target, test_size=0.3, stratify=data.target, random_state=1)  # type: ignore[no-any-return]


def digits_sample(folder: Path) -> None:
    """The sample as it is, on its 540 held-out pictures."""
    import shutil

    import numpy as np

    train = sample("digits_png")
    _, images, _, _ = digits()
    grids = np.stack([train.pictures.grid(train.png(image, (8, 8))) for image in images]).astype(np.float32)
    np.savez(folder / "rows.npz", ink=grids)
    shutil.copytree(SAMPLES / "digits_png" / "model" / "saved_model", folder / "model")


def docstrings_sample(folder: Path) -> None:
    """The sample as it is, on its held-out docstrings."""
    import shutil

    import numpy as np

    rows, _, held_out, _ = docstrings()
    np.savez(folder / "rows.npz", words=rows[held_out])
    shutil.copytree(SAMPLES / "docstrings" / "model" / "saved_model", folder / "model")


def docstrings_lstm(folder: Path) -> None:
    """Keras 3 on the docstrings: an embedding and an LSTM, trained, exported with its optimizer."""
    import keras
    import numpy as np

    rows, labels, held_out, words = docstrings()
    rows = rows[:, :60].astype(np.int32)
    keras.utils.set_random_seed(1)
    layers = [
        keras.layers.Embedding(words + 1, 64),
        keras.layers.LSTM(64),
        keras.layers.Dense(int(labels.max()) + 1, "softmax"),
    ]
    model = keras.Sequential([keras.Input((None,), dtype="int32", name="words"), *layers])
    model.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(rows[~held_out], labels[~held_out], epochs=8, batch_size=64, verbose=0)
    print("held out:", model.evaluate(rows[held_out], labels[held_out], verbose=0))
    model.export(folder / "model", verbose=False)
    np.savez(folder / "rows.npz", words=rows[held_out])


def digits_keras(folder: Path) -> None:
    """Keras 3 on the digits: convolutions with batch normalisation, trained, exported with its optimizer."""
    import keras
    import numpy as np

    train_x, test_x, train_y, _ = digits()
    keras.utils.set_random_seed(1)
    blocks = [
        part
        for width in (32, 64, 128)
        for part in (
            keras.layers.Conv2D(width, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        )
    ]
    layers = [*blocks, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10, "softmax")]
    model = keras.Sequential([keras.Input((8, 8, 1), name="ink"), *layers])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(train_x[..., None] / 16, train_y, epochs=15, verbose=0)
    model.export(folder / "model", verbose=False)
    np.savez(folder / "rows.npz", ink=(test_x[..., None] / 16).astype(np.float32))


def embedding(folder: Path) -> None:
    """512 MB of an embedding, written once: too large for MLS1."""
    import numpy as np
    import tensorflow as tf

    module = tf.Module()
    module.vectors = tf.Variable(tf.random.stateless_normal([2_000_000, 64], (1, 2)), name="vectors")
    module.weights = tf.Variable(tf.random.stateless_normal([64, 8], (3, 4)), name="weights")

    @tf.function(input_signature=[tf.TensorSpec([None, 16], tf.int32, name="ids")])
    def serve(ids: Any) -> Any:
        return {"scores": tf.nn.softmax(tf.reduce_mean(tf.gather(module.vectors, ids), 1) @ module.weights)}

    tf.saved_model.save(module, str(folder / "model"), signatures=serve)
    np.savez(folder / "rows.npz", ids=np.random.default_rng(0).integers(0, 2_000_000, (2000, 16)).astype(np.int32))


def embedding_keras(folder: Path) -> None:
    """The same size from Keras 3, which stores it twice."""
    import keras
    import numpy as np

    layers = [keras.layers.Embedding(2_000_000, 64), keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(8)]
    keras.Sequential([keras.Input((16,), dtype="int32", name="ids"), *layers]).export(folder / "model", verbose=False)
    np.savez(folder / "rows.npz", ids=np.random.default_rng(0).integers(0, 2_000_000, (2000, 16)).astype(np.int32))


MODELS = {
    each.__name__: each
    for each in (digits_sample, docstrings_sample, digits_keras, docstrings_lstm, embedding, embedding_keras)
}


def main(folder: Path) -> None:
    for name, make in MODELS.items():
        if not (folder / name / "rows.npz").is_file():
            (folder / name).mkdir(parents=True, exist_ok=True)
            make(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
