"""A SavedModel loaded with ``cpr.runtime.load_model``: by rows, by arrays, by tensor names, and checked on zeros."""

from __future__ import annotations

import concurrent.futures
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cpr.errors import ModelError, RequestError
from cpr.runtime import LoadedModel, load_model
from cpr.steps.build import build

pytestmark = pytest.mark.xdist_group("tensorflow")

BOTH = pytest.mark.parametrize("loader", ["object", "session"])


def load(models: Path, name: str, **options: Any) -> LoadedModel:
    return load_model(models / name / "saved_model", **options)


# --- rows and arrays --------------------------------------------------------------------------------------------------------


@BOTH
def test_rows_go_in_and_out_as_on_the_platform(models: Path, loader: str) -> None:
    with load(models, "mixed", loader=loader) as model:
        rows = model.predict([{"text": "é", "count": 1}, {"text": {"b64": "Yg=="}, "count": 2.0}])
        assert rows == [
            {"label": "é:1", "raw_bytes": {"b64": "ww=="}, "twice": 2},
            {"label": "b:2", "raw_bytes": {"b64": "Yg=="}, "twice": 4},
        ]
        assert model.predict([]) == []
    with load(models, "several", loader=loader) as model:
        assert model.predict([1]) == model.predict([{"x": 1}]) == [2.0]
        assert model.predict((1, 2), signature_name="negated") == [-1.0, -2.0]


@BOTH
def test_arrays_go_in_and_out_by_name(models: Path, loader: str) -> None:
    model = load(models, "mixed", loader=loader)
    outputs = model.call({"text": np.array(["a", "é"]), "count": np.array([1, 2], np.uint8)})
    assert list(outputs) == ["label", "raw_bytes", "twice"]
    assert outputs["label"].tolist() == [b"a:1", "é:2".encode()]
    assert outputs["twice"].dtype == np.int64
    assert load(models, "several", loader=loader).call({"x": [1, 2]}, "negated")["y"].tolist() == [-1.0, -2.0]
    scalar = load(models, "scalar_input", loader=loader).call({"x": np.array([2.0, 4.0]), "rate": 0.5})
    assert scalar["y"].tolist() == [1.0, 2.0]
    total = load(models, "unbatched", loader=loader).call({"x": [2, 4]})["total"]
    assert (total.shape, float(total)) == ((), 6.0)


@pytest.mark.parametrize(
    ("name", "inputs", "message", "remedy"),
    [
        ("mixed", {"text": ["a"]}, "The input 'count' of the signature 'serving_default' is missing", "Pass a value for each"),
        ("mixed", {"text": ["a"], "cuont": [1]}, "has no input 'cuont'; its inputs are: count (int64 [?]), text", "'count'?"),
        ("mixed", {"text": [1], "count": [1]}, "The input 'text': the number 1 where string is expected", "Pass string [?]"),
        ("linear", {"x": [[1, 2, 3]]}, "its shape is [1, 3] where [?, 2] is expected", "Pass float32 [?, 2]"),
        ("fixed_batch", {"x": [1]}, "its shape is [1] where [2]", "float32 [2]"),
        ("several", [1], "no mapping", "{'x': …}"),
    ],
)
def test_inputs_that_do_not_fit_are_named(models: Path, name: str, inputs: Any, message: str, remedy: str) -> None:
    with pytest.raises(RequestError) as caught:
        load(models, name).call(inputs)
    assert message in caught.value.message
    assert remedy in caught.value.remedy


def test_rows_are_a_list(models: Path) -> None:
    with pytest.raises(RequestError, match="are a dict, not a list"):
        load(models, "linear").predict({"x": [1, 2]})  # type: ignore[arg-type]


def test_signatures_show_what_they_take_and_give(models: Path) -> None:
    model = load(models, "mixed")
    (signature,) = model.signatures.values()
    assert [tuple(each) for each in signature.inputs] == [("count", "int64", (None,)), ("text", "string", (None,))]
    assert [each.name for each in signature.outputs] == ["label", "raw_bytes", "twice"]
    assert (model.tags, model.loader, model.reason) == (("serve",), "object", "")


def test_a_model_without_signatures_still_has_its_objects(models: Path) -> None:
    model = load(models, "without_signature")
    assert model.module.weights.numpy() == 1.0
    assert model.check() == ()
    with pytest.raises(ModelError, match="has no signature"):
        model.call({})


# --- by the names of tensors, and as objects --------------------------------------------------------------------------------


@BOTH
def test_tensors_by_name_as_in_a_session_of_tensorflow_1(models: Path, loader: str) -> None:
    with load(models, "tensorflow1_references", loader=loader) as model:
        assert [array.tolist() for array in model.run({"x:0": [1, 2]}, ["y:0", "x:0"])] == [[3.0, 6.0], [1.0, 2.0]]
        assert model.run({"x:0": np.array([2.0])}, "y:0").tolist() == [6.0]
        assert model.run({"x:0": [1]}, {"product": "y:0"})["product"].tolist() == [3.0]
        assert model.run({}, "weight:0").tolist() == [3.0]
        assert model.run({"weight:0": [10.0], "x:0": [1]}, "y:0").tolist() == [10.0]  # any tensor may be fed
        assert model.session.graph.get_tensor_by_name("y:0").shape.as_list() == [None]


def test_tensors_of_what_tensorflow_2_wrote(models: Path) -> None:
    model = load(models, "linear")
    assert model.run({"only_x:0": [[1, 2]]}, "StatefulPartitionedCall:0").tolist() == [8.0]
    assert model.loader == "object"


@pytest.mark.parametrize(
    ("feeds", "fetches", "message", "remedy"),
    [
        ({"x:0": [1]}, ["z:0"], "no tensor 'z:0'", "x:0"),
        ({"x:0": [1]}, ["y:1"], "no tensor 'y:1'", "y:0"),
        ({"x:0": [1]}, ["y"], "'y' is an operation; its tensors are y:0", "Name a tensor"),
        ({"x": [1]}, ["y:0"], "'x' is an operation; its tensors are x:0", "Name a tensor"),
        ({"weights:0": [1]}, ["y:0"], "no tensor 'weights:0'", "weight:0"),
        ({"init": 1}, ["y:0"], "'init' is an operation; it has no tensor", "Name a tensor"),
        ({"x:0": ["a"]}, ["y:0"], "The tensor 'x:0': the text 'a' where float32", "Pass float32 [?]"),
    ],
)
def test_names_that_are_not_there_show_those_that_are(
    models: Path, feeds: dict[str, Any], fetches: list[str], message: str, remedy: str
) -> None:
    with load(models, "tensorflow1_references", loader="session") as model, pytest.raises(RequestError) as caught:
        model.run(feeds, fetches)
    assert message in caught.value.message
    assert remedy in caught.value.remedy


def test_the_name_of_an_input_leads_to_its_tensor(models: Path) -> None:
    with pytest.raises(RequestError) as caught:
        load(models, "linear").run({"x:0": [[1, 2]]}, "y:0")
    assert "only_x:0" in caught.value.remedy
    assert "call() takes the names of a signature" in caught.value.remedy


def test_what_nobody_feeds_is_told(models: Path) -> None:
    with pytest.raises(ModelError, match="You must feed a value for placeholder tensor 'x'"):
        load(models, "tensorflow1_references").run({}, "y:0")


def test_an_operation_without_a_tensor_may_be_run(models: Path) -> None:
    model = load(models, "tensorflow1_table", loader="session")
    name = next(each.name for each in model.session.graph.get_operations() if each.type == "NoOp" and "init" in each.name)
    assert model.run({}, [name]) == [None]


def test_the_restored_objects(models: Path) -> None:
    module = load(models, "linear").module
    assert module.weights.numpy().tolist() == [[2.0], [3.0]]
    assert list(module.signatures) == ["only"]


def test_what_there_is_in_place_of_objects(models: Path) -> None:
    with pytest.raises(ModelError, match=r"has no Python objects .*add_slot") as caught:
        _ = load(models, "old_optimizer").module
    assert "run(feeds, fetches)" in caught.value.remedy
    with pytest.raises(ModelError, match=r"has no Python objects\."):
        _ = load(models, "linear", loader="session").module


def test_several_threads_run_one_model(models: Path) -> None:
    model = load(models, "tensorflow1_references")

    def work(number: int) -> bool:
        array = np.full(number % 5 + 1, number, np.float32)
        by_name = model.run({"x:0": array}, "y:0")  # the first of them opens the session
        return bool((by_name == array * 3).all() and (model.call({"x": array})["y"] == array * 3).all())

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))
    session = model.session
    model.close()
    model.close()
    with pytest.raises(ModelError, match="was closed"):
        model.run({"x:0": [1]}, "y:0")
    with pytest.raises(RuntimeError, match="closed"):
        session.run([])


# --- the check on zeros -----------------------------------------------------------------------------------------------------


def checked(models: Path, name: str, **options: Any) -> dict[str, tuple[bool | None, str]]:
    return {each.signature: (each.ok, each.cause) for each in load(models, name, **options).check()}


@pytest.mark.parametrize(
    "name", ["linear", "mixed", "ragged_sizes", "unknown_rank", "fixed_batch", "scalar_input", "keras", "lookup"]
)
@BOTH
def test_models_that_run(models: Path, name: str, loader: str) -> None:
    assert {ok for ok, _ in checked(models, name, loader=loader).values()} == {True}


@BOTH
def test_zeros_of_every_type(models: Path, loader: str) -> None:
    assert {ok for ok, _ in checked(models, "identities", loader=loader).values()} == {True}


@BOTH
def test_an_operation_without_a_kernel_fails_and_bad_values_prove_nothing(models: Path, loader: str) -> None:
    found = checked(models, "refusing", loader=loader)
    assert found["fine"] == (True, "")
    assert found["kernel"][0] is False and "CudnnRNN has no kernel" in found["kernel"][1]
    assert found["image"][0] is None and "does not take zeros" in found["image"][1]
    assert found["file"][0] is None and "No such file" in found["file"][1]
    assert checked(models, "parsing", loader=loader)["serving_default"][0] is None


@pytest.mark.parametrize("loader", ["auto", "object", "session"])
def test_what_nobody_fills_fails_as_on_a_server(models: Path, loader: str) -> None:
    found = checked(models, "tensorflow1_forgotten", loader=loader)
    assert found["serving_default"][0] is False and "Table not initialized" in found["serving_default"][1]
    assert found["local"][0] is False and "uninitialized value local" in found["local"][1]
    assert {ok for ok, _ in checked(models, "tensorflow1_table", loader=loader).values()} == {True}


def test_a_placeholder_that_nobody_feeds_fails(models: Path) -> None:
    found = checked(models, "tensorflow1_unfed")
    assert found["serving_default"] == (True, "")
    assert found["rated"][0] is False and "placeholder tensor 'rate'" in found["rated"][1]


def test_a_queue_that_nobody_fills_is_not_waited_for(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cpr.models._LONGEST", 1)
    found = checked(models, "tensorflow1_waiting")
    assert found["serving_default"][0] is False and "no answer within 1 seconds" in found["serving_default"][1]


def test_composite_tensors_are_not_tried(models: Path) -> None:
    assert checked(models, "ragged")["twice"] == (None, "not tried: 'y' is of type RaggedTensor")


# --- which folder, and what is wrong with it --------------------------------------------------------------------------------


def test_the_folder_above_and_the_file_itself_name_the_model(models: Path) -> None:
    for place in (models / "linear", str(models / "linear"), models / "linear" / "saved_model" / "saved_model.pb"):
        with load_model(place) as model:
            assert model.path == models / "linear" / "saved_model"


def test_a_bundle_and_a_routine_are_no_models(tiny: Path) -> None:
    bundle = build(tiny)
    for place, kind in ((bundle.root, "bundle"), (tiny, "routine")):
        with pytest.raises(ModelError, match=f"is a {kind}") as caught:
            load_model(place)
        assert str(place / "model") in caught.value.remedy
    with pytest.raises(ModelError, match="no SavedModel"):
        load_model(bundle.root / "model")


def test_several_models_and_files_are_told(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("9", "10"):
        shutil.copytree(models / "linear" / "saved_model", tmp_path / name)
    with pytest.raises(ModelError, match=r"2 SavedModels in .*: 9, 10") as caught:
        load_model(tmp_path)
    assert str(tmp_path / "10") in caught.value.remedy
    (tmp_path / "model.h5").write_bytes(b"")
    with pytest.raises(ModelError, match=r"model\.h5 is a file") as caught:
        load_model(tmp_path / "model.h5")
    assert "export" in caught.value.remedy
    with pytest.raises(ModelError, match="does not exist"):
        load_model(tmp_path / "nowhere")
    monkeypatch.chdir(tmp_path)
    model = load_model("9")
    monkeypatch.chdir("/")
    assert model.run({"only_x:0": [[1, 2]]}, "StatefulPartitionedCall:0").tolist() == [8.0]


@pytest.mark.parametrize("uri", ["gs://bucket/model", "s3://bucket/model"])
def test_a_bucket_is_not_here(uri: str) -> None:
    with pytest.raises(ModelError, match="not on this machine"):
        load_model(uri)


@pytest.mark.parametrize("name", ["linear", "tensorflow1", "old_optimizer"])
def test_short_weights_are_told_with_their_sizes(models: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(models / name / "saved_model", tmp_path / "m")
    shard = tmp_path / "m" / "variables" / "variables.data-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[:3])
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path / "m")
    assert str(tmp_path / "m") in caught.value.message
    assert "variables.data-00000-of-00001: The file of weights has 3 bytes" in caught.value.message
    assert type(caught.value.__cause__).__module__.partition(".")[0] in ("tensorflow", "builtins")


def test_a_custom_operation_is_told_as_the_reader_tells_it(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "linear" / "saved_model", tmp_path / "m")
    path = tmp_path / "m" / "saved_model.pb"
    path.write_bytes(path.read_bytes().replace(b"MatMul", b"MatFul"))
    with pytest.raises(ModelError, match="No TensorFlow has MatFul of its own") as caught:
        load_model(tmp_path / "m")
    assert "before the model is loaded" in caught.value.remedy


def test_a_choice_that_cannot_be_made_is_no_fault_of_the_files(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "tensorflow1_other_tags" / "saved_model", tmp_path / "m")
    shutil.rmtree(tmp_path / "m" / "variables")
    with pytest.raises(ModelError, match="none with the tag serve alone"):
        load_model(tmp_path / "m")
