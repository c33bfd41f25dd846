"""The models of ``shrinkable_models.py``, each written when a test first asks for it."""

import fcntl

import pytest


@pytest.fixture(scope="session")
def made(tmp_path_factory, worker_id):
    """``made(name)``: the folder of a model."""
    import shrinkable_models

    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "shrinkable"
    folder.mkdir(exist_ok=True)

    def make(name):
        path = folder / name
        with open(folder / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                shrinkable_models.WRITERS[name](str(path))
        return path

    return make


@pytest.fixture(scope="session")
def worker_id(request):
    """``master``, or the name of the pytest-xdist worker."""
    return getattr(request.config, "workerinput", {}).get("workerid", "master")
