"""Models made by TensorFlow, and what TensorFlow says of them: one process, once for all tests and all workers."""

import fcntl
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class TensorFlowSays:
    folder: Path
    models: dict
    types: dict
    broken: dict


def made_once(tmp_path_factory, worker_id, script):
    """The folder that ``script`` filled in a process of its own, by whoever came first; it wrote ``says.json`` last."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / script.removesuffix(".py")
    folder.mkdir(exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "says.json").exists():
            command = [sys.executable, str(Path(__file__).with_name(script)), str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="session")
def tensorflow_says(tmp_path_factory, worker_id):
    folder = made_once(tmp_path_factory, worker_id, "tensorflow_says.py")
    says = json.loads((folder / "says.json").read_text())
    return TensorFlowSays(folder, says["models"], says["types"], says["broken"])


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory, worker_id):
    """The folder whose sub-folders are the checkpoints of ``tensorflow_checkpoints.py``, and what TensorFlow says of them."""
    folder = made_once(tmp_path_factory, worker_id, "tensorflow_checkpoints.py")
    return folder, json.loads((folder / "says.json").read_text())


@pytest.fixture(scope="session")
def faulty(tmp_path_factory, worker_id):
    """The folder whose sub-folders are the models of ``faulty_models.py``, and what TensorFlow does with each."""
    folder = made_once(tmp_path_factory, worker_id, "faulty_models.py")
    return folder, json.loads((folder / "says.json").read_text())


@pytest.fixture(scope="session")
def pairs(tmp_path_factory, worker_id):
    """The folder whose sub-folders are the models of ``compared_models.py``."""
    return made_once(tmp_path_factory, worker_id, "compared_models.py")


@pytest.fixture(scope="session")
def worker_id(request):
    """``master``, or the name of the pytest-xdist worker; where the plugin is absent too."""
    return getattr(request.config, "workerinput", {}).get("workerid", "master")


@pytest.fixture(scope="session")
def models(tensorflow_says):
    """The folder whose sub-folders are the models."""
    return tensorflow_says.folder


@pytest.fixture
def copy(models, tmp_path):
    """A copy of one of the models, which a test may alter."""

    def make(name, to="model"):
        return shutil.copytree(models / name, tmp_path / to)

    return make
