"""All that a custom prediction routine has to be: one class with two methods."""

import json
from pathlib import Path


class Predictor:
    """Scores a house by the weights in model/weights.json."""

    def __init__(self, weights):
        self.weights = weights

    @classmethod
    def from_path(cls, model_dir):
        """Called once per process. ``model_dir`` is the uploaded model directory, wherever the service put it."""
        return cls(json.loads((Path(model_dir) / "weights.json").read_text(encoding="utf-8")))

    def predict(self, instances, **kwargs):
        """Called for every request, with the list under "instances"; other keys of the request arrive in ``kwargs``.

        Exactly two positional parameters and ``**kwargs``, as the service demands. Returns a list that JSON can carry.
        """
        return [self._price(house) for house in instances]

    def _price(self, house):
        return self.weights["base"] + sum(self.weights[key] * house[key] for key in ("rooms", "square_metres"))
