"""What differs between two models: pairs that TensorFlow made, of which is known in what they differ."""

import shutil
from collections import Counter

import jsonschema
import pytest
from support.command import cpr

import cpr as package
from cpr.errors import ModelError

SCHEMA = {
    "type": "object",
    "properties": {
        "schema": {"const": "cpr.inspect/1"},
        "a": {"type": "string"},
        "b": {"type": "string"},
        "equal": {"type": ["boolean", "null"]},
        "differences": {
            "type": "array",
            "items": {
                "properties": {"kind": {"type": "string"}, "where": {"type": "string"}, "a": {}, "b": {}},
                "required": ["kind", "where", "a", "b"],
                "additionalProperties": False,
            },
        },
        "unread": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["schema", "a", "b", "equal", "differences"],
    "additionalProperties": False,
}


def differences(a, b):
    """Kind and place to the two states, without the sizes that every other graph changes."""
    compared = package.compare(a, b)
    found = {(each.kind, each.where): (each.a, each.b) for each in compared.differences}
    assert len(found) == len(compared.differences)
    assert compared.equal is (None if compared.unread and not found else not found)
    return {key: states for key, states in found.items() if key[0] not in ("file", "total_bytes")}


@pytest.mark.parametrize(("other", "variable"), [("value", "weights"), ("text_value", "names")])
def test_another_value_of_the_same_shape_is_known_by_its_checksum(pairs, other, variable):
    found = differences(pairs / "base", pairs / other)
    key = ("content", f"{variable}/.ATTRIBUTES/VARIABLE_VALUE")
    assert found.keys() - {("constants", ".")} == {key}
    assert all(state.startswith("crc32c:") for state in found[key])


def test_another_shape(pairs):
    found = differences(pairs / "base", pairs / "shape")
    signature = {"x": {"tensor": "again_x:0", "dtype": "float32", "shape": [None, 5]}}
    assert found[("signature", "again")][0] is None
    assert found[("signature", "again")][1]["inputs"] == signature
    shapes = [state["shape"] for state in found[("input", "serving_default.x")]]
    assert shapes == [[None, 4], [None, 5]]
    assert found[("variable", "weights/.ATTRIBUTES/VARIABLE_VALUE")] == (
        {"dtype": "float32", "shape": [4, 3], "bytes": 48},
        {"dtype": "float32", "shape": [5, 3], "bytes": 60},
    )
    assert ("output", "serving_default.scores") not in found
    assert not [key for key in found if key[0] == "content"]


def test_another_constant_in_the_same_graph(pairs):
    sizes = {(pairs / name / "saved_model.pb").stat().st_size for name in ("frozen_2", "frozen_3")}
    assert len(sizes) == 1, "nothing but the content can tell them apart"
    assert differences(pairs / "frozen_2", pairs / "frozen_3").keys() == {("constants", ".")}


def test_another_signature_on_the_same_graph(pairs):
    found = differences(pairs / "signature_1", pairs / "signature_2")
    predict, classify = "tensorflow/serving/predict", "tensorflow/serving/classify"
    assert found == {
        ("tags", "."): (["serve"], ["serve", "gpu"]),
        ("method_name", "serving_default"): (predict, classify),
        ("tensor", "serving_default.in"): ("x:0", "other:0"),
        ("tensor", "serving_default.out"): ("y:0", "z:0"),
        ("output", "serving_default.more"): (None, {"tensor": "y:0", "dtype": "float32", "shape": [None]}),
    }


def test_another_asset_of_the_same_size(pairs):
    found = differences(pairs / "words_1", pairs / "words_swapped")
    assert found.keys() == {("content", "assets/words.txt")}
    assert all(state.startswith("sha256:") for state in found[("content", "assets/words.txt")])


def test_graphs_are_paired_by_their_tags(pairs):
    found = differences(pairs / "graphs_1", pairs / "graphs_2")
    assert {key: [state is None for state in states] for key, states in found.items() if key[0] == "graph"} == {
        ("graph", "[train]"): [False, True],
        ("graph", "[eval]"): [True, False],
    }
    assert not [key for key in found if key[0] in ("signature", "op", "content")], "the graphs for serving are the same"


def test_a_partitioned_variable_is_compared_slice_by_slice(pairs):
    assert len(package.inspect(pairs / "graphs_1").models[0].variables[0].slices) == 2
    one, other = differences(pairs / "graphs_1", pairs / "graphs_3")[("content", "parts")]
    assert len(one.split(",")) == len(other.split(",")) == 2
    assert package.compare(pairs / "graphs_1", pairs / "graphs_1").equal is True


@pytest.mark.parametrize(("a", "b"), [("module", "keras"), ("keras", "tf1_builder"), ("vocabulary", "module")])
def test_the_differences_are_those_of_what_tensorflow_says(tensorflow_says, a, b):
    says = [tensorflow_says.models[name] for name in (a, b)]
    found = differences(tensorflow_says.folder / a, tensorflow_says.folder / b)
    graphs = [fact["meta_graphs"] for fact in says]
    variables = [{each["name"]: each for each in fact["variables"] if "OBJECT_GRAPH" not in each["name"]} for fact in says]
    gone = {("variable", name) for name in variables[0].keys() ^ variables[1].keys()}
    assert {key for key in found if key[0] == "variable" and None in found[key]} == gone
    if len(graphs[0]) == len(graphs[1]) == 1:
        ones, others = (Counter(graph[0]["ops"]) for graph in graphs)
        expected = {op: (ones[op] or None, others[op] or None) for op in {*ones, *others} if ones[op] != others[op]}
        assert {key[1]: states for key, states in found.items() if key[0] == "op"} == expected
        keys = graphs[0][0]["signatures"].keys() ^ graphs[1][0]["signatures"].keys()
        assert {key[1] for key in found if key[0] == "signature"} == keys


def test_every_model_equals_itself_and_its_copy(models, pairs, tmp_path):
    for path in sorted(path for path in [*models.iterdir(), *pairs.iterdir()] if (path / "variables").is_dir()):
        shutil.copytree(path, tmp_path / path.name)
        assert package.compare(path, tmp_path / path.name).equal is True, path


def test_folders_with_several_models_are_paired_by_name(pairs, tmp_path):
    for side, names in (("a", {"x": "base", "gone": "base"}), ("b", {"x": "value", "new": "frozen_2"})):
        for folder, name in names.items():
            shutil.copytree(pairs / name, tmp_path / side / folder)
        (tmp_path / side / "notes.txt").write_text(side * len(side))
    (tmp_path / "b" / "notes.txt").write_text("longer")
    found = differences(tmp_path / "a", tmp_path / "b")
    assert ("content", "x weights/.ATTRIBUTES/VARIABLE_VALUE") in found
    assert found[("model", "gone")][1] is None
    assert found[("model", "new")][0] is None
    everything = {
        (each.kind, each.where): (each.a, each.b) for each in package.compare(tmp_path / "a", tmp_path / "b").differences
    }
    assert everything[("file", "notes.txt")] == (1, 6)
    # One model on each side: their folders' names do not matter.
    shutil.copytree(pairs / "base", tmp_path / "c" / "1")
    shutil.copytree(pairs / "base", tmp_path / "d" / "2")
    assert package.compare(tmp_path / "c", tmp_path / "d").equal is True


def test_the_document(pairs):
    ran = cpr("inspect", pairs / "base", pairs / "shape", "--json")
    assert ran.status == 0, "models that differ are no failure"
    jsonschema.validate(ran.document, SCHEMA)
    assert list(ran.document)[:5] == ["schema", "a", "b", "equal", "differences"]
    assert (ran.document["a"], ran.document["b"], ran.document["equal"]) == (str(pairs / "base"), str(pairs / "shape"), False)
    same = cpr("inspect", pairs / "base", pairs / "base", "--json")
    assert (same.status, same.document["equal"], same.document["differences"]) == (0, True, [])


def test_the_text(pairs):
    ran = cpr("inspect", pairs / "base", pairs / "shape")
    assert ran.status == 0
    for line in (
        "    + again(x: float32[?, 5]) → scores: float32[?, 3]",
        "    ~ serving_default.x  input float32[?, 4] → float32[?, 5]",
        "    ~ weights  float32[4, 3] → float32[5, 3]  60 B",
    ):
        assert line in ran.out.splitlines()
    ran = cpr("inspect", pairs / "base", pairs / "value")
    assert "  other values in 1 variable\n    weights\n" in ran.out
    ran = cpr("inspect", pairs / "words_1", pairs / "words_swapped")
    assert "    ~ assets/words.txt  other content" in ran.out
    ran = cpr("inspect", pairs / "base", pairs / "base")
    assert ran.out.splitlines()[-1] == "No difference in signatures, operations, values and files."


@pytest.mark.parametrize("broken", ["graph_cut/module", "graph_empty/module", "index_cut/module", "index_altered/module"])
def test_an_unreadable_model_is_an_error(models, pairs, broken):
    for order in ((models / "broken" / broken, pairs / "base"), (pairs / "base", models / "broken" / broken)):
        ran = cpr("inspect", *order, "--json")
        assert (ran.status, ran.error["type"]) == (1, "ModelError")
        assert str(models / "broken" / broken) in ran.error["where"]
    with pytest.raises(ModelError, match="no model to compare"):
        package.compare(models / "checkpoint_large", pairs / "base")


def test_faults_that_leave_the_model_readable_are_no_error(models, pairs):
    assert cpr("inspect", models / "broken" / "weights_missing" / "module", pairs / "base", "--json").status == 0


@pytest.mark.parametrize("option", [["--verify"], ["--tensorflow", "2.11"]])
def test_options_for_one_model_are_refused(pairs, option):
    ran = cpr("inspect", pairs / "base", pairs / "value", *option, "--json")
    assert (ran.status, ran.error["type"]) == (2, "UsageError")


def test_names_are_not_obeyed_by_a_terminal(models, tmp_path):
    shutil.copytree(models / "tf1_constant", tmp_path / "model")
    graph = (tmp_path / "model" / "saved_model.pb").read_bytes()
    (tmp_path / "model" / "saved_model.pb").write_bytes(graph.replace(b"serving_default", b"\x1b[2Jing_default"))
    (tmp_path / "model" / "a\nb").write_text("")
    ran = cpr("inspect", models / "tf1_constant", tmp_path / "model")
    assert "\x1b" not in ran.out
    assert "+ \\x1b[2Jing_default(" in ran.out
    assert "+ a\\nb  0 B" in ran.out


def test_tensorflow_s_own_hooks_are_no_signatures(models):
    compared = package.compare(models / "tf1_constant", models / "module")
    assert {each.where for each in compared.differences if each.kind.startswith("signature")} >= {"mixed"}
    assert not any("__saved_model" in each.where for each in compared.differences)
