"""Keras models, from files and live, and modules with a function to serve."""

import numpy as np
import pytest
from support.export_sources import ROWS, answers

import cpr
from cpr.errors import ModelError, UsageError

pytestmark = pytest.mark.xdist_group("tensorflow")


@pytest.mark.parametrize("form", ["keras", "h5", "memory"])
def test_a_keras_model(form, classifier, tmp_path):
    source = classifier
    if form != "memory":
        source = tmp_path / f"model.{form}"
        classifier.save(source)
    exported = cpr.export(source, tmp_path / "model")
    found = answers(tmp_path / "model", "serving_default", {"features": ROWS})
    np.testing.assert_allclose(found["scores"], classifier.predict(ROWS, verbose=0), 1e-5)
    (graph,) = exported.model.meta_graphs
    assert len(graph.objects.variables) == len(classifier.weights), "no optimizer, no seed of the dropout, each once"
    assert not exported.findings


def test_a_functional_model_of_named_parts_and_a_fixed_batch(tmp_path):
    import tensorflow as tf

    numbers = tf.keras.Input([2], batch_size=4, name="n")
    words = tf.keras.Input([], batch_size=4, dtype="string", name="w")
    ids = tf.keras.layers.StringLookup(vocabulary=["a", "b"])(words)
    model = tf.keras.Model({"n": numbers, "w": words}, {"twice": numbers * 2.0, "ids": ids})
    exported = cpr.export(model, tmp_path / "model")
    found = answers(tmp_path / "model", "serving_default", {"n": [[1.0, 2.0]], "w": ["b"]})
    assert {name: value.tolist() for name, value in found.items()} == {"twice": [[2.0, 4.0]], "ids": [2]}
    assert exported.notes == ("batch: free, was fixed to 4",)


def test_a_file_of_weights_alone(classifier, tmp_path):
    classifier.save_weights(tmp_path / "only.weights.h5")
    with pytest.raises(ModelError, match="weights alone"):
        cpr.export(tmp_path / "only.weights.h5", tmp_path / "model")


def make_module():
    import tensorflow as tf

    class Doubler(tf.Module):
        def __init__(self):
            super().__init__()
            self.factor = tf.Variable(2.0)

        @tf.function(input_signature=[tf.TensorSpec([1, 2], tf.float32)])
        def double(self, x):
            return x * self.factor

        @tf.function
        def centre(self, x):
            return {"centred": x - tf.reduce_mean(x)}

    return Doubler()


def test_a_module_with_one_function_that_says_what_it_takes(tmp_path):
    exported = cpr.export(make_module(), tmp_path / "model", rename_outputs={"output_0": "y"})
    assert answers(tmp_path / "model", "serving_default", {"x": [[1.0, 2.0], [3.0, 4.0]]})["y"].tolist() == [[2, 4], [6, 8]]
    assert exported.notes == ("function: double", "batch: free, was fixed to 1")


def test_a_function_is_named_and_told_what_it_takes(tmp_path):
    module = make_module()
    with pytest.raises(UsageError, match="there are: centre, double"):
        cpr.export(module, tmp_path / "model", function="middle")
    with pytest.raises(UsageError, match="does not say what it takes"):
        cpr.export(module, tmp_path / "model", function="centre")
    inputs = {"x": ([2, 2], "float32")}
    cpr.export(module, tmp_path / "model", function="centre", inputs=inputs, keep_batch=True)
    found = answers(tmp_path / "model", "serving_default", {"x": [[1.0, 2.0], [3.0, 6.0]]})
    assert found["centred"].tolist() == [[-2, -1], [0, 3]]


def test_a_condition_on_a_tensor(tmp_path):
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def run(x):
        if tf.reduce_sum(x) > 0:
            return {"y": x}
        return {"y": -x}

    cpr.export(tf.Module(), tmp_path / "model", function=run)
    for given, expected in (([3.0], [3.0]), ([-3.0], [3.0])):
        assert answers(tmp_path / "model", "serving_default", {"x": given})["y"].tolist() == expected


def test_arguments_that_are_mappings_and_results_without_names(tmp_path):
    import tensorflow as tf

    @tf.function(input_signature=[{"b": tf.TensorSpec([None]), "a": tf.TensorSpec([None])}, tf.TensorSpec([None])])
    def run(pair, third):
        return pair["a"] - pair["b"], third

    cpr.export(tf.Module(), tmp_path / "model", function=run)
    found = answers(tmp_path / "model", "serving_default", {"a": [5.0], "b": [3.0], "third": [1.0]})
    assert {name: value.tolist() for name, value in found.items()} == {"output_0": [2.0], "output_1": [1.0]}


@pytest.mark.parametrize("part", [None, "model"])
def test_weights_of_a_checkpoint_go_into_a_module(part, tmp_path):
    import tensorflow as tf

    trained = make_module()
    trained.factor.assign(5.0)
    saver = tf.train.Checkpoint(trained) if part is None else tf.train.Checkpoint(**{part: trained}, step=tf.Variable(7))
    prefix = saver.write(str(tmp_path / "ckpt"))
    cpr.export(make_module(), tmp_path / "model", checkpoint=prefix)
    assert answers(tmp_path / "model", "serving_default", {"x": [[1.0, 2.0]]})["output_0"].tolist() == [[5.0, 10.0]]
    other = tf.Module()
    other.name_of_its_own = tf.Variable(1.0)
    with pytest.raises(ModelError, match="no value for some variables"):
        cpr.export(other, tmp_path / "other", checkpoint=prefix)


def test_what_cannot_be_exported():
    with pytest.raises(UsageError, match="type dict cannot be exported"):
        cpr.export({}, "model")
