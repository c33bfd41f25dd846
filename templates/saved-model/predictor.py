"""A SavedModel with Python before and after it."""

import json
from pathlib import Path

import cpr


class Predictor(cpr.SavedModelPredictor):
    """Finds and loads the SavedModel in the model directory by itself; the three methods are yours, and all optional."""

    def load(self):
        """Called once, after the SavedModel is loaded: read what else lies in the model directory."""
        self.settings = json.loads((Path(self.model_dir) / "settings.json").read_text(encoding="utf-8"))

    def preprocess(self, instances, **kwargs):
        """The request's instances to the model's rows: here a house to the two numbers that the model was trained on."""
        return [[house["rooms"], house["square_metres"] / self.settings["unit"]] for house in instances]

    def postprocess(self, predictions, **kwargs):
        """The model's rows to the answer: one JSON value for each instance."""
        return [{"price": round(price), "currency": self.settings["currency"]} for price in predictions]
