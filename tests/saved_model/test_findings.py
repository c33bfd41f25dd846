"""Each finding on a model that has it and on one that has not; and TensorFlow asked whether it loads what we call broken."""

import shutil

import pytest

from cpr.errors import ModelError
from cpr.report import Severity
from cpr.saved_model.survey import survey


def checks(path):
    return [finding.check for finding in survey(path).findings]


@pytest.fixture
def copy(models, tmp_path):
    def make(name, to="model"):
        shutil.copytree(models / name, tmp_path / to)
        return tmp_path / to

    return make


def test_what_is_called_broken_is_what_tensorflow_does_not_load(tensorflow_says):
    assert len(tensorflow_says.broken) > 35
    for place, reason in tensorflow_says.broken.items():
        assert survey(tensorflow_says.folder / place).ok == (reason is None), f"{place}: {reason}"


@pytest.mark.parametrize(
    ("damage", "model", "check"),
    [
        ("graph_empty", "module", "CPR603"),
        ("graph_cut", "tf1_constant", "CPR603"),
        ("weights_pointer", "module", "CPR604"),
        ("index_missing", "module", "CPR605"),
        ("index_missing", "tf1_builder", "CPR605"),
        ("weights_missing", "vocabulary", "CPR605"),
        ("weights_cut", "module", "CPR606"),
        ("index_cut", "module", "CPR607"),
        ("index_altered", "tf1_builder", "CPR607"),
        ("assets_missing", "vocabulary", "CPR610"),
        ("assets_missing", "tf1_builder", "CPR610"),
    ],
)
def test_each_damage_has_its_own_finding(models, damage, model, check):
    assert checks(models / "broken" / damage / model) == [check]


@pytest.mark.parametrize(
    "name", ["keras", "module", "no_variables", "tf1_builder", "tf1_composite", "tf1_constant", "vocabulary"]
)
def test_a_whole_model_has_no_finding(models, name):
    assert checks(models / name) == []


def test_no_signature(models):
    (finding,) = survey(models / "no_signature").findings
    assert (finding.check, finding.severity) == ("CPR609", Severity.WARNING)


def test_no_serve_tag(copy):
    folder = copy("tf1_constant")
    graph = (folder / "saved_model.pb").read_bytes()
    assert graph.count(b"\x22\x05serve") == 1
    (folder / "saved_model.pb").write_bytes(graph.replace(b"\x22\x05serve", b"\x22\x05train"))
    (finding,) = survey(folder).findings
    assert (finding.check, finding.severity) == ("CPR608", Severity.WARNING)
    assert "train" in finding.message


def test_a_pointer_in_place_of_the_graph_is_one_finding(copy):
    folder = copy("module")
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{64 * '0'}\nsize 1000\n"
    for path in ("saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"):
        (folder / path).write_text(pointer)
    found = survey(folder).findings
    assert {finding.check for finding in found} == {"CPR604"}
    assert [finding.where for finding in found] == [
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    ]
    assert all("git lfs pull" in finding.remedy for finding in found)


def test_a_model_one_folder_down(copy, tmp_path):
    copy("module", "outer/1")
    (finding,) = survey(tmp_path / "outer").findings
    assert (finding.check, finding.severity, finding.where) == ("CPR602", Severity.WARNING, "1")
    assert "TensorFlow Serving" in finding.remedy
    assert checks(tmp_path / "outer" / "1") == []


def test_the_model_directory_of_a_routine_has_the_model_one_folder_down(copy, tmp_path):
    copy("module", "routine/model/saved_model")
    (tmp_path / "routine" / "routine.yaml").write_text("name: x")
    assert checks(tmp_path / "routine" / "model") == []


def test_several_models_are_a_folder_of_models(copy, tmp_path):
    copy("module", "outer/a")
    copy("tf1_constant", "outer/b")
    found = survey(tmp_path / "outer")
    assert [model.where for model in found.models] == ["a", "b"]
    assert found.findings == ()


def test_a_routine_folder_may_keep_its_model_where_it_likes(copy, tmp_path):
    copy("module", "routine/model")
    (tmp_path / "routine" / "routine.yaml").write_text("name: x\n")
    assert checks(tmp_path / "routine") == []


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("net.keras", "Keras"),
        ("weights.h5", "Keras"),
        ("ckpt-1.index", "checkpoint"),
        ("readme.txt", r"no saved_model\.pb"),
    ],
)
def test_a_folder_without_a_model(tmp_path, file, said):
    (tmp_path / file).write_bytes(b"x")
    (finding,) = survey(tmp_path).findings
    assert (finding.check, finding.severity) == ("CPR601", Severity.ERROR)
    assert said.replace("\\", "") in finding.message


def test_findings_name_the_model_they_are_about(copy, tmp_path):
    copy("module", "outer/good")
    bad = copy("module", "outer/bad")
    (bad / "variables" / "variables.index").unlink()
    (finding,) = survey(tmp_path / "outer").findings
    assert finding.where == "bad/variables/variables.index"


def test_links_to_files_count_as_the_files(copy, tmp_path):
    folder = copy("module")
    data = folder / "variables" / "variables.data-00000-of-00001"
    data.rename(tmp_path / "blob")
    data.symlink_to(tmp_path / "blob")
    assert survey(folder).findings == ()
    assert dict(survey(folder).files)["variables/variables.data-00000-of-00001"] == (tmp_path / "blob").stat().st_size
    (tmp_path / "blob").unlink()
    assert checks(folder) == ["CPR605"]


def test_a_path_that_is_no_folder(tmp_path):
    with pytest.raises(ModelError, match="nothing at this path"):
        survey(tmp_path / "absent")
    (tmp_path / "model.keras").write_bytes(b"x")
    with pytest.raises(ModelError, match="a file") as caught:
        survey(tmp_path / "model.keras")
    assert "export" in caught.value.remedy
