import sys


class Broken:
    @classmethod
    def from_path(cls, model_dir):
        sys.exit(3)

    def predict(self, instances, **kwargs):
        return instances
