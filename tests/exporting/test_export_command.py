"""The command, and how a source is recognised; no TensorFlow but in the one command that exports."""

import json
import zipfile

import pytest
from support.command import cpr
from support.replaying import REPOSITORY

from cpr.errors import ModelError
from cpr.exporting.recognising import recognise

BUILDER = REPOSITORY / "sample_models" / "add_two" / "exports" / "builder"


@pytest.mark.xdist_group("tensorflow")
def test_the_command_says_what_it_took_and_what_it_proved(tmp_path):
    examples = tmp_path / "examples.jsonl"
    examples.write_text('{"instances": [1.0, 2.5]}\n')
    ran = cpr("export", BUILDER, tmp_path / "model", "--rename-signature", "predict=p", "--examples", examples, "--json")
    assert ran.status == 0, ran.err
    assert f"{BUILDER} is a SavedModel." in ran.err
    document = ran.document
    assert document["schema"] == "cpr.export/1" and document["source"] == "SavedModel"
    assert list(document["meta_graphs"][0]["signatures"]) == ["p"]
    assert document["compared"] == [
        {"tags": ["serve"], "signature": "p", "requests": 4, "largest_difference": 0.0, "refused": []}
    ]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--rename-input", "x"], "has not the form NAME=VALUE"),
        (["--tags", "serve,"], "holds an empty tag"),
        (["--constant", "a=b"], "is not JSON"),
    ],
)
def test_wrong_usage(options, what, tmp_path):
    ran = cpr("export", BUILDER, tmp_path / "model", *options)
    assert ran.status == 2 and what in ran.err


def test_sources_are_recognised_by_their_content(tmp_path):
    def written(name, content=b""):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    with zipfile.ZipFile(tmp_path / "model.bin", "w") as archive:
        archive.writestr("config.json", json.dumps({}))
    assert recognise(tmp_path / "model.bin").kind == "Keras model"
    assert recognise(written("a.h5", b"\x89HDF\r\n\x1a\n")).kind == "Keras model"
    assert recognise(written("frozen.pb", b"x")).kind == "graph"
    assert recognise(BUILDER / "saved_model.pb").path == BUILDER
    assert recognise(BUILDER.parent / "builder").kind == "SavedModel"
    written("run/model.ckpt-1.index")
    assert recognise(tmp_path / "run" / "model.ckpt-1").kind == "checkpoint"
    assert recognise(tmp_path / "run").kind == "training folder"


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("model.tflite", b"\x1c\0\0\0TFL3", "TensorFlow Lite"),
        ("model.txt", b"hello", "no model that is known"),
        ("model.zip", None, "zip archive"),
    ],
)
def test_what_is_no_source_is_told(name, content, what, tmp_path):
    if content is None:
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("model/saved_model.pb", b"")
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=what):
        recognise(tmp_path / name)
    for place, says in ((tmp_path / "nothing", "nothing at"), (REPOSITORY / "sample_models" / "iris", "is a routine")):
        with pytest.raises(ModelError, match=says):
            recognise(place)
