"""Serve the digits model: base64 PNG in, digit out."""

import numpy as np
import pictures

import cpr


class DigitPredictor(cpr.SavedModelPredictor):
    """An instance is ``{"b64": "<PNG>"}``, a prediction ``{"digit": 7, "probability": 0.98}``."""

    def preprocess(self, instances, **kwargs):
        return np.stack([_grid(instance, "instances[{}]".format(index)) for index, instance in enumerate(instances)])

    def postprocess(self, predictions, **kwargs):
        return [{"digit": row.index(max(row)), "probability": max(row)} for row in predictions]


def _grid(instance, place):
    try:
        return pictures.grid(cpr.decode_b64(instance))
    except (cpr.CprError, ValueError) as error:
        raise cpr.RequestError("{}: {}".format(place, error), 'Send {"b64": "<a PNG in base64>"}.', place) from None
