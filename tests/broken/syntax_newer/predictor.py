class Broken:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        if (count := len(instances)) > 100:
            raise ValueError(count)
        return instances
