"""The ready-made parts, with TensorFlow, NumPy, Pillow and the package's own Python as oracles."""

import base64
import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import cpr
from cpr import embedding
from cpr.errors import RequestError, UsageError

pytestmark = pytest.mark.xdist_group("tensorflow")

FORMATS = ("PNG", "JPEG", "GIF", "BMP")

decode = tf.function(embedding.decode_b64, input_signature=[tf.TensorSpec([None], tf.string)])


def spelt(data, web_safe, padded, width):
    text = (base64.urlsafe_b64encode(data) if web_safe else base64.b64encode(data)).decode()
    text = text if padded else text.rstrip("=")
    return "\r\n".join(text[start : start + width] for start in range(0, len(text), width))


@settings(deadline=None)
@given(st.lists(st.tuples(st.binary(), st.booleans(), st.booleans(), st.integers(1, 80)), max_size=5))
def test_base64_of_every_spelling_side_by_side(rows):
    texts = [spelt(*row) for row in rows]
    assert decode(tf.constant(texts, tf.string, [len(texts)])).numpy().tolist() == [row[0] for row in rows]


@settings(deadline=None)
@given(st.text(alphabet="AZaz09+/-_= \n!é", max_size=12))
def test_base64_is_refused_where_python_refuses_it(text):
    try:
        expected = cpr.decode_b64(text)
    except RequestError:
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"instances\[1\] is not base64"):
            decode(["aGk=", text, "aGk"])
    else:
        assert decode([text]).numpy().tolist() == [expected]


def png(pixels, mode="L", kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


def noise(*shape):
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
def colours(contents):
    return embedding.decode_image(contents, 6, 5)


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
def grey(contents):
    return embedding.decode_image(embedding.picture_bytes(contents), 4, 4, channels=1, scale=1.0)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_is_decoded_and_resized_as_tensorflow_does(kind):
    content = png(noise(9, 7, 3), "RGB", kind)
    pixels = tf.io.decode_image(content, 3, expand_animations=False)
    expected = tf.image.resize(pixels, [6, 5]).numpy() / 255
    assert colours([content, content]).numpy() == pytest.approx(np.stack([expected] * 2), abs=1e-6)


def test_grey_is_what_pillow_says():
    pictures = [noise(4, 4), noise(4, 4).T]
    got = grey([png(picture) for picture in pictures]).numpy()
    assert got.tolist() == np.stack(pictures)[..., None].astype(float).tolist()
    coloured = Image.fromarray(noise(4, 4, 3))
    assert grey([png(noise(4, 4, 3), "RGB")]).numpy()[0, ..., 0] == pytest.approx(np.asarray(coloured.convert("L")), abs=1)


@pytest.mark.parametrize("kind", FORMATS)
def test_pictures_and_base64_of_them_side_by_side(kind):
    content = png(noise(4, 4), kind=kind)
    text = base64.urlsafe_b64encode(content).rstrip(b"=")
    alone, *rows = grey([content, text, content, base64.b64encode(content)]).numpy().tolist()
    assert rows == [alone] * 3


def test_no_pictures():
    assert colours(tf.constant([], tf.string)).shape == (0, 6, 5, 3)
    assert grey(tf.constant([], tf.string)).shape == (0, 4, 4, 1)


def test_what_is_no_picture_is_named():
    good = png(noise(4, 4))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"instances\[1\] is no picture"):
        colours([good, b"", good])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"instances\[0\] is neither a picture"):
        grey([b"\xff\xfe", good])
    with pytest.raises(tf.errors.InvalidArgumentError, match="PNG"):
        colours([good[:40]])


NAMES = ["a", "b", "c", "ö"]


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.5, -1.0, float("inf")]), min_size=4, max_size=4), max_size=4))
def test_of_equal_scores_the_first_is_named(rows):
    scores = np.array(rows, np.float32).reshape(-1, 4)
    got = embedding.labels(NAMES, probability=True)(tf.constant(scores))
    assert [name.decode() for name in got["label"].numpy()] == [NAMES[int(np.argmax(row))] for row in scores]
    assert got["probability"].numpy().tolist() == scores.max(axis=1).tolist()


def test_names_must_be_as_many_as_scores():
    with pytest.raises(UsageError, match="4 names"):
        embedding.labels(NAMES)(tf.zeros([2, 3]))
    with pytest.raises(UsageError):
        embedding.labels([])


def test_words_are_their_places(tmp_path):
    path = tmp_path / "words"
    path.write_text("zero\none\nzwölf\n")
    for vocabulary in (["zero", "one", "zwölf"], path):
        part = embedding.lookup(vocabulary, unknown=9)
        assert part(tf.constant([["zwölf", "zero"], ["", "one"]])).numpy().tolist() == [[2, 0], [9, 1]]


@pytest.mark.parametrize("words", [["a", "b", "a"], []])
def test_a_vocabulary_that_is_none(words):
    with pytest.raises(UsageError, match="vocabulary"):
        embedding.lookup(words)
