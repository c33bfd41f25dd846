"""Fit the model to a handful of houses, and write model/. Run by hand: python make_model.py"""

import json
import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf

MODEL = Path(__file__).resolve().parent / "model"
UNIT = 10  # square metres
HOUSES = [[1, 30], [2, 45], [2, 60], [3, 70], [3, 90], [4, 100], [5, 140]]  # rooms, square metres
PRICES = [98000, 149000, 181000, 215000, 254000, 291000, 392000]


class Linear(tf.Module):
    """Weights are constants, not variables: TensorFlow 2.9 refuses variables that a newer one exported."""

    def __init__(self, weights, base):
        super().__init__()
        self.weights = tf.constant(weights)
        self.base = tf.constant(base)

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "house")])
    def serve(self, house):
        return {"price": tf.linalg.matvec(house, self.weights) + self.base}


rows = np.array([[rooms, metres / UNIT, 1] for rooms, metres in HOUSES])
*weights, base = np.linalg.lstsq(rows, np.array(PRICES, float), rcond=None)[0].astype(np.float32)
model = Linear(weights, base)

shutil.rmtree(MODEL, ignore_errors=True)
tf.saved_model.save(model, str(MODEL / "saved_model"), signatures={"serving_default": model.serve})
(MODEL / "settings.json").write_text(json.dumps({"unit": UNIT, "currency": "EUR"}, indent=2) + "\n", encoding="utf-8")
