import cpr


class Broken(cpr.Predictor):
    @classmethod
    def from_path(cls, model_dir):
        return cls()
