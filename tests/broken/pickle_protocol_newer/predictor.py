import os
import pickle


class Broken:
    def __init__(self, model_dir):
        self.path = os.path.join(model_dir, "words.pkl")

    @classmethod
    def from_path(cls, model_dir):
        return cls(model_dir)

    def predict(self, instances, **kwargs):
        return [self.look_up(value) if isinstance(value, str) else value for value in instances]

    def look_up(self, word):
        with open(self.path, "rb") as file:
            return pickle.load(file)[word]
