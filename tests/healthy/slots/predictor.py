class Slots:
    __slots__ = ("_seen", "_table")

    def __init__(self, table):
        self._table = table
        self._seen = frozenset(table)

    @classmethod
    def from_path(cls, model_dir):
        return cls({"a": 1, "b": 2})

    def predict(self, instances, **kwargs):
        return [self._table[key] if key in self._seen else None for key in instances]
