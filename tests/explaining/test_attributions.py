"""Attributions held against what is known of a model: its weights, its outputs, and the integral of TensorFlow's gradients."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

import cpr
from cpr.errors import RequestError
from cpr.explaining.asked import parsed
from cpr.explaining.attributing import attribute
from cpr.explaining.features import Wishes
from cpr.steps.explain import Request, write_explanation

X = np.random.default_rng(2).normal(size=(5, 8)).astype(np.float32)
SHAPLEY = {"method": "sampled-shapley"}


def test_a_linear_model_is_explained_exactly(explained: Path) -> None:
    with cpr.load_model(explained / "two_inputs") as model:
        instances = [{"a": [1.0, 2.0], "b": 5.0}, {"a": [-1.0, 0.5], "b": 0.0}]
        for choices in ({}, {"steps": 1}, SHAPLEY):
            first, second = (found[0] for found in model.explain(instances, **choices))
            np.testing.assert_allclose(first.attributions["a"], [2.0, -6.0], rtol=1e-6)
            assert first.attributions["b"] == pytest.approx(5.0)
            assert (first.score, first.baseline_score, first.index) == (pytest.approx(1.0), 0.0, ())
            np.testing.assert_allclose(second.attributions["a"], [-2.0, -1.5], rtol=1e-6)
            assert first.approx_error < 1e-6
        against = model.explain(instances[:1], baselines={"a": [1.0, 1.0], "b": 2.0})[0][0]
        np.testing.assert_allclose(against.attributions["a"], [0.0, -3.0], atol=1e-6)
        assert (against.baseline_score, float(against.attributions["b"])) == (pytest.approx(1.0), pytest.approx(3.0))


@pytest.mark.parametrize("name", ["network", "smooth"])
def test_attributions_of_a_network_add_up_and_are_the_integral_of_its_gradients(explained: Path, name: str) -> None:
    import tensorflow as tf

    with cpr.load_model(explained / name) as model:
        found = model.explain(X.tolist())
    loaded = tf.saved_model.load(str(explained / name))
    probabilities = loaded.signatures["serving_default"]
    alphas = (np.arange(3000, dtype=np.float32) + 0.5) / 3000
    for row, (each,) in zip(X, found, strict=True):
        best = int(np.argmax(probabilities(x=tf.constant(row[None]))["probabilities"][0]))
        points = tf.constant(alphas[:, None] * row)
        with tf.GradientTape() as tape:
            tape.watch(points)
            score = tf.reduce_sum(probabilities(x=points)["probabilities"][:, best])
        expected = row * tape.gradient(score, points).numpy().mean(axis=0)
        assert each.index == (best,) and each.approx_error < 1e-4
        np.testing.assert_allclose(each.attributions["x"].sum(), each.score - each.baseline_score, rtol=2e-4)
        np.testing.assert_allclose(each.attributions["x"], expected, atol=2e-3 * np.abs(expected).max())
    assert all(each.steps == 50 for (each,) in found) or name == "network"


def test_a_model_that_needs_more_steps_than_allowed_says_so(explained: Path, caplog: pytest.LogCaptureFixture) -> None:
    with cpr.load_model(explained / "network") as model, caplog.at_level(logging.WARNING, "cpr.explaining"):
        few = model.explain(X.tolist(), steps=1, most_steps=1)
        more = model.explain(X.tolist(), steps=1)
    worst = max(range(len(X)), key=lambda row: few[row][0].approx_error)
    assert few[worst][0].approx_error > 1e-4 > more[worst][0].approx_error
    assert few[worst][0].steps == 5 < more[worst][0].steps
    assert f"instances[{worst}]: the attributions miss the difference" in caplog.text


def test_any_outputs_can_be_explained(explained: Path) -> None:
    with cpr.load_model(explained / "smooth") as model:
        (every,) = model.explain(X[:1].tolist(), top_k=-1)
        (second,) = model.explain(X[:1].tolist(), output_index=every[1].index[0])
    assert sorted(each.index for each in every) == [(0,), (1,), (2,)]
    assert [each.score for each in every] == sorted((each.score for each in every), reverse=True)
    assert sum(each.attributions["x"].sum() for each in every) == pytest.approx(0.0, abs=1e-4)  # probabilities add up to 1
    np.testing.assert_allclose(second[0].attributions["x"], every[1].attributions["x"])


def test_sampled_shapley_of_a_network_adds_up_and_says_how_sure_it_is(explained: Path) -> None:
    with cpr.load_model(explained / "smooth") as model:
        few, many = (model.explain(X[:1].tolist(), **SHAPLEY, paths=paths)[0][0] for paths in (4, 200))
        assert model.explain(X[:1].tolist(), **SHAPLEY, paths=4)[0][0].approx_error == few.approx_error
    for each in (few, many):
        assert each.attributions["x"].sum() == pytest.approx(each.score - each.baseline_score, rel=1e-5)
    assert 0 < many.approx_error < few.approx_error


@pytest.mark.parametrize(
    ("name", "instances", "reason"),
    [
        ("text", ["abc"], "The input 'x' (string) has no gradient"),
        ("numbered", [[3, 4]], "The input 'x' (int64) has no gradient"),
        ("rounded", [2.4], "No gradient flows from the output 'y' back to an input"),
    ],
)
def test_what_has_no_gradient_is_told_and_explained_by_sampling(
    explained: Path, name: str, instances: list, reason: str
) -> None:
    with cpr.load_model(explained / name) as model:
        with pytest.raises(RequestError) as caught:
            model.explain(instances)
        assert reason in caught.value.message and "sampled-shapley" in caught.value.remedy
        ((found,),) = model.explain(instances, **SHAPLEY)
    expected = {"text": 3.0, "numbered": 12.0, "rounded": 2.0}[name]
    assert found.attributions["x"].sum() == pytest.approx(expected)
    if name == "numbered":
        np.testing.assert_allclose(found.attributions["x"], [6.0, 6.0])  # either value alone makes nothing


def test_a_session_says_why_it_cannot_and_the_other_loader_can(explained: Path) -> None:
    with cpr.load_model(explained / "of_tensorflow1", loader="session") as model:
        with pytest.raises(RequestError, match="graph in a session"):
            model.explain([[1.0, 2.0]])
        np.testing.assert_allclose(model.explain([[1.0, 2.0]], **SHAPLEY)[0][0].attributions["x"], [2.0, 6.0])
    with cpr.load_model(explained / "of_tensorflow1") as model:
        found = model.explain([[1.0, 2.0]])[0][0]
    np.testing.assert_allclose(found.attributions["x"], [2.0, 6.0], rtol=1e-6)
    assert found.index == (0,)


def test_a_fixed_batch_and_short_floats_are_explained(explained: Path) -> None:
    with cpr.load_model(explained / "fixed_batch") as model:
        for choices in ({}, SHAPLEY):
            found = model.explain([3.0, -1.0, 0.0, 1.0, 2.0, 4.0, 5.0], **choices)
            assert [float(each.attributions["x"]) for (each,) in found] == pytest.approx([9.0, 1.0, 0.0, 1.0, 4.0, 16.0, 25.0])
    with cpr.load_model(explained / "half") as model:
        np.testing.assert_allclose(model.explain([[2.0, 3.0]])[0][0].attributions["x"], [4.0, 9.0], rtol=0.01)


def test_what_is_no_number_is_no_explanation(explained: Path) -> None:
    with cpr.load_model(explained / "rooted") as model:
        with pytest.raises(RequestError, match=r"instances\[1\] has no explanation"):
            model.explain([4.0, -1.0])
        assert model.explain([4.0], baselines={"x": 1.0})[0][0].attributions["x"] == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "several outputs of numbers"),
        ({"output": "left"}, "no output 'left'"),
        ({"output": "name"}, "holds no numbers"),
        ({"output": "up", "output_index": 1}, r"output_index is \[1\]"),
        ({"output": "up", "baselines": {"y": 1}}, "no input 'y'"),
        ({"output": "up", "baselines": {"x": [[1.0]]}}, "does not fit"),
        ({"output": "up", "steps": 0}, "steps is 0"),
        ({"output": "up", "method": "xrai"}, "no method 'xrai'"),
        ({"output": "up", "step": 3}, "no key 'step'"),
    ],
)
def test_a_wrong_choice_is_named(explained: Path, choices: dict, message: str) -> None:
    with cpr.load_model(explained / "two_outputs") as model, pytest.raises(RequestError, match=message):
        model.explain([1.0], **choices)


def test_the_metadata_beside_a_model_says_what_to_compare_with(explained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(explained / "two_outputs", copy)
    described = {"inputs": {"x": {"input_tensor_name": "x:0", "input_baselines": [1.0, 3.0]}}, "outputs": {"down": {}}}
    (copy / "explanation_metadata.json").write_text(json.dumps(described))
    with cpr.load_model(copy) as model:
        ((found,),) = model.explain([6.0])
        assert (found.output, found.baseline_score, float(found.attributions["x"])) == ("down", -2.0, -4.0)  # on average
        assert model.explain([]) == []


@pytest.mark.parametrize("choices", [{}, SHAPLEY])
def test_an_input_without_rows_has_no_part_in_an_instance(explained: Path, choices: dict) -> None:
    """As ``preprocess`` of a routine may return it."""
    with cpr.load_model(explained / "scaled") as model:
        tensors = {"x": np.ones(2, np.float32), "rate": np.float32(3.0).reshape(())}
        with pytest.raises(RequestError, match=r"different numbers of rows \(x 2, rate none\)"):
            attribute(model.signature(), tensors, parsed(choices), explained / "scaled")


def test_a_group_is_one_feature(explained: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(explained / "two_inputs", tmp_path / "model")
    config = cpr.explain(copy, Request(wishes=Wishes(groups={"both": ("a", "b")})))
    write_explanation(config, copy)
    with cpr.load_model(copy) as model:
        ((found,),) = model.explain([{"a": [1.0, 2.0], "b": 5.0}])
    assert found.attributions == {"both": pytest.approx(1.0)}
