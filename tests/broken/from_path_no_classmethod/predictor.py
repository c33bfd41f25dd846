class Broken:
    def from_path(self, model_dir):
        return self

    def predict(self, instances, **kwargs):
        return instances
