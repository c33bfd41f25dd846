import os
import tempfile


class Scratch:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        with tempfile.TemporaryDirectory() as folder:
            return [self._size(os.path.join(folder, "x"), text) for text in instances]

    def _size(self, path, text):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return os.path.getsize(path)
