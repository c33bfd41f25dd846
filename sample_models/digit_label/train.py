"""Train the network, put reading the picture and naming the digit into its graph, and write model/ and examples.jsonl.

Run by hand: python train.py. Needs tensorflow, pillow and scikit-learn (pip install 'cpr-kit[train]'). The data set ships
inside scikit-learn; the network and the pictures are those of digits_png.
"""

import base64
import io
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import cpr
from cpr import embedding

HERE = Path(__file__).resolve().parent
MODEL = HERE / "model" / "saved_model"
SIDE = 8  # of the grid of ink that the network knows
NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]

sys.path[:0] = [str(HERE.parent / "digits_png"), str(HERE.parent / "tools")]
import exporting  # noqa: E402
import train as digits_png  # noqa: E402  # and not this file, which is __main__


def main():
    tf.keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()
    data = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(
        data.images, data.target, test_size=0.3, stratify=data.target, random_state=1
    )
    network = digits_png.Network()
    sides = (8, 20, 28)
    pictures = [digits_png.png(image, (side, side)) for side in sides for image in train_x]
    digits_png.fit(network, preprocess(tf.constant(pictures)).numpy(), np.tile(train_y, len(sides)))
    with tempfile.TemporaryDirectory() as plain:
        exporting.save(network, plain)
        with cpr.load_model(plain) as model:
            write_examples(examples(test_x, test_y), model)
        golden, in_python = HERE / "examples.jsonl", (before, after)
        cpr.embed(plain, MODEL, preprocess, embedding.labels(NAMES), examples=golden, python=in_python, overwrite=True)
    exporting.for_older(MODEL)
    measure(test_x, test_y)


# --- in the graph -------------------------------------------------------------------------------------------------------------


def preprocess(image_bytes):
    """Pictures, or base64 of them, to grids of ink: float32 [rows, 8, 8], 0 for white to 1 for black."""
    pictures = embedding.decode_image(embedding.picture_bytes(image_bytes), SIDE, SIDE, channels=1, method="area")
    return 1 - pictures[..., 0]


# --- the same in Python, to which the graph is held ---------------------------------------------------------------------------


def before(instances):
    plain = [row.get("image_bytes", row) if isinstance(row, dict) else row for row in instances]
    return [grid(cpr.decode_b64(row)) for row in plain]


def after(rows):
    return [NAMES[int(np.argmax(row))] for row in rows]


def grid(picture):
    """Each cell is the mean of the part of the picture that it covers, pixels at its edges by the share that lies inside."""
    luma = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB").convert("L"), float)
    rows, columns = (shares(size) for size in luma.shape)
    return (1 - rows @ luma @ columns.T / 255).tolist()


def shares(size):
    """How much of each of ``size`` pixels belongs to each of the cells, as a share of the cell: [8, size]."""
    edges = np.arange(SIDE + 1) * size / SIDE
    pixels = np.arange(size)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.maximum(covered, 0) / (size / SIDE)


# --- examples, and how good it is ---------------------------------------------------------------------------------------------


def examples(images, digits):
    first = [images[int(np.argmax(digits == digit))] for digit in range(10)]
    b64, png = digits_png.b64, digits_png.png
    seven = png(first[7], (28, 28))
    return [
        {"instances": [b64(png(first[7], (8, 8)))]},
        {"instances": [b64(png(image, (28, 28))) for image in first]},
        # Base64 alone, as some clients send it: with padding and without, in both alphabets, beside a picture that was decoded.
        {"instances": [text(seven), text(seven).rstrip("="), web_safe(seven), web_safe(seven).rstrip("="), b64(seven)]},
        {"instances": [b64(other(seven, kind)) for kind in ("JPEG", "GIF", "BMP")]},
        {"instances": [{"image_bytes": b64(png(first[3], (64, 64)))}, {"image_bytes": b64(png(first[4], (20, 20)))}]},
        {"instances": [b64(png(np.zeros((8, 8)), (1, 1)))]},  # one white pixel: no digit at all, and still an answer
    ]


def text(picture):
    return base64.b64encode(picture).decode("ascii")


def web_safe(picture):
    return base64.urlsafe_b64encode(picture).decode("ascii")


def other(picture, kind):
    file = io.BytesIO()
    Image.open(io.BytesIO(picture)).save(file, kind)
    return file.getvalue()


def write_examples(requests, model):
    """What is expected is what Python answers."""
    with open(HERE / "examples.jsonl", "w", encoding="utf-8") as file:
        for request in requests:
            expect = {"predictions": after(model.predict(before(request["instances"])))}
            file.write(json.dumps({**request, "expect": expect}) + "\n")


def measure(images, digits):
    """Accuracy of the whole graph, from PNG bytes to name, at two sizes."""
    with cpr.load_model(MODEL) as model:
        for side in (8, 28):
            names = model.predict([digits_png.png(image, (side, side)) for image in images])
            right = sum(name == NAMES[digit] for name, digit in zip(names, digits))
            print("held out, as {0}x{0} PNG: {1} of {2} right ({3:.1%})".format(side, right, len(digits), right / len(digits)))


if __name__ == "__main__":
    main()
