from acme.scoring.weights import WEIGHTS


class Score:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return [sum(WEIGHTS.get(letter, 0) for letter in text) for text in instances]
