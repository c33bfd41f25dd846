import os
import pickle

import steps


class Steps:
    def __init__(self, step):
        self._step = step

    @classmethod
    def from_path(cls, model_dir):
        with open(os.path.join(model_dir, "step.pkl"), "rb") as file:
            step = pickle.load(file)
        assert isinstance(step, steps.Scaler)
        return cls(step)

    def predict(self, instances, **kwargs):
        return self._step.transform(instances)
