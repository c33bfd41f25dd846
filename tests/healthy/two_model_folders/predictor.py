import os


class Two:
    def __init__(self, names):
        self._names = names

    @classmethod
    def from_path(cls, model_dir):
        return cls(sorted(os.listdir(os.path.join(model_dir, "models"))))

    def predict(self, instances, **kwargs):
        return [self._names[value % len(self._names)] for value in instances]
