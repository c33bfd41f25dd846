"""SavedModels whose names, tags and method names were wrong; TensorFlow's two loaders say whether the export is right."""

import shutil

import pytest
from support import export_sources
from support.export_sources import answers
from support.replaying import REPOSITORY

import cpr
from cpr.errors import ModelError, OutputError, UsageError
from cpr.saved_model import read_saved_model
from cpr.saved_model.checkpoint import read_checkpoint_index

pytestmark = pytest.mark.xdist_group("tensorflow")

EXPORTS = REPOSITORY / "sample_models" / "add_two" / "exports"
GIVEN = {"x": [1.0, 2.0]}


@pytest.mark.parametrize("way", ["builder", "estimator", "module", "keras2", "keras3"])
def test_every_kind_of_export_with_other_names(way, tmp_path):
    old = "predict" if way == "builder" else "serving_default"
    others = [key for key in read_saved_model(EXPORTS / way).meta_graphs[0].callable_signatures if key != old]
    exported = cpr.export(
        EXPORTS / way,
        tmp_path / "model",
        rename_signatures={old: "add"},
        rename_inputs={"x": "number"},
        rename_outputs={"y": "sum"},
    )
    assert answers(tmp_path / "model", "add", {"number": [1.0, 2.0]})["sum"].tolist() == [3.0, 4.0]
    assert sorted(exported.model.meta_graphs[0].callable_signatures) == sorted(["add", *others])
    assert {(each.signature, each.requests) for each in exported.compared} == {(key, 3) for key in ["add", *others]}
    assert cpr.inspect(tmp_path / "model").findings == cpr.inspect(EXPORTS / way).findings
    assert not (tmp_path / "model" / "fingerprint.pb").exists(), "it would be that of another graph"


@pytest.mark.parametrize("sample", ["add_two", "digits_png", "docstrings", "iris"])
def test_every_sample_answers_its_examples_under_other_names(sample, tmp_path):
    folder = REPOSITORY / "sample_models" / sample / "model" / "saved_model"
    inputs = {name: f"{name}_2" for name in read_saved_model(folder).meta_graphs[0].signatures["serving_default"].inputs}
    exported = cpr.export(folder, tmp_path / "model", rename_signatures={"serving_default": "score"}, rename_inputs=inputs)
    ((signature, requests),) = [(each.signature, each.requests) for each in exported.compared]
    assert signature == "score" and requests >= 1
    assert {finding.severity.value for finding in exported.findings} <= {"note"}


def test_a_model_whose_optimizer_cannot_be_restored(tmp_path):
    source = REPOSITORY / "tests" / "support" / "old_optimizer" / "saved_model"
    import tensorflow as tf

    with pytest.raises(AttributeError, match="add_slot"):
        tf.saved_model.load(str(source))
    exported = cpr.export(source, tmp_path / "model")
    assert exported.notes == ("the optimizer was taken out of the objects: with it they cannot be restored",)
    assert [each.requests for each in exported.compared] == [3]
    tf.saved_model.load(str(tmp_path / "model"))


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [({"a": "z"}, {}), ({"a": "b", "b": "a"}, {"y": "z", "z": "y"}), ({"b": "0"}, {"y": "zz"})],
)
def test_names_that_sort_otherwise_still_mean_the_same(inputs, outputs, two_inputs, tmp_path):
    cpr.export(two_inputs, tmp_path / "model", signature="other", rename_inputs=inputs, rename_outputs=outputs)
    given = {inputs.get("a", "a"): [1.0], inputs.get("b", "b"): [5.0]}
    found = answers(tmp_path / "model", "other", given)
    assert found == {outputs.get("y", "y"): [-9.0], outputs.get("z", "z"): [15.0]}
    assert answers(tmp_path / "model", "serving_default", {"a": [1.0], "b": [5.0]}) == {"y": [-9.0], "z": [15.0]}


def test_two_signatures_change_places(two_inputs, tmp_path):
    cpr.export(two_inputs, tmp_path / "model", rename_signatures={"other": "serving_default", "serving_default": "other"})
    assert answers(tmp_path / "model", "other", {"a": [1.0], "b": [5.0]}) == {"y": [-9.0], "z": [15.0]}


def edited(path, tmp_path, edit):
    """A copy whose MetaGraph was edited as only a protobuf can be."""
    from tensorflow.core.protobuf import saved_model_pb2

    copy = shutil.copytree(path, tmp_path / "edited")
    model = saved_model_pb2.SavedModel.FromString((copy / "saved_model.pb").read_bytes())
    edit(model.meta_graphs[0])
    (copy / "saved_model.pb").write_bytes(model.SerializeToString())
    return copy


def test_tags_and_method_names_that_are_missing(tmp_path):
    def edit(graph):
        graph.meta_info_def.ClearField("tags")
        graph.signature_def["serving_default"].method_name = ""

    exported = cpr.export(edited(EXPORTS / "module", tmp_path, edit), tmp_path / "model")
    assert answers(tmp_path / "model", "serving_default", GIVEN)["y"].tolist() == [3.0, 4.0]
    assert exported.model.meta_graphs[0].signatures["serving_default"].method_name == "tensorflow/serving/predict"
    assert exported.notes == (
        "tags: serve (were missing)",
        "method name of serving_default: tensorflow/serving/predict (was missing)",
    )


def test_a_graph_for_training_is_not_taken_for_one_to_serve(tmp_path):
    source = edited(EXPORTS / "module", tmp_path, lambda graph: graph.meta_info_def.tags.__setitem__(slice(None), ["train"]))
    with pytest.raises(ModelError, match="tags train") as caught:
        cpr.export(source, tmp_path / "model")
    assert "--tags serve" in caught.value.remedy
    assert list(tmp_path.iterdir()) == [source], "nothing half-written"
    cpr.export(source, tmp_path / "model", tags="serve")
    assert answers(tmp_path / "model", "serving_default", GIVEN)["y"].tolist() == [3.0, 4.0]


def parsing(v, examples):
    import tensorflow as tf

    row = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([], tf.float32)})
    return {"probability": tf.nn.sigmoid(row["x"] * v)}


def test_a_signature_that_parses_examples_becomes_one_to_classify(tmp_path):
    import tensorflow as tf

    export_sources.save(tmp_path / "source", {"serving_default": (parsing, {"examples": ([None], "string")})})
    exported = cpr.export(tmp_path / "source", tmp_path / "model", method="classify")
    signature = exported.model.meta_graphs[0].signatures["serving_default"]
    assert signature.method_name == "tensorflow/serving/classify"
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[0.0]))
    message = tf.train.Example(features=tf.train.Features(feature={"x": feature})).SerializeToString()
    assert answers(tmp_path / "model", "serving_default", {"inputs": [message]}) == {"scores": [0.5]}


def test_what_is_wrong_is_told_with_what_to_add(tmp_path):
    def told(kind, **asked):
        with pytest.raises(kind) as caught:
            cpr.export(EXPORTS / "module", tmp_path / "model", **asked)
        assert not (tmp_path / "model").exists()
        return f"{caught.value.message} {caught.value.remedy}"

    assert "Did you mean 'serving_default'?" in told(UsageError, signature="serving_defualt")
    assert "there are: x" in told(UsageError, rename_inputs={"q": "r"})
    assert "there are: serving_default" in told(UsageError, rename_signatures={"q": "r"})
    assert "takes x (float32)" in told(ModelError, method="classify")
    assert "predict, classify, regress" in told(UsageError, method="guess")
    assert "--rename-input" in told(UsageError, outputs={"y": "q"})
    assert "--constant has no meaning for a SavedModel" in told(UsageError, constants={"x:0": 1})
    assert "--checkpoint has no meaning for a SavedModel" in told(UsageError, checkpoint="newest")


def test_only_what_serving_reads_is_copied_and_nothing_is_replaced(tmp_path):
    source = shutil.copytree(EXPORTS / "module", tmp_path / "source")
    (source / "events.out.tfevents.1").write_bytes(b"")
    (source / "variables" / "variables.data-00000-of-00007").write_bytes(b"stale")
    cpr.export(source, tmp_path / "model")
    names = {path.name for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert names == {"saved_model.pb", "variables.index", "variables.data-00000-of-00001", "fingerprint.pb"}
    index = [read_checkpoint_index(path / "variables" / "variables.index").variables for path in (source, tmp_path / "model")]
    assert index[0] == index[1]
    with pytest.raises(OutputError, match="already"):
        cpr.export(source, tmp_path / "model")
    cpr.export(source, tmp_path / "model", rename_inputs={"x": "q"}, overwrite=True)
    assert answers(tmp_path / "model", "serving_default", {"q": [1.0]})["y"].tolist() == [3.0]


def test_a_graph_without_signatures_gets_one_of_its_tensors(tmp_path):
    source = edited(EXPORTS / "builder", tmp_path, lambda graph: graph.signature_def.clear())
    with pytest.raises(ModelError, match="no signature") as caught:
        cpr.export(source, tmp_path / "model")
    assert "--input NAME=TENSOR" in caught.value.remedy
    cpr.export(source, tmp_path / "model", inputs={"x": "x"}, outputs={"y": "y"})
    assert answers(tmp_path / "model", "serving_default", GIVEN)["y"].tolist() == [3.0, 4.0]


def test_a_restored_module_without_signatures_gets_one_of_its_functions(tmp_path):
    import tensorflow as tf

    module = tf.Module()
    module.two = tf.Variable(2.0)
    module.add = tf.function(lambda x: x + module.two, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    module.less = tf.function(lambda x: x - module.two, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    tf.saved_model.save(module, str(tmp_path / "source"))
    with pytest.raises(ModelError) as caught:
        cpr.export(tmp_path / "source", tmp_path / "model")
    assert "it has add, less" in caught.value.remedy
    cpr.export(tmp_path / "source", tmp_path / "model", function="add", rename_outputs={"output_0": "y"})
    assert answers(tmp_path / "model", "serving_default", GIVEN)["y"].tolist() == [3.0, 4.0]


def test_an_example_that_fits_nothing_is_told(tmp_path):
    (tmp_path / "examples.jsonl").write_text('{"instances": [1.0]}\n{"instances": [{"q": 1.0}]}\n')
    with pytest.raises(ModelError, match="line 2 fits no signature"):
        cpr.export(EXPORTS / "module", tmp_path / "model", examples=tmp_path / "examples.jsonl")


def test_answers_that_differ_from_the_sources_are_refused(tmp_path):
    import tensorflow as tf

    export_sources.save(
        tmp_path / "source",
        {"serving_default": (lambda v, x: {"y": x * v + tf.random.uniform([])}, {"x": ([None], "float32")})},
    )
    with pytest.raises(ModelError, match="does not answer as its source does"):
        cpr.export(tmp_path / "source", tmp_path / "model")
    assert not (tmp_path / "model").exists()


def fixed(path, outputs):
    """A SavedModel of TensorFlow 1 that takes two rows at a time, with a variable."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [2, 3], "x")
        weights = v1.get_variable("w", initializer=[1.0, 2.0, 3.0])
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), {"x": x}, outputs(x, weights))
    return path


def test_the_batch_of_a_graph_is_freed(tmp_path):
    source = fixed(tmp_path / "source", lambda x, w: {"y": x * w})
    exported = cpr.export(source, tmp_path / "model")
    assert exported.notes == ("batch: free, was fixed to 2",)
    found = answers(tmp_path / "model", "serving_default", {"x": [[1.0, 1.0, 1.0]] * 3})
    assert found["y"].tolist() == [[1.0, 2.0, 3.0]] * 3


def test_the_batch_of_a_graph_whose_rows_depend_on_each_other_stays(tmp_path):
    source = fixed(tmp_path / "source", lambda x, w: {"y": x * w - x[::-1]})
    with pytest.raises(ModelError, match="CPR651") as caught:
        cpr.export(source, tmp_path / "model")
    assert "serving_default: the rows of y would depend on each other" in caught.value.remedy
    cpr.export(source, tmp_path / "model", keep_batch=True)
    found = answers(tmp_path / "model", "serving_default", {"x": [[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]})
    assert found["y"].tolist() == [[1.0, 2.0, 3.0], [-1.0, -1.0, -1.0]]
