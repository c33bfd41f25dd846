"""Example requests: what they say, and that a shell, the row protocol and TensorFlow take them."""

import json
import subprocess
import sys

import pytest

from cpr.interface.columns import Tensor
from cpr.interface.rows import to_tensors
from cpr.saved_model import read_saved_model
from cpr.saved_model.dtypes import numbers_by_enum_name
from cpr.saved_model.reader import Signature, TensorInfo
from cpr.saved_model.requests import example_inputs, example_request


def infos(inputs):
    return {name: TensorInfo(f"{name}:0", dtype, shape) for name, (dtype, shape) in inputs.items()}


def example(inputs, key="serving_default", others=(), decodes=None):
    signatures = {name: Signature("tensorflow/serving/predict", infos(inputs), {}) for name in (key, *others)}
    return example_request(signatures, key, decodes)


def body(inputs, key="serving_default", others=(), decodes=None):
    found = example(inputs, key, others, decodes)
    return None if found is None else json.loads(found.to_json())


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"x": ("float32", (None, 4))}, {"instances": [[0.0, 0.0, 0.0, 0.0]]}),
        ({"x": ("int64", (None,))}, {"instances": [0]}),
        ({"x": ("string", (None, None))}, {"instances": [["text"]]}),
        ({"image_bytes": ("string", (None,))}, {"instances": [{"b64": "AA=="}]}),
        ({"x": ("bool", None)}, {"instances": [False]}),
        ({"x": ("float32", (2, 1))}, {"instances": [[0.0], [0.0]]}),
        ({"a": ("int32", (None,)), "b": ("float16", (None, 2))}, {"instances": [{"a": 0, "b": [0.0, 0.0]}]}),
        ({"a": ("int32", (None,)), "b": ("bfloat16", (2,))}, {"instances": [{"a": 0, "b": 0.0}] * 2}),
        ({"x": ("float32_ref", (None, 1))}, {"instances": [[0.0]]}),
        ({"x": ("complex64", (None,))}, {"instances": [0.0]}),
        ({"x": ("float32", (4096, 4096))}, None),
        ({"a": ("int32", (2,)), "b": ("int32", (3,))}, None),
        ({"x": ("float32", (0, 4))}, None),
        ({"x": ("float32", (None, 0))}, None),
        ({"x": ("resource", (None,))}, None),
        ({"x": ("qint8", (None,))}, None),
        ({"x": (None, (None,))}, None),
        ({"x": ("float32", ())}, None),
        ({"x": ("float32", ()), "y": ("string", (None, 2))}, None),
        ({}, None),
    ],
)
def test_the_body_of_a_signature(inputs, expected):
    assert body(inputs) == expected


def test_the_signature_is_named_where_it_would_not_be_chosen():
    inputs = {"x": ("int64", (None,))}
    assert body(inputs, "other") == {"instances": [0]}
    assert body(inputs, "other", ["serving_default"]) == {"signature_name": "other", "instances": [0]}
    assert body(inputs, "serving_default", ["other"]) == {"instances": [0]}


def test_the_bytes_that_a_decoder_takes():
    image = {"image": ("string", (None,))}
    (instance,) = body(image, decodes={"image": "DecodeJpeg"})["instances"]
    assert instance["b64"].startswith("iVBOR")
    assert body(image, decodes={"image": "ParseExampleV2"}) is None, "nothing is known about its features"
    assert body(image, decodes={}) == {"instances": ["text"]}


@pytest.mark.parametrize("dtype", sorted({*numbers_by_enum_name()}))
def test_the_values_fit_their_dtype_or_there_are_none(dtype):
    """The row protocol's own conversion is the judge, for every dtype that TensorFlow has."""
    from cpr.saved_model.dtypes import dtype_name

    name = dtype_name(numbers_by_enum_name()[dtype])
    found = body({"x": (name, (None, 2))})
    try:
        arrays = to_tensors(
            found["instances"] if found else [[0, 0]], [Tensor("x", str(name).removesuffix("_ref"), (None, 2))], 1
        )
    except Exception as error:
        assert found is None, error
    else:
        assert found is not None, name
        assert arrays["x"].shape == (1, 2)


@pytest.mark.parametrize(
    ("inputs", "others"),
    [
        ({"x": ("float32", (None, 4))}, ()),
        ({"x": ("float32", (None, 224, 224, 3))}, ()),
        ({"x": ("bool", (3, 100, 1))}, ("serving_default",)),
        ({"it's": ("string", (None, 70)), 'a "b" \\n é': ("int64", (None, 1, 2)), "image_bytes": ("string", (None,))}, ("x",)),
    ],
)
def test_the_program_makes_what_the_body_says(inputs, others):
    found = example(inputs, "other", others)
    code = f"import json; print(json.dumps({found.to_python()}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == json.loads(found.to_json())
    assert len(found.to_python()) < 200
    assert found.to_python().isascii()


def test_whole_inputs_where_rows_cannot_carry_them():
    inputs = {"scalar": ("float64", ()), "ids": ("int32", (3,)), "mask": ("bool", (None, None)), "text": ("string", (2,))}
    texts = example_inputs(Signature("", infos(inputs), {}))
    assert {name: json.loads(text) for name, text in texts.items()} == {
        "scalar": 0.0,
        "ids": [0, 0, 0],
        "mask": [[False]],
        "text": ["text", "text"],
    }
    assert example_inputs(Signature("", infos({"x": ("float32", (100,))}), {})) is None
    assert example_inputs(Signature("", infos({"x": ("variant", ())}), {})) is None
    assert example_inputs(Signature("", {}, {})) is None


def test_composite_inputs_have_no_json_rows(models):
    (graph,) = read_saved_model(models / "tf1_composite").meta_graphs
    assert example_request(graph.callable_signatures, "serving_default") is None
    assert example_inputs(graph.signatures["serving_default"]) is None


def test_no_example_for_an_answer_that_json_cannot_hold():
    info = infos({"x": ("float32", (None,)), "wave": ("complex64", (None,))})
    assert example_request({"f": Signature("", {"x": info["x"]}, {"x": info["x"]})}, "f") is not None
    assert example_request({"f": Signature("", {"x": info["x"]}, {"wave": info["wave"]})}, "f") is None
