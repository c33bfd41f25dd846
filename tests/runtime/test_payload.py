"""What goes into a routine and what comes out."""

from __future__ import annotations

import json
from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest

from cpr import payload
from cpr.errors import PredictorError, RequestError


def test_base64_is_decoded_at_any_depth_and_the_request_left_alone() -> None:
    instances = [{"b64": "aGV5"}, {"image": {"b64": "aGV5"}, "x": [[{"b64": "aG\nV5"}], 1]}, {"b64": "aGV5", "y": 1}, "b64", []]
    before = json.dumps(instances)
    assert payload.decoded(instances) == [b"hey", {"image": b"hey", "x": [[b"hey"], 1]}, {"b64": "aGV5", "y": 1}, "b64", []]
    assert json.dumps(instances) == before


@pytest.mark.parametrize("text", ["a", "aGV5!", "a-_b", "äöüß", None, 5, ["aGV5"], "aGV5=\u0000"])
def test_what_is_not_base64_is_named_by_its_place(text: Any) -> None:
    with pytest.raises(RequestError) as caught:
        payload.decoded([0, {"a": [{"b64": text}]}])
    assert caught.value.where == "instances[1].a[0]"


def test_instances_that_are_too_deep_are_the_clients_error() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(RequestError, match="too deep"):
        payload.decoded(deep)


@pytest.mark.parametrize(
    "value",
    [[], [1, 2.5, "ü", None, True], [{"a": [1]}, (1, 2)], [np.float64(0.5)], [OrderedDict(a=1)], ["\ud800"], [{1: 2, None: 3}]],
)
def test_plain_values_are_encoded(value: list[Any]) -> None:
    text = payload.encoded(value, len(value))
    assert text.isascii()
    assert json.loads(text) == json.loads(json.dumps(value))


def circle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


async def promise() -> list[Any]:
    return []


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "message", "remedy"),
    [
        (np.zeros(2), "predict returned a numpy.ndarray", ".tolist()"),
        ((1, 2), "predict returned a tuple", "list(...)"),
        (iter([1, 2]), "predict returned a list_iterator", "list(...)"),
        ({"a": 1}, "predict returned a dict", "one item per instance"),
        ("ab", "predict returned a str", "one item per instance"),
        (None, "predict returned a NoneType", "return"),
        (promise(), "predict returned a coroutine", "async"),
        ([1], "predict returned 1 predictions for 2 instances", "one prediction for each"),
        ([1, np.float32(1)], "predictions[1] is a numpy.float32", ".tolist()"),
        ([1, {"a": [np.zeros(1)]}], "predictions[1].a[0] is a numpy.ndarray", ".tolist()"),
        ([b"x", 1], "predictions[0] is a bytes", "b64"),
        ([1, {2, 3}], "predictions[1] is a set", "list(...)"),
        ([1, object()], "predictions[1] is a object", "Convert it"),
        ([1, 2.0, float("nan")][1:], "predictions[1] is nan", "finite"),
        ([{"a": float("-inf")}, 1], "predictions[0].a is -inf", "finite"),
        ([np.float64("nan"), 1], "predictions[0] is nan", "finite"),
        ([{(1, 2): 3}, 1], "the key (1, 2) of predictions[0] is a tuple", "Convert it"),
        ([circle(), 1], "cannot be written as JSON", "plain"),
        ([10**5000, 1], "cannot be written as JSON", "plain"),
        ([Point(1, object()), 1], "predictions[0][1] is a object", "Convert it"),
    ],
)
def test_what_cannot_be_sent_is_named_with_its_fix(value: Any, message: str, remedy: str) -> None:
    with pytest.raises(PredictorError) as caught:
        payload.encoded(value, 2)
    assert message in caught.value.message
    assert remedy in caught.value.remedy
