"""An export of TensorFlow 1.15, of the real one, is shrunk by TensorFlow 2 and served by 1.15 again."""

import json
import subprocess
from pathlib import Path

import asked_plainly
import numpy as np
import pytest
from support.old_tensorflow import clean_environment, python_with

import cpr

pytest.importorskip("tensorflow")


def test_a_training_graph_that_does_not_load_here_is_served_by_its_own_release(tmp_path):
    python, script = python_with("1.15.5"), Path(__file__).with_name("of_tensorflow_1.py")

    def ran(*words):
        command = [python, str(script), *map(str, words)]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=clean_environment()).stdout

    ran("make", tmp_path / "model")
    np.save(tmp_path / "words.npy", np.random.default_rng(0).choice(["zero", "one", "two", "other"], (40, 5)))
    options = {"weights": "int8", "data": tmp_path / "words.npy", "min_agreement": 0.9, "measure": False}
    done = cpr.shrink(tmp_path / "model", tmp_path / "smaller", **options)
    assert done.after < done.before / 8
    assert not done.loads  # TensorFlow 2 refuses its gradients, which are gone
    before, after = (np.array(json.loads(ran("ask", place))) for place in (done.source, done.destination))
    assert 0 < np.abs(before - after).max() < 0.01
    asked_plainly.by_objects(done.destination)
