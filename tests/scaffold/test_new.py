"""`cpr new`: from a template, and from a routine of an older platform."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command import cpr

from cpr import resources, runtime
from cpr.errors import ProjectError
from cpr.project import read_routine
from cpr.steps.adopt import adopt
from cpr.steps.build import build
from cpr.steps.scaffold import scaffold

LEGACY = """\
import os


class Doubler(object):
    def __init__(self, bias):
        self._bias = bias

    def predict(self, instances, **kwargs):
        return [2 * value + self._bias for value in instances]

    @classmethod
    def from_path(cls, model_dir):
        with open(os.path.join(model_dir, "bias.txt")) as file:
            return cls(int(file.read()))
"""

SETUP = """\
import boom_if_run
from setuptools import setup, find_packages

REQUIRED = ["six>=1.10", "numpy"]

setup(name="doubler", version="0.7", packages=find_packages(), install_requires=REQUIRED, scripts=["doubler.py"])
"""

VERTEX = """\
import os
import shutil


class Halver:
    def load(self, artifacts_uri):
        shutil.copytree(artifacts_uri, ".", dirs_exist_ok=True)
        with open("bias.txt") as file:
            self._bias = int(file.read())

    def preprocess(self, body):
        return body["instances"], body["parameters"].get("scale", 1)

    def predict(self, inputs):
        values, scale = inputs
        return [value / 2 * scale + self._bias for value in values]

    def postprocess(self, values):
        return {"predictions": values}
"""


@pytest.mark.parametrize("template", resources.template_names())
def test_a_template_is_a_routine_that_builds(tmp_path: Path, template: str) -> None:
    folder = scaffold(tmp_path / "my_own", template)
    routine = read_routine(folder)
    assert routine.name == "my_own"
    assert routine.examples is not None
    assert build(folder).manifest.name == "my_own"
    assert (folder / ".gitignore").is_file()
    assert "cpr validate" in (folder / "README.md").read_text()
    assert "my_routine" not in (folder / "README.md").read_text() + (folder / "routine.yaml").read_text()


def test_the_document_and_what_comes_next(tmp_path: Path) -> None:
    ran = cpr("new", "first", cwd=tmp_path)
    assert "cpr validate first" in ran.out
    assert cpr("new", "second", "--template", "minimal", "--json", cwd=tmp_path).document == {
        "schema": "cpr.new/1",
        "project": "second",
    }


@pytest.mark.parametrize(
    ("arguments", "status", "message", "remedy"),
    [
        (["new", "x", "--template", "imgae"], 2, "no template 'imgae'", "'image'"),
        (["new", "full"], 1, "not empty", "not there yet"),
        (["new", "My Model"], 1, "'my_model'", "Name the folder so"),
        (["new", "/proc/x/y"], 1, "cannot be written", "where you may write"),
        (["new", "x", "--from", "nowhere"], 1, "no folder nowhere", "old routine"),
        (["new", "x", "--from", "full"], 1, "No class there", "setup.py"),
    ],
)
def test_what_cannot_be_started(tmp_path: Path, arguments: list[str], status: int, message: str, remedy: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    ran = cpr(*arguments, cwd=tmp_path)
    assert ran.status == status
    assert message in ran.err
    assert remedy in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_not_in_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    ran = cpr("new", ".", cwd=tmp_path / "mine")
    assert (ran.status, "cd .. && cpr new mine" in ran.err) == (1, True)


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name.replace("_dot_", ".")).write_text(content)
    return folder


def test_an_ai_platform_routine_is_adopted_without_running_it(tmp_path: Path) -> None:
    legacy = write(tmp_path / "old", setup_dot_py=SETUP, doubler_dot_py=LEGACY)
    folder, notes = adopt(legacy, tmp_path / "doubler")
    routine = read_routine(folder)
    assert str(routine.predictor) == "doubler.Doubler"
    assert (routine.name, routine.version) == ("doubler", "0.7")
    assert routine.requirements == ("six>=1.10", "numpy")
    assert notes == ("model/ is empty: copy there what the old version had at its deploymentUri or artifact URI",)
    (folder / "model" / "bias.txt").write_text("1")
    with runtime.load(build(folder)) as loaded:
        assert loaded.predict({"instances": [1, 2]}) == [3, 5]


def test_a_vertex_routine_gets_an_adapter(tmp_path: Path) -> None:
    legacy = write(tmp_path / "old", halver_dot_py=VERTEX, requirements_dot_txt="# pinned\nsix==1.16  # why\n-r more.txt\n")
    (legacy / "model").mkdir()
    (legacy / "model" / "bias.txt").write_text("1")
    ran = cpr("new", tmp_path / "halver", "--from", legacy)
    assert ran.status == 0, ran.err
    assert "calls your Halver" in ran.out
    assert "routine.yaml says 0.1" in ran.out
    routine = read_routine(tmp_path / "halver")
    assert routine.requirements == ("six==1.16",)
    here = Path.cwd()
    with runtime.load(build(tmp_path / "halver")) as loaded:
        assert loaded.predict({"instances": [1, 2], "scale": 4}) == [3, 5]
        assert loaded.predict({"instances": [1, 2], "parameters": {"scale": 4}}) == [3, 5]
    assert Path.cwd() == here


def test_the_adapter_works_where_the_model_directory_is_relative_as_in_a_rehearsal(tmp_path: Path) -> None:
    legacy = write(tmp_path / "old", halver_dot_py=VERTEX)
    (legacy / "model").mkdir()
    (legacy / "model" / "bias.txt").write_text("1")
    folder, _ = adopt(legacy, tmp_path / "halver")
    (folder / "examples.jsonl").write_text('{"instances": [1, 2], "expect": {"predictions": [1.5, 2.0]}}\n')
    ran = cpr("validate", folder, "--target", "vertex-ai")
    assert ran.status == 0, ran.out
    assert "1 example replayed" in ran.out


SKLEARN = """\
from google.cloud.aiplatform.prediction.sklearn.predictor import SklearnPredictor as Base


class Iris(Base):
    def postprocess(self, results):
        return {"predictions": [str(one) for one in results]}
"""


def test_a_class_with_a_base_of_vertex_is_found(tmp_path: Path) -> None:
    requirements = "fastapi\nuvicorn==0.17.6\nscikit-learn==1.2 --hash=sha256:00\n./wheels/own.whl\n"
    legacy = write(tmp_path / "old", predictor_dot_py=SKLEARN, preprocess_dot_py="", requirements_dot_txt=requirements)
    folder, notes = adopt(legacy, tmp_path / "iris")
    routine = read_routine(folder)
    assert routine.modules == ("predictor", "preprocess", "vertex_adapter")
    assert "from predictor import Iris" in (folder / "vertex_adapter.py").read_text()
    assert routine.requirements == ("scikit-learn==1.2",)
    assert "left out of the requirements, as `cpr serve` takes their place: fastapi, uvicorn==0.17.6" in notes
    assert "left out of the requirements, as they are none that routine.yaml takes: ./wheels/own.whl" in notes


def test_the_modules_that_only_a_pickle_needs_travel(tmp_path: Path) -> None:
    setup = "from setuptools import setup\nsetup(name='c', version='0.1', scripts=['doubler.py', 'preprocess.py', 'run.sh'])\n"
    legacy = write(tmp_path / "old", setup_dot_py=setup, doubler_dot_py=LEGACY, preprocess_dot_py="", train_dot_py="")
    folder, _ = adopt(legacy, tmp_path / "doubler")
    assert read_routine(folder).modules == ("doubler", "preprocess")


def test_the_packages_that_setup_finds_travel(tmp_path: Path) -> None:
    legacy = write(tmp_path / "old", setup_dot_py=SETUP, doubler_dot_py=LEGACY)
    write(legacy / "steps", __init___dot_py="")
    folder, _ = adopt(legacy, tmp_path / "doubler")
    assert read_routine(folder).modules == ("doubler", "steps")


def test_checkpoints_of_notebooks_are_no_second_predictor(tmp_path: Path) -> None:
    legacy = write(tmp_path / "old", doubler_dot_py=LEGACY)
    write(legacy / ".ipynb_checkpoints", doubler_dot_py=LEGACY)
    folder, _ = adopt(legacy, tmp_path / "doubler")
    assert not (folder / ".ipynb_checkpoints").exists()


def test_what_has_to_be_installed_first_is_told(tmp_path: Path) -> None:
    setup = "from setuptools import setup\nsetup(version='1', install_requires=['no-such-thing>=2', 'packaging'])\n"
    write(tmp_path / "old", setup_dot_py=setup, doubler_dot_py=LEGACY)
    ran = cpr("new", "my doubler/it", "--from", "old", cwd=tmp_path)
    assert ran.status == 0, ran.err
    lines = ran.out.splitlines()[-3:]
    assert lines == [
        "  next: pip install 'no-such-thing>=2'",
        "        cpr validate 'my doubler/it'",
        "        cpr serve 'my doubler/it'",
    ]


def test_model_files_at_the_root_move_into_the_model_directory(tmp_path: Path) -> None:
    legacy = write(tmp_path / "old", doubler_dot_py=LEGACY, model_dot_pkl="x", preprocessor_dot_pkl="x")
    folder, notes = adopt(legacy, tmp_path / "doubler")
    assert sorted(path.name for path in (folder / "model").iterdir()) == ["model.pkl", "preprocessor.pkl"]
    assert notes[0].startswith("moved model.pkl, preprocessor.pkl into model/")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a_dot_py": LEGACY, "b_dot_py": LEGACY}, "a.Doubler, b.Doubler"),
        ({"a_dot_py": "def f(:\n"}, "cannot be parsed"),
        ({"a_dot_py": LEGACY, "setup_dot_py": "print 'python 2'\n"}, "cannot be parsed"),
        ({"a_dot_py": "class A:\n    def predict(self): pass\n"}, "No class there"),
    ],
)
def test_what_cannot_be_adopted(tmp_path: Path, files: dict[str, str], message: str) -> None:
    legacy = write(tmp_path / "old", **files)
    with pytest.raises(ProjectError, match=message):
        adopt(legacy, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ProjectError, match="inside the old one"):
        adopt(legacy, legacy / "new")


def test_the_adopted_config_is_plain_yaml(tmp_path: Path) -> None:
    folder, _ = adopt(write(tmp_path / "old", a_dot_py=LEGACY), tmp_path / "new_one")
    text = (folder / "routine.yaml").read_text()
    assert text.startswith("name: new_one\nversion: ")
    assert json.dumps(str(read_routine(folder).predictor)) == '"a.Doubler"'
