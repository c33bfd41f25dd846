"""The wire translators as the pure functions they are."""

from __future__ import annotations

import json

import pytest

from cpr.errors import RequestError
from cpr.protocols import columns, rows, vertex


def test_rows_keep_every_key() -> None:
    assert rows.parse(b'{"instances": [1], "signature_name": "s", "k": {"x": 1}}') == {
        "instances": [1],
        "signature_name": "s",
        "k": {"x": 1},
    }


def test_of_two_equal_keys_the_last_counts() -> None:
    assert rows.parse(b'{"instances": [1], "instances": [2]}')["instances"] == [2]


def test_vertex_lays_parameters_beside_the_instances() -> None:
    assert vertex.parse(b'{"instances": [1], "parameters": {"k": 2}}') == {"instances": [1], "k": 2}
    with pytest.raises(RequestError, match="twice"):
        vertex.parse(b'{"instances": [1], "parameters": {"instances": [2]}}'.replace(b'[1], "p', b'[1], "instances2": 0, "p'))


def test_answers_are_strict_ascii_json() -> None:
    assert rows.predictions('["\\u00e4"]') == b'{"predictions": ["\\u00e4"]}'
    assert json.loads(rows.error("half \ud800 of a ü")) == {"error": "half \ud800 of a ü"}


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert rows.parse(b'{"instances": ["\\ud83d\\ude00"]}')["instances"] == ["😀"]


@pytest.mark.parametrize("request_value", [None, [], "x", {}, {"instances": (1, 2)}, {"instances": [], 5: 1}])
def test_a_request_that_was_not_parsed_is_checked_as_well(request_value: object) -> None:
    with pytest.raises(RequestError):
        rows.checked(request_value)


def echoed(request: dict[str, object]) -> str:
    return json.dumps(request["instances"])


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"inputs": [1, [2]]}, {"outputs": [1, [2]]}),
        ({"inputs": []}, {"outputs": []}),
        ({"inputs": [{"b64": "aGk="}, {"b64": ""}]}, {"outputs": [{"b64": "aGk="}, {"b64": ""}]}),
        ({"inputs": {"x": [1, 2], "y": ["a", "b"]}}, {"outputs": {"x": [1, 2], "y": ["a", "b"]}}),
        ({"inputs": {"x": [], "y": []}}, {"outputs": []}),
        ({"inputs": [{"x": 1}, {"y": 1}]}, {"outputs": [{"x": 1}, {"y": 1}]}),
        ({"instances": [{"x": 1}], "inputs": 5}, {"predictions": [{"x": 1}]}),
    ],
)
def test_the_form_of_the_answer_is_that_of_the_request(body: object, answer: object) -> None:
    assert json.loads(columns.answer(columns.parse(json.dumps(body).encode()), echoed)) == answer


def test_other_keys_stay_beside_the_columns() -> None:
    seen: list[object] = []
    columns.answer({"inputs": {"x": [1]}, "signature_name": "s"}, lambda request: seen.append(request) or "[1]")
    assert seen == [{"instances": [{"x": 1}], "signature_name": "s"}]


@pytest.mark.parametrize("inputs", [None, 1, "x", {}, {"b64": "aGk="}, {"x": 1}, {"x": [1], "y": [1, 2]}, {"x": {"b64": ""}}])
def test_columns_without_rows_are_refused(inputs: object) -> None:
    with pytest.raises(RequestError):
        columns.answer({"inputs": inputs}, echoed)
