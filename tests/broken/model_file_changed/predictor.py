import os


class Broken:
    @classmethod
    def from_path(cls, model_dir):
        with open(os.path.join(model_dir, "factor.json"), "a") as file:
            file.write("\n")
        return cls()

    def predict(self, instances, **kwargs):
        return instances
