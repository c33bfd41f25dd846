"""Serve the docstrings model: text in, module of the standard library out."""

from pathlib import Path

from tokens import Vocabulary

import cpr


class DocstringPredictor(cpr.SavedModelPredictor):
    """An instance is a text, a prediction ``{"module": "turtle", "probability": 0.98}``.

    A request may carry ``"top_k": N`` beside its instances; each prediction then lists the N likeliest modules under ``"top"``.
    """

    def load(self):
        self.vocabulary = Vocabulary(self._lines("vocabulary.txt"))
        self.modules = self._lines("modules.txt")

    def preprocess(self, instances, **kwargs):
        for index, instance in enumerate(instances):
            if not isinstance(instance, str):
                place = "instances[{}]".format(index)
                raise cpr.RequestError("{} is not a text.".format(place), "Send each docstring as a JSON string.", place)
        return self.vocabulary.rows(instances)

    def postprocess(self, predictions, *, top_k=None, **kwargs):
        if top_k is None:
            return [self._ranked(row)[0] for row in predictions]
        if not isinstance(top_k, int) or isinstance(top_k, bool) or not 1 <= top_k <= len(self.modules):
            raise cpr.RequestError(
                "top_k is {!r}.".format(top_k), "Give a whole number from 1 to {}.".format(len(self.modules)), "top_k"
            )
        return [dict(self._ranked(row)[0], top=self._ranked(row)[:top_k]) for row in predictions]

    def _ranked(self, probabilities):
        pairs = sorted(zip(probabilities, self.modules), reverse=True)
        return [{"module": module, "probability": probability} for probability, module in pairs]

    def _lines(self, name):
        return (Path(self.model_dir) / name).read_text(encoding="utf-8").splitlines()
