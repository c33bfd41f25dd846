"""Weights in smaller types: variables still, turned back in the graph, behind the gather where rows are read."""

import asked_plainly
import numpy as np
import pytest

import cpr

pytest.importorskip("tensorflow")


def stored(place):
    """Types by name."""
    found = cpr.inspect(place).models[0].variables
    return {each.name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): each.dtype for each in found if each.dtype != "string"}


def data(path, **arrays):
    np.savez(path, **arrays)
    return path


IDS = {
    "text": (40, 6),
    "frozen": (40, 5),
    "references": (40, 5),
    "resources": (40, 5),
    "old_loop": (40, 5),
    "old_loop_of_resources": (40, 5),
}


@pytest.mark.parametrize("weights", ["float16", "int8"])
@pytest.mark.parametrize("name", IDS)
def test_a_model_is_smaller_and_answers_nearly_the_same(made, tmp_path, name, weights):
    rows = data(tmp_path / "rows.npz", ids=np.random.default_rng(0).integers(0, 200, IDS[name]).astype(np.int32))
    done = cpr.shrink(made(name), tmp_path / "smaller", weights=weights, data=rows, min_agreement=0.8, measure=False)
    before = asked_plainly.by_objects(done.source)
    for answers in (asked_plainly.by_objects(done.destination), asked_plainly.by_session(done.destination)):
        assert 0 < asked_plainly.largest_difference(before, answers) < 0.05
    assert {"half" if weights == "float16" else weights, weights} & set(stored(done.destination).values())
    accuracy = {each.output: each for each in done.accuracy}
    assert accuracy["scores" if name != "text" else "output_0"].rows == 40
    assert cpr.inspect(done.destination, verify=True).ok


def test_an_embedding_is_turned_back_behind_the_gather(made, tmp_path):
    """Or it would be in memory whole, in the larger type, at each call."""
    import tensorflow as tf
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    rows = data(tmp_path / "rows.npz", ids=np.zeros((8, 6), np.int32))
    done = cpr.shrink(made("text"), tmp_path / "smaller", weights="int8", data=rows, measure=False)
    graph = parse_saved_model(str(done.destination)).meta_graphs[0].graph_def
    nodes = [node for function in graph.library.function for node in function.node_def]
    gathers = [node for node in nodes if node.op in ("GatherV2", "ResourceGather")]
    types = {tf.as_dtype(node.attr["Tparams" if node.op == "GatherV2" else "dtype"].type) for node in gathers}
    assert types == {tf.int8}


def test_int8_has_a_scale_for_each_channel(made, tmp_path):
    """A channel a thousand times smaller than the others keeps its precision."""
    import tensorflow as tf

    module = tf.Module()
    values = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32) * np.logspace(-3, 3, 8, dtype=np.float32)
    module.weights = tf.Variable(values)
    spec = tf.TensorSpec([None, 64], tf.float32, name="x")
    serve = tf.function(lambda x: {"y": x @ module.weights}).get_concrete_function(spec)
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=serve)
    rows = data(tmp_path / "rows.npz", x=np.eye(64, dtype=np.float32))
    done = cpr.shrink(tmp_path / "model", tmp_path / "smaller", weights="int8", data=rows, min_agreement=0, measure=False)
    answered = cpr.load_model(done.destination).call({"x": np.eye(64, dtype=np.float32)})["y"]
    steps = np.abs(values).max(axis=0) / 127
    assert (np.abs(answered - values) <= steps * 0.5001).all()
    assert stored(done.destination) == {"weights": "int8"}


def test_branches_tied_weights_and_values_out_of_range(made, tmp_path):
    rows = data(tmp_path / "rows.npz", ids=np.arange(100, dtype=np.int32))
    options = {"data": rows, "min_agreement": 0.9, "measure": False, "int64_to_int32": True}
    done = cpr.shrink(made("branches"), tmp_path / "half", weights="float16", **options)
    types = stored(done.destination)
    assert {name: types[name] for name in ("first", "second", "small", "large", "huge")} == {
        "first": "float16",
        "second": "float16",
        "small": "int32",
        "large": "int64",
        "huge": "float32",
    }
    assert "65504" in done.kept["huge/.ATTRIBUTES/VARIABLE_VALUE"]
    assert "fit" in done.kept["large/.ATTRIBUTES/VARIABLE_VALUE"]
    assert (
        asked_plainly.largest_difference(asked_plainly.by_objects(done.source), asked_plainly.by_session(done.destination))
        < 0.1
    )


def test_kernels_of_convolutions(made, tmp_path):
    rows = data(tmp_path / "rows.npz", image=np.random.default_rng(0).normal(size=(32, 12, 12, 3)).astype(np.float32))
    done = cpr.shrink(made("picture"), tmp_path / "smaller", weights="int8", data=rows, min_agreement=0.9, measure=False)
    assert list(stored(done.destination).values()).count("int8") >= 3
    assert [each.made_up for each in done.accuracy] == [False, False]


def test_tables_stay_beside_smaller_weights(made, tmp_path):
    rows = data(tmp_path / "rows.npz", words=np.array(["zero", "one", "else"]))
    done = cpr.shrink(made("tables"), tmp_path / "smaller", weights="int8", data=rows, measure=False)
    assert stored(done.destination)["vectors"] == "int8"
    before, after = asked_plainly.by_objects(done.source), asked_plainly.by_session(done.destination)
    assert asked_plainly.largest_difference(before, after) < 0.05


def test_what_keras_stores_for_nobody_is_restored_for_the_session(made, tmp_path):
    """The graph of the source fails in a session: nothing restores the variables that its signature reads."""
    rows = data(tmp_path / "rows.npz", x=np.ones((4, 4), np.float32))
    with pytest.raises(Exception, match=r"uninitialized|Could not find"):
        asked_plainly.by_session(made("saved_text"))
    done = cpr.shrink(made("saved_text"), tmp_path / "smaller", measure=False)
    asked_plainly.by_session(done.destination)
    assert done.not_compared and rows.is_file()
