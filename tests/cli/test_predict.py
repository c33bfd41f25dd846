"""``cpr predict``: whole arrays through a SavedModel, the check on zeros, and which options go together."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.command import Ran, cpr

from cpr.cli import main
from cpr.steps.build import build

pytestmark = pytest.mark.xdist_group("tensorflow")

Predict = Callable[..., Ran]


@pytest.fixture
def predict(capsys: pytest.CaptureFixture[str]) -> Predict:
    """``cpr predict`` in this process, where TensorFlow is imported once."""

    def run(*arguments: str | Path) -> Ran:
        capsys.readouterr()
        status = main(["predict", *map(str, arguments)])
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run


def model(models: Path, name: str) -> Path:
    return models / name / "saved_model"


# --- --input ----------------------------------------------------------------------------------------------------------------


def test_a_model_is_run_on_whole_arrays(models: Path, predict: Predict) -> None:
    ran = predict(model(models, "mixed"), "--input", 'text=["é", {"b64": "Yg=="}]', "--input", "count=[1, 2.0]")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == (
        "label: string [2]\n['é:1', 'b:2']\n"
        "raw_bytes: string [2]\n[{'b64': 'ww=='}, {'b64': 'Yg=='}]\n"
        "twice: int64 [2]\n[2, 4]\n"
    )


def test_the_document_has_rows_and_outputs(models: Path, predict: Predict) -> None:
    document = predict(model(models, "mixed"), "--json", "--input", 'text=["é", "b"]', "count=[1, 2]").document
    assert document == {
        "schema": "cpr.predict/1",
        "predictions": [
            {"label": "é:1", "raw_bytes": {"b64": "ww=="}, "twice": 2},
            {"label": "b:2", "raw_bytes": {"b64": "Yg=="}, "twice": 4},
        ],
        "signature": "serving_default",
        "loader": "object",
        "outputs": {
            "label": {"dtype": "string", "shape": [2], "values": ["é:1", "b:2"]},
            "raw_bytes": {"dtype": "string", "shape": [2], "values": [{"b64": "ww=="}, {"b64": "Yg=="}]},
            "twice": {"dtype": "int64", "shape": [2], "values": [2, 4]},
        },
    }


def test_outputs_without_common_rows_are_no_predictions(models: Path, predict: Predict) -> None:
    document = predict(model(models, "unbatched"), "--json", "--input", "x=[1, 2]").document
    assert document["predictions"] is None
    assert document["outputs"] == {"total": {"dtype": "float32", "shape": [], "values": 3.0}}
    assert predict(model(models, "unbatched"), "--input", "x=[1, 2]").out == "total: float32 []\n3.\n"


def test_numbers_that_json_lacks_are_spelt(models: Path, predict: Predict) -> None:
    ran = predict(model(models, "several"), "--json", "--input", "x=[NaN, Infinity, 1]")
    assert json.loads(ran.out, parse_constant=pytest.fail)["predictions"] == ["NaN", "Infinity", 2.0]


def test_bytes_that_are_no_text_are_base64(models: Path, predict: Predict) -> None:
    document = predict(model(models, "not_text"), "--json", "--input", 'x=["_w"]').document
    assert document["predictions"] == [{"b64": "/w=="}]


def test_a_long_output_is_shortened_for_a_person_alone(models: Path, predict: Predict, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(5000))
    arguments = (model(models, "several"), "--input", f"x=@{tmp_path / 'x.npy'}")
    assert "..." in predict(*arguments).out
    assert len(predict(*arguments, "--json").document["predictions"]) == 5000


def test_files_of_arrays_go_in(models: Path, predict: Predict, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[1, 2], [0.5, -4]]))  # float64: rounded to the input's float32
    np.savez(tmp_path / "x.npz", other=np.zeros(1), rows=np.array([[1, 2]], np.int8))
    place = model(models, "linear")
    assert predict(place, "--json", "--input", f"x=@{tmp_path / 'x.npy'}").document["predictions"] == [8.0, -11.0]
    assert predict(place, "--json", "--input", f"x=@{tmp_path / 'x.npz'}[rows]").document["predictions"] == [8.0]
    np.save(tmp_path / "x[rows]", np.array([[0, 1]]))  # brackets in a real name are the name's
    assert predict(place, "--json", "--input", f"x=@{tmp_path / 'x[rows].npy'}").document["predictions"] == [3.0]


def test_the_folder_of_a_user_that_there_is_not(predict: Predict, tmp_path: Path) -> None:
    ran = predict(tmp_path, "--input", "x=@~nobody_of_this_name/x.npy")
    assert ran.status == 2
    assert "~nobody_of_this_name/x.npy: The file of the input 'x' cannot be read" in ran.err


def test_texts_from_a_file(models: Path, predict: Predict, tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", text=np.array(["é", "b"]), count=np.array([1.0, 2.0]))
    file = tmp_path / "t.npz"
    document = predict(model(models, "mixed"), "--json", "--input", f"text=@{file}[text]", f"count=@{file}[count]").document
    assert document["outputs"]["label"]["values"] == ["é:1", "b:2"]


def test_outputs_go_into_files(models: Path, predict: Predict, tmp_path: Path) -> None:
    arguments = (model(models, "mixed"), "--input", 'text=["é", "b"]', "count=[1, 2]", "--output-dir", tmp_path / "out")
    ran = predict(*arguments)
    assert ran.out.splitlines()[2] == f"twice: int64 [2] -> {tmp_path / 'out' / 'twice.npy'}"
    assert np.load(tmp_path / "out" / "twice.npy").tolist() == [2, 4]
    assert np.load(tmp_path / "out" / "label.npy").tolist() == ["é:1".encode(), b"b:2"]
    again = predict(*arguments)
    assert again.status == 1 and "label.npy is there already" in again.err
    ran = predict(*arguments, "--overwrite", "--json")
    assert ran.document["files"]["raw_bytes"] == str(tmp_path / "out" / "raw_bytes.npy")


def test_the_signature_and_the_graph_are_chosen(models: Path, predict: Predict) -> None:
    place = model(models, "several")
    for option in ("--signature", "--signature-name"):
        assert predict(place, "--json", option, "negated", "--input", "x=[1]").document["predictions"] == [-1.0]
    assert (
        "has no signature 'no'; it has negated, serving_default" in predict(place, "--signature", "no", "--input", "x=[1]").err
    )
    place = model(models, "tensorflow1_tags")
    assert predict(place, "--json", "--tags", "gpu, serve", "--input", "x=[1]").document["predictions"] == [11.0]
    assert predict(place, "--json", "--input", "x=[1]").document["predictions"] == [10.0]
    assert "the tags are: serve; serve, gpu" in predict(place, "--tags", "gpu", "--input", "x=[1]").err


def test_names_of_tensorflow_1(models: Path, predict: Predict, tmp_path: Path) -> None:
    arguments = ("--input", "in/left=[[5, 1]]", "right-1=[[1, 1]]", "--output-dir", tmp_path)
    assert predict(model(models, "tensorflow1"), *arguments).status == 0
    assert np.load(tmp_path / "out%3A0.npy").tolist() == [[12.0, 0.0]]


def test_a_model_whose_objects_cannot_be_restored_says_so_and_runs(models: Path, predict: Predict) -> None:
    ran = predict(model(models, "old_optimizer"), "--input", "twice_input=[[1, 2, 3]]")
    assert ran.out == "twice: float32 [1, 2]\n[[13., 13.]]\n"
    assert "runs as a graph in a session" in ran.err and "add_slot" in ran.err
    assert predict(model(models, "old_optimizer"), "--input", "twice_input=[[1, 2, 3]]", "-q").err == ""


def test_the_place_may_stand_behind_the_inputs(models: Path, predict: Predict) -> None:
    assert predict("--input", "x=[[1, 2]]", model(models, "linear")).out == "y: float32 [1]\n[8.]\n"
    ran = predict("--input", "x=[[1, 2]]")
    assert ran.status == 2 and "required: BUNDLE_OR_MODEL_DIR_OR_URL" in ran.err


@pytest.mark.parametrize(
    ("inputs", "status", "message", "fix"),
    [
        (["x=1,2"], 2, "The value of the input 'x' is not JSON", "'x=[[1, 2]]'"),
        (["x"], 2, "--input 'x' has not the form NAME=VALUE", "x=@file.npy"),
        (["=[1]"], 2, "has not the form NAME=VALUE", ""),
        (["x=[1]", "x=[2]"], 2, "The input 'x' is given twice", "once"),
        (["x=@nowhere.npy"], 2, "The file of the input 'x' cannot be read: No such file", "behind the @"),
        (["x=@."], 2, "cannot be read: Is a directory", ""),
        (["x=" + "[" * 100000], 2, "is not JSON", ""),
        (["x=@data.npz[no]"], 1, "data.npz: It holds no array 'no', but a, b.", "brackets"),
        (["x=@data.npz"], 1, "several arrays: a, b", "[a]"),
        (["x=@lies.npy"], 1, "Its header says 4000000 bytes of values, and there are 4", "numpy.save"),
        (["x=@code.npy"], 1, "Python objects (pickle)", "astype(str)"),
        (["y=[[1, 2]]"], 1, "has no input 'y'; its inputs are: x (float32 [?, 2])", ""),
        ([], 1, "The input 'x' of the signature 'only' is missing", ""),
        (["x=[[1, 2, 3]]"], 1, "its shape is [1, 3] where [?, 2] is expected", "Pass float32 [?, 2]"),
        (['x=[["a", "b"]]'], 1, "the text 'a' where float32 is expected", ""),
        (["x=[[1e39, 1]]"], 1, "1e+39 is out of range for float32", ""),
    ],
)
def test_wrong_inputs_are_told(
    models: Path,
    predict: Predict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    inputs: list[str],
    status: int,
    message: str,
    fix: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", a=np.ones(1), b=np.ones(1))
    np.save("lies.npy", np.ones(1, np.float32))
    data = Path("lies.npy").read_bytes()
    Path("lies.npy").write_bytes(data.replace(b"(1,), }      ", b"(1000000,), }"))
    np.save("code.npy", np.array([{}], object), allow_pickle=True)
    ran = predict(model(models, "linear"), "--input", *inputs)
    assert (ran.status, ran.out) == (status, "")
    assert message in ran.err.splitlines()[0]
    assert ran.err.splitlines()[1].startswith("  fix: ") and fix in ran.err.splitlines()[1]


# --- --check ----------------------------------------------------------------------------------------------------------------


def test_the_check_names_what_cannot_run(models: Path, predict: Predict) -> None:
    ran = cpr("predict", model(models, "refusing"), "--check", "--json")  # another process, without Python's own function
    found = {each["signature"]: each["ok"] for each in ran.document["signatures"]}
    assert found == {"fine": True, "kernel": False, "python": False, "image": None, "file": None}
    assert ran.status == 1
    causes = {each["signature"]: each["cause"] for each in ran.document["signatures"]}
    assert causes["fine"] is None and "CudnnRNN" in causes["kernel"] and "callback" in causes["python"]
    ran = predict(model(models, "refusing"), "--check")
    assert "fine: runs\n" in ran.out and "kernel: fails, The signature 'kernel' cannot run" in ran.out
    assert "image: unknown, not proved" in ran.out


def test_a_model_that_runs_passes_the_check(models: Path, predict: Predict) -> None:
    ran = predict(model(models, "old_optimizer"), "--check", "-q")
    assert (ran.status, ran.out, ran.err) == (0, "serving_default: runs\n", "")


def test_missing_weights_are_told_whatever_is_asked(models: Path, predict: Predict, tmp_path: Path) -> None:
    shutil.copytree(model(models, "linear"), tmp_path / "m")
    (tmp_path / "m" / "variables" / "variables.data-00000-of-00001").unlink()
    (tmp_path / "request.json").write_text("[1, 2]")
    for asked in (["--check"], ["--input", "x=[[1, 2]]"], ["--instances", tmp_path / "request.json"]):
        ran = predict(tmp_path / "m", *asked)
        assert ran.status == 1
        assert "variables.data-00000-of-00001" in ran.err and "missing" in ran.err
        assert "copy" in ran.err


# --- what goes together -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "There is nothing to predict"),
        (["--input", "x=1", "--instances", "f"], "--instances and --input exclude each other"),
        (["--check", "--instances", "f"], "--instances and --check exclude each other"),
        (["--check", "--input", "x=1"], "--input and --check exclude each other"),
        (["--check", "--signature", "s"], "--signature has no meaning with --check"),
        (["--instances", "f", "--output-dir", "d"], "--output-dir has no meaning with --instances"),
        (["--input", "x=1", "--overwrite"], "--overwrite has no meaning without --output-dir"),
        (["--input", "x=1", "--tags", "serve,,gpu"], "holds an empty tag"),
    ],
)
def test_options_that_do_not_go_together(tmp_path: Path, predict: Predict, arguments: list[str], message: str) -> None:
    ran = predict(tmp_path, *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert message in ran.err


@pytest.mark.parametrize("asked", [["--input", "x=1"], ["--check"], ["--instances", "f", "--tags", "serve"]])
def test_a_server_takes_instances_alone(predict: Predict, tmp_path: Path, asked: list[str]) -> None:
    ran = predict("http://127.0.0.1:9", *asked)
    assert ran.status == 2
    assert "needs a SavedModel on this machine" in ran.err and "--instances" in ran.err


def test_a_routine_is_not_its_model(predict: Predict, tiny: Path) -> None:
    bundle = build(tiny).root
    for place in (tiny, bundle):
        for asked in (["--input", "x=1"], ["--check"]):
            ran = predict(place, *asked)
            assert ran.status == 1
            assert f"Name {place / 'model'}" in ran.err
        ran = predict(place, "--instances", tiny / "examples.jsonl", "--tags", "serve")
        assert ran.status == 2 and "routine.yaml" in ran.err
    assert "not on this machine" in predict("gs://bucket/model", "--check").err


def test_instances_with_tags_over_those_of_the_folder(models: Path, predict: Predict, tmp_path: Path) -> None:
    shutil.copytree(models / "tensorflow1_tags", tmp_path / "m")
    (tmp_path / "m" / "cpr_routine.json").write_text('{"tags": ["serve"]}')
    (tmp_path / "request.json").write_text('{"instances": [1, 2]}')
    arguments = (tmp_path / "m", "--instances", tmp_path / "request.json", "--json")
    assert predict(*arguments).document == {"schema": "cpr.predict/1", "predictions": [10.0, 20.0]}
    assert predict(*arguments, "--tags", "gpu,serve").document["predictions"] == [11.0, 12.0]


def test_as_a_process_of_its_own_it_prints_the_outputs_alone(models: Path) -> None:
    ran = cpr("predict", model(models, "tensorflow1_references"), "--input", "x=[1, 2]")
    assert (ran.status, ran.out, ran.err) == (0, "y: float32 [2]\n[3., 6.]\n", "")


def test_a_usage_error_waits_for_no_import(tmp_path: Path) -> None:
    code = "import sys; from cpr.cli import main; main(['predict', '.', '--check', '--input']); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n"
