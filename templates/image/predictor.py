"""A picture in base64 in, a label out."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

import cpr

SIDE = 32  # the model takes pictures of this size
LARGEST = 4096  # pixels a side; a small file can hold a picture that needs gigabytes


class Predictor(cpr.SavedModelPredictor):
    """An instance is ``{"b64": "<PNG or JPEG>"}``, a prediction ``{"label": "red", "probability": 0.97}``."""

    def load(self):
        self.labels = (Path(self.model_dir) / "labels.txt").read_text(encoding="utf-8").splitlines()

    def preprocess(self, instances, **kwargs):
        """One array (pictures, SIDE, SIDE, 3), from 0 to 1."""
        return np.stack([_pixels(instance, "instances[{}]".format(index)) for index, instance in enumerate(instances)])

    def postprocess(self, predictions, **kwargs):
        return [{"label": self.labels[row.index(max(row))], "probability": max(row)} for row in predictions]


def _pixels(instance, place):
    try:
        picture = Image.open(io.BytesIO(cpr.decode_b64(instance)), formats=["PNG", "JPEG"])
        if max(picture.size) > LARGEST:
            raise ValueError("more than {} pixels a side".format(LARGEST))
        picture = picture.convert("RGB").resize((SIDE, SIDE), Image.BILINEAR)
    except (cpr.CprError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        what = str(error).split(" <")[0]
        raise cpr.RequestError(
            "{} is no picture that can be used: {}.".format(place, what.rstrip(".")), 'Send {"b64": "<PNG or JPEG>"}.', place
        ) from None
    return np.asarray(picture, np.float32) / 255
