"""routine.yaml, read as a user writes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.command import cpr
from support.routines import CONFIG, write_routine

from cpr.errors import ProjectError
from cpr.manifest import ClassRef
from cpr.project import parse_name, read_routine


def read(folder: Path, config: str):
    return read_routine(write_routine(folder, config=config))


def refused(folder: Path, config: str) -> ProjectError:
    with pytest.raises(ProjectError) as caught:
        read(folder, config)
    assert caught.value.remedy
    return caught.value


def test_everything_that_can_be_declared(tmp_path: Path) -> None:
    routine = read(
        write_routine(tmp_path, files={"model/export/saved_model.pb": b"x"}),
        CONFIG + "requirements:\n  - numpy>=1.20\n  - Pillow\npython: 3.10\ntensorflow: 2.9\nruntime_version: 2.9\n"
        "saved_model: export\ntags: [serve]\nsignature: serving_default\nexclude: ['*.tmp']\n"
        "labels: {team: search, stage: test}\ndescription: Multiplies.\n",
    )
    assert routine.name == "tiny"
    assert routine.version == "1.2.0"
    assert routine.predictor == ClassRef("predictor", "Scale")
    assert routine.model_dir == tmp_path.resolve() / "model"
    assert routine.examples == tmp_path.resolve() / "examples.jsonl"
    assert routine.requirements == ("numpy>=1.20", "Pillow")
    assert routine.python == "3.10", "YAML would have made it 3.1"
    assert (routine.tensorflow, routine.runtime_version) == ("2.9", "2.9")
    assert (routine.saved_model, routine.tags, routine.signature) == ("export", ("serve",), "serving_default")
    assert routine.exclude == ("*.tmp",)
    assert routine.labels == (("stage", "test"), ("team", "search"))
    assert routine.description == "Multiplies."


def test_a_version_is_normalised(tmp_path: Path) -> None:
    assert read(tmp_path, CONFIG.replace("1.2.0", "v1.2.0-RC.1")).version == "1.2.0rc1"


@pytest.mark.parametrize(
    ("config", "line", "message", "remedy"),
    [
        (CONFIG + "requirments: []\n", 4, "no key 'requirments'", "'requirements'"),
        (CONFIG + "colour: blue\n", 4, "no key 'colour'", "The keys are"),
        (CONFIG + "name: other\n", 4, "'name' is there twice", "Keep one"),
        (CONFIG + "labels:\n  a: x\n  a: y\n", 6, "'a' is there twice", "Keep one"),
        (CONFIG + "model_dir: ../elsewhere\n", 4, "outside the routine folder", "inside"),
        (CONFIG + "examples: /etc/passwd\n", 4, "outside the routine folder", "inside"),
        (CONFIG + "model_dir: .\n", 4, "the routine folder itself", "below it"),
        (CONFIG + "model_dir: nowhere\n", 4, "no such folder", "Create it"),
        (CONFIG + "examples: nothing.jsonl\n", 4, "no such file", "remove the key"),
        (CONFIG + "saved_model: export\n", 4, "holds no saved_model.pb", "relative to model_dir"),
        (CONFIG + "saved_model: ../..\n", 4, "outside model", "below model_dir"),
        (CONFIG.replace("1.2.0", "1_0"), 2, "'1_0' is not a PEP 440 version", "Mend"),
        (CONFIG.replace("tiny", "Tiny Model"), 1, "for example 'tiny_model'", "Mend"),
        (CONFIG.replace("predictor.Scale", "predictor/Scale"), 3, "not of the form module.Class", "Mend"),
        (CONFIG.replace("version: 1.2.0\n", ""), None, "'version' is missing", "Add"),
        (CONFIG + "python:\n", 4, "has no value", "remove the key"),
        (CONFIG + "python: three\n", 4, "is no version", "3.7"),
        (CONFIG + "tags: serve\n", 4, "takes a list", "[A, B]"),
        (CONFIG + "description: [a]\n", 4, "takes one value", "on one line"),
        (CONFIG + "labels: [a]\n", 4, "takes a mapping", "labels: {"),
        (CONFIG + "requirements: ['numpy >> 2']\n", 4, "pip cannot read", "package>=1.2"),
        (CONFIG + "x: " + "[" * 3000 + "\n", 4, "nested more than", "Close the brackets"),
        (CONFIG + "a: &a [x, x]\nb: [*a, *a]\n", 4, "Anchors and aliases", "Write the value out"),
        (CONFIG + "b: *a\n", 4, "aliases", "Write the value out"),
        (CONFIG + "description: !!str x\n", 4, "Tags", "quote it"),
        (CONFIG + 'description: "\\ud800"\n', 4, "surrogate", "itself"),
        (CONFIG + "model_dir: " + "a" * 300 + "\n", 4, "File name too long", "another"),
        (CONFIG + 'saved_model: "a\\0"\n', 4, "outside model", "below model_dir"),
        (CONFIG + "x: [1\n", 5, "not valid YAML", "Mend the line"),
        (CONFIG + "\tx: 1\n", 4, "not valid YAML", "Mend the line"),
        (CONFIG + "---\nname: y\n", 4, "more than one document", "Remove"),
        ("- a\n- b\n", 1, "not a mapping", "key: value"),
        ("", None, "empty", "at least name"),
        ("name: \x00\n", None, "not valid YAML", "Remove the character"),
    ],
)
def test_what_is_refused_names_the_line_and_the_way_out(
    tmp_path: Path, config: str, line: int | None, message: str, remedy: str
) -> None:
    error = refused(tmp_path, config)
    assert message in error.message
    assert remedy in error.remedy
    assert error.where == f"{tmp_path / 'routine.yaml'}" + (f":{line}" if line else "")
    ran = cpr("build", tmp_path)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(f"error: {error.where}: ") and ran.err.endswith(f"\n  fix: {error.remedy}\n")


def test_a_link_out_of_the_folder_is_outside(tmp_path: Path) -> None:
    folder = write_routine(tmp_path / "routine")
    (tmp_path / "weights").mkdir()
    (folder / "linked").symlink_to(tmp_path / "weights")
    assert "outside" in refused(folder, CONFIG + "model_dir: linked\n").message


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    folder = write_routine(tmp_path, files={"routine.yaml": CONFIG.encode() + b"description: \xff\n"})
    with pytest.raises(ProjectError) as caught:
        read_routine(folder)
    assert caught.value.where == f"{folder / 'routine.yaml'}:4"


@pytest.mark.parametrize("missing", ["folder", "file"])
def test_what_is_not_there(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "nowhere" if missing == "folder" else tmp_path
    with pytest.raises(ProjectError, match="There is no") as caught:
        read_routine(folder)
    assert "cpr new" in caught.value.remedy


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_is_read_or_refused(tmp_path: Path, text: str) -> None:
    write_routine(tmp_path, files={"routine.yaml": text.encode("utf-8", "surrogatepass")})
    try:
        read_routine(tmp_path)
    except ProjectError as error:
        assert error.message
        assert error.remedy


@given(text=st.text(max_size=100))
def test_a_name_is_right_or_a_right_one_is_offered(text: str) -> None:
    try:
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", parse_name(text))
    except ValueError as error:
        offered = str(error).rpartition("for example ")[2].strip("'")
        assert parse_name(offered) == offered
