import re


class Rules:
    """No SavedModel, nothing read: the model directory holds a note for people."""

    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return ["number" if re.match(r"-?[0-9]+$", text) else "text" for text in instances]
