"""The text form: the corners of the language that TensorFlow's own writer does not use."""

from pathlib import Path

import pytest

from cpr.errors import ModelError
from cpr.saved_model import read_saved_model

CORNERS = Path(__file__).with_name("corners.pbtxt")


def written(folder, text):
    (folder / "saved_model.pbtxt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_the_corners_mean_what_they_mean_to_protobuf(tmp_path, models):
    """``models/corners`` holds what protobuf itself made of the same text."""
    found = read_saved_model(written(tmp_path, CORNERS.read_bytes())).meta_graphs
    assert found == read_saved_model(models / "corners").meta_graphs
    (graph,) = found
    assert graph.tags == ("serve", "two", "ab")
    assert graph.tensorflow_version == "2.15.0"
    assert graph.git_version == "v2.15.0-2-g0b15fdfcb3f"
    assert graph.stripped_default_attrs
    assert (graph.producer, graph.min_consumer, graph.bad_consumers) == (1395, 0, (1, 2, 12))
    assert graph.functions == {"f": 1, "g": 1}
    assert {"Add": 1, "Const": 5, "Mul": 1, "NoOp": 1}.items() <= graph.ops.items()
    assert (graph.init_ops, graph.load_ops) == (("huge",), {"Const": 1})
    call = graph.calls["all"]
    assert call.ops == {op: count for op, count in graph.ops.items() if op != "Add"} | {"Const": 3}
    assert (call.dropout, call.training_norms) == (("random",), ("norm",))
    assert set(graph.assets) == {"vocabulary.txt", "other.txt"}
    assert graph.signatures["é"].inputs["x"].shape == (None, 16, 8)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("meta_graphs {", "line 1"),
        ("meta_graphs {\n}\n}", "line 3"),
        ("meta_graphs {\n>\n", "line 2"),
        ("meta_graphs 1", "line 1"),
        ("\nmeta_graphs: 1", "line 2"),
        ("meta_graphs { meta_info_def { tags: 1 } }", "line 1"),
        ("meta_graphs { meta_info_def { tags: { } } }", "line 1"),
        ('meta_graphs { graph_def: "text" }', "line 1"),
        ('meta_graphs { meta_info_def {\n tags: "no end } }', "line 2"),
        ('meta_graphs { meta_info_def {\n tags: "line\nbreak" } }', "line 2"),
        ("meta_graphs [{}, 1]", "line 1"),
        ("x: [1, 2", "line 1"),
        ("x: [1 2]", "line 1"),
        ("x: ", "line 1"),
        ('meta_graphs { graph_def { node { attr { value { tensor {\n float_val: "1" } } } } } }', "line 2"),
        ("meta_graphs { graph_def { node { attr { value { tensor {\n float_val: 1_0 } } } } } }", "line 2"),
        ("meta_graphs { graph_def { node { attr { value { tensor {\n double_val: { } } } } } } }", "line 2"),
        ("meta_graphs { graph_def { node { attr { value { tensor {\n tensor_content: 1 } } } } } }", "line 2"),
        ("meta_graphs { graph_def { node { attr { value {\n b: maybe } } } } }", "line 2"),
        ('x: "a\\"', "line 1"),
        ("x: '\n'", "line 1"),
        (b"\x08\x01\x12\x80", "line 1"),
        ("x {" * 200, "nesting"),
        ("x: [" * 200, "line 1"),
    ],
)
def test_broken_text_is_named_with_its_line(tmp_path, text, line):
    with pytest.raises(ModelError, match=line):
        read_saved_model(written(tmp_path, text))


def test_a_number_too_large_is_refused(tmp_path):
    entry = "signature_def {{ value {{ inputs {{ value {{ tensor_shape {{ dim {{ size: {} }} }} }} }} }} }}"
    for size in ("9223372036854775808", "0xffffffffffffffff", "1e3", "08"):
        with pytest.raises(ModelError):
            read_saved_model(written(tmp_path, "meta_graphs { " + entry.format(size) + " }"))


def test_an_empty_text_is_no_model(tmp_path):
    with pytest.raises(ModelError):
        read_saved_model(written(tmp_path, "# nothing\n"))
