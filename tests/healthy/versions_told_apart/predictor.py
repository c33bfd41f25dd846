"""Newer Python where it is there, older where not."""
import sys

try:
    from functools import cached_property
except ImportError:
    cached_property = property

if sys.version_info >= (3, 9):
    from functools import cache
else:
    from functools import lru_cache

    cache = lru_cache(maxsize=None)


class Modern:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    @cached_property
    def factor(self):
        return 3

    def predict(self, instances, **kwargs):
        return [_add(value, self.factor) for value in instances]


@cache
def _add(left, right):
    return left + right
