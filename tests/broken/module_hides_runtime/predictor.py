from joblib import scale


class Broken:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return [scale(value) for value in instances]
