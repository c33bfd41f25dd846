"""Make a model that names the colour nearest to a picture's mean, and write model/ and examples.jsonl.

Run by hand: python make_model.py
"""

import base64
import io
import json
import shutil
from pathlib import Path

import tensorflow as tf
from PIL import Image

HERE = Path(__file__).resolve().parent
MODEL = HERE / "model"
COLOURS = {"black": (0, 0, 0), "white": (1, 1, 1), "red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
SHARPNESS = 10.0


class NearestColour(tf.Module):
    def __init__(self):
        super().__init__()
        self.colours = tf.constant(list(COLOURS.values()), tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.float32, "pixels")])
    def serve(self, pixels):
        mean = tf.reduce_mean(pixels, axis=[1, 2])
        distance = tf.reduce_sum((mean[:, None, :] - self.colours) ** 2, axis=2)
        return {"probabilities": tf.nn.softmax(-SHARPNESS * distance)}


def main():
    model = NearestColour()
    shutil.rmtree(MODEL, ignore_errors=True)
    tf.saved_model.save(model, str(MODEL / "saved_model"), signatures={"serving_default": model.serve})
    (MODEL / "labels.txt").write_text("\n".join(COLOURS) + "\n", encoding="utf-8")
    write_examples()


def write_examples():
    from predictor import Predictor

    predictor = Predictor.from_path(str(MODEL))
    requests = [
        {"instances": [picture("crimson", (32, 32)), picture("navy", (100, 40))]},
        {"instances": [picture("white", (1, 1)), picture("black", (5, 5), "L"), picture("green", (64, 64), "RGBA")]},
    ]
    with open(HERE / "examples.jsonl", "w", encoding="utf-8") as file:
        for request in requests:
            expect = {"predictions": predictor.predict(**request), "rtol": 0.01, "atol": 0.01}
            file.write(json.dumps({**request, "expect": expect}) + "\n")


def picture(colour, size, mode="RGB"):
    file = io.BytesIO()
    Image.new("RGB", size, colour).convert(mode).save(file, "PNG")
    return {"b64": base64.b64encode(file.getvalue()).decode("ascii")}


if __name__ == "__main__":
    main()
