"""``cpr inspect``: the JSON contract, the text, exit statuses, and what is imported."""

import errno
import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

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
OBJECTS = {
    "type": ["object", "null"],
    "properties": {
        "maker": {"enum": ["keras", "module"]},
        "keras_version": {"type": ["string", "null"], "minLength": 1},
        "keras_major": {"enum": [None, 2, 3]},
        "classes": {"additionalProperties": {"type": "integer", "minimum": 1}},
        "functions": {"type": "integer"},
        "variables": {
            "type": "array",
            "items": {
                "properties": {
                    "name": {"type": "string"},
                    "dtype": {"type": ["string", "null"]},
                    "shape": {"type": ["array", "null"], "items": {"type": ["integer", "null"]}},
                    "trainable": {"type": "boolean"},
                    "path": {"type": ["string", "null"], "minLength": 1},
                },
                "required": ["name", "dtype", "shape", "trainable", "path"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["maker", "keras_version", "keras_major", "classes", "functions", "variables"],
    "additionalProperties": False,
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
                    "path": {"type": "string"},
                    "git_version": {"type": "string"},
                    "minimum_tensorflow": {"type": ["string", "null"]},
                    "maximum_tensorflow": {"type": ["string", "null"]},
                    "minimum_tensorflow_ops": {"type": "array", "items": {"type": "string"}},
                    "unknown_ops": {"type": "array", "items": {"type": "string"}},
                    "producer": {"type": "integer"},
                    "min_consumer": {"type": "integer"},
                    "bad_consumers": {"type": "array", "items": {"type": "integer"}},
                    "stripped_default_attrs": {"type": "boolean"},
                    "functions": {"additionalProperties": {"type": "integer", "minimum": 0}},
                    "init_ops": {"type": "array", "items": {"type": "string"}},
                    "objects": OBJECTS,
                },
                "required": [
                    *("tags", "tensorflow_version", "signatures", "ops", "variables", "assets"),
                    *(
                        "git_version",
                        "minimum_tensorflow",
                        "maximum_tensorflow",
                        "minimum_tensorflow_ops",
                        "unknown_ops",
                        "producer",
                        "min_consumer",
                    ),
                    *("bad_consumers", "stripped_default_attrs", "functions", "init_ops", "objects"),
                ],
                "additionalProperties": False,
            },
        },
        "models": {
            "type": "array",
            "items": {
                "properties": {
                    "path": {"type": "string"},
                    "fingerprint": {
                        "type": ["object", "null"],
                        "properties": {"uuid": {"type": "string"}},
                        "additionalProperties": {"type": "integer"},
                        "minProperties": 7,
                    },
                    "warmup": {
                        "type": ["object", "null"],
                        "properties": {
                            "records": {"type": "integer"},
                            "kinds": {"additionalProperties": {"type": "integer"}},
                            "signatures": {"type": "array", "items": {"type": "string"}},
                        },
                        "required": ["records", "kinds", "signatures"],
                        "additionalProperties": False,
                    },
                },
                "required": ["path", "fingerprint", "warmup"],
                "additionalProperties": False,
            },
        },
        "findings": {"type": "array", "items": {"required": ["check", "severity", "where", "message", "remedy"]}},
    },
    "required": ["schema", "path", "bundle", "total_bytes", "files", "meta_graphs", "models", "findings"],
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
    assert [finding["check"] for finding in document["findings"] if finding["severity"] == "error"] == ["CPR606"]
    assert document["meta_graphs"], "what can be read is shown all the same"
    ran = cpr("inspect", models / "broken" / "graph_cut" / "module")
    assert ran.status == 1
    assert "error CPR603 saved_model.pb: " in ran.out
    assert "  fix: " in ran.out


FACTS = ("git_version", "producer", "min_consumer", "bad_consumers", "stripped_default_attrs", "functions")


@pytest.mark.parametrize("name", ["keras", "module", "tf1_builder", "vocabulary"])
def test_the_facts_of_a_graph(tensorflow_says, name):
    """What the contract does not ask for, where TensorFlow's own protobufs say the same."""
    document = inspected(tensorflow_says.folder / name)
    for graph, fact in zip(document["meta_graphs"], tensorflow_says.models[name]["meta_graphs"], strict=True):
        assert {key: graph[key] for key in FACTS} == {key: fact[key] for key in FACTS}
        assert (graph["objects"] is not None) == fact["has_objects"]
    assert [model["path"] for model in document["models"]] == ["."]


def text(*arguments, **options):
    ran = cpr("inspect", *arguments, **options)
    return ran.out


def test_text_shows_signatures_as_one_would_call_them(models):
    ran = cpr("inspect", models / "module")
    assert ran.status == 0
    lines = ran.out.splitlines()
    assert lines[0].startswith(f"{models / 'module'}: SavedModel, ")
    assert "  serving_default(x: float32[?, 4]) → best: int64[?], scores: float32[?, 3]" in lines
    request = """echo '{"instances": [[0.0, 0.0, 0.0, 0.0]]}'"""
    assert f"    {request} | cpr predict {models / 'module'} --instances -" in lines
    assert "      anything: int64[…]," in lines, "one line each where they are many"
    assert "[serve] tf.Module, written by TensorFlow 2." in ran.out
    assert "__saved_model_init_op" not in ran.out
    assert len(lines) < 60


def test_text_names_the_method_where_it_is_unusual(pairs):
    assert "  [tensorflow/serving/classify]" in text(pairs / "signature_2")
    assert "[tensorflow/serving" not in text(pairs / "signature_1")


def test_text_draws_a_tree_with_sums(models):
    lines = text(models / "vocabulary").splitlines()
    (folder,) = (line for line in lines if line.endswith("─ variables/"))
    files = list((models / "vocabulary" / "variables").iterdir())
    assert folder.split("├")[0].strip() == f"{sum(file.stat().st_size for file in files)} B", "a sum, and no bar of its own"
    (graph,) = (line for line in lines if line.endswith("─ saved_model.pb"))
    assert "████████" in graph
    assert [line for line in lines if line.endswith("└─ assets/words.txt")], "a folder with one file takes one line"


def test_small_files_are_folded(models, tmp_path):
    shutil.copytree(models / "module", tmp_path / "model")
    for number in range(300):
        file = tmp_path / "model" / "assets" / f"{number % 3}" / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x" * (number % 7))
    lines = text(tmp_path / "model").splitlines()
    tree = lines[2 : lines.index("", 2)]
    assert len(tree) < 25
    folded = [re.search(r"… (\d+) smaller files?$", line) for line in tree]
    shown = sum(1 for line in tree if re.search(r"─ .*[^/]$", line) and "…" not in line)
    assert sum(int(match[1]) for match in folded if match) + shown == 304


def test_facts_in_text(models, repository):
    out = text(models / "vocabulary")
    assert re.search(r"^  needs        TensorFlow ≥ \d\.\d", out, re.MULTILINE)
    assert "\n  assets       words.txt\n" in out
    assert "\n  runs at load HashTableV2 1, InitializeTableFromTextFileV2 1\n" in out
    assert re.search(r"\n  fingerprint  [0-9a-f]{16}, uuid \d+\n", out)
    assert re.search(r"\n  functions    \d+, the largest \S+ with \d+ nodes\n", out)
    keras = text(repository / "sample_models" / "add_two" / "exports" / "keras2")
    assert "[serve] Keras 2.15.0, written by TensorFlow 2.15" in keras
    variables = text(models / "module")
    assert "\n  variables    4, 69 B\n" in variables
    assert re.search(r"\n +48 B  █+  float32\[4, 3\]  weights\n", variables)
    assert "the 2 graphs share" in text(models / "tf1_builder")


def test_findings_come_worst_first_with_their_cause_once(models):
    out = text(models / "broken" / "weights_cut" / "module")
    severities = re.findall(r"^(error|warning|note) CPR\d+ ", out, re.MULTILINE)
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert len(set(severities)) == 3
    assert out.splitlines()[0].endswith("1 error, 1 warning, 2 notes")
    checks = re.findall(r"^\w+ (CPR\d+) ", out, re.MULTILINE)
    assert len(checks) > len(set(checks))
    assert len(re.findall("^  why: ", out, re.MULTILINE)) == len(set(checks))
    assert len(re.findall("^  fix: ", out, re.MULTILINE)) == len(checks)


PASTED = [
    ("module", "serving_default", '{"best": 0, "scores": [0.0, 0.0, 0.0]}\n'),
    ("tf1_builder", "predict", '"names": "'),
    ("requests", "picture", "0\n"),
    ("requests", "large", '{"flipped": false, "mean": 0.0}\n'),
    ("odd it's here", "it's \\n", "[1]\n[1]\n"),
]


@pytest.mark.parametrize(("model", "signature", "answer"), PASTED, ids=range(len(PASTED)))
def test_the_request_works_when_it_is_pasted(models, pairs, model, signature, answer, tmp_path):
    """In a real shell, with nothing but the line itself."""
    place = next(path for path in (models / model, pairs / model) if path.is_dir())
    (tmp_path / "here").symlink_to(place.parent)
    lines = text(Path("here") / model, cwd=tmp_path).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith(f"  {signature}("))
    command = next(line for line in lines[at:] if "cpr predict " in line)
    found = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=tmp_path, env=found, timeout=120)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert answer in done.stdout


def in_terminal(columns, *arguments, **environment):
    """What a terminal of this width is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    command = [sys.executable, "-m", "cpr", "inspect", *map(str, arguments)]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, env={**os.environ, **environment})
    os.close(theirs)
    sent = bytearray()
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError as error:
            assert error.errno == errno.EIO  # the other end is closed
            break
        if not block:
            break
        sent += block
    os.close(ours)
    assert process.wait(30) in (0, 1)
    return sent.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_lines_fit_the_terminal(models, columns):
    out = in_terminal(columns, models / "broken" / "weights_cut" / "module")
    assert "\x1b" not in out
    long = [line for line in out.splitlines() if len(line) > columns and "cpr predict" not in line]
    assert [line for line in long if str(models) not in line] == []
    assert any(len(line) > columns - 15 for line in out.splitlines())
    assert "\n  why: " in out


def test_a_terminal_without_the_characters_gets_others(models):
    out = in_terminal(80, models / "module", PYTHONIOENCODING="ascii")
    assert out.isascii()
    assert "\\u" not in out
    assert "|- saved_model.pb" in out.replace("|--", "|-")
    assert "-> best: int64[?]" in out


def test_verify_finds_an_altered_tensor(models, tmp_path):
    shutil.copytree(models / "module", tmp_path / "model")
    weights = next((tmp_path / "model" / "variables").glob("*.data-*"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert "CPR613" not in {finding["check"] for finding in inspected(tmp_path / "model")["findings"]}
    ran = cpr("inspect", tmp_path / "model", "--json", "--verify")
    assert ran.status == 1
    assert "CPR613" in {finding["check"] for finding in ran.document["findings"]}
    assert cpr("inspect", models / "module", "--verify").status == 0


def test_a_release_is_compared_with(models):
    def found(*release):
        ran = cpr("inspect", models / "module", "--json", *release)
        return ran.status, {finding["check"] for finding in ran.document["findings"]}

    assert "CPR621" not in found()[1]
    status, checks = found("--tensorflow", "2.8")
    assert status == 1
    assert "CPR621" in checks
    assert found("--tensorflow", "2.21.0")[0] == 0
    ran = cpr("inspect", models / "module", "--json", "--tensorflow", "3.14")
    assert (ran.status, ran.error["type"]) == (2, "UsageError")
    assert "2.11" in ran.error["remedy"]


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
    assert [finding["check"] for finding in altered["findings"] if finding["severity"] == "error"] == ["CPR611"]


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [("absent", 1, "ModelError"), ("gs:/bucket/model", 1, "StorageError"), (__file__, 1, "ModelError")],
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
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    slow = {"hashlib", "shutil", "difflib", "shlex", "tempfile", "cpr.storage", "cpr.bundle", "cpr.manifest", "cpr.resources"}
    assert not modules & slow, "nothing that a SavedModel here does not need"
