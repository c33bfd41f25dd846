"""Signatures to classify and regress, which parse tf.Example messages, added beside one that predicts."""

import numpy as np
import pytest
from support import export_sources
from support.export_sources import ROWS, answers
from support.replaying import REPOSITORY

import cpr
from cpr.errors import ModelError

pytestmark = pytest.mark.xdist_group("tensorflow")

EXPORTS = REPOSITORY / "sample_models" / "add_two" / "exports"


def messages(rows):
    import tensorflow as tf

    def feature(values):
        kind = np.asarray(values).dtype.kind
        if kind == "f":
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        if kind == "i":
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    examples = [{name: feature(values) for name, values in row.items()} for row in rows]
    return [tf.train.Example(features=tf.train.Features(feature=each)).SerializeToString() for each in examples]


@pytest.mark.parametrize("way", ["builder", "estimator", "module", "keras2"])
def test_a_signature_to_regress_is_added(way, tmp_path):
    base = "predict" if way in ("builder", "estimator") else "serving_default"
    exported = cpr.export(EXPORTS / way, tmp_path / "model", add="regress", signature=base)
    found = answers(tmp_path / "model", "regress", {"inputs": messages([{"x": [1.0]}, {"x": [-5.0]}])})
    assert found["outputs"].tolist() == [3.0, -3.0]
    assert answers(tmp_path / "model", base, {"x": [1.0]})["y"].tolist() == [3.0]
    assert exported.model.meta_graphs[0].signatures["regress"].method_name == "tensorflow/serving/regress"
    assert all(each.requests for each in exported.compared)


def test_a_checkpoint_with_a_table_classifies(trained, tmp_path):
    source = trained["reference"]
    ends = {"outputs": {"scores": "net/scores", "word": "net/words"}, "constants": {"net/keep": 1.0}}
    cpr.export(source.prefix, tmp_path / "model", add="classify", **ends)
    found = answers(tmp_path / "model", "classify", {"inputs": messages([{"x": row} for row in ROWS])})
    assert list(found) == ["scores"], "a word for each row is not a class for each score"
    np.testing.assert_allclose(found["scores"], source.scores, 1e-6)


def test_inputs_of_every_type_are_parsed(tmp_path):
    import tensorflow as tf

    def run(v, flag, number, text):
        return {"outputs": tf.cast(number, tf.float32) * v + tf.cast(flag, tf.float32) + tf.strings.to_number(text)[:, 0]}

    inputs = {"flag": ([None], "bool"), "number": ([None], "int32"), "text": ([None, 1], "string")}
    export_sources.save(tmp_path / "source", {"serving_default": (run, inputs)})
    cpr.export(tmp_path / "source", tmp_path / "model", add="regress")
    found = answers(tmp_path / "model", "regress", {"inputs": messages([{"flag": [1], "number": [4], "text": [b"0.5"]}])})
    assert found["outputs"].tolist() == [9.5]


def test_what_a_method_does_not_answer_with_is_told(two_inputs, tmp_path):
    def told(source, **asked):
        with pytest.raises(ModelError) as caught:
            cpr.export(source, tmp_path / "model", **asked)
        return f"{caught.value.message} {caught.value.remedy}"

    assert "`--rename-output NAME=outputs`" in told(two_inputs, add="regress", signature="other")
    assert "scores (float32) or classes (string)" in told(EXPORTS / "module", add="classify")
    assert "`--add classify`" in told(EXPORTS / "module", method="classify")
