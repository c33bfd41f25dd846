import concurrent.futures
import threading


class Pool:
    def __init__(self):
        self._lock = threading.Lock()
        self._pool = concurrent.futures.ThreadPoolExecutor(max_workers=2)
        self._served = 0

    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        answers = list(self._pool.map(_square, instances))
        with self._lock:
            self._served += len(answers)  # for a metric; no answer depends on it
        return answers


def _square(value):
    return value * value
