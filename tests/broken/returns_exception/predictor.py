class Broken:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return [value * 3 if value > 0 else ValueError("not positive") for value in instances]
