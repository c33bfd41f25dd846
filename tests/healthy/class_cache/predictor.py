import functools


class Cached:
    """What is dear to make is kept in the class, and what was asked before is remembered: both rightly."""

    _table = None

    @classmethod
    def from_path(cls, model_dir):
        if cls._table is None:
            cls._table = {number: number * number for number in range(100)}
        return cls()

    def predict(self, instances, **kwargs):
        return [_look_up(self._table is not None, value) for value in instances]


@functools.lru_cache(maxsize=128)
def _look_up(ready, value):
    return value * value if ready else None
