"""What a model costs to load and to call, measured in a process of its own, which runs this as a module."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cpr.errors import ModelError

_CALLS = 9
_MOST_SECONDS = 600


class Cost(NamedTuple):
    """Seconds to load and of the first call, milliseconds of a later one (median), and the most MiB above TensorFlow itself
    while loading and until the first answer (``None`` where the system does not tell)."""

    load: float
    first: float
    call: float
    peak_load: float | None
    peak_first: float | None


def measure(folder: Path, tags: tuple[str, ...], signature: str, inputs: Mapping[str, Any]) -> Cost:
    """Load the SavedModel in a fresh process and run a signature. ``ModelError`` where that fails."""
    import numpy as np

    with tempfile.TemporaryDirectory(prefix="cpr-shrink-") as scratch:
        path = Path(scratch) / "inputs.npz"
        plain = {str(number): _plain(array) for number, array in enumerate(inputs.values())}
        np.savez(path, allow_pickle=False, **plain)
        names = json.dumps([list(inputs), list(tags), signature])
        command = [sys.executable, "-m", "cpr.shrinking.measuring", str(folder), str(path), names]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MOST_SECONDS)
    if done.returncode:
        last = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise ModelError(f"The model cannot be measured: {last}", "Leave the measurement out: --no-measure.", str(folder))
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _plain(array: Any) -> Any:
    import numpy as np

    return array.astype(np.bytes_) if array.dtype.kind == "O" else array


def _measured(folder: str, path: str, names: str) -> Cost:
    import numpy as np

    from cpr.models import load_model
    from cpr.shrinking._tensorflow import tensorflow

    keys, tags, signature = json.loads(names)
    with np.load(path) as file:
        arrays = [file[str(number)] for number in range(len(keys))]
    inputs = {key: array.astype(object) if array.dtype.kind == "S" else array for key, array in zip(keys, arrays, strict=True)}
    tf = tensorflow()
    tf.constant(0.0)  # starts its threads
    base = _resident()
    start = time.perf_counter()
    model = load_model(folder, tags)
    loaded = time.perf_counter()
    peak_load = _peak(base)
    called = model.signatures[signature]
    times = []
    for _ in range(_CALLS + 1):
        before = time.perf_counter()
        called.run(inputs)
        times.append(time.perf_counter() - before)
        if len(times) == 1:
            peak_first = _peak(base)
    return Cost(loaded - start, times[0], statistics.median(times[1:]) * 1000, peak_load, peak_first)


def _resident() -> float | None:
    """MiB of the process, its highest mark set back to them."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _status("VmRSS")


def _peak(base: float | None) -> float | None:
    highest = _status("VmHWM")
    return None if base is None or highest is None else highest - base


def _status(key: str) -> float | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{key}:")]
    return int(found[0]) / 1024 if found else None


if __name__ == "__main__":
    result = _measured(*sys.argv[1:])
    sys.stdout.write(json.dumps(result._asdict()) + "\n")
