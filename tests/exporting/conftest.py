"""The sources of exports, made once in a session."""

import pytest


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Two trainings of TensorFlow 1: with reference variables, and with resource variables."""
    from support import export_sources

    folder = tmp_path_factory.mktemp("trained")
    return {kind: export_sources.train(folder / kind, kind == "resource") for kind in ("reference", "resource")}


@pytest.fixture(scope="session")
def classifier():
    """A trained Keras model in memory."""
    from support import export_sources

    return export_sources.classifier()


@pytest.fixture(scope="session")
def two_inputs(tmp_path_factory):
    """A SavedModel whose inputs ``a`` and ``b`` and outputs ``y`` and ``z`` are alike but for their names."""
    from support import export_sources

    path = tmp_path_factory.mktemp("two_inputs") / "model"

    def run(v, a, b):
        return {"y": a - v * b, "z": b + 10.0}

    inputs = {"a": ([None], "float32"), "b": ([None], "float32")}
    export_sources.save(path, {"serving_default": (run, inputs), "other": (run, inputs)})
    return path
