"""The child on its own: it must run on the oldest Python that a target has."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROBE = Path(__file__).resolve().parents[2] / "predictor" / "cpr" / "isolation" / "probe.py"

PREDICTOR = """
class Scale:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return [value * 3 for value in instances]
"""


def python(version: str) -> str | None:
    """An interpreter of that version, from pyenv or from the path."""
    root = (
        Path(subprocess.run(["pyenv", "root"], capture_output=True, text=True).stdout.strip())
        if shutil.which("pyenv")
        else None
    )
    places = sorted(root.glob(f"versions/{version}.*/bin/python")) if root else []
    return str(places[-1]) if places else shutil.which(f"python{version}")


@pytest.mark.parametrize("version", ["3.7", "3.8", "3.13"])
def test_runs_on(version: str, tmp_path: Path) -> None:
    interpreter = python(version)
    if interpreter is None:
        pytest.skip(f"there is no Python {version} here")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "predictor.py").write_text(PREDICTOR)
    (tmp_path / "requests").write_text('{"line": 1, "request": {"instances": [1, 2]}, "expect": true}\n')
    job = {
        "site": str(tmp_path / "site"),
        "model_dir": str(tmp_path),
        "predictor": "predictor.Scale",
        "requests": str(tmp_path / "requests"),
        "results": str(tmp_path / "results"),
        "started": time.monotonic(),
        "cut_network": True,
        "decode_b64": True,
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [interpreter, "-I", str(PROBE), str(tmp_path / "job.json")], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    events = [json.loads(row) for row in (tmp_path / "results").read_text().splitlines()]
    assert events[0]["python"].startswith(version + ".")
    assert next(event for event in events if event["event"] == "answer")["answer"] == "[3,6]"  # as the server writes it
    assert [event["name"] for event in events if event["event"] == "phase"] == [
        "interpreter",
        "import",
        "from_path",
        "first_predict",
        "steady_predict",
    ]
    assert [event["event"] for event in events if event["event"] in ("done", "trial", "untried", "behaved", "broken_off")] == [
        "done",
        "behaved",
    ]
    assert events[-1]["tried"] == ["repeats", "batches", "growth of memory", "threads"]


QUIET = """
import platform, sys
sys.path.insert(0, sys.argv[1])
import probe
started = []
sys.addaudithook(lambda event, _: started.append(event) if event == "subprocess.Popen" else None)
print(probe._platform(), len(started), platform.platform(), len(started))
"""


def test_it_starts_no_process_that_would_count_as_the_routines() -> None:
    command = [sys.executable, "-I", "-c", QUIET, str(PROBE.parent)]
    mine, before, pythons, after = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert (mine, before) == (pythons, "0")
    assert after == "1", "Python's own starts one; where it no longer does, take it"
