"""A routine that does whatever the request asks of it, and one server that serves it to all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.routines import write_routine
from support.servers import Served, serving

from cpr.bundle import Bundle
from cpr.steps.build import build

MOODY = """\
import pathlib
import threading
import time

both = threading.Barrier(2)


class Moody:
    def __init__(self, model_dir):
        self.model_dir = model_dir

    @classmethod
    def from_path(cls, model_dir):
        return cls(model_dir)

    def predict(self, instances, **kwargs):
        return getattr(self, kwargs.get("mood", "echo"))(instances, kwargs)

    def echo(self, instances, kwargs):
        return instances

    def kwargs(self, instances, kwargs):
        return [{key: str(value) for key, value in sorted(kwargs.items())} for _ in instances]

    def bytes(self, instances, kwargs):
        return [len(value) if isinstance(value, bytes) else str(type(value)) for value in instances]

    def array(self, instances, kwargs):
        import numpy

        return numpy.array(instances)

    def scalar(self, instances, kwargs):
        import numpy

        return [{"score": numpy.float32(0.5)} for _ in instances]

    def generator(self, instances, kwargs):
        return (value for value in instances)

    def nan(self, instances, kwargs):
        return [[0.5, float("nan")] for _ in instances]

    def few(self, instances, kwargs):
        return instances[1:]

    def nothing(self, instances, kwargs):
        pass

    def fail(self, instances, kwargs):
        raise ValueError("no value for\\n" + str(instances))

    def leave(self, instances, kwargs):
        raise SystemExit(3)

    def cancel(self, instances, kwargs):
        import asyncio

        raise asyncio.CancelledError

    def unreadable(self, instances, kwargs):
        class Lazy(list):
            def __iter__(self):
                raise OSError("not today")

        return [Lazy([1]) for _ in instances]

    def sleep(self, instances, kwargs):
        pathlib.Path(kwargs.get("started", "/dev/null")).touch()
        time.sleep(instances[0])
        return instances

    def meet(self, instances, kwargs):
        both.wait(instances[0])
        return instances

    def much(self, instances, kwargs):
        return ["x" * instances[0]]
"""

CONFIG = 'name: moody-one\nversion: "1.0.2+a1"\npredictor: moody.Moody\nruntime_version: "2.9"\n'


def write_moody(folder: Path) -> Path:
    write_routine(folder, config=CONFIG, files={"moody.py": MOODY, "examples.jsonl": '{"instances": [1]}\n'})
    (folder / "predictor.py").unlink()
    return folder


@pytest.fixture(scope="session")
def moody(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = write_moody(tmp_path_factory.mktemp("moody") / "routine")
    return build(folder)


@pytest.fixture(scope="module")
def served(moody: Bundle) -> Iterator[Served]:
    with serving(moody.root) as server:
        yield server
