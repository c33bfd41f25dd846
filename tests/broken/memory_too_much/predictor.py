class Broken:
    @classmethod
    def from_path(cls, model_dir):
        weights = b"\1" * 2200000000
        return cls() if weights else None

    def predict(self, instances, **kwargs):
        return instances
