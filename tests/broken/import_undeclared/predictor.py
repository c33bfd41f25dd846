import jsonschema


class Broken:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        for instance in instances:
            jsonschema.validate(instance, {"type": "number"})
        return instances
