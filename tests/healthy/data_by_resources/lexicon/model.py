from importlib import resources


class Lexicon:
    def __init__(self, words):
        self._words = words

    @classmethod
    def from_path(cls, model_dir):
        with resources.open_text("lexicon", "words.txt", encoding="utf-8") as file:
            return cls(file.read().split())

    def predict(self, instances, **kwargs):
        return [word in self._words for word in instances]
