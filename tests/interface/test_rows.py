"""Rows to tensors and back, without TensorFlow."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cpr.errors import ModelError, PredictorError, RequestError
from cpr.interface.columns import Tensor
from cpr.interface.rows import to_rows, to_tensors

FLOATS = ["float16", "float32", "float64"]
INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]

shapes = arrays.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
numeric = st.sampled_from([*FLOATS, *INTS, "bool"]).flatmap(lambda dtype: arrays.arrays(dtype, shapes))

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-3, 300),
    st.floats(),
    st.sampled_from([1.0, 2.5, -0.0, 1e39, 1e-46, 255.0]),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.sampled_from([{"b64": "aGk="}, {"b64": "!"}, {}, {"x": 1}]),
)
json_values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=8)


def one(dtype, shape=None):
    return [Tensor("x", dtype, shape)]


def convert(rows, inputs):
    return to_tensors(rows, inputs, len(rows))


@given(numeric)
def test_arrays_come_back_as_they_went(array):
    known = one(array.dtype.name, (None, *array.shape[1:]))
    for data in (array.tolist(), array, {"x": array}, list(array), [{"x": row} for row in array.tolist()]):
        tensors = to_tensors(data, known, len(array))
        assert tensors["x"].dtype == array.dtype
        np.testing.assert_array_equal(tensors["x"], array)
    assert json.dumps(to_rows({"y": array}, len(array))) == json.dumps(array.tolist())


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8")), min_size=1))
def test_text_comes_back_as_it_went(texts):
    tensors = convert(texts, one("string", (None,)))
    assert tensors["x"].tolist() == [text.encode() for text in texts]
    assert to_rows({"y": tensors["x"]}, len(texts)) == texts


@given(st.lists(st.binary(), min_size=1))
def test_bytes_come_back_as_base64(values):
    tensors = convert(values, one("string", (None,)))
    rows = to_rows({"image_bytes": tensors["x"]}, len(values))
    again = convert(json.loads(json.dumps(rows)), one("string", (None,)))
    assert again["x"].tolist() == values


def same(sent, got, dtype):
    if isinstance(sent, list):
        return isinstance(got, list) and len(sent) == len(got) and all(map(same, sent, got, [dtype] * len(sent)))
    if dtype == "string":
        plain = {"b64": b"hi"} if isinstance(sent, dict) else {"b64": sent.encode() if isinstance(sent, str) else sent}
        return got == plain["b64"]
    if dtype == "bool":
        return isinstance(sent, bool) and got is sent
    if isinstance(sent, bool) or not isinstance(sent, (int, float)):
        return False
    if dtype in INTS:
        return got == sent
    if math.isinf(got) and not math.isinf(sent):
        return False
    with np.errstate(under="ignore"):
        return got == float(np.dtype(dtype).type(sent)) or (math.isnan(got) and math.isnan(sent))


@given(
    st.lists(json_values, min_size=1, max_size=3),
    st.sampled_from(["float32", "float64", "int8", "int64", "uint8", "bool", "string"]),
)
def test_any_json_is_carried_over_whole_or_refused_with_its_place(rows, dtype):
    try:
        tensors = convert(rows, one(dtype))
    except RequestError as error:
        assert error.where is not None
        assert error.where.startswith("instances[")
        assert error.where in error.message
        return
    values = [row["x"] if isinstance(row, dict) and "x" in row else row for row in rows]
    assert same(values, tensors["x"].tolist(), dtype)


@given(st.lists(json_values, min_size=1, max_size=3), st.sampled_from(["float32", "string"]))
def test_the_row_named_is_one_to_blame(rows, dtype):
    good = 1.5 if dtype == "float32" else "text"
    inputs = one(dtype, (None,))
    try:
        convert([good, *rows], inputs)
    except RequestError as error:
        blamed = [good, *rows][int(error.where[len("instances[") : -1])]
        with pytest.raises(RequestError):
            convert([good, blamed], inputs)
    else:
        for row in rows:
            convert([good, row], inputs)


@pytest.mark.parametrize(
    ("dtype", "shape", "rows", "message"),
    [
        ("float32", (None,), [1, "2"], "instances[1], input 'x': the text '2' where float32 is expected"),
        ("float32", (None,), [True], "true where float32"),
        ("float32", (None,), [1, 2, None], "instances[2], input 'x': null where float32"),
        ("float32", (None,), [1e39], "1e+39 is out of range for float32"),
        ("float16", (None,), [70000], "70000.0 is out of range for float16"),
        ("float64", (None,), [10**400], "out of range for float64"),
        ("float32", (None,), [{"b64": "aGk="}], "key 'b64'"),
        ("float32", (None, 2), [[1, 2], [1, {"b64": "aGk="}]], "an object where float32"),
        ("float32", (None, 2), [[1, 2], [1]], "instances[1], input 'x': its shape is [1] where [2]"),
        ("float32", (None, 2), [[1, 2], 1], "instances[1], input 'x': its shape is [] where [2]"),
        ("float32", (None, None), [[1, 2], [1]], "instances[1], input 'x': its shape is [1], that of instances[0] is [2]"),
        ("float32", None, [[[1, 2], [1]]], "its lists have different lengths: 1, 2"),
        ("float32", None, [[1, [2]]], "lists and single values are mixed"),
        ("float32", (None, None, 2), [[[1, 2]], [[1, 2, 3]]], "instances[1], input 'x': its shape is [1, 3] where [?, 2]"),
        ("int64", (None,), [1, 1.5], "instances[1], input 'x': 1.5 is not a whole number"),
        ("int64", (None,), [float("nan")], "nan is not a whole number"),
        ("int64", (None,), [2**63], "out of range for int64"),
        ("int64", (None,), [10**5000], "out of range for int64"),
        ("uint8", (None,), [0, -1], "instances[1], input 'x': the number -1 is out of range for uint8"),
        ("bool", (None,), [1], "the number 1 where bool"),
        ("string", (None,), ["a", 1], "instances[1], input 'x': the number 1 where string"),
        ("string", (None,), ["\ud800"], "surrogate"),
        ("string", (None,), [{"b64": "!"}], "not base64"),
        ("string", (None, 1), [[{"b64": "aGk=", "x": 1}]], "an object where string"),
        ("int32", (2,), [1, 2, 3], "takes exactly 2 instances at a time"),
    ],
)
def test_refuses_with_the_place(dtype, shape, rows, message):
    with pytest.raises(RequestError) as caught:
        convert(rows, one(dtype, shape))
    assert message in caught.value.message
    assert caught.value.remedy
    assert len(caught.value.message) < 300


def test_deep_nesting_is_refused_and_not_a_crash():
    value = 1.0
    for _ in range(5000):
        value = [value]
    for shape in (None, (None, 2)):
        with pytest.raises(RequestError):
            convert([value], one("float32", shape))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": 1, "b": "x"}, {"a": 1}], "instances[1] has no value for the input 'b'"),
        ([{"a": 1, "b": "x", "c": 0}], "instances[0] has the key 'c'; the signature's inputs are: 'a', 'b'"),
        ([{"a": 1, "b": "x"}, [1, "x"]], "instances[1] is a list, but the signature has 2 inputs"),
        ([1], "instances[0] is the number 1"),
    ],
)
def test_several_inputs_need_objects_with_their_names(rows, message):
    with pytest.raises(RequestError) as caught:
        convert(rows, [Tensor("a", "int32", (None,)), Tensor("b", "string", (None,))])
    assert message in caught.value.message
    assert '{"a": …, "b": …}' in caught.value.remedy


def test_one_input_takes_bare_values_and_objects_side_by_side():
    tensors = convert([{"x": "a"}, "b", {"b64": "Yw=="}, {"x": {"b64": "ZA=="}}], one("string", (None,)))
    assert tensors["x"].tolist() == [b"a", b"b", b"c", b"d"]


def test_empty_lists_take_their_depth_from_the_signature():
    tensors = convert([[], []], one("float32", (None, None, 3)))
    assert tensors["x"].shape == (2, 0, 3)
    with pytest.raises(RequestError, match="its shape is \\[0\\]"):
        convert([[]], one("float32", (None, 3)))


def test_whole_floats_are_integers():
    tensors = convert([1.0, -2, 2.0**53], one("int64", (None,)))
    assert tensors["x"].tolist() == [1, -2, 2**53]


@pytest.mark.parametrize(
    ("dtype", "value", "fits"),
    [
        ("bfloat16", 3.396e38, True),
        ("bfloat16", 3.3962e38, False),
        ("bfloat16", float("-inf"), True),
        ("complex64", 1e39, False),
        ("complex64", complex(0, -1e39), False),
        ("complex64", complex(float("inf"), 1), True),
    ],
)
def test_no_finite_number_becomes_infinite(dtype, value, fits):
    if fits:
        assert len(convert([value], one(dtype, (None,)))["x"]) == 1
    else:
        with pytest.raises(RequestError, match="is out of range for " + dtype):
            convert([value], one(dtype, (None,)))


def test_bfloat16_is_prepared_as_float32():
    tensors = convert([1.5, 2], one("bfloat16", (None,)))
    assert tensors["x"].dtype == np.float32


@pytest.mark.parametrize("dtype", ["qint8", "variant", "SparseTensor", "resource"])
def test_types_that_json_cannot_carry_are_the_models_fault(dtype):
    with pytest.raises(ModelError, match=dtype):
        convert([1], one(dtype))


def test_scalar_inputs_come_only_from_preprocess():
    inputs = [Tensor("rate", "float32", ()), Tensor("x", "float32", (None,))]
    with pytest.raises(ModelError, match="'rate' is a scalar"):
        convert([{"rate": 1.0, "x": 1.0}], inputs)
    tensors = to_tensors({"rate": 0.5, "x": np.ones(3)}, inputs, 3)
    assert (tensors["rate"].shape, float(tensors["rate"])) == ((), 0.5)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "preprocess returned null"),
        ("text", "preprocess returned the text"),
        ((value for value in [1]), "type generator"),
        ({"x": np.ones(2)}, "arrays for ['x']"),
        ([{"x": [1, 2], "y": 1}], "1 rows for 2 instances"),
        ({"x": np.ones((2, 3)), "y": np.ones(2, int)}, "its shape is [2, 3] where [?, 2]"),
        ({"x": np.array([["a", "b"]]), "y": np.ones(1, int)}, "the text 'a' where float32"),
        ({"x": np.ones((1, 2), bool), "y": np.ones(1, int)}, "an array of bool where float32"),
        ({"x": np.full((1, 2), 1e39), "y": np.ones(1, int)}, "1e+39 is out of range"),
        ({"x": np.ones((1, 2)), "y": np.array([300])}, "out of range for int8"),
        ({"x": np.ones((1, 2)), "y": np.array([1.5])}, "not a whole number"),
        (np.ones(2), "one array, but the signature has the inputs 'x', 'y'"),
    ],
)
def test_wrong_arrays_are_the_authors_fault(data, message):
    with pytest.raises(PredictorError) as caught:
        to_tensors(data, [Tensor("x", "float32", (None, 2)), Tensor("y", "int8", (None,))], 2)
    assert message in caught.value.message


@pytest.mark.parametrize("shape", [None, (), (None,)])
def test_one_array_has_rows(shape):
    with pytest.raises(PredictorError, match="an array without dimensions"):
        to_tensors(np.array(1.0), one("float32", shape), 2)


def test_one_array_needs_a_row_for_each_instance():
    with pytest.raises(PredictorError, match="3 rows for 2 instances"):
        to_tensors(np.ones(3), one("float32", (None,)), 2)


def test_outputs_become_bare_values_or_objects():
    one_output = {"y": np.array([[1, 2], [3, 4]])}
    two_outputs = {"label": np.array([b"a", b"\xc3\xa9"], object), "p": np.array([0.5, 1.0], np.float32)}
    assert to_rows(one_output, 2) == [[1, 2], [3, 4]]
    assert to_rows(two_outputs, 2) == [{"label": "a", "p": 0.5}, {"label": "é", "p": 1.0}]


def test_nested_strings_keep_their_shape():
    values = np.array([[b"a", b"b"], [b"c", b"d"]], object)
    assert to_rows({"y": values}, 2) == [["a", "b"], ["c", "d"]]
    assert to_rows({"y_bytes": values}, 2)[1][0] == {"b64": "Yw=="}


@pytest.mark.parametrize("array", [np.float32(1), np.ones(3), np.ones((1, 2))])
def test_outputs_without_a_row_for_each_instance_are_named(array):
    with pytest.raises(ModelError) as caught:
        to_rows({"y": np.asarray(array), "z": np.ones(2)}, 2)
    assert "'y'" in caught.value.message
    assert "outputs had differing sizes in the batch (outer) dimension" in caught.value.message


def test_an_output_without_dimensions_is_the_row_of_the_only_instance():
    assert to_rows({"y": np.asarray(np.float32(1.5))}, 1) == [1.5]
    text = {"a_bytes": np.array(b"\xff", object), "b": np.ones((1, 2))}
    assert to_rows(text, 1) == [{"a_bytes": {"b64": "/w=="}, "b": [1.0, 1.0]}]
    with pytest.raises(ModelError, match=r"shape \[\] for 2 instances"):
        to_rows({"y": np.asarray(1.0)}, 2)


def test_output_that_is_not_text_says_how_to_send_it():
    with pytest.raises(ModelError) as caught:
        to_rows({"picture": np.array([b"\x89PNG"], object)}, 1)
    assert "not UTF-8" in caught.value.message
    assert "_bytes" in caught.value.remedy
