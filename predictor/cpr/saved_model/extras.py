"""What may lie beside ``saved_model.pb``: the fingerprint, and requests to warm the model up with.

Field numbers are those of ``fingerprint.proto`` in TensorFlow 2.21, and of ``prediction_log.proto``, ``predict.proto``,
``inference.proto`` and ``model.proto`` in TensorFlow Serving's ``apis``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cpr.saved_model.reader import DEFAULT_SIGNATURE
from cpr.saved_model.wire import BYTES, VARINT, Buffer, malformed, opened, select, signed32, text

FINGERPRINT_NAME = "fingerprint.pb"
WARMUP_NAME = "assets.extra/tf_serving_warmup_requests"

_KINDS = {
    2: "classify",
    3: "regress",
    4: "multi_inference",
    5: "session_run",
    6: "predict",
    7: "predict_streamed",
}
"""``PredictionLog.log_type``."""

_HEADER = 12
_CHECKSUM = 4


class Fingerprint(NamedTuple):
    """``fingerprint.pb``, written by TensorFlow since 2.12. The hashes are unsigned, of 64 bits; 0 and ``""`` if not there."""

    saved_model_checksum: int
    graph_def_program_hash: int
    signature_def_hash: int
    saved_object_graph_hash: int
    checkpoint_hash: int
    uuid: str
    version: int


class Warmup(NamedTuple):
    """Requests that TensorFlow Serving sends to a model before it serves.

    ``records`` is how many there are; more than 1000 it refuses. ``kinds`` counts them by kind (``predict``, ``classify``, …; a
    record without a request is ``none``), and ``signatures`` are those that they ask for.
    """

    records: int
    kinds: Mapping[str, int]
    signatures: tuple[str, ...]


def read_fingerprint(path: Path | str) -> Fingerprint:
    """Read a ``fingerprint.pb``. ``ModelError`` where it is missing or broken."""
    with opened(Path(path)) as buffer:
        return parse_fingerprint(buffer)


def parse_fingerprint(buffer: Buffer) -> Fingerprint:
    if not len(buffer):
        raise malformed("it is empty")
    numbers = dict.fromkeys(range(1, 6), 0)
    uuid, version = "", 0
    fields = {**dict.fromkeys(numbers, VARINT), 6: BYTES, 7: BYTES}
    for number, begin, stop in select(buffer, 0, len(buffer), fields):
        if number == 6:
            for _, value, _ in select(buffer, begin, stop, {1: VARINT}):
                version = signed32(value)
        elif number == 7:
            uuid = text(buffer, begin, stop)
        else:
            numbers[number] = begin
    return Fingerprint(numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], uuid, version)


def read_warmup(path: Path | str) -> Warmup:
    """Read an ``assets.extra/tf_serving_warmup_requests``. ``ModelError`` where it is missing or broken."""
    with opened(Path(path)) as buffer:
        return parse_warmup(buffer)


def parse_warmup(buffer: Buffer) -> Warmup:
    records = 0
    kinds: dict[str, int] = {}
    signatures: set[str] = set()
    for begin, stop in _records(buffer):
        records += 1
        # The kinds are one choice: the last one counts.
        kind, request = "none", (0, 0, 0)
        for number, at, to in select(buffer, begin, stop, dict.fromkeys(_KINDS, BYTES)):
            kind, request = _KINDS[number], (number, at, to)
        kinds[kind] = kinds.get(kind, 0) + 1
        signatures.update(_signatures(buffer, *request))
    return Warmup(records, dict(sorted(kinds.items())), tuple(sorted(signatures)))


def _records(buffer: Buffer) -> Iterator[tuple[int, int]]:
    """Where each record of a TFRecord file lies, its checksums compared: length, checksum, content, checksum."""
    from cpr.saved_model.crc32c import masked_crc32c

    position, size = 0, len(buffer)
    while position < size:
        header = buffer[position : position + _HEADER]
        length = int.from_bytes(header[:8], "little")
        begin = position + _HEADER
        if len(header) < _HEADER or masked_crc32c(header[:8]) != int.from_bytes(header[8:], "little"):
            raise malformed(f"there is no record at byte {position}, or its checksum does not match")
        stop = begin + length
        if stop + _CHECKSUM > size:
            raise malformed(f"the record at byte {position} is longer than the file")
        if masked_crc32c(buffer[begin:stop]) != int.from_bytes(buffer[stop : stop + _CHECKSUM], "little"):
            raise malformed(f"the checksum of the record at byte {position} does not match")
        yield begin, stop
        position = stop + _CHECKSUM


def _signatures(buffer: Buffer, kind: int, start: int, end: int) -> Iterator[str]:
    """The signatures that the requests in a log ask for; a ``session_run`` goes by tensors, and asks for none."""
    for _, begin, stop in select(buffer, start, end, {1: BYTES}):
        if _KINDS.get(kind) == "multi_inference":
            for _, task, task_end in select(buffer, begin, stop, {1: BYTES}):
                yield _signature(buffer, task, task_end)
        elif _KINDS.get(kind) != "session_run":
            yield _signature(buffer, begin, stop)


def _signature(buffer: Buffer, start: int, end: int) -> str:
    """``signature_name`` of the ``ModelSpec`` in a request or a task."""
    name = ""
    for _, begin, stop in select(buffer, start, end, {1: BYTES}):
        for _, at, to in select(buffer, begin, stop, {3: BYTES}):
            name = text(buffer, at, to)
    return name or DEFAULT_SIGNATURE
