"""Keeps TensorFlow's remarks about processors and drivers off the terminal.

Its C++ side writes them to the file descriptor before any setting of its log level counts. They tell a person nothing, and a
newcomer takes them for errors.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SECONDS = 2.0  # that the last lines may take; a child that still writes then does so through the thread

_DATE = rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: "
_CHATTER = re.compile(
    rb"[IW]\d{4} \d\d:\d\d:|E\d{4} \d\d:\d\d:\S+ +\d+ cuda_|" + _DATE + rb"[IW] |" + _DATE + rb"E external/\S+/cuda/"
    rb"|WARNING: All log messages before absl::InitializeLog|To enable the following instructions"
)


@contextmanager
def without_chatter() -> Iterator[None]:
    """While this lasts, what goes to standard error passes a filter, line by line and at once."""
    sys.stderr.flush()
    try:
        descriptor = sys.stderr.fileno()
        kept = os.dup(descriptor)
    except (OSError, ValueError):  # no descriptor of its own, as in a notebook
        yield
        return
    reader, writer = os.pipe()
    os.dup2(writer, descriptor)
    os.close(writer)
    thread = threading.Thread(target=_filter, args=(reader, os.dup(kept)), daemon=True)
    thread.start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, descriptor)  # the last writing end is closed by this, unless a child has one
        os.close(kept)
        thread.join(_SECONDS)


def _filter(reader: int, kept: int) -> None:
    with open(reader, "rb") as lines, open(kept, "wb", buffering=0) as out:
        for line in lines:
            if not _CHATTER.match(line):
                out.write(line)
