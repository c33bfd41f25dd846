"""SavedModelPredictor on real SavedModels, with TensorFlow's own answer as the oracle."""

import concurrent.futures
import inspect
import json
import math
import shutil

import numpy as np
import pytest
from support.carried_dtypes import DTYPES

from cpr.errors import ModelError, PredictorError, RequestError
from cpr.interface import SavedModelPredictor

pytestmark = pytest.mark.xdist_group("tensorflow")


@pytest.fixture
def load(models):
    """Load the predictor of a model by the model's name."""
    return lambda name, cls=SavedModelPredictor: cls.from_path(str(models / name))


def oracle(models, name, signature="serving_default", **inputs):
    """What TensorFlow says, as lists by output name."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(models / name / "saved_model"))
    tensors = {key: tf.constant(value) for key, value in inputs.items()}
    return {key: value.numpy().tolist() for key, value in loaded.signatures[signature](**tensors).items()}


# --- what it answers --------------------------------------------------------------------------------------------------------


def test_bare_values_and_objects_answer_alike(models, load):
    rows = [[1.0, 2.0], [0.5, -4]]
    expected = oracle(models, "linear", "only", x=np.array(rows, np.float32))["y"]
    predictor = load("linear")
    assert predictor.predict(rows) == expected
    assert predictor.predict([{"x": row} for row in rows]) == expected
    assert expected == [8.0, -11.0]


def test_several_inputs_and_outputs(models, load):
    expected = oracle(models, "mixed", text=["é", "b"], count=np.array([1, 2]))
    predictions = load("mixed").predict([{"text": "é", "count": 1}, {"text": {"b64": "Yg=="}, "count": 2.0}])
    assert [row["label"].encode() for row in predictions] == expected["label"]
    assert [row["twice"] for row in predictions] == expected["twice"]
    assert [row["raw_bytes"] for row in predictions] == [{"b64": "ww=="}, {"b64": "Yg=="}]
    json.dumps(predictions)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_there_and_back(load, dtype):
    sent = {"string": ["a", "é"], "bool": [True, False]}.get(dtype, [1, 2.5] if "float" in dtype else [0, 127])
    got = load("identities").predict(sent, signature_name=dtype)
    assert got == sent
    assert [type(value) for value in got] == [type(float(value)) if "float" in dtype else type(value) for value in sent]


def test_unknown_dimensions(models, load):
    rows = [[[1.0, 2.0, 3.0]], [[4.0, 5.0, 6.0]]]
    expected = oracle(models, "ragged_sizes", x=np.array(rows, np.float32))
    predictions = load("ragged_sizes").predict(rows)
    assert [row["mean"] for row in predictions] == pytest.approx(expected["mean"])
    assert [row["shape"] for row in predictions] == [[2, 1, 3]] * 2
    assert load("unknown_rank").predict([[[1.0]], [[2.0]]]) == [3, 3]


def test_keras_export(models, load):
    rows = [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]
    expected = next(iter(oracle(models, "keras", features=np.array(rows, np.float32)).values()))
    np.testing.assert_allclose(load("keras").predict(rows), expected, rtol=1e-6)


def test_tables_and_their_files(load):
    assert load("lookup").predict(["two", "zero", "many"]) == [2, 0, -1]


def test_tensorflow_1_export_with_names_that_are_no_python_names(load):
    assert load("tensorflow1").predict([{"in/left": [5, 1], "right-1": [1, 1]}]) == [[12.0, 0.0]]


def test_nan_and_infinity_pass_through(load):
    assert load("several").predict([math.inf, -math.inf]) == [math.inf, -math.inf]
    assert math.isnan(load("several").predict([math.nan])[0])


def test_one_instance_that_the_graph_squeezed_is_one_row(load):
    """As in tf_prediction_lib.py of gcloud 528.0.0, which gives an output without dimensions one."""
    assert load("squeezed").predict([4]) == [8.0]
    assert load("unbatched").predict([4]) == [4.0]


def test_no_instances_no_predictions(load):
    assert load("linear").predict([]) == []
    assert load("fixed_batch").predict([]) == []


def test_answers_from_several_threads_at_once(load):
    predictor = load("linear")
    requests = [[[float(number), float(row)] for row in range(number % 7 + 1)] for number in range(200)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(predictor.predict, requests))
    assert answers == [[2 * left + 3 * right for left, right in request] for request in requests]


# --- which signature --------------------------------------------------------------------------------------------------------


def test_the_only_signature_whatever_its_name(load):
    assert load("linear").predict([[1, 1]], signature_name=None) == [5.0]


def test_serving_default_among_several(load):
    assert load("several").predict([1]) == [2.0]
    assert load("several").predict([1], signature_name="") == [2.0]


def test_the_request_chooses(load):
    assert load("several").predict([1], signature_name="negated") == [-1.0]


def test_the_class_and_over_it_routine_yaml_choose(models, load, tmp_path):
    class Minus(SavedModelPredictor):
        signature = "minus"

    assert load("unnamed", Minus).predict([1]) == [-1.0]
    shutil.copytree(models / "unnamed", tmp_path / "model")
    (tmp_path / "model" / "cpr_routine.json").write_text('{"signature": "plus"}')
    assert Minus.from_path(str(tmp_path / "model")).predict([1]) == [2.0]
    assert Minus.from_path(str(tmp_path / "model")).predict([1], signature_name="minus") == [-1.0]


def test_none_to_choose_by_rule(load):
    predictor = load("unnamed")
    for name in (None, ""):  # the platform takes an empty name for none
        with pytest.raises(RequestError, match="none is called serving_default: minus, plus") as caught:
            predictor.predict([1], signature_name=name)
        assert "signature_name" in caught.value.remedy
    assert predictor.predict([1], signature_name="plus") == [2.0]


@pytest.mark.parametrize("name", ["absent", 3, ["plus"], {}])
def test_a_name_that_is_none(load, name):
    with pytest.raises(RequestError, match=r"has no signature .*; it has minus, plus"):
        load("unnamed").predict([1], signature_name=name)


def test_a_default_that_is_not_there_fails_at_once(load):
    class Absent(SavedModelPredictor):
        signature = "absent"

    with pytest.raises(ModelError, match="no signature 'absent'; it has minus, plus"):
        load("unnamed", Absent)


def test_tags_choose_the_meta_graph(load):
    class Gpu(SavedModelPredictor):
        tags = ("serve", "gpu")

    class Serve(SavedModelPredictor):
        tags = ("serve",)

    assert load("tensorflow1_tags", Gpu).predict([1]) == [11.0]
    assert load("tensorflow1_tags", Serve).predict([1]) == [10.0]
    assert load("tensorflow1_tags").predict([1]) == [10.0]  # as the platform
    with pytest.raises(ModelError, match="none with the tag serve alone; the tags are: train; gpu, train") as caught:
        load("tensorflow1_other_tags")
    assert "tags in routine.yaml" in caught.value.remedy


def test_one_tag_may_be_written_as_text(load):
    class Serve(SavedModelPredictor):
        tags = "serve"

    assert load("tensorflow1_tags", Serve).predict([1]) == [10.0]


# --- what it refuses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "instances", "message"),
    [
        ("linear", [[1, 2], ["1", 2]], "instances[1], input 'x': the text '1' where float32"),
        ("linear", [[1, 2, 3]], "its shape is [3] where [2]"),
        ("linear", [{"x": [1, 2], "y": 1}], "has the key 'y'"),
        ("mixed", [{"text": "a", "count": 1.5}], "1.5 is not a whole number"),
        ("mixed", [{"text": "a"}], "no value for the input 'count'"),
        ("fixed_batch", [1], "takes exactly 2 instances"),
        ("tensorflow1_sparse", [[1, 2]], "the signature has 3 inputs: 'x_dense_shape', 'x_indices', 'x_values'"),
        ("parsing", ["1", "one"], "The model refused the instances: StringToNumberOp could not correctly convert string: one"),
        ("linear", "text", "instances is a str"),
        ("linear", {"x": [1, 2]}, "instances is a dict"),
    ],
)
def test_requests_that_do_not_fit(load, model, instances, message):
    with pytest.raises(RequestError) as caught:
        load(model).predict(instances)
    assert message in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("model", "instances", "message"),
    [
        ("unbatched", [1, 2], "'total' has the shape [] for 2 instances"),
        ("not_text", ["_w"], "not UTF-8"),
        ("scalar_input", [{"x": 1, "rate": 2}], "'rate' is a scalar"),
    ],
)
def test_models_that_cannot_answer(load, model, instances, message):
    with pytest.raises(ModelError) as caught:
        load(model).predict(instances)
    assert message in caught.value.message
    assert caught.value.remedy


def test_a_model_without_a_signature(load):
    with pytest.raises(ModelError, match="has no signature"):
        load("without_signature")


@pytest.mark.parametrize("damage", ["graph", "weights"])
def test_a_damaged_model(models, tmp_path, damage):
    shutil.copytree(models / "linear", tmp_path / "model")
    if damage == "graph":
        (tmp_path / "model/saved_model/saved_model.pb").write_bytes(b"\xff" * 100)
    else:
        shutil.rmtree(tmp_path / "model/saved_model/variables")
    cause = {"graph": r"saved_model\.pb is cut or altered", "weights": "variables/ is missing"}[damage]
    with pytest.raises(ModelError, match=r"The SavedModel .* cannot be loaded: " + cause) as caught:
        SavedModelPredictor.from_path(str(tmp_path / "model"))
    assert "\n" not in caught.value.message


# --- what an author adds ----------------------------------------------------------------------------------------------------


class Halved(SavedModelPredictor):
    def load(self):
        self.calls = [self.model_dir]

    def preprocess(self, instances, *, half=False, **kwargs):
        self.calls.append(kwargs)
        return [[value / 2 if half else value for value in row] for row in instances]

    def postprocess(self, predictions, *, unit="m", **kwargs):
        self.calls.append(kwargs)
        return [f"{value} {unit}" for value in predictions]


def test_hooks_get_the_other_keys_of_the_request(models, load):
    predictor = load("linear", Halved)
    assert predictor.predict([[2, 4]], half=True, unit="km", stats=object()) == ["8.0 km"]
    assert predictor.calls == [
        str(models / "linear"),
        {"signature_name": "only", "unit": "km"},
        {"signature_name": "only", "half": True},
    ]


@pytest.mark.parametrize(
    "prepared",
    [
        np.array([[1, 2], [3, 4]]),
        {"x": np.array([[1.0, 2.0], [3.0, 4.0]])},
        {"x": [[1, 2], [3, 4]]},
        ([1, 2], [3, 4]),
        [np.array([1, 2]), np.array([3, 4])],
        [[np.float64(1), 2], [np.int8(3), np.float16(4)]],
        lambda: __import__("tensorflow").constant([[1, 2], [3, 4]]),
    ],
)
def test_preprocess_may_return_rows_or_arrays(load, prepared):
    class Prepared(SavedModelPredictor):
        def preprocess(self, instances, **kwargs):
            return prepared() if callable(prepared) else prepared

    assert load("linear", Prepared).predict([0, 0]) == [8.0, 18.0]


def test_preprocess_may_feed_a_scalar(load):
    class Rate(SavedModelPredictor):
        def preprocess(self, instances, **kwargs):
            return {"x": np.array(instances), "rate": 0.5}

    assert load("scalar_input", Rate).predict([2, 4]) == [1.0, 2.0]


def test_preprocess_may_feed_a_sparse_input(load):
    class Sparse(SavedModelPredictor):
        def preprocess(self, instances, **kwargs):
            return {"x_dense_shape": [3, 2], "x_indices": [[0, 0], [0, 1], [2, 1]], "x_values": [1, 2, 4]}

    assert load("tensorflow1_sparse", Sparse).predict([0, 0, 0]) == [3.0, 0.0, 4.0]


def test_preprocess_that_returns_nothing(load):
    class Forgetful(SavedModelPredictor):
        def preprocess(self, instances, **kwargs):
            pass

    with pytest.raises(PredictorError, match="preprocess returned null"):
        load("linear", Forgetful).predict([1])


def test_made_without_from_path():
    with pytest.raises(PredictorError, match="has no model yet"):
        SavedModelPredictor().predict([1])


def test_predict_has_what_the_service_counts():
    spec = inspect.getfullargspec(SavedModelPredictor.predict)
    assert spec.args == ["self", "instances"]
    assert spec.varkw == "kwargs"


def test_relative_model_directory(models, monkeypatch):
    monkeypatch.chdir(models)
    predictor = SavedModelPredictor.from_path("linear")
    assert predictor.model_dir == str(models / "linear")
