"""Which SavedModel in a model directory is meant."""

import json

import pytest

from cpr.errors import ModelError
from cpr.interface.locate import Choice, read_choice
from cpr.interface.saved_model import find_saved_model


@pytest.fixture
def model_dir(tmp_path):
    def make(*places, name="saved_model.pb"):
        for place in places:
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            (tmp_path / place / name).write_bytes(b"")
        return str(tmp_path)

    return make


@pytest.mark.parametrize("place", [".", "export", "1", "export/1712345678", "a/b/1"])
def test_finds_the_only_one(model_dir, tmp_path, place):
    (tmp_path / "vocabulary").mkdir()
    found = find_saved_model(model_dir(place))
    assert (tmp_path / place).samefile(found)


def test_finds_the_text_form(model_dir, tmp_path):
    assert find_saved_model(model_dir("m", name="saved_model.pbtxt")) == str(tmp_path / "m")


def test_the_root_wins_as_it_does_on_the_platform(model_dir, tmp_path):
    assert find_saved_model(model_dir(".", "other")) == str(tmp_path)


def test_several_are_named_with_the_fix(model_dir):
    with pytest.raises(ModelError) as caught:
        find_saved_model(model_dir("export/10", "export/9", "tower"))
    assert "3 SavedModels" in caught.value.message
    assert "export/9, export/10, tower" in caught.value.message
    assert "saved_model: tower" in caught.value.remedy


def test_a_named_one_is_taken_among_several(model_dir, tmp_path):
    assert find_saved_model(model_dir("a", "b/1"), "b/1") == str(tmp_path / "b/1")


def test_a_named_one_that_is_not_there(model_dir):
    with pytest.raises(ModelError) as caught:
        find_saved_model(model_dir("a", "b/1"), "b")
    assert "no SavedModel at 'b'" in caught.value.message
    assert caught.value.remedy == "Set saved_model to a or b/1."


@pytest.mark.parametrize("outside", ["..", "../other", "/", "a/../.."])
def test_never_leaves_the_model_directory(model_dir, outside):
    with pytest.raises(ModelError, match="outside the model directory"):
        find_saved_model(model_dir("a"), outside)


def test_none_and_nowhere(tmp_path):
    with pytest.raises(ModelError, match="no SavedModel in"):
        find_saved_model(str(tmp_path))
    with pytest.raises(ModelError, match="does not exist"):
        find_saved_model(str(tmp_path / "nowhere"))


def test_what_routine_yaml_said_stands_over_the_class(tmp_path):
    default = Choice("class", ("class",), "class")
    assert read_choice(str(tmp_path), default) == default
    record = tmp_path / "cpr_routine.json"
    record.write_text(json.dumps({"signature": "file"}))
    assert read_choice(str(tmp_path), default) == Choice("class", ("class",), "file")
    record.write_text(json.dumps({"saved_model": "m", "tags": ["serve", "gpu"], "signature": "s"}))
    assert read_choice(str(tmp_path), default) == Choice("m", ("serve", "gpu"), "s")


@pytest.mark.parametrize("text", ["", "[]", '{"tags": "serve"}', '{"tags": [1]}', '{"signature": 1}', "[" * 100000, "\ud800"])
def test_a_damaged_record_is_a_model_error(tmp_path, text):
    (tmp_path / "cpr_routine.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ModelError, match=r"cpr_routine\.json cannot be read"):
        read_choice(str(tmp_path), Choice())
