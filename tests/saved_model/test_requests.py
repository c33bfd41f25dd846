"""Example requests: what they say, and that the body fits the signature."""

import json

import pytest

from cpr.saved_model import read_saved_model
from cpr.saved_model.reader import Signature, TensorInfo
from cpr.saved_model.requests import example_request


def body(inputs, key="serving_default", others=()):
    infos = {name: TensorInfo(f"{name}:0", dtype, shape) for name, (dtype, shape) in inputs.items()}
    signatures = {name: Signature("tensorflow/serving/predict", infos, {}) for name in (key, *others)}
    text = example_request(signatures, key)
    return None if text is None else json.loads(text)


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
        ({"x": ("float32", (None, 224, 224, 3))}, None),
        ({"x": ("float32", (4096, 4096))}, None),
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


def test_a_scalar_has_no_rows():
    infos = {"x": TensorInfo("x:0", "float32", ()), "y": TensorInfo("y:0", "string", (None, 2))}
    assert example_request({"serving_default": Signature("", infos, {})}, "serving_default") is None


def test_composite_inputs_have_no_json_rows(models):
    (graph,) = read_saved_model(models / "tf1_composite").meta_graphs
    assert example_request(graph.callable_signatures, "serving_default") is None
