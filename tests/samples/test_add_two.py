"""One model, exported in six ways: each loads through one call, gives the same answer, and its script writes it again."""

import importlib.metadata
import importlib.util
import runpy
import subprocess
import sys

import pytest
from support.command import cpr
from support.old_tensorflow import clean_environment, python_with
from support.replaying import REPOSITORY

from cpr.examples import compare, read_examples
from cpr.interface import SavedModelPredictor
from cpr.runtime import load_model
from cpr.saved_model import read_saved_model
from cpr.steps.build import build

pytestmark = pytest.mark.xdist_group("tensorflow")

SAMPLE = REPOSITORY / "sample_models" / "add_two"
EXPORTS = SAMPLE / "exports"
OLD = {"builder": "1.15.5", "simple_save": "1.15.5", "estimator": "1.15.5", "keras2": "2.15.1"}
WAYS = [*OLD, "module", "keras3"]
DISABLE_COPY = "DisableCopyOnRead"


def graph(folder):
    (found,) = read_saved_model(folder).meta_graphs
    return found


def signature(folder):
    """The one that a request gets that names none."""
    callable_signatures = graph(folder).callable_signatures
    return next(iter(callable_signatures)) if len(callable_signatures) == 1 else "serving_default"


def test_there_are_six_and_a_script_for_each():
    assert {path.name for path in EXPORTS.iterdir()} == set(WAYS)
    assert {path.stem for path in (SAMPLE / "export").glob("*.py")} == {*WAYS, "table"}


@pytest.mark.parametrize("loader", ["auto", "object", "session"])
@pytest.mark.parametrize("way", WAYS)
def test_one_call_loads_it_and_it_adds_two(way, loader):
    with load_model(EXPORTS / way, loader=loader) as model:
        assert model.loader == ("session" if loader == "session" else "object")
        assert model.predict([1.0, 2.0]) == [3.0, 4.0]
        assert model.call({"x": [1.0, 2.0]})["y"].tolist() == [3.0, 4.0]


@pytest.mark.parametrize("loader", ["object", "session"])
@pytest.mark.parametrize("way", WAYS)
def test_it_runs_by_the_names_of_its_tensors(way, loader):
    named = graph(EXPORTS / way).signatures[signature(EXPORTS / way)]
    x, y = named.inputs["x"].name, named.outputs["y"].name
    with load_model(EXPORTS / way, loader=loader) as model:
        (got,) = model.run({x: [1.0, 2.0]}, fetches=[y])
    assert got.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("way", WAYS)
def test_every_signature_takes_and_gives_the_same(way):
    for found in graph(EXPORTS / way).callable_signatures.values():
        assert found.method_name == "tensorflow/serving/predict"
        (x,), (y,) = found.inputs.items(), found.outputs.items()
        assert [(name, info.dtype, info.shape) for name, info in (x, y)] == [(name, "float32", (None,)) for name in "xy"]


@pytest.mark.parametrize("way", WAYS)
def test_the_examples_of_the_routine_are_answered_by_every_export(way):
    predictor = SavedModelPredictor.from_path(str(EXPORTS / way))
    for example in read_examples(SAMPLE / "examples.jsonl"):
        request = {**example.request, "signature_name": signature(EXPORTS / way)}
        assert compare(example.expect.predictions, predictor.predict(**request)) is None


# --- the scripts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", OLD)
def test_an_old_tensorflow_writes_it_again(way, tmp_path):
    script, folder = SAMPLE / "export" / f"{way}.py", tmp_path / way
    command = [python_with(OLD[way]), "-W", "ignore", str(script), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=clean_environment())
    assert done.returncode == 0, done.stderr[-3000:]
    same(folder, EXPORTS / way)


@pytest.mark.parametrize("way", ["module", "keras3"])
def test_this_tensorflow_writes_it_again(way, tmp_path, monkeypatch):
    if way == "keras3" and importlib.metadata.version("keras") < "3":
        pytest.skip("this TensorFlow has Keras 2")
    monkeypatch.setattr(sys, "argv", [way, str(tmp_path / way)])
    runpy.run_path(str(SAMPLE / "export" / f"{way}.py"), run_name="__main__")
    same(tmp_path / way, EXPORTS / way)


def same(fresh, kept):
    """The same signatures and the same answer; the same ops in the same number where one TensorFlow wrote both."""
    new, old = graph(fresh), graph(kept)
    assert new.tags == old.tags
    assert terms(new) == terms(old)
    if new.tensorflow_version == old.tensorflow_version:
        assert new.signatures == old.signatures
        assert new.ops == old.ops
    rows = [1.0, -2.0, 1e6]
    assert load_model(fresh).predict(rows) == load_model(kept).predict(rows) == [3.0, 0.0, 1e6 + 2]


def terms(found):
    """What a client of the model sees: no names of tensors, which are the exporter's own."""
    return {
        name: [(key, info.dtype, info.shape) for key, info in (*each.inputs.items(), *each.outputs.items())]
        for name, each in found.callable_signatures.items()
    }


@pytest.mark.parametrize("way", WAYS)
def test_the_script_names_the_tensorflow_that_wrote_the_export(way):
    version = f"TensorFlow {graph(EXPORTS / way).tensorflow_version}"
    assert OLD.get(way, version) in version
    assert version in (SAMPLE / "export" / f"{way}.py").read_text()
    assert f"[{way}.py](export/{way}.py)" in (SAMPLE / "README.md").read_text()
    (row,) = [line for line in (SAMPLE / "README.md").read_text().splitlines() if f"(export/{way}.py)" in line]
    assert version in row


# --- the routine --------------------------------------------------------------------------------------------------------------


def test_the_model_is_the_module_without_what_tensorflow_2_9_lacks():
    model, export = graph(SAMPLE / "model" / "saved_model"), graph(EXPORTS / "module")
    assert DISABLE_COPY in export.ops
    assert model.ops == {name: count for name, count in export.ops.items() if name != DISABLE_COPY}
    assert model.signatures == export.signatures


def test_the_exports_do_not_travel(tmp_path):
    bundle = build(SAMPLE, tmp_path)
    ours = {entry.path for entry in bundle.manifest.files if entry.path.startswith("model/")}
    assert ours == {
        "model/saved_model/saved_model.pb",
        "model/saved_model/variables/variables.data-00000-of-00001",
        "model/saved_model/variables/variables.index",
    }


def test_validation_has_nothing_but_notes(tmp_path):
    ran = cpr("validate", build(SAMPLE, tmp_path).root, "--target", "ai-platform", "--machine-type", "mls1-c1-m2", "--json")
    assert ran.status == 0, ran.err
    assert {finding["severity"] for finding in ran.document["findings"]} == {"note"}


# --- the README ---------------------------------------------------------------------------------------------------------------


def test_the_table_of_the_readme_is_what_the_tool_says():
    spec = importlib.util.spec_from_file_location("table", SAMPLE / "export" / "table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert set(module.WAYS) == set(WAYS)
    fresh = "\n".join(module.table())
    assert fresh in (SAMPLE / "README.md").read_text(), f"put this into its place:\n{fresh}"


def test_names_that_differ_in_their_hidden_end_are_told_whole() -> None:
    ran = cpr("inspect", EXPORTS / "builder", EXPORTS / "module")
    assert "- two  float32[]" in ran.out and "+ two/.ATTRIBUTES/VARIABLE_VALUE  float32[]" in ran.out
