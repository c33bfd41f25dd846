"""The object graph: which Keras, the variables and their keys in the checkpoint, the functions; against TensorFlow's own."""

import json
import shutil
from pathlib import Path

import pytest
from protobuf_fields import varint, within

from cpr.errors import ModelError
from cpr.saved_model import read_checkpoint_index, read_saved_model
from cpr.saved_model.objects import KERAS_METADATA, parse_objects

ROOT = Path(__file__).parents[2]
EXPORTS = ROOT / "sample_models" / "add_two" / "exports"
OLD_OPTIMIZER = ROOT / "tests" / "support" / "old_optimizer" / "saved_model"

MODELS = ("bytes", "conditions", "keras", "keras_off", "keras_saved", "keras_training", "module", "structured", "vocabulary")


def objects(folder):
    (graph,) = read_saved_model(folder).meta_graphs
    return graph.objects


def test_every_model_of_tensorflow_2_has_objects(tensorflow_says):
    for name, says in tensorflow_says.models.items():
        if not name.startswith("checkpoint_"):
            for graph in read_saved_model(tensorflow_says.folder / name).meta_graphs:
                assert (graph.objects is not None) == says["meta_graphs"][0]["has_objects"]


@pytest.mark.parametrize("name", MODELS)
def test_the_objects_are_what_tensorflow_says(tensorflow_says, name):
    (fact,) = tensorflow_says.models[name]["meta_graphs"]
    found, said = objects(tensorflow_says.folder / name), fact["objects"]
    assert found.classes == said["classes"]
    assert found.functions == said["functions"]
    variables = [
        [variable.name, variable.dtype, json.dumps(variable.shape), variable.trainable] for variable in found.variables
    ]
    assert sorted(variables) == said["variables"]
    assert sorted([variable.name, variable.path] for variable in found.variables) == said["keys"]


@pytest.mark.parametrize(
    "folder", [*sorted(EXPORTS.glob("keras*")), EXPORTS / "module", OLD_OPTIMIZER], ids=lambda path: path.name
)
def test_every_variable_has_its_place_in_the_checkpoint(folder):
    index = read_checkpoint_index(folder / "variables" / "variables.index")
    stored = {variable.name: variable for variable in index.variables}
    found = objects(folder).variables
    assert {variable.path for variable in found} == stored.keys() - {"_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter"}
    for variable in found:
        assert (variable.dtype, variable.shape) == (stored[variable.path].dtype, stored[variable.path].shape)


def test_names_with_dots_and_slashes_and_optimizer_slots(models):
    paths = {variable.path.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for variable in objects(models / "structured").variables}
    assert {"layers/1/a..b", "layers/1/c.Sd", "layers/0/.OPTIMIZER_SLOT/optimizer/m"} <= paths
    assert any(variable.shape is None for variable in objects(models / "structured").variables)


@pytest.mark.parametrize(
    ("folder", "maker", "version", "major"),
    [
        (EXPORTS / "keras2", "keras", "2.15.0", 2),
        (EXPORTS / "keras3", "keras", "", 3),
        (EXPORTS / "module", "module", "", 0),
        (OLD_OPTIMIZER, "keras", "2.15.0", 2),
        ("keras", "keras", "", 3),
        ("keras_off", "keras", "", 3),
        ("keras_saved", "keras", "", 3),
        ("structured", "module", "", 0),
        ("vocabulary", "module", "", 0),
    ],
    ids=str,
)
def test_which_keras(models, folder, maker, version, major):
    found = objects(models / folder)
    assert (found.maker, found.keras_version, found.keras_major) == (maker, version, major)


@pytest.mark.parametrize(
    "metadata",
    [None, b"", b"\xff\xff", b"version https://git-lfs", b'\x0a\x04\x2a\x02{"', b'\x0a\x13\x2a\x11{"keras_version":2}'],
)
def test_metadata_that_says_nothing_is_no_error(tmp_path, metadata):
    shutil.copytree(EXPORTS / "keras2", tmp_path / "model")
    path = tmp_path / "model" / KERAS_METADATA
    path.unlink()
    if metadata is not None:
        path.write_bytes(metadata)
    found = objects(tmp_path / "model")
    assert (found.maker, found.keras_version, found.keras_major) == ("keras", "", 2)


# What TensorFlow does not write, made by hand.


def child(number, name):
    return within(1, b"\x08" + varint(number) + within(2, name))


def node(*parts):
    return within(1, b"".join(parts))


def user(identifier, metadata=b""):
    return within(4, within(1, identifier) + within(3, metadata))


def graph(*nodes):
    content = b"".join(nodes)
    return parse_objects(content, [(0, len(content))])


VARIABLE = within(7, b"\x08\x01" + within(6, b"v"))


def test_keras_of_tensorflow_2_0_names_its_release_in_the_graph():
    root = node(user(b"_tf_keras_sequential", b'{"name": "model", "keras_version": "2.2.4-tf", "backend": "tensorflow"}'))
    found = graph(root)
    assert (found.maker, found.keras_version, found.keras_major) == ("keras", "2.2.4-tf", 2)


def test_an_export_archive_of_keras_2_and_3():
    names = (b"variables", b"trainable_variables", b"non_trainable_variables", b"_all_variables", b"_misc_assets")
    children = [child(0, name) for name in names]
    kinds = {
        name: (graph(node(user(b"_generic_user_object"), *parts)).maker, graph(node(*parts)).keras_major)
        for name, parts in {
            "keras 3": children,
            "keras 2": [*children, child(0, b"_endpoint_names")],
            "neither": children[1:],
        }.items()
    }
    assert kinds == {"keras 3": ("keras", 3), "keras 2": ("keras", 2), "neither": ("module", 0)}


def test_a_layer_within_proves_which_keras_and_two_kinds_prove_nothing():
    inside = node(user(b"_generic_user_object"), child(1, b"layer")), node(user(b"_tf_keras_layer"))
    assert (graph(*inside).maker, graph(*inside).keras_major) == ("module", 2)
    third = node(
        user(b"_generic_user_object"),
        *(child(0, name) for name in (b"_inbound_nodes", b"_outbound_nodes", b"_losses_override")),
    )
    assert graph(*inside, third).keras_major == 0
    assert graph(third, inside[1]).keras_major == 3


def test_variables_out_of_reach_have_no_path():
    found = graph(node(child(1, b"a"), child(9, b"far"), child(2**63, b"odd")), node(VARIABLE), node(VARIABLE))
    assert [variable.path for variable in found.variables] == ["a/.ATTRIBUTES/VARIABLE_VALUE", ""]


def test_the_shortest_way_from_the_root_counts():
    nodes = node(child(1, b"x"), child(2, b"y")), node(child(3, b"deep")), node(child(4, b"v")), node(child(4, b"v"))
    (variable,) = graph(*nodes, node(VARIABLE, child(0, b"back"))).variables
    assert variable.path == "y/v/.ATTRIBUTES/VARIABLE_VALUE"


def test_names_longer_than_any_model_s_are_refused():
    chain = []
    for number in range(4000):
        chain += [node(child(2 * number + 1, b"v" * 60), child(2 * number + 2, b"n" * 60)), node(VARIABLE)]
    with pytest.raises(ModelError, match="longer than those of any model"):
        graph(*chain)
    assert len(graph(*chain[:400]).variables) == 200


def test_no_objects_at_all():
    found = graph()
    assert (found.maker, found.functions, found.variables, found.classes) == ("module", 0, (), {})
