"""Estimators, on the TensorFlow that they were trained with.

Run on demand, as an old TensorFlow takes half a minute: CPR_TEST_ESTIMATORS=1. Everywhere: what is told where there is none.
"""

import os
import subprocess
import sys

import numpy as np
import pytest
from support.export_sources import answers
from support.old_tensorflow import clean_environment, python_with
from support.replaying import REPOSITORY

import cpr
from cpr.errors import ModelError, PredictorError, UsageError

pytestmark = pytest.mark.xdist_group("tensorflow")

SCRIPT = REPOSITORY / "tests" / "support" / "estimator_training.py"
ROWS = np.array([[1.0, 2.0], [-3.0, 0.5]], np.float32)

on_demand = pytest.mark.skipif(
    not os.environ.get("CPR_TEST_ESTIMATORS"), reason="set CPR_TEST_ESTIMATORS=1 to run TensorFlow 1.15 and 2.15"
)


@pytest.fixture(scope="module", params=["1.15.5", "2.15.1"])
def run(request, tmp_path_factory):
    """The Python, and a folder that it trained."""
    python = python_with(request.param)
    folder = tmp_path_factory.mktemp("estimator") / "run"
    part = tmp_path_factory.mktemp("part")
    from cpr.exporting.estimators import _travelling

    _travelling(part)
    environment = {**clean_environment(), "PYTHONPATH": str(part / "cpr-part")}
    command = [python, "-W", "ignore", str(SCRIPT), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return python, folder


@on_demand
def test_a_raw_serving_input_answers_as_the_estimator_does(run, tmp_path):
    python, folder = run
    exported = cpr.export(
        folder,
        tmp_path / "model",
        estimator=f"{SCRIPT}:make",
        serving_input=f"{SCRIPT}:serve",
        python=python,
        rename_inputs={"x": "features"},
    )
    assert exported.notes[0].startswith("checkpoint: model.ckpt-2")
    found = answers(tmp_path / "model", "serving_default", {"features": ROWS})["y"]
    assert found.shape == (2,)
    (graph,) = exported.model.meta_graphs
    assert graph.signatures["serving_default"].inputs["features"].shape == (None, 2)
    proved = {each.signature: each.requests for each in exported.compared}
    assert proved["serving_default"] == 1, "the Estimator's own predict, on rows that differ"


@on_demand
def test_a_parsing_serving_input_and_an_older_checkpoint(run, tmp_path):
    python, folder = run
    exported = cpr.export(
        folder,
        tmp_path / "model",
        estimator=f"{SCRIPT}:make",
        serving_input=f"{SCRIPT}:serve_examples",
        python=python,
        checkpoint="model.ckpt-0",
    )
    (graph,) = exported.model.meta_graphs
    assert graph.signatures["regress"].method_name == "tensorflow/serving/regress"
    import tensorflow as tf

    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[1.0, 2.0]))
    message = tf.train.Example(features=tf.train.Features(feature={"x": feature})).SerializeToString()
    assert answers(tmp_path / "model", "regress", {"inputs": [message]})["outputs"].tolist() == [3.0], "the ones it began with"


@on_demand
def test_what_the_authors_code_raises_is_shown(run, tmp_path):
    python, folder = run
    with pytest.raises(PredictorError, match="no such data") as caught:
        cpr.export(folder, tmp_path / "m", estimator=f"{SCRIPT}:fails", serving_input=f"{SCRIPT}:serve", python=python)
    assert "estimator_training.py" in caught.value.traceback


def test_a_tensorflow_without_estimators_is_told(trained, tmp_path):
    """This one, where the tests run on 2.16 or newer."""
    asked = {"estimator": f"{SCRIPT}:make", "serving_input": f"{SCRIPT}:serve"}
    import tensorflow as tf

    if not hasattr(tf, "estimator"):
        with pytest.raises(ModelError, match=r"Estimators need TensorFlow 2\.15 or older") as caught:
            cpr.export(trained["resource"].folder, tmp_path / "model", python=sys.executable, **asked)
        assert "--python PATH" in caught.value.remedy
        with pytest.raises(ModelError, match=r"need TensorFlow 2\.15 or older"):
            cpr.raw_serving_input({"x": ("float32", [2])})()
    with pytest.raises(UsageError, match="cannot run"):
        cpr.export(trained["resource"].folder, tmp_path / "model", python="/nowhere/python", **asked)
    with pytest.raises(UsageError, match="serving input"):
        cpr.export(trained["resource"].folder, tmp_path / "model", estimator="train.py:make")
    with pytest.raises(UsageError, match="no fixed length"):
        cpr.raw_serving_input({"words": "string"})
