class Broken:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return [{"score": [0.5, float("nan")]} for _ in instances]
