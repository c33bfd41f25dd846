"""Serve the iris model: measurements in centimetres in, species and probabilities out."""

import json
from pathlib import Path

import cpr


class IrisPredictor(cpr.SavedModelPredictor):
    """The model was trained on standardised measurements, so every request has to be standardised with the same statistics."""

    def load(self):
        self.scaler = json.loads((Path(self.model_dir) / "scaler.json").read_text(encoding="utf-8"))

    def preprocess(self, instances, **kwargs):
        return [self._standardise(instance, place) for place, instance in enumerate(instances)]

    def postprocess(self, predictions, **kwargs):
        return [self._name(probabilities) for probabilities in predictions]

    def _standardise(self, instance, place):
        names = self.scaler["features"]
        values = [instance.get(name) for name in names] if isinstance(instance, dict) else instance
        if not isinstance(values, list) or len(values) != len(names) or not all(_is_number(value) for value in values):
            raise cpr.RequestError(
                "instances[{}] is not four measurements.".format(place),
                "Send [{}] in centimetres, or an object with these keys.".format(", ".join(names)),
                "instances[{}]".format(place),
            )
        return [(value - mean) / scale for value, mean, scale in zip(values, self.scaler["mean"], self.scaler["scale"])]

    def _name(self, probabilities):
        species = self.scaler["species"]
        return {
            "species": species[probabilities.index(max(probabilities))],
            "probabilities": dict(zip(species, probabilities)),
        }


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)
