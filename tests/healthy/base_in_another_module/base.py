import abc


class Base(abc.ABC):
    factor = 1

    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return [self.one(value) * self.factor for value in instances]

    @abc.abstractmethod
    def one(self, value):
        raise NotImplementedError
