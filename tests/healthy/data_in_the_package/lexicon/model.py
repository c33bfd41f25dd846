import pkgutil

WORDS = pkgutil.get_data(__package__, "words.txt").decode("utf-8").split()


class Lexicon:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return [WORDS.index(word) if word in WORDS else -1 for word in instances]
