"""Who wrote something and who may read it: ``versions.proto`` of TensorFlow 2.21, in graphs and in checkpoints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cpr.saved_model.wire import ANY, VARINT, Buffer, select, signed32, varints


class Versions(NamedTuple):
    """The version that wrote it, the lowest that may read it, and those that must not."""

    producer: int
    min_consumer: int
    bad_consumers: tuple[int, ...]


def read_versions(buffer: Buffer, spans: Iterable[tuple[int, int]]) -> Versions:
    """A ``VersionDef``, from every place where a part of it is written."""
    numbers = {1: 0, 2: 0}
    bad: list[int] = []
    for start, end in spans:
        for number, begin, stop in select(buffer, start, end, {1: VARINT, 2: VARINT, 3: ANY}):
            if number == 3:
                bad += [signed32(value) for value in varints(buffer, begin, stop)]
            else:
                numbers[number] = signed32(begin)
    return Versions(numbers[1], numbers[2], tuple(bad))
