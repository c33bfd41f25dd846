"""When nothing is written: the answers do not hold, the model does not fit, or what was asked makes no sense."""

import numpy as np
import pytest

import cpr
from cpr.errors import ModelError, OutputError, RequestError, UsageError

pytest.importorskip("tensorflow")


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.npz"
    np.savez(path, ids=np.random.default_rng(0).integers(0, 200, (50, 5)).astype(np.int32))
    return path


@pytest.fixture
def refused(made, tmp_path, rows):
    """``refused(error, words, name, **options)``: it is, and leaves nothing behind."""

    def check(error, words, name="references", **options):
        place = tmp_path / "out" / "smaller"
        with pytest.raises(error, match=words) as caught:
            cpr.shrink(made(name), place, measure=False, **options)
        assert not place.parent.exists() or not list(place.parent.iterdir())
        return caught.value

    return check


def test_answers_that_are_too_far_off(refused, rows):
    refused(ModelError, "off by up to", weights="int8", data=rows, max_difference=1e-9)


def test_answers_that_disagree(tmp_path):
    """Scores of two classes so near to each other that int8 cannot tell them apart."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    column = random.normal(size=(64, 1))
    module = tf.Module()
    module.weights = tf.Variable(np.hstack([column, column + random.normal(size=(64, 1)) * 1e-4] * 8).astype(np.float32))
    spec = tf.TensorSpec([None, 64], tf.float32, name="x")
    serve = tf.function(lambda x: {"y": x @ module.weights}).get_concrete_function(spec)
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=serve)
    np.save(tmp_path / "rows.npy", random.normal(size=(100, 64)).astype(np.float32))
    options = {"weights": "int8", "data": tmp_path / "rows.npy", "measure": False}
    with pytest.raises(ModelError, match=r"of 100 rows, less than 99.00%") as caught:
        cpr.shrink(tmp_path / "model", tmp_path / "smaller", **options)
    assert "float16" in caught.value.remedy
    assert not (tmp_path / "smaller").exists()


def test_weights_need_rows_to_compare_on(refused, tmp_path):
    refused(UsageError, "nothing to compare", weights="int8")
    refused(UsageError, "names no file", weights="int8", data=tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", words=np.zeros(3))
    refused(UsageError, "No signature answers", weights="int8", data=tmp_path / "other.npz")


def test_examples_that_do_not_fit_are_told_with_their_line(refused, tmp_path):
    path = tmp_path / "examples.jsonl"
    path.write_text('{"instances": [[1, 2, 3, 4, 5]]}\n{"instances": ["text"]}\n')
    error = refused(RequestError, "does not fit", weights="int8", examples=path)
    assert error.where == f"{path}:2"


def test_examples_are_requests_of_the_saved_model(made, tmp_path):
    path = tmp_path / "examples.jsonl"
    path.write_text('{"instances": [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1]]}\n{"instances": [[0, 0, 0, 0, 0]]}\n')
    options = {"weights": "float16", "examples": path, "measure": False}
    done = cpr.shrink(made("references"), tmp_path / "smaller", **options)
    scores = next(each for each in done.accuracy if each.output == "scores")
    assert (scores.rows, scores.agreement, scores.made_up) == (3, 1.0, False)
    assert 0 < scores.mean < scores.maximum < 0.01


def test_a_limit_takes_no_more_steps_than_it_needs(made, tmp_path, rows):
    source = made("references")

    def steps(limit):
        done = cpr.shrink(source, tmp_path / str(limit), limit=limit, data=rows, min_agreement=0.9, measure=False)
        assert done.after <= limit
        return [step.name for step in done.steps]

    assert steps(60_000) == ["only what serving needs"]
    assert steps(30_000) == ["only what serving needs", "weights as float16"]
    assert steps(22_000) == ["only what serving needs", "weights as float16", "weights as int8"]


def test_a_limit_that_cannot_be_met(refused, rows):
    error = refused(ModelError, "more than the limit of 5,000", limit=5000, data=rows)
    assert "quota" in error.remedy
    refused(UsageError, "nothing to compare", limit=30_000)


def test_a_folder_that_is_there(made, tmp_path):
    place = tmp_path / "smaller"
    place.mkdir()
    (place / "mine").write_text("")
    with pytest.raises(OutputError, match="there already"):
        cpr.shrink(made("references"), place, measure=False)
    assert [path.name for path in tmp_path.iterdir()] == ["smaller"]
    cpr.shrink(made("references"), place, measure=False, overwrite=True)
    assert not (place / "mine").exists() and (place / "saved_model.pb").is_file()
    for inside in (made("references"), made("references") / "smaller", made("references").parent):
        with pytest.raises(UsageError, match="in each other"):
            cpr.shrink(made("references"), inside, measure=False, overwrite=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"weights": "int4"}, "int4"),
        ({"limit": 0}, "above zero"),
        ({"min_agreement": 2.0}, "from 0 to 1"),
        ({"max_difference": float("nan")}, "from 0 on"),
    ],
)
def test_what_cannot_be_asked(refused, options, words):
    refused(UsageError, words, **options)
