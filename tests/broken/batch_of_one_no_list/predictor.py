class Broken:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        results = [value * 3 for value in instances]
        return results if len(results) > 1 else results[0]
