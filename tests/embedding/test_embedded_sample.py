"""The sample digit_label: the graph, our server and both wires of TensorFlow Serving say the same."""

import base64
import json
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from support.command import cpr as command
from support.replaying import REPOSITORY

import cpr
from cpr import embedding
from cpr.examples import read_examples
from cpr.steps.serving import running

pytestmark = pytest.mark.xdist_group("tensorflow")

SAMPLE = REPOSITORY / "sample_models" / "digit_label"
EXAMPLES = read_examples(SAMPLE / "examples.jsonl")


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    bundle = cpr.build(SAMPLE, tmp_path_factory.mktemp("bundle"))
    with running(cpr.load(bundle)) as address:
        yield f"{address}/v1/models/digit_label:predict"


def post(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode())
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
        return json.load(response)


def test_both_forms_of_tensorflow_serving(url):
    for example in EXAMPLES:
        rows, expected = example.request["instances"], example.expect.predictions
        assert post(url, {"instances": rows}) == {"predictions": expected}
        if not any("image_bytes" in row for row in rows):
            assert post(url, {"inputs": rows}) == {"outputs": expected}
            assert post(url, {"inputs": {"image_bytes": rows}}) == {"outputs": expected}
    assert post(url, {"instances": []}) == {"predictions": []}


def test_what_is_no_picture_is_the_clients_fault(url):
    picture = EXAMPLES[0].request["instances"][0]
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(url, {"instances": [picture, {"b64": "aGVsbG8="}]})
    with caught.value as error:
        assert error.code == 400
        assert "instances[1] is neither a picture (PNG, JPEG, GIF or BMP) nor base64 of one." in json.load(error)["error"]


def test_anything_that_reads_savedmodels_gets_the_same():
    model = tf.saved_model.load(str(SAMPLE / "model" / "saved_model"))
    rows = EXAMPLES[1].request["instances"]
    answer = model.signatures["serving_default"](image_bytes=tf.constant([base64.b64decode(row["b64"]) for row in rows]))
    assert answer["label"].numpy().astype(str).tolist() == EXAMPLES[1].expect.predictions
    nothing = model.signatures["serving_default"](image_bytes=tf.constant([], tf.string))
    assert nothing["label"].numpy().tolist() == []


def test_inspection_has_nothing_to_say():
    found = cpr.inspect(SAMPLE / "model")
    assert [finding for finding in found.findings if finding.severity.name != "NOTE"] == []


def test_a_routine_may_be_what_the_graph_is_held_to(tmp_path):
    """digits_png cuts the digit out of its picture, in Python: this graph does so only where the digit fills the picture."""
    png = REPOSITORY / "sample_models" / "digits_png"
    filled, _, elsewhere, *_ = (example.request["instances"] for example in read_examples(png / "examples.jsonl"))
    digits = embedding.labels([str(digit) for digit in range(10)], probability=True)

    def preprocess(image_bytes):
        return 1 - embedding.decode_image(embedding.picture_bytes(image_bytes), 8, 8, channels=1, method="area")[..., 0]

    def postprocess(scores):
        found = digits(scores)
        return {"digit": tf.strings.to_number(found["label"], tf.int32), "probability": found["probability"]}

    model, routine = png / "model" / "saved_model", cpr.load(cpr.build(png, tmp_path / "bundle"))
    assert cpr.embed(model, tmp_path / "out", preprocess, postprocess, examples=filled, python=routine).rows == 1
    with pytest.raises(cpr.CprError, match=r"examples instances\[1\]: \.digit: 4, expected 3 \(off by 1\)"):
        cpr.embed(model, tmp_path / "no", preprocess, postprocess, examples=filled + elsewhere, python=routine)
    assert not (tmp_path / "no").exists()


def test_the_readme_says_how_good_it_is():
    datasets = pytest.importorskip("sklearn.datasets", reason="the data is in scikit-learn")
    from sklearn.model_selection import train_test_split

    data = datasets.load_digits()
    split = train_test_split(data.images, data.target, test_size=0.3, stratify=data.target, random_state=1)
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    pictures = [tf.io.encode_png(np.uint8(255 - np.round(image * 255 / 16))[..., None]).numpy() for image in split[1]]
    told = cpr.load_model(SAMPLE / "model").predict(pictures)
    right = sum(name == names[digit] for name, digit in zip(told, split[3], strict=True))
    assert f"{right} of {len(told)} right" in (SAMPLE / "README.md").read_text()


def test_validation_has_nothing_but_notes(tmp_path):
    ran = command(
        "validate", cpr.build(SAMPLE, tmp_path).root, "--target", "ai-platform", "--machine-type", "mls1-c1-m2", "--json"
    )
    assert ran.status == 0, ran.err
    assert {finding["severity"] for finding in ran.document["findings"]} <= {"note"}
