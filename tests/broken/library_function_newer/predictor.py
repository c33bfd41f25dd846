import functools


class Broken:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return [self.scale(value) for value in instances]

    @functools.cache
    def scale(self, value):
        return value
