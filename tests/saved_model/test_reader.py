"""The reader against TensorFlow: every field of every model."""

import subprocess
import sys

import pytest
from protobuf_fields import varint, within

from cpr.errors import ModelError
from cpr.saved_model import read_saved_model
from cpr.saved_model.dtypes import dtype_name, element_size, numbers_by_enum_name

MODELS = (
    "bytes",
    "composite",
    "conditions",
    "custom_gradient",
    "keras",
    "keras_off",
    "keras_saved",
    "keras_training",
    "module",
    "no_signature",
    "no_variables",
    "structured",
    "tf1_builder",
    "tf1_composite",
    "tf1_constant",
    "tf1_dropout",
    "tf1_functional",
    "tf1_functions",
    "tf1_norms",
    "tf1_pictures",
    "tf1_training",
    "versions",
    "vocabulary",
    "warm",
)

KINDS = {"RAGGED_TENSOR_SPEC": "ragged", "SPARSE_TENSOR_SPEC": "sparse"}


def as_says(info):
    """A ``TensorInfo`` in the words of ``tensorflow_says.py``."""
    fact = {"dtype": info.dtype, "shape": None if info.shape is None else list(info.shape)}
    if info.kind is None:
        return fact | {"tensor": info.name}
    if info.kind == "coo_sparse":
        return fact | {"names": [component.name for component in info.components]}
    return fact | {"kind": info.kind, "components": [as_says(component) for component in info.components]}


def expected(fact):
    fact = dict(fact)
    if "class" in fact:
        fact["kind"] = KINDS.get(fact.pop("class"), fact.pop("class_name"))
        fact.pop("class_name", None)
        fact["components"] = [expected(component) for component in fact["components"]]
    return fact


@pytest.mark.parametrize("suffix", ["", "_text"], ids=["pb", "pbtxt"])
@pytest.mark.parametrize("name", MODELS)
def test_every_field_is_what_tensorflow_says(tensorflow_says, name, suffix):
    says = tensorflow_says.models[name]["meta_graphs"]
    model = read_saved_model(tensorflow_says.folder / (name + suffix))
    assert len(model.meta_graphs) == len(says)
    for graph, fact in zip(model.meta_graphs, says, strict=True):
        assert list(graph.tags) == fact["tags"]
        assert graph.tensorflow_version == fact["tensorflow_version"]
        assert graph.ops == fact["ops"]
        assert sorted(graph.assets) == fact["assets"]
        assert graph.has_objects == fact["has_objects"]
        assert graph.is_tf1 != fact["has_objects"]
        assert graph.git_version == fact["git_version"]
        assert graph.stripped_default_attrs == fact["stripped_default_attrs"]
        assert graph.producer == fact["producer"]
        assert graph.min_consumer == fact["min_consumer"]
        assert list(graph.bad_consumers) == fact["bad_consumers"]
        assert graph.functions == fact["functions"]
        assert list(graph.init_ops) == fact["init_ops"]
        assert graph.load_ops == fact["load_ops"]
        assert {key: call.ops for key, call in graph.calls.items()} == fact["calls"]
        assert graph.signatures.keys() == fact["signatures"].keys()
        for key, signature in graph.signatures.items():
            said = fact["signatures"][key]
            assert signature.method_name == said["method_name"]
            for side in ("inputs", "outputs"):
                found = {name: as_says(info) for name, info in getattr(signature, side).items()}
                # A composite has no shape of its own: TensorFlow reads the absent one as a scalar's.
                wanted = {name: expected(info) for name, info in said[side].items()}
                assert without_composite_shape(found) == without_composite_shape(wanted)


def without_composite_shape(tensors):
    return {name: clean(info) for name, info in tensors.items()}


def clean(info):
    if "kind" not in info:
        return info
    kept = {key: value for key, value in info.items() if key not in ("shape", "dtype")}
    return kept | {"components": [clean(component) for component in info["components"]]}


def test_the_models_cover_what_matters(tensorflow_says):
    assert set(MODELS) == {name for name in tensorflow_says.models if not name.startswith("checkpoint_")}
    infos = [
        info
        for name in MODELS
        for graph in read_saved_model(tensorflow_says.folder / name).meta_graphs
        for signature in graph.signatures.values()
        for info in signature.inputs.values()
    ]
    assert {"float32", "float64", "int64", "uint8", "string", "bool", "complex64"} <= {info.dtype for info in infos}
    assert {None, "ragged", "coo_sparse"} <= {info.kind for info in infos}
    assert any(info.shape is None and info.kind is None for info in infos)
    assert any(info.shape == () for info in infos)
    assert any(info.shape and None in info.shape for info in infos)
    facts = [fact for name in MODELS for fact in tensorflow_says.models[name]["meta_graphs"]]
    for key in ("git_version", "stripped_default_attrs", "bad_consumers", "functions", "load_ops"):
        assert any(fact[key] for fact in facts), key
    assert len({op for fact in facts for op in fact["init_ops"]}) >= 3
    assert any("While" in ops for fact in facts for ops in fact["calls"].values())
    assert any("Merge" in ops for fact in facts for ops in fact["calls"].values())


def test_sparse_components_have_the_types_of_the_format(models):
    (graph,) = read_saved_model(models / "tf1_composite").meta_graphs
    sparse = graph.signatures["serving_default"].inputs["sparse"]
    assert (sparse.dtype, sparse.shape) == ("float32", (None, 7))
    assert [(item.dtype, item.shape) for item in sparse.components] == [
        ("float32", (None,)),
        ("int64", (None, 2)),
        ("int64", (2,)),
    ]


@pytest.mark.parametrize("name", MODELS)
def test_the_text_form_is_the_same_model(models, name):
    text = read_saved_model(models / f"{name}_text").meta_graphs
    assert text == read_saved_model(models / name).meta_graphs


def test_hooks_are_not_callable_signatures(models):
    (graph,) = read_saved_model(models / "module").meta_graphs
    assert "__saved_model_init_op" in graph.signatures
    assert set(graph.callable_signatures) == {"serving_default", "mixed"}


def test_the_file_itself_may_be_named(models):
    assert read_saved_model(models / "module" / "saved_model.pb") == read_saved_model(models / "module")


def test_data_types_are_tensorflows(tensorflow_says):
    for number, name, size in tensorflow_says.types.values():
        assert dtype_name(number) == name
        if number < 100:
            assert (element_size(number) or 0) == size
    assert numbers_by_enum_name() == {name: number for name, (number, _, _) in tensorflow_says.types.items()}
    assert dtype_name(99) == "dtype_99"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\x08\x01", "no graph"),
        (b"\x12\x05\x0a", "longer than what holds it"),
        (b"\x12\x00\x12", "ends within"),
        (b"\x10\x01", "wire type 0, not 2"),
        (b"\x0b\x12\x00", "wire type 3"),
        (b"\x02\x00", "field number 0"),
        (b"\x12\x04\x0a\x02\x22\x7f", "longer than what holds it"),
        (b"\x12\x05\x0a\x03\x22\x01\xff", "not UTF-8"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "longer than 10 bytes"),
        (b"\x08" + b"\xff" * 9 + b"\x7f", "above 64 bits"),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "longer than what holds it"),
    ],
)
def test_broken_bytes_are_named(tmp_path, content, said):
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ModelError, match=said) as caught:
        read_saved_model(tmp_path)
    assert caught.value.where == str(tmp_path / "saved_model.pb")
    assert caught.value.remedy


def test_tensors_nested_without_end_are_refused(tmp_path):
    info = b""
    for _ in range(300):
        info = within(5, within(2, info))
    entry = within(1, b"x") + within(2, info)
    (tmp_path / "saved_model.pb").write_bytes(within(2, within(5, within(2, within(1, entry)))))
    with pytest.raises(ModelError, match="nested too deep"):
        read_saved_model(tmp_path)


def test_a_negative_dimension_is_refused(tmp_path):
    shape = within(2, b"\x08" + b"\xfe" + b"\xff" * 8 + b"\x01")
    entry = within(1, b"x") + within(2, within(3, shape))
    (tmp_path / "saved_model.pb").write_bytes(within(2, within(5, within(2, within(1, entry)))))
    with pytest.raises(ModelError, match=r"dimension .* is -2"):
        read_saved_model(tmp_path)


MEASURED = (
    "import resource, sys\n"
    "from cpr.saved_model import read_saved_model\n"
    "first = read_saved_model(sys.argv[2])\n"
    "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
    "model = read_saved_model(sys.argv[1])\n"
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, dict(model.meta_graphs[-1].ops))\n"
)
"""Reads a model after another one, and tells how many KiB more of memory it took, and the operations."""


def measured(large, small):
    done = subprocess.run([sys.executable, "-c", MEASURED, str(large), str(small)], capture_output=True, text=True, check=True)
    grown, ops = done.stdout.split(maxsplit=1)
    return int(grown), ops.strip()


def test_a_large_file_is_read_without_a_copy_in_memory(tmp_path, models):
    """A constant of 512 MB in the graph, as a hole in the file: only what is wanted is touched."""
    source = (models / "module" / "saved_model.pb").read_bytes()
    bulk = 512 << 20
    node = b"\x0a\x01c\x12\x05Const"
    # meta_graphs { graph_def { node { name: "c" op: "Const" attr { … bulk bytes … } } } }
    attr = b"\x2a" + varint(bulk)
    graph = b"\x0a" + varint(len(node) + len(attr) + bulk) + node + attr
    inner = b"\x12" + varint(len(graph) + bulk)
    outer = b"\x12" + varint(len(inner) + len(graph) + bulk)
    path = tmp_path / "saved_model.pb"
    with open(path, "wb") as file:
        file.write(source + outer + inner + graph)
        file.truncate(file.tell() + bulk)
    grown, ops = measured(path, models / "module")
    assert ops == "{'Const': 1}"
    assert grown < 20_000, "KiB"


def field(number, size):
    return varint(number << 3 | 2) + varint(size)


def test_a_large_constant_in_what_a_request_runs_is_not_copied(tmp_path, models):
    """400 MB between random numbers and what they are compared with: everything that looks for a dropout comes by."""
    bulk = 400 << 20
    inner = b"\x08\x01" + field(4, bulk)
    kind = field(8, len(inner) + bulk) + inner
    value = field(1, 5) + b"value" + field(2, len(kind) + bulk) + kind
    begin = field(1, 1) + b"c" + field(2, 5) + b"Const" + field(5, len(value) + bulk) + value
    constant = field(1, len(begin) + bulk) + begin
    others = b"".join(
        within(1, within(1, name) + within(2, op) + b"".join(within(3, item) for item in inputs))
        for name, op, *inputs in (
            (b"r", b"RandomUniform", b"c"),
            (b"g", b"GreaterEqual", b"r", b"c"),
            (b"s", b"SelectV2", b"g", b"c", b"c"),
        )
    )
    tensor = within(1, b"y") + within(2, within(1, b"s:0"))
    signature = within(5, within(1, b"serving_default") + within(2, within(2, tensor)))
    graph = field(2, len(constant) + bulk + len(others))
    path = tmp_path / "saved_model.pb"
    with open(path, "wb") as file:
        file.write(field(2, len(graph) + len(constant) + bulk + len(others) + len(signature)) + graph + constant)
        file.seek(bulk, 1)
        file.write(others + signature)
    grown, ops = measured(path, models / "module")
    assert ops == "{'Const': 1, 'GreaterEqual': 1, 'RandomUniform': 1, 'SelectV2': 1}"
    assert grown < 20_000, "KiB"
    assert read_saved_model(path).meta_graphs[0].calls["serving_default"].dropout == ()


def test_a_large_constant_in_the_text_form_is_not_copied(tmp_path, models):
    path = tmp_path / "saved_model.pbtxt"
    with open(path, "wb") as file:
        file.write(
            b'meta_graphs { graph_def { node { name: "c" op: "Const" attr { key: "value" value { tensor { tensor_content: "'
        )
        for _ in range(100):
            file.write(b"\\000ab\\n" * (1 << 19))
        file.write(b'" } } } } } }\n')
    assert path.stat().st_size > 400_000_000
    grown, ops = measured(path, models / "module_text")
    assert ops == "{'Const': 1}"
    assert grown - path.stat().st_size / 1024 < 20_000, "KiB, over the mapped file's own"


def test_no_folder_and_no_model_are_errors(tmp_path):
    with pytest.raises(ModelError, match="not a folder"):
        read_saved_model(tmp_path / "absent")
    with pytest.raises(ModelError, match=r"no saved_model\.pb"):
        read_saved_model(tmp_path)


def test_nothing_heavy_is_imported(models):
    code = (
        "import sys\n"
        "from cpr.saved_model import read_saved_model, read_checkpoint_index\n"
        "from cpr.saved_model.survey import survey\n"
        "survey(sys.argv[1]); read_saved_model(sys.argv[1])\n"
        "heavy = {'tensorflow', 'numpy', 'google.protobuf', 'yaml', 'packaging'} & set(sys.modules)\n"
        "print(sorted(heavy))\n"
    )
    for name in ("module", "module_text"):
        done = subprocess.run([sys.executable, "-c", code, str(models / name)], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"
