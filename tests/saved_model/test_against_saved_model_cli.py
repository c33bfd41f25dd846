"""Every SavedModel in the repository: each field of ``cpr inspect --json`` is what TensorFlow itself says of it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import cpr

from cpr.saved_model.dtypes import dtype_name, numbers_by_enum_name

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("tensorflow_shows.py")
MODELS = sorted(
    path.parent.relative_to(REPOSITORY).as_posix()
    for folder in ("sample_models", "templates")
    for path in (REPOSITORY / folder).rglob("saved_model.pb")
    if "dist" not in path.parts
)


@pytest.fixture(scope="module")
def told():
    """What TensorFlow says, by model."""
    command = [sys.executable, str(SCRIPT), *(str(REPOSITORY / model) for model in MODELS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return {model: json.loads(done.stdout)[str(REPOSITORY / model)] for model in MODELS}


@pytest.fixture(scope="module")
def shown():
    """What cpr says, by model."""
    found = {}
    for model in MODELS:
        ran = cpr("inspect", REPOSITORY / model, "--json")
        assert ran.status == 0, ran.err
        found[model] = ran.document
    return found


def test_every_model_is_looked_at(shown):
    assert len(MODELS) == 13
    assert sum(len(document["meta_graphs"]) for document in shown.values()) == 13


@pytest.mark.parametrize("model", MODELS)
def test_every_field_of_a_graph(told, shown, model):
    """A field that is new has to be added here, with what TensorFlow says of it."""
    said = told[model]["document"]["meta_graphs"]
    for graph, fact in zip(shown[model]["meta_graphs"], said, strict=True):
        assert set(graph) == {*AS_SAID, *NEEDS, "path", "signatures", "assets", "variables", "objects"}
        assert graph["path"] == "."
        assert {field: graph[field] for field in AS_SAID} == {field: fact[field] for field in AS_SAID}
        assert graph["signatures"] == fact["signatures"]
        assert sorted(graph["assets"]) == fact["assets"]
        check_variables(graph["variables"], fact["variables"])
        check_objects(model, graph["objects"], fact["objects"])
        check_needs(graph, fact["unknown_ops"])


AS_SAID = (
    "tags",
    "tensorflow_version",
    "git_version",
    "stripped_default_attrs",
    "producer",
    "min_consumer",
    "bad_consumers",
    "ops",
    "functions",
    "init_ops",
)
NEEDS = ("minimum_tensorflow", "maximum_tensorflow", "minimum_tensorflow_ops", "unknown_ops")


def check_variables(ours, said):
    """The reader of checkpoints does not tell how long a string is in the file: the other types are compared in bytes."""
    assert [each | {"bytes": 0} for each in ours] == [each | {"bytes": 0} for each in said]
    for each, fact in zip(ours, said, strict=True):
        assert each["bytes"] == fact["bytes"] or each["dtype"] == "string"


def check_objects(model, ours, said):
    """Who made a model is known from the script that made it; TensorFlow itself does not say."""
    if said is None:
        assert ours is None
        return
    maker = MAKERS.get(Path(model).name, ("module", None, None))
    assert (ours["maker"], ours["keras_version"], ours["keras_major"]) == maker
    assert set(ours) == {"maker", "keras_version", "keras_major", *said}
    assert (ours["classes"], ours["functions"]) == (said["classes"], said["functions"])
    assert by_path(ours["variables"]) == by_path(said["variables"])


MAKERS = {"keras2": ("keras", "2.15.0", 2), "keras3": ("keras", None, 3)}
"""Keras 3 writes its version nowhere."""


def by_path(variables):
    return sorted(variables, key=lambda variable: variable["path"])


def check_needs(graph, unknown):
    """The TensorFlow that wrote a model has all of its operations, and so has this one: no other may be called for."""
    assert graph["unknown_ops"] == unknown == []
    assert graph["maximum_tensorflow"] is None
    assert release(graph["minimum_tensorflow"]) <= release(graph["tensorflow_version"])
    assert set(graph["minimum_tensorflow_ops"]) <= set(graph["ops"])


def release(version):
    return tuple(int(number) for number in version.split(".")[:2])


@pytest.mark.parametrize("model", MODELS)
def test_every_other_field(told, shown, model):
    document, folder = shown[model], REPOSITORY / model
    assert set(document) == {"schema", "path", "bundle", "total_bytes", "files", "meta_graphs", "models", "findings"}
    assert (document["path"], document["bundle"]) == (str(folder), None)
    files = sorted((path.relative_to(folder).as_posix(), path.stat().st_size) for path in folder.rglob("*") if path.is_file())
    assert [(file["path"], file["size"]) for file in document["files"]] == files
    assert document["total_bytes"] == sum(size for _, size in files)
    assert document["models"] == [{"path": ".", "fingerprint": told[model]["document"]["fingerprint"], "warmup": None}]


@pytest.mark.parametrize("model", MODELS)
def test_print_as_saved_model_cli(told, shown, model):
    """Its text, made from our JSON: graphs, tags, signatures, method names, tensors, the set of operations."""
    text = told[model]["show"].partition("\nConcrete Functions:")[0]
    ours = "".join(as_cli(graph) for graph in shown[model]["meta_graphs"])
    for line, said in zip(ours.splitlines(), text.splitlines(), strict=True):
        assert told_by(line, said) == in_order(said)


def told_by(line, said):
    """The line, without the operations that only the bodies and branches of ``While`` and ``If`` hold.

    TensorFlow leaves them out of the list that its command reads (``ops_used_by_graph_def`` in ``meta_graph.py``). Those of
    every function are compared above.
    """
    if "StatelessWhile" not in said:
        return in_order(line)
    start, brace, members = in_order(line).partition("{")
    listed = set(in_order(said).partition("{")[2].split(", "))
    return start + brace + ", ".join(name for name in members.split(", ") if name in listed)


def as_cli(graph):
    tags = ", ".join(sorted(graph["tags"]))
    lines = ["", f"MetaGraphDef with tag-set: '{tags}' contains the following SignatureDefs:"]
    for key, signature in sorted(graph["signatures"].items()):
        lines += ["", f"signature_def['{key}']:"]
        for side, kind in (("inputs", "input"), ("outputs", "output")):
            lines.append(f"  The given SavedModel SignatureDef contains the following {kind}(s):")
            for name, tensor in sorted(signature[side].items()):
                lines += [f"    {side}['{name}'] tensor_info:", *(f"        {line}" for line in tensor_info(tensor))]
        lines.append(f"  Method name is: {signature['method_name']}")
    lines.append(f"The MetaGraph with tag set {[tags]} contains the following ops: {set(graph['ops'])}")
    return "\n".join(lines) + "\n"


def tensor_info(tensor):
    names = {dtype_name(number): name for name, number in numbers_by_enum_name().items()}
    shape = "unknown_rank"
    if tensor["shape"] is not None:
        shape = f"({', '.join('-1' if size is None else str(size) for size in tensor['shape'])})"
    return [f"dtype: {names[tensor['dtype']]}", f"shape: {shape}", f"name: {tensor['tensor']}"]


def in_order(line):
    """A set is printed in another order each time."""
    start, brace, members = line.partition("{")
    return start + brace + ", ".join(sorted(re.findall(r"'(\w+)'", members)))
