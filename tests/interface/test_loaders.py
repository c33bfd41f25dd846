"""The two loaders behind one model: the same signatures, the same answers, and which of them is taken when."""

import concurrent.futures
import gc
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from support.carried_dtypes import DTYPES
from support.command import cpr, give_up_reading_everything

from cpr.errors import ModelError, RequestError
from cpr.interface import SavedModelPredictor, _tensorflow
from cpr.interface._failures import run_error
from cpr.interface.rows import to_rows, to_tensors

pytestmark = pytest.mark.xdist_group("tensorflow")

ANSWERS = {
    "linear": ("only", [[1.0, 2.0], [0.5, -4]], [8.0, -11.0]),
    "mixed": (
        "serving_default",
        [{"text": "é", "count": 2**40}, {"text": {"b64": "Yg=="}, "count": 2}],
        [
            {"label": f"é:{2**40}", "raw_bytes": {"b64": "ww=="}, "twice": 2**41},
            {"label": "b:2", "raw_bytes": {"b64": "Yg=="}, "twice": 4},
        ],
    ),
    "several": ("negated", [1, -2.5], [-1.0, 2.5]),
    "ragged_sizes": (
        "serving_default",
        [[[1, 2, 3]], [[4, 5, 6]]],
        [{"mean": 2.0, "shape": [2, 1, 3]}, {"mean": 5.0, "shape": [2, 1, 3]}],
    ),
    "unknown_rank": ("serving_default", [[[1.0]], [[2.0]]], [3, 3]),
    "fixed_batch": ("serving_default", [1, 2], [2.0, 4.0]),
    "lookup": ("serving_default", ["two", "zero", "many"], [2, 0, -1]),
    "old_optimizer": ("serving_default", [[1, 2, 3], [0, 0, 0]], [[13.0, 13.0], [1.0, 1.0]]),
    "squeezed": ("serving_default", [4], [8.0]),
    "tensorflow1": ("serving_default", [{"in/left": [5, 1], "right-1": [1, 1]}], [[12.0, 0.0]]),
    "tensorflow1_references": ("serving_default", [1, 2], [3.0, 6.0]),
    "tensorflow1_table": ("serving_default", ["two", "zero", "many"], [2, 0, -1]),
    "tensorflow1_text": ("serving_default", [1, 2], [10.0, 20.0]),
    "tensorflow1_tags": ("serving_default", [1, 2], [10.0, 20.0]),
    "tensorflow1_unfed": ("serving_default", [1, 2], [2.0, 3.0]),
}
NO_OBJECTS = {"old_optimizer", "tensorflow1_unfed"}
"""What tf.saved_model.load refuses."""


def load(models, name, **options):
    return _tensorflow.load(str(models / name / "saved_model"), **options)


def answer(model, signature, rows):
    chosen = model.signatures[signature]
    return to_rows(chosen.run(to_tensors(rows, chosen.inputs, len(rows))), len(rows))


@pytest.mark.parametrize("loader", ["auto", "object", "session"])
@pytest.mark.parametrize("name", ANSWERS)
def test_each_loader_answers_the_same(models, name, loader):
    signature, rows, expected = ANSWERS[name]
    if loader == "object" and name in NO_OBJECTS:
        with pytest.raises(ModelError, match="cannot load the SavedModel"):
            load(models, name, loader=loader)
        return
    model = load(models, name, loader=loader)
    assert answer(model, signature, rows) == expected
    assert model.loader == (loader if loader != "auto" else "session" if name in NO_OBJECTS else "object")
    assert bool(model.reason) == (loader == "auto" and name in NO_OBJECTS)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_passes_through_a_session(models, dtype):
    sent = {"string": ["a", "é"], "bool": [True, False]}.get(dtype, [1, 2.5] if "float" in dtype else [0, 127])
    got = answer(load(models, "identities", loader="session"), dtype, sent)
    assert got == sent
    assert [type(value) for value in got] == [type(float(value)) if "float" in dtype else type(value) for value in sent]


@pytest.mark.parametrize(
    "name", sorted({*ANSWERS} - NO_OBJECTS | {"identities", "keras", "scalar_input", "tensorflow1_sparse", "ragged"})
)
def test_both_loaders_tell_the_same_signatures(models, name):
    told = []
    for loader in ("object", "session"):
        signatures = load(models, name, loader=loader).signatures
        told.append(
            {key: (each.name, each.inputs, [output[:2] for output in each.outputs]) for key, each in signatures.items()}
        )
    assert told[0] == told[1]


def test_keras_3_answers_the_same_from_both(models):
    rows = [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]
    answers = [answer(load(models, "keras", loader=loader), "serving_default", rows) for loader in ("object", "session")]
    np.testing.assert_allclose(*answers, rtol=1e-6)


def test_a_sparse_input_of_tensorflow_1_is_fed_by_its_parts_in_both(models):
    feeds = {
        "x_dense_shape": np.array([3, 2]),
        "x_indices": np.array([[0, 0], [0, 1], [2, 1]]),
        "x_values": np.float32([1, 2, 4]),
    }
    for loader in ("object", "session"):
        outputs = load(models, "tensorflow1_sparse", loader=loader).signatures["serving_default"].run(feeds)
        assert outputs["y"].tolist() == [3.0, 0.0, 4.0]


def test_a_ragged_output_is_refused_by_both_and_its_input_fed_by_its_parts(models):
    for loader in ("object", "session"):
        signatures = load(models, "ragged", loader=loader).signatures
        arrays = [np.float32([1, 2, 3]), np.array([0, 2, 2, 3])]
        feeds = {tensor.name: array for tensor, array in zip(signatures["total"].inputs, arrays, strict=True)}
        assert signatures["total"].run(feeds)["y"].tolist() == [3.0, 0.0, 3.0]
        with pytest.raises(ModelError, match="'y' is a RaggedTensor"):
            signatures["twice"].run(feeds)


# --- which loader, which MetaGraph ------------------------------------------------------------------------------------------


def test_the_objects_of_an_old_optimizer_are_the_reason_for_a_session(models):
    assert "add_slot" in load(models, "old_optimizer").reason
    with pytest.raises(ModelError, match="add_slot") as caught:
        load(models, "old_optimizer", loader="object")
    assert "session" in caught.value.remedy


def test_a_predictor_needs_no_objects(models):
    predictor = SavedModelPredictor.from_path(str(models / "old_optimizer"))
    assert predictor.predict([[1, 2, 3]]) == [[13.0, 13.0]]


def test_there_is_no_other_loader(models):
    with pytest.raises(ModelError, match="no loader 'fast'"):
        load(models, "linear", loader="fast")


@pytest.mark.parametrize("loader", ["object", "session"])
def test_tags_choose_the_same_meta_graph_in_both(models, loader):
    for name in ("tensorflow1_tags", "tensorflow1_text"):
        assert answer(load(models, name, loader=loader, tags=("gpu", "serve")), "serving_default", [1]) == [11.0]
        assert answer(load(models, name, loader=loader, tags="serve"), "serving_default", [1]) == [10.0]
        assert answer(load(models, name, loader=loader), "serving_default", [1]) == [10.0]  # as the platform: serve alone
    with pytest.raises(ModelError, match="exactly the tags gpu; the tags are: serve; serve, gpu"):
        load(models, "tensorflow1_tags", loader=loader, tags=("gpu",))
    with pytest.raises(ModelError, match="2 MetaGraphs and none with the tag serve alone; the tags are: train; gpu, train"):
        load(models, "tensorflow1_other_tags", loader=loader)


def test_a_damaged_text_form_is_told(models, tmp_path):
    shutil.copytree(models / "tensorflow1_text" / "saved_model", tmp_path / "m")
    (tmp_path / "m" / "saved_model.pbtxt").write_text("meta_graphs {")
    with pytest.raises(ModelError, match=r"cannot be read: .*saved_model\.pbtxt"):
        _tensorflow.load(str(tmp_path / "m"))


WITHOUT_EAGER = """
import sys
import tensorflow as tf
tf.compat.v1.disable_v2_behavior()
from cpr.interface import SavedModelPredictor
predictor = SavedModelPredictor.from_path(sys.argv[1])
print(predictor._model.loader, predictor.predict([[1, 2]]))
"""


def test_a_routine_that_switches_tensorflow_2_off_gets_a_session(models):
    command = [sys.executable, "-c", WITHOUT_EAGER, str(models / "linear")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout == "session [8.0]\n", done.stderr


# --- a session --------------------------------------------------------------------------------------------------------------


def test_a_session_answers_several_threads_at_once(models):
    signature = load(models, "tensorflow1_references", loader="session").signatures["serving_default"]
    gc.collect()  # the signature alone keeps its session
    arrays = [np.arange(number % 7 + 1, dtype=np.float32) + number for number in range(400)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda array: signature.run({"x": array})["y"], arrays))
    for array, got in zip(arrays, answers, strict=True):
        np.testing.assert_array_equal(got, array * 3)


def test_a_closed_session_says_so(models):
    model = load(models, "tensorflow1", loader="session")
    model.close()
    model.close()
    with pytest.raises(ModelError, match="was closed"):
        answer(model, "serving_default", [{"in/left": [5, 1], "right-1": [1, 1]}])


def test_a_graph_in_a_session_can_no_longer_change(models):
    assert load(models, "tensorflow1", loader="session").session.graph.finalized


def test_what_a_graph_refuses_is_the_callers_fault_in_both(models):
    for loader in ("object", "session"):
        with pytest.raises(RequestError, match="The model refused the instances: StringToNumberOp could not correctly"):
            answer(load(models, "parsing", loader=loader), "serving_default", ["1", "one"])


def test_a_placeholder_that_nobody_feeds_is_the_models_fault(models):
    with pytest.raises(ModelError, match="signature 'rated': You must feed a value for placeholder tensor 'rate'") as caught:
        answer(load(models, "tensorflow1_unfed"), "rated", [1])
    assert "placeholder_with_default" in caught.value.remedy


def test_an_operation_without_a_kernel_is_named(models):
    for loader in ("object", "session"):
        signature = load(models, "refusing", loader=loader).signatures["kernel"]
        with pytest.raises(ModelError, match="The signature 'kernel' cannot run: its operation CudnnRNN has no kernel"):
            signature.run({"x": np.zeros([1, 1, 4], np.float32)})


def test_the_other_words_for_a_missing_kernel_are_known_too():
    import tensorflow as tf

    x, weights = tf.zeros([1, 1, 4]), tf.zeros([200])
    with pytest.raises(tf.errors.OpError, match="Could not find device for node") as caught:
        tf.raw_ops.CudnnRNN(input=x, input_h=x, input_c=x, params=weights, rnn_mode="lstm", is_training=False)
    assert "The graph cannot run: its operation CudnnRNN has no kernel" in run_error(tf, "the graph", caught.value).message


def test_loading_says_nothing(models):
    loop = "[t.load(path, loader=kind) for path in sys.argv[1:] for kind in ('object', 'session')]"
    code = "import sys; from cpr.interface import _tensorflow as t; " + loop
    paths = [str(models / name / "saved_model") for name in ("tensorflow1_references", "linear")]
    done = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "reference variable" not in done.stderr and "deprecated" not in done.stderr


# --- what is wrong with the files -------------------------------------------------------------------------------------------

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
SHARD = "variables/variables.data-00000-of-00001"
INDEX = "variables/variables.index"

DAMAGES = {
    "no folder": (lambda model, other: shutil.rmtree(model / "variables"), "variables/ is missing"),
    "no index": (lambda model, other: (model / INDEX).unlink(), f"{INDEX} is missing"),
    "no shard": (lambda model, other: (model / SHARD).unlink(), f"{SHARD} is missing"),
    "pointer for a shard": (lambda model, other: (model / SHARD).write_bytes(POINTER), f"{SHARD} is a Git LFS pointer"),
    "pointer for the index": (lambda model, other: (model / INDEX).write_bytes(POINTER), f"{INDEX} is a Git LFS pointer"),
    "short shard": (lambda model, other: (model / SHARD).write_bytes(b"\0"), "a file of weights is shorter than"),
    "empty shard": (lambda model, other: (model / SHARD).write_bytes(b""), "a file of weights is shorter than"),
    "cut index": (lambda model, other: (model / INDEX).write_bytes((model / INDEX).read_bytes()[:20]), f"{INDEX} is cut"),
    "altered shard": (lambda model, other: flip(model / SHARD), "a checksum in variables/ differs"),
    "foreign weights": (
        lambda model, other: replace(model / "variables", other / "variables"),
        "the weights are of another model",
    ),
}


def flip(path):
    data = bytearray(path.read_bytes())
    data[1] ^= 1
    path.write_bytes(data)


def replace(folder, by):
    shutil.rmtree(folder)
    shutil.copytree(by, folder)


WEIGHTS = [
    (name, loader) for name in ("linear", "tensorflow1", "tensorflow1_references") for loader in ("auto", "object", "session")
]
WEIGHTS += [("old_optimizer", "auto"), ("old_optimizer", "session")]  # its objects fail before the weights are read


@pytest.mark.parametrize(("name", "loader"), WEIGHTS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_told_by_their_cause(models, tmp_path, name, damage, loader):
    harm, expected = DAMAGES[damage]
    shutil.copytree(models / name / "saved_model", tmp_path / "m")
    harm(tmp_path / "m", models / ("lookup" if name != "tensorflow1" else "linear") / "saved_model")
    with pytest.raises(ModelError) as caught:
        _tensorflow.load(str(tmp_path / "m"), loader=loader)
    assert expected in caught.value.message
    assert str(tmp_path / "m") in caught.value.message and "\n" not in caught.value.message
    assert "add_slot" not in caught.value.message
    assert (
        "git lfs pull" in caught.value.remedy if "pointer" in damage else "copy its whole folder again" in caught.value.remedy
    )


@pytest.mark.parametrize("file", [INDEX, SHARD])
def test_a_pipe_among_the_weights_is_not_waited_for(models, tmp_path, file):
    shutil.copytree(models / "linear" / "saved_model", tmp_path / "m")
    (tmp_path / "m" / file).unlink()
    os.mkfifo(tmp_path / "m" / file)
    with pytest.raises(ModelError, match=f"{file} is no file but a pipe"):
        _tensorflow.load(str(tmp_path / "m"))


def test_weights_that_may_not_be_read_are_told(models, tmp_path):
    shutil.copytree(models / "linear" / "saved_model", tmp_path / "m")
    (tmp_path / "m" / SHARD).chmod(0)
    ran = cpr("predict", tmp_path / "m", "--check", preexec=give_up_reading_everything)
    assert ran.status == 1
    assert f"{SHARD} may not be read" in ran.err and "permissions" in ran.err


@pytest.mark.parametrize("name", ["lookup", "tensorflow1_table"])
@pytest.mark.parametrize("loader", ["auto", "object", "session"])
def test_a_missing_asset_is_named(models, tmp_path, name, loader):
    shutil.copytree(models / name / "saved_model", tmp_path / "m")
    (asset,) = (tmp_path / "m" / "assets").iterdir()
    asset.unlink()
    with pytest.raises(ModelError) as caught:
        _tensorflow.load(str(tmp_path / "m"), loader=loader)
    assert f"the file {asset} is missing" in caught.value.message


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "empty"), (b"\xff" * 100, "cut or altered"), (POINTER, "a Git LFS pointer")]
)
def test_a_damaged_graph_file_is_told(models, tmp_path, content, what):
    shutil.copytree(models / "linear" / "saved_model", tmp_path / "m")
    (tmp_path / "m" / "saved_model.pb").write_bytes(content)
    with pytest.raises(ModelError, match=rf"saved_model\.pb is {what}"):
        _tensorflow.load(str(tmp_path / "m"))


def test_a_graph_file_damaged_behind_its_tags_is_told(models, tmp_path):
    shutil.copytree(models / "linear" / "saved_model", tmp_path / "m")
    path = tmp_path / "m" / "saved_model.pb"
    data = path.read_bytes()
    assert b"\x12\x06MatMul" in data  # field 2 of a node, of six bytes
    path.write_bytes(data.replace(b"\x12\x06MatMul", b"\x12\x7fMatMul"))
    with pytest.raises(ModelError, match="its graph file is cut or altered"):
        _tensorflow.load(str(tmp_path / "m"))


def test_an_operation_that_this_tensorflow_lacks_is_named(models, tmp_path):
    shutil.copytree(models / "linear" / "saved_model", tmp_path / "m")
    path = tmp_path / "m" / "saved_model.pb"
    path.write_bytes(path.read_bytes().replace(b"MatMul", b"MatFul"))
    with pytest.raises(ModelError, match="this TensorFlow has no operation MatFul") as caught:
        _tensorflow.load(str(tmp_path / "m"))
    assert "tensorflow_text" in caught.value.remedy
