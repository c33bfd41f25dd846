"""CPR601 and CPR602: folders that hold no SavedModel, or hold it elsewhere."""

import os
import shutil
from pathlib import Path

import pytest
from support.surveyed import checks, found, ranked

from cpr.errors import ModelError
from cpr.saved_model.survey import survey, survey_tree
from cpr.saved_model.tree import Tree


@pytest.fixture
def copy(models, tmp_path):
    def make(to, name="vocabulary"):
        shutil.copytree(models / name, tmp_path / to)
        return tmp_path / to

    return make


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("net.keras", "Keras"),
        ("weights.h5", "Keras"),
        ("net.tflite", "TensorFlow Lite"),
        ("net.onnx", "ONNX"),
        ("saved_model.cpb", "split form"),
        ("ckpt-1.index", "checkpoint"),
        ("model.ckpt-7.meta", "TensorFlow 1"),
        ("readme.txt", "no saved_model.pb"),
    ],
)
def test_a_folder_without_a_model(tmp_path, file, said):
    (tmp_path / file).write_bytes(b"x")
    (finding,) = found(tmp_path, "CPR601")
    assert finding.severity.value == "error"
    assert said in finding.message
    assert finding.where == ("." if file == "readme.txt" else file)
    assert finding.remedy


def test_a_checkpoint_with_its_graph_is_told_by_the_graph(tmp_path):
    for name in ("checkpoint", "model.ckpt-7.data-00000-of-00001", "model.ckpt-7.index", "model.ckpt-7.meta"):
        (tmp_path / name).write_bytes(b"x")
    (finding,) = survey(tmp_path).findings
    assert (finding.check, finding.where) == ("CPR601", "model.ckpt-7.meta")
    assert "import_meta_graph('model.ckpt-7.meta')" in finding.remedy


def test_a_frozen_graph_and_a_renamed_model_are_told_apart(faulty, tmp_path):
    folder, _ = faulty
    shutil.copy(folder / "frozen" / "frozen.pb", tmp_path / "frozen_inference_graph.pb")
    (finding,) = survey(tmp_path).findings
    assert (finding.check, finding.where) == ("CPR601", "frozen_inference_graph.pb")
    assert "graph alone" in finding.message
    (tmp_path / "frozen_inference_graph.pb").unlink()
    shutil.copy(folder / "wide" / "saved_model.pb", tmp_path / "model.pb")
    (finding,) = survey(tmp_path).findings
    assert (finding.check, finding.where) == ("CPR601", "model.pb")
    assert finding.remedy.startswith("Rename it to saved_model.pb")


def test_other_files_that_end_in_pb_say_nothing(tmp_path):
    (tmp_path / "labels.pb").write_bytes(b"\xff\xff not a protobuf")
    (finding,) = survey(tmp_path).findings
    assert (finding.check, finding.where) == ("CPR601", ".")


def test_the_rest_of_a_model_without_its_graph(copy):
    folder = copy("model")
    (folder / "saved_model.pb").unlink()
    (finding,) = survey(folder).findings
    assert (finding.check, finding.where) == ("CPR601", "saved_model.pb")
    assert "rest of a SavedModel" in finding.message


def test_a_model_one_folder_down(copy, tmp_path):
    copy("outer/net")
    (finding,) = survey(tmp_path / "outer").findings
    assert (finding.check, finding.severity.value, finding.where) == ("CPR602", "warning", "net")
    assert "one folder down" in finding.message
    assert checks(tmp_path / "outer" / "net") == []


def test_a_model_further_down(copy, tmp_path):
    copy("outer/export/net")
    (finding,) = survey(tmp_path / "outer").findings
    assert (finding.check, finding.where) == ("CPR602", "export/net")
    assert "2 folders down" in finding.message


def test_the_folder_above_numbered_versions(copy, tmp_path):
    copy("outer/9")
    (finding,) = survey(tmp_path / "outer").findings
    assert (finding.check, finding.where) == ("CPR602", "9")
    assert "TensorFlow Serving" in finding.remedy
    copy("outer/10")
    (finding,) = survey(tmp_path / "outer").findings
    assert (finding.check, finding.where) == ("CPR602", "10")
    assert "versions 9, 10" in finding.message


@pytest.mark.parametrize("part", ["variables", "assets"])
def test_a_folder_inside_the_model(copy, part):
    folder = copy("model")
    inside = survey(folder / part)
    assert [model.where for model in inside.models] == ["."], "the model itself is shown"
    (finding,) = inside.findings
    assert (finding.check, finding.severity.value, finding.where) == ("CPR602", "warning", part)


def test_a_folder_that_only_has_the_name_of_a_part(copy, tmp_path):
    copy("variables")
    assert checks(tmp_path / "variables") == []


def test_a_file_inside_the_model(copy):
    folder = copy("model")
    with pytest.raises(ModelError, match="part of a SavedModel") as caught:
        survey(folder / "variables" / "variables.index")
    assert str(folder) in caught.value.remedy


def test_a_bucket_s_variables_folder():
    tree = Tree(Path("/nowhere"), {"variables.data-00000-of-00001": 9, "variables.index": 9}, "gs://b/model/variables")
    (finding,) = survey_tree(tree).findings
    assert finding.check == "CPR601"
    assert "Name the folder above" in finding.remedy


def test_the_model_directory_of_a_routine_or_bundle_has_the_model_one_folder_down(copy, tmp_path):
    copy("routine/model/saved_model")
    for record in ("routine.yaml", "manifest.json"):
        (tmp_path / "routine" / record).write_text("{}")
        assert ranked(tmp_path / "routine" / "model", "CPR602") == []
        (tmp_path / "routine" / record).unlink()
    assert ranked(tmp_path / "routine" / "model", "CPR602") == [("warning", "saved_model")]


def test_several_models_are_a_folder_of_models(copy, tmp_path):
    copy("outer/a")
    copy("outer/b", "no_variables")
    several = survey(tmp_path / "outer")
    assert [model.where for model in several.models] == ["a", "b"]
    assert several.findings == ()


def test_a_routine_or_bundle_may_keep_its_model_where_it_likes(copy, tmp_path):
    copy("outer/routine/model")
    (tmp_path / "outer" / "routine" / "routine.yaml").write_text("name: x\n")
    assert checks(tmp_path / "outer" / "routine") == []
    assert checks(tmp_path / "outer") == []


@pytest.mark.parametrize(
    ("name", "remedy"), [("model.keras", "export"), ("net.tflite", "cannot be turned back"), ("x", "Name")]
)
def test_a_path_that_is_a_file(tmp_path, name, remedy):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match="a file") as caught:
        survey(tmp_path / name)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_a_graph_that_is_no_file_is_told_and_not_waited_for(tmp_path, make):
    make(tmp_path / "saved_model.pb")
    (finding,) = survey(tmp_path).findings
    assert (finding.check, finding.where) == ("CPR601", "saved_model.pb")
    assert "is no file" in finding.message


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "graph.pb")
    with pytest.raises(ModelError, match="not a SavedModel's folder"):
        survey(tmp_path / "graph.pb")


def test_a_path_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="nothing at this path"):
        survey(tmp_path / "absent")
