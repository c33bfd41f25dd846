class Perhaps:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return [None if value < 0 else value ** 0.5 for value in instances]
