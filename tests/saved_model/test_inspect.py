"""``cpr inspect``: the JSON contract, the text, exit statuses, and what is imported."""

import os
import shutil
import subprocess
import sys

import jsonschema
import pytest
from support.command import cpr, give_up_reading_everything

from cpr.steps.build import build

TENSORS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {
            "tensor": {"type": "string"},
            "kind": {"type": "string"},
            "components": {"type": "array"},
            "dtype": {"type": ["string", "null"]},
            "shape": {"type": ["array", "null"], "items": {"type": ["integer", "null"]}},
        },
        "required": ["dtype", "shape"],
        "oneOf": [{"required": ["tensor"]}, {"required": ["kind", "components"]}],
        "additionalProperties": False,
    },
}
SCHEMA = {
    "type": "object",
    "properties": {
        "schema": {"const": "cpr.inspect/1"},
        "path": {"type": "string"},
        "total_bytes": {"type": "integer"},
        "files": {
            "type": "array",
            "items": {
                "properties": {"path": {"type": "string"}, "size": {"type": "integer"}},
                "required": ["path", "size"],
                "additionalProperties": False,
            },
        },
        "meta_graphs": {
            "type": "array",
            "items": {
                "properties": {
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "tensorflow_version": {"type": "string"},
                    "signatures": {
                        "additionalProperties": {
                            "properties": {"method_name": {"type": "string"}, "inputs": TENSORS, "outputs": TENSORS},
                            "required": ["method_name", "inputs", "outputs"],
                            "additionalProperties": False,
                        }
                    },
                    "ops": {"additionalProperties": {"type": "integer", "minimum": 1}},
                    "variables": {
                        "type": "array",
                        "items": {
                            "properties": {
                                "name": {"type": "string"},
                                "dtype": {"type": "string"},
                                "shape": {"type": "array", "items": {"type": "integer"}},
                                "bytes": {"type": "integer"},
                            },
                            "required": ["name", "dtype", "shape", "bytes"],
                            "additionalProperties": False,
                        },
                    },
                    "assets": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["tags", "tensorflow_version", "signatures", "ops", "variables", "assets"],
            },
        },
        "findings": {"type": "array", "items": {"required": ["check", "severity", "where", "message", "remedy"]}},
    },
    "required": ["schema", "path", "total_bytes", "files", "meta_graphs", "findings"],
}


def inspected(path, status=0):
    ran = cpr("inspect", path, "--json")
    assert ran.status == status, ran.err
    jsonschema.validate(ran.document, SCHEMA)
    return ran.document


@pytest.mark.parametrize("name", ["keras", "module", "tf1_builder", "tf1_composite", "vocabulary", "module_text"])
def test_json_is_the_contract_and_says_what_tensorflow_says(tensorflow_says, name):
    text = name.endswith("_text")
    # The text form stands alone, without its weights: that is a finding.
    document = inspected(tensorflow_says.folder / name, status=int(text))
    says = tensorflow_says.models[name.removesuffix("_text")]
    assert next(iter(document)) == "schema"
    assert document["path"] == str(tensorflow_says.folder / name)
    for graph, fact in zip(document["meta_graphs"], says["meta_graphs"], strict=True):
        assert graph["tags"] == fact["tags"]
        assert graph["ops"] == fact["ops"]
        assert graph["signatures"].keys() == fact["signatures"].keys()
        named = [] if text else says["variables"]
        assert [variable["name"] for variable in graph["variables"]] == [fact["name"] for fact in named]
    if name == "module":
        signature = document["meta_graphs"][0]["signatures"]["serving_default"]
        assert signature == {
            "method_name": "tensorflow/serving/predict",
            "inputs": {"x": {"tensor": "serving_default_x:0", "dtype": "float32", "shape": [None, 4]}},
            "outputs": {
                "best": {"tensor": "StatefulPartitionedCall_1:0", "dtype": "int64", "shape": [None]},
                "scores": {"tensor": "StatefulPartitionedCall_1:1", "dtype": "float32", "shape": [None, 3]},
            },
        }


def test_files_are_those_on_disk(models):
    document = inspected(models / "vocabulary")
    root = models / "vocabulary"
    disk = sorted((path.relative_to(root).as_posix(), path.stat().st_size) for path in root.rglob("*") if path.is_file())
    assert [(file["path"], file["size"]) for file in document["files"]] == disk
    assert document["total_bytes"] == sum(size for _, size in disk)


def test_a_broken_model_is_a_finding_and_status_1(models):
    document = inspected(models / "broken" / "weights_cut" / "module", status=1)
    assert [finding["check"] for finding in document["findings"]] == ["CPR606"]
    assert document["meta_graphs"], "what can be read is shown all the same"
    ran = cpr("inspect", models / "broken" / "graph_cut" / "module")
    assert ran.status == 1
    assert "error CPR603 saved_model.pb: " in ran.out
    assert "  fix: " in ran.out


def test_text_shows_signatures_with_a_request_to_paste(models):
    ran = cpr("inspect", models / "module")
    assert ran.status == 0
    assert 'request: {"instances": [[0.0, 0.0, 0.0, 0.0]]}' in ran.out
    assert "x       float32[?, 4]" in ran.out
    assert "saved_model.pb" in ran.out
    assert "__saved_model_init_op" not in ran.out
    assert len(ran.out.splitlines()) < 45


def test_a_bundle_is_named_and_its_model_shown(models, tiny, tmp_path):
    shutil.copytree(models / "module", tiny / "model" / "net")
    bundle = build(tiny, tmp_path / "bundle")
    document = inspected(bundle.root)
    assert document["bundle"] == {
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
        "digest": bundle.manifest.digest,
    }
    assert [graph["path"] for graph in document["meta_graphs"]] == ["model/net"]
    (bundle.root / "manifest.json").write_text("{}")
    altered = inspected(bundle.root, status=1)
    assert [finding["check"] for finding in altered["findings"]] == ["CPR611"]


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [("absent", 1, "ModelError"), ("gs://bucket/model", 2, "UsageError"), (__file__, 1, "ModelError")],
)
def test_bad_paths_are_clear_errors(path, status, kind, tmp_path):
    ran = cpr("inspect", path, "--json", cwd=tmp_path)
    assert (ran.status, ran.error["type"]) == (status, kind)
    assert ran.error["remedy"]
    plain = cpr("inspect", path, cwd=tmp_path)
    assert plain.status == status
    assert len(plain.err.splitlines()) == 2


def test_a_file_uri_is_a_path(models):
    assert inspected((models / "module").as_uri())["total_bytes"] == inspected(models / "module")["total_bytes"]


def test_names_are_not_obeyed_by_a_terminal(models, tmp_path):
    shutil.copytree(models / "tf1_constant", tmp_path / "model")
    graph = (tmp_path / "model" / "saved_model.pb").read_bytes()
    assert graph.count(b"serving_default") == 1
    (tmp_path / "model" / "saved_model.pb").write_bytes(graph.replace(b"serving_default", b"\x1b[2Jing_default"))
    (tmp_path / "model" / "a\nb").write_text("")
    with open(os.fsencode(tmp_path) + b"/model/\xff", "w"):
        pass
    ran = cpr("inspect", tmp_path / "model")
    assert "\x1b" not in ran.out
    assert "\\x1b[2Jing_default" in ran.out
    document = inspected(tmp_path / "model")
    assert {file["path"] for file in document["files"]} == {"a\\nb", "\\udcff", "saved_model.pb"}
    assert "\x1b[2Jing_default" in document["meta_graphs"][0]["signatures"]


@pytest.mark.skipif(sys.platform != "linux", reason="takes root's power over permissions away as Linux does")
def test_an_unreadable_file_is_a_finding(models, tmp_path):
    shutil.copytree(models / "module", tmp_path / "model")
    (tmp_path / "model" / "saved_model.pb").chmod(0)
    ran = cpr("inspect", tmp_path / "model", "--json", preexec=give_up_reading_everything)
    assert ran.status == 1
    assert [finding["check"] for finding in ran.document["findings"]] == ["CPR603"]


def test_importtime_shows_nothing_heavy(models):
    command = [sys.executable, "-X", "importtime", "-m", "cpr", "inspect", str(models / "module"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "cpr" in imported
    assert not imported & {"tensorflow", "numpy", "google", "yaml", "packaging", "rich", "boto3"}
