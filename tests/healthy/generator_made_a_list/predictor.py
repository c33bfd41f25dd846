class Made:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return list(self._each(instances))

    def _each(self, instances):
        for start in range(0, len(instances), 2):
            for value in instances[start : start + 2]:
                yield value + 1
