"""Models made by TensorFlow, and what TensorFlow says of them: one process, once for all tests and all workers."""

import fcntl
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).with_name("tensorflow_says.py")


@dataclass(frozen=True)
class TensorFlowSays:
    folder: Path
    models: dict
    types: dict
    broken: dict


@pytest.fixture(scope="session")
def tensorflow_says(tmp_path_factory, worker_id):
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "tensorflow_says"
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "says.json").exists():
            done = subprocess.run([sys.executable, str(_SCRIPT), str(folder)], capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr[-3000:]
    says = json.loads((folder / "says.json").read_text())
    return TensorFlowSays(folder, says["models"], says["types"], says["broken"])


@pytest.fixture(scope="session")
def worker_id(request):
    """``master``, or the name of the pytest-xdist worker; where the plugin is absent too."""
    return getattr(request.config, "workerinput", {}).get("workerid", "master")


@pytest.fixture(scope="session")
def models(tensorflow_says):
    """The folder whose sub-folders are the models."""
    return tensorflow_says.folder
