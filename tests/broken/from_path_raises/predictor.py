import os


class Broken:
    @classmethod
    def from_path(cls, model_dir):
        with open(os.path.join(model_dir, "weights.json")) as file:
            return cls(file.read())

    def predict(self, instances, **kwargs):
        return instances
