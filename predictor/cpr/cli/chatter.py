"""Keeps TensorFlow's remarks about processors and drivers off the terminal.

Its C++ side writes them to the file descriptor before any setting of its log level counts. They tell a person nothing, and a
newcomer takes them for errors.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_DATE = rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: "
_CHATTER = re.compile(
    rb"[IW]\d{4} \d\d:\d\d:|E\d{4} \d\d:\d\d:\S+ +\d+ cuda_|" + _DATE + rb"[IW] |" + _DATE + rb"E external/\S+/cuda/"
    rb"|WARNING: All log messages before absl::InitializeLog|To enable the following instructions"
)


@contextmanager
def without_chatter() -> Iterator[None]:
    """While this lasts, standard error is held back; at its end all but those remarks is written."""
    sys.stderr.flush()
    try:
        descriptor = sys.stderr.fileno()
        kept = os.dup(descriptor)
    except (OSError, ValueError):  # no descriptor of its own, as in a notebook
        yield
        return
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), descriptor)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, descriptor)
            os.close(kept)
            file.seek(0)
            os.write(descriptor, b"".join(line for line in file if not _CHATTER.match(line)))
