import threading


class Broken:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        if instances == [2]:
            threading.Event().wait()
        return instances
