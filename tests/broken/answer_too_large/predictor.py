class Broken:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return ["x" * 800000 for _ in instances]
