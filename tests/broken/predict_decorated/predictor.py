import functools


def timed(function):
    @functools.wraps(function)
    def wrapper(*arguments, **keywords):
        return function(*arguments, **keywords)

    return wrapper


class Broken:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    @timed
    def predict(self, instances, **kwargs):
        return instances
