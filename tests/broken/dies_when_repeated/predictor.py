import os


class Broken:
    def __init__(self):
        self.calls = 0

    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        self.calls += 1
        if self.calls > 3:
            os.abort()
        return [value * 3 for value in instances]
