"""Graphs of TensorFlow 1: checkpoints with their MetaGraph, text graphs, frozen graphs."""

import shutil

import numpy as np
import pytest
from support import export_sources
from support.export_sources import ROWS, answers
from support.replaying import REPOSITORY

import cpr
from cpr.errors import ModelError, UsageError

pytestmark = pytest.mark.xdist_group("tensorflow")

ENDS = {"outputs": {"scores": "net/scores:0", "word": "net/words"}, "constants": {"net/keep": 1.0}}


@pytest.mark.parametrize("kind", ["reference", "resource"])
def test_a_checkpoint_with_its_meta_graph(kind, trained, tmp_path):
    source = trained[kind]
    exported = cpr.export(source.prefix, tmp_path / "model", **ENDS)
    moved = shutil.move(tmp_path / "model", tmp_path / "elsewhere")
    found = answers(moved, "serving_default", {"x": ROWS})
    np.testing.assert_allclose(found["scores"], source.scores, 1e-6)
    assert found["word"].tolist() == source.words.tolist()
    (graph,) = exported.model.meta_graphs
    assert graph.assets == ("words.txt",)
    assert not {op for op in graph.ops if "Adam" in op or "Gradient" in op}, "the training stays behind"
    assert [each.requests for each in exported.compared] == [3]


def test_a_graph_in_text_with_a_checkpoint(trained, tmp_path):
    source = trained["resource"]
    cpr.export(source.folder / "graph.pbtxt", tmp_path / "model", checkpoint="model.ckpt-2", signature="score", **ENDS)
    np.testing.assert_allclose(answers(tmp_path / "model", "score", {"x": ROWS})["scores"], source.scores, 1e-6)


def test_a_tensor_in_the_middle_becomes_an_input(trained, tmp_path):
    source = trained["resource"]
    dropped = next(node.input[0] for node in meta_nodes(source) if node.op == "MatMul")
    cpr.export(source.prefix, tmp_path / "model", inputs={"kept": dropped}, outputs={"scores": "net/scores"})
    np.testing.assert_allclose(answers(tmp_path / "model", "serving_default", {"kept": ROWS})["scores"], source.scores, 1e-6)


def meta_nodes(source):
    import tensorflow as tf

    meta = source.prefix.with_name(source.prefix.name + ".meta")
    return tf.compat.v1.MetaGraphDef.FromString(meta.read_bytes()).graph_def.node


def test_a_frozen_graph_gets_a_free_batch(tmp_path):
    export_sources.freeze(tmp_path / "frozen.pb", "rowwise")
    exported = cpr.export(tmp_path / "frozen.pb", tmp_path / "model")
    assert answers(tmp_path / "model", "serving_default", {"x": ROWS[:3]})["y"].tolist() == (ROWS[:3] * 2 + 1).tolist()
    assert exported.notes == (
        "output: y=out/y:0 (nothing else reads it)",
        "input: x=in/x:0 (the placeholders)",
        "batch: free, was fixed to 2",
    )


def test_rows_that_depend_on_each_other_keep_the_batch(tmp_path):
    export_sources.freeze(tmp_path / "frozen.pb", "mixed")
    with pytest.raises(ModelError, match="CPR651") as caught:
        cpr.export(tmp_path / "frozen.pb", tmp_path / "model")
    assert caught.value.remedy.startswith("It was not freed: the rows of y would depend on each other. ")
    assert "--keep-batch" in caught.value.remedy
    cpr.export(tmp_path / "frozen.pb", tmp_path / "model", keep_batch=True)
    found = answers(tmp_path / "model", "serving_default", {"x": ROWS[:2]})["y"]
    np.testing.assert_allclose(found, ROWS[:2] - ROWS[:2].mean(), 1e-6)


def test_what_a_graph_leaves_open_is_asked(trained, tmp_path):
    source = trained["resource"]

    def told(kind, place=source.prefix, **asked):
        with pytest.raises(kind) as caught:
            cpr.export(place, tmp_path / "model", **asked)
        assert not (tmp_path / "model").exists()
        return f"{caught.value.message} {caught.value.remedy}"

    scores = {"scores": "net/scores"}
    assert "--output scores=net/" in told(UsageError)
    assert "`--constant net/keep:0=VALUE`" in told(UsageError, outputs=scores, inputs={"x": "net/x"})
    assert "Near it are: net/scores:0" in told(UsageError, outputs={"y": "scores"})
    assert "does not fit its type float32" in told(UsageError, outputs=scores, constants={"net/keep": "much"})
    assert "--checkpoint PREFIX" in told(UsageError, source.folder / "graph.pbtxt", **ENDS)
    assert "are: model.ckpt-1, model.ckpt-2" in told(UsageError, source.folder / "graph.pbtxt", checkpoint="model.ckpt-9")
    lonely = shutil.copytree(source.folder, tmp_path / "lonely", ignore=shutil.ignore_patterns("*.meta", "*.pbtxt"))
    assert "no model.ckpt-2.meta" in told(ModelError, lonely / "model.ckpt-2")
    export_sources.freeze(tmp_path / "frozen.pb", "rowwise")
    other = str(REPOSITORY / "sample_models" / "add_two" / "exports" / "builder" / "variables" / "variables")
    assert "no value for net/w" in told(ModelError, source.folder / "graph.pbtxt", checkpoint=other, **ENDS)
    export_sources.freeze(tmp_path / "frozen.pb", "rowwise")
    with open(tmp_path / "large.pb", "wb") as file:
        file.truncate(1 << 31)  # takes no room
    assert "2,147,483,648" in told(ModelError, tmp_path / "large.pb")
    (tmp_path / "cut.pb").write_bytes((tmp_path / "frozen.pb").read_bytes()[:-9])
    assert "neither a GraphDef nor a MetaGraphDef" in told(ModelError, tmp_path / "cut.pb")


def test_an_operation_that_tensorflow_does_not_have(tmp_path):
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef()
    graph.node.add(name="x", op="Placeholder").attr["dtype"].type = 1
    graph.node.add(name="y", op="OperationOfOurs", input=["x"])
    (tmp_path / "frozen.pb").write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match="OperationOfOurs") as caught:
        cpr.export(tmp_path / "frozen.pb", tmp_path / "model")
    assert "another library" in caught.value.remedy
    assert not (tmp_path / "model").exists()


def test_weights_that_are_cut_short(trained, tmp_path):
    folder = shutil.copytree(trained["resource"].folder, tmp_path / "run")
    (data,) = folder.glob("model.ckpt-2.data-*")
    data.write_bytes(data.read_bytes()[:20])
    with pytest.raises(ModelError) as caught:
        cpr.export(folder / "model.ckpt-2", tmp_path / "model", **ENDS)
    assert "Copy the files again" in caught.value.remedy


def test_large_constants_of_a_frozen_graph_become_variables(tmp_path):
    import tensorflow as tf

    table = np.arange(600_000, dtype=np.float32).reshape(-1, 2)
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.int32, [None], name="x")
        tf.gather(tf.constant(table), x, name="y")
    tf.io.write_graph(graph.as_graph_def(), str(tmp_path), "frozen.pb", as_text=False)
    exported = cpr.export(tmp_path / "frozen.pb", tmp_path / "model")
    assert answers(tmp_path / "model", "serving_default", {"x": [0, 299_999]})["y"].tolist() == [[0, 1], [599_998, 599_999]]
    assert (tmp_path / "model" / "saved_model.pb").stat().st_size < 20_000
    assert "weights: 1 constant of 2,400,000 bytes became variables, which take less memory to load" in exported.notes
