"""What a request runs: against TensorFlow's sessions, and in models that have dropout or encoded bytes, or have not."""

import re

import pytest
from protobuf_fields import within

from cpr.errors import ModelError
from cpr.saved_model import read_saved_model
from cpr.saved_model.reader import parse_saved_model


def calls(folder, name):
    (graph,) = read_saved_model(folder / name).meta_graphs
    return graph.calls


RUN = {"tf1_constant": 1, "tf1_dropout": 23, "tf1_norms": 10}


@pytest.mark.parametrize("name", RUN)
def test_a_session_runs_just_these_operations(tensorflow_says, name):
    """Feeds and fetches replaced, the graph that a session executes has the operations that were read, each as often."""
    ran = tensorflow_says.models[name]["ran"]
    found = calls(tensorflow_says.folder, name)
    assert ran.keys() == found.keys()
    assert len(ran) == RUN[name]
    for key, call in found.items():
        if call.unfed:
            assert call.unfed[0] in ran[key], "the error names the placeholder"
        else:
            assert call.ops == ran[key], key


def test_dropout_in_every_form_of_tensorflow_1(models):
    found = {key: call.dropout for key, call in calls(models, "tf1_dropout").items()}
    on = {key: names for key, names in found.items() if names}
    assert on == {
        "rate": ("rate/random_uniform/RandomUniform",),
        "keep": ("keep/random_uniform/RandomUniform",),
        "default_half": ("default_half/random_uniform/RandomUniform",),
        "old": ("random_uniform/RandomUniform",),
        "reversed": ("random_uniform_2/RandomUniform",),
        "below": ("random_uniform_3/RandomUniform",),
        "double": ("dropout/random_uniform/RandomUniform",),
        "half": ("dropout_1/random_uniform/RandomUniform",),
        "alpha": ("random_uniform_1/RandomUniform",),
        "alpha_constant": ("random_uniform_4/RandomUniform",),
        "mask_divided": ("random_uniform_5/RandomUniform",),
        "after": ("after/random_uniform/RandomUniform",),
        "loop": ("while/dropout/random_uniform/RandomUniform",),
    }
    assert {key for key in found if key.endswith("_off")} | {"unfed"} == found.keys() - on.keys()


def test_dropout_in_functions_and_loops_but_not_in_branches(models):
    assert {key: call.dropout for key, call in calls(models, "conditions").items()} == {
        "branch_off": (),
        "case_off": (),
        "sampling_off": (),
        "unused_off": (),
        "loop": ("while/dropout/random_uniform/RandomUniform",),
        "called": ("stateless_dropout/stateless_random_uniform/StatelessRandomUniformV2",),
        "small": ("dropout/random_uniform/RandomUniform", "dropout_1/random_uniform/RandomUniform"),
    }
    assert {key: call.dropout for key, call in calls(models, "tf1_functional").items()} == {
        "guarded_off": (),
        "chosen_off": (),
        "loop": ("dropout/random_uniform/RandomUniform",),
    }


def test_branches_count_among_what_may_run(models):
    found = calls(models, "conditions")
    assert found["branch_off"].ops["RandomUniform"] == 1
    assert found["case_off"].ops["RandomUniform"] == 1
    assert "RandomUniform" not in found["unused_off"].ops


def test_norms_in_training_mode(models):
    assert {key: call.training_norms for key, call in calls(models, "tf1_norms").items()} == {
        "v1": ("FusedBatchNorm",),
        "v1_off": (),
        "v2": ("FusedBatchNormV2",),
        "v3": ("FusedBatchNormV3",),
        "v3_off": (),
        "guarded_off": (),
        "sub": ("moments/mean",),
        "add": ("moments_1/mean",),
        "half_off": (),
        "another_off": (),
    }


def test_keras_layers_in_training_mode_and_not(models):
    off, on = calls(models, "keras_off"), calls(models, "keras_training")
    assert off.keys() == on.keys() == {"serve", "serving_default"}
    for key in on:
        assert (off[key].dropout, off[key].training_norms) == ((), ())
        (random,), (mean,) = on[key].dropout, on[key].training_norms
        assert re.fullmatch(r"functional\w*/dropout\w*/stateless_dropout/.*/StatelessRandomUniformV2", random)
        assert re.fullmatch(r"functional\w*/batch_normalization\w*/moments/mean", mean)
    assert [call.dropout + call.training_norms for call in calls(models, "keras_saved").values()] == [()]


def test_placeholders_that_nobody_feeds(models):
    found = {key: call.unfed for key, call in calls(models, "tf1_training").items()}
    assert found == {"train": (), "queue": (), "unfed": ("keep_prob",), "serving_default": (), "echo": (), "after": ()}


def test_what_a_training_graph_runs(models):
    found = calls(models, "tf1_training")
    assert {"QueueDequeueManyV2", "ApplyAdam", "RandomUniform"} <= found["train"].ops.keys()
    assert {"QueueDequeueManyV2"} == {op for op in found["queue"].ops if "Queue" in op and "Dequeue" in op}
    assert found["serving_default"].ops == {"Identity": 1, "MatMul": 1, "VariableV2": 1}
    assert found["echo"].ops == {}
    # A control edge from a fed placeholder leads to nothing that runs.
    assert found["after"].ops == {"Const": 1, "Identity": 2, "Split": 1, "VariableV2": 1}


def test_bytes_are_followed_through_functions_loops_and_branches(models):
    found = calls(models, "bytes")
    assert found["reads"].decodes == {"pictures": "DecodeJpeg", "examples": "ParseExampleV2"}
    assert found["reads_one"].decodes.keys() == {"texts"}
    assert found["reads_one"].decodes["texts"] in ("DecodeJpeg", "DecodeBmp")
    assert found["writes"].encodes == {
        "pictures": "EncodePng",
        "one": "EncodeJpeg",
        "tensor": "SerializeTensor",
        "either": "EncodePng",
    }
    assert (found["reads"].encodes, found["writes"].decodes) == ({}, {})
    (pictures,) = calls(models, "tf1_pictures").values()
    assert (pictures.encodes, pictures.decodes) == ({"png": "EncodePng"}, {"contents": "DecodeJpeg"})


# What TensorFlow does not write, made by hand.


def node(name, op, *inputs, number=1, **functions):
    attributes = b"".join(within(5, within(1, key) + within(2, within(10, within(1, name)))) for key, name in functions.items())
    return within(number, within(1, name) + within(2, op) + b"".join(within(3, item) for item in inputs) + attributes)


def function(name, arguments, results, *nodes):
    signature = within(1, name) + b"".join(within(2, within(1, argument)) for argument in arguments)
    signature += b"".join(within(3, within(1, result)) for result in results)
    returned = b"".join(within(4, within(1, key) + within(2, value)) for key, value in results.items())
    return within(2, within(1, within(1, signature) + b"".join(nodes) + returned))


def signature(key, inputs, outputs):
    sides = [
        b"".join(within(number, within(1, name) + within(2, within(1, tensor))) for name, tensor in side.items())
        for number, side in ((1, inputs), (2, outputs))
    ]
    return within(5, within(1, key) + within(2, b"".join(sides)))


def model(*parts):
    """Nodes and functions first, then signatures."""
    graph = b"".join(part for part in parts if part[:1] != b"\x2a")
    return within(2, within(2, graph) + b"".join(part for part in parts if part[:1] == b"\x2a"))


def only(content):
    (graph,) = parse_saved_model(content)
    return graph.calls


def test_cycles_and_functions_that_call_themselves_end():
    content = model(
        node("a", "Identity", "b"),
        node("b", "Identity", "a", "c"),
        node("c", "PartitionedCall", "b", f="f"),
        function("f", ["x"], {"y": "n:output:0"}, node("n", "PartitionedCall", "n:output:0", "x", number=3, f="f")),
        signature("s", {"x": "x:0"}, {"y": "a:0"}),
    )
    assert only(content)["s"].ops == {"Identity": 2, "PartitionedCall": 2}


def test_inputs_from_nowhere_are_no_nodes():
    content = model(
        node("a", "Identity", "gone:0", "^lost"),
        node("png", "EncodePng"),
        node("called", "PartitionedCall", "png", f="f"),
        function("f", ["x"], {"y": "neither:0"}),
        signature("s", {}, {"y": "a:0", "z": "absent:0", "f": "called:0"}),
    )
    call = only(content)["s"]
    assert call.ops == {"EncodePng": 1, "Identity": 1, "PartitionedCall": 1}
    assert call.encodes == {}


def test_an_output_that_is_fed_stops_the_walk_at_this_output_alone():
    graph = (node("q", "QueueDequeueV2", "queue"), node("queue", "FIFOQueueV2"), node("a", "Add", "q", "q:1"))
    both = only(model(*graph, signature("s", {"x": "q:0"}, {"y": "a:0"})))
    assert both["s"].ops == {"Add": 1, "FIFOQueueV2": 1, "QueueDequeueV2": 1}
    none = only(model(*graph, signature("s", {"x": "q:0", "z": "q:1"}, {"y": "a:0"})))
    assert none["s"].ops == {"Add": 1}


def test_bytes_keep_their_place_among_several_tensors():
    content = model(
        node("png", "EncodePng"),
        node("text", "AsString"),
        node("both", "IdentityN", "text", "png"),
        node("loop", "While", "png", "text", cond="goes_on", body="nothing"),
        function("goes_on", ["a", "b"], {"r": "a"}),
        function("nothing", ["a", "b"], {"x": "a", "y": "b"}),
        signature("s", {}, {"first": "both:0", "second": "both:1", "third": "loop:0", "fourth": "loop:1"}),
    )
    assert only(content)["s"].encodes == {"second": "EncodePng", "third": "EncodePng"}


def test_the_node_of_a_function_that_nothing_needs_does_not_count():
    content = model(
        node("c", "PartitionedCall", f="f"),
        function("f", [], {"y": "n:output:0"}, node("n", "Const", number=3), node("dead", "ReadFile", number=3)),
        signature("s", {}, {"y": "c:0"}),
    )
    (graph,) = parse_saved_model(content)
    assert graph.functions == {"f": 2}
    assert graph.ops["ReadFile"] == 1
    assert "ReadFile" not in graph.calls["s"].ops


def test_signatures_that_would_take_for_ever_are_left_out(tmp_path):
    """A chain of nodes and thousands of signatures at its end: each alone is cheap, all of them would take minutes."""
    chain = [node(f"n{index}", "Identity", f"n{index - 1}") for index in range(5000)]
    signatures = [signature(f"s{index:05}", {}, {"y": "n4999:0"}) for index in range(5000)]
    (graph,) = parse_saved_model(model(*chain, *signatures))
    assert len(graph.signatures) == 5000
    assert 10 < len(graph.calls) < 500
    assert all(call.ops == {"Identity": 5000} for call in graph.calls.values())


def test_names_that_are_no_text_are_refused():
    content = model(node(b"\xff", "Placeholder"), node("a", "Identity", b"\xff"), signature("s", {}, {"y": "a:0"}))
    with pytest.raises(ModelError, match="name of a node is not UTF-8"):
        parse_saved_model(content)
