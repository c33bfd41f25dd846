"""Fingerprints and warm-up requests, against TensorFlow's own reader and writer."""

import shutil

import pytest

from cpr.errors import ModelError
from cpr.saved_model.crc32c import masked_crc32c
from cpr.saved_model.extras import FINGERPRINT_NAME, WARMUP_NAME, parse_fingerprint, parse_warmup, read_fingerprint, read_warmup

MODELS = ("keras", "module", "structured", "vocabulary")


@pytest.mark.parametrize("name", MODELS)
def test_every_hash_is_what_tensorflow_says(tensorflow_says, name):
    found = read_fingerprint(tensorflow_says.folder / name / FINGERPRINT_NAME)._asdict()
    said = tensorflow_says.models[name]["fingerprint"]
    assert len(said) == 5
    assert found.items() >= said.items()
    assert found["version"] >= 1
    assert found["uuid"].isdigit()


def test_models_of_tensorflow_1_have_none(models):
    with pytest.raises(ModelError, match="cannot be read"):
        read_fingerprint(models / "tf1_builder" / FINGERPRINT_NAME)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"\x08", "ends within"), (b"\x0a\x00", "wire type 2, not 0"), (b"\x3a\x01\xff", "not UTF-8")],
)
def test_a_broken_fingerprint_is_named(tmp_path, content, said):
    path = tmp_path / FINGERPRINT_NAME
    path.write_bytes(content)
    with pytest.raises(ModelError, match=said) as caught:
        read_fingerprint(path)
    assert caught.value.where == str(path)


def test_numbers_of_64_bits_and_what_is_not_written():
    found = parse_fingerprint(b"\x08" + b"\xff" * 9 + b"\x01")
    assert found.saved_model_checksum == 2**64 - 1
    assert (found.checkpoint_hash, found.uuid, found.version) == (0, "", 0)


def test_warmup_requests_of_every_kind(models):
    found = read_warmup(models / "warm" / WARMUP_NAME)
    assert found.records == 8
    assert found.kinds == {
        "classify": 1,
        "multi_inference": 1,
        "none": 1,
        "predict": 2,
        "predict_streamed": 1,
        "regress": 1,
        "session_run": 1,
    }
    assert found.signatures == ("amounts", "classes", "first", "mixed", "one", "second", "serving_default", "two")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[:5], "no record at byte 0"),
        (lambda content: content[:-1], "longer than the file"),
        (lambda content: content[:-30], "longer than the file|no record"),
        (lambda content: b"x" + content[1:], "no record at byte 0"),
        (lambda content: content[:20] + b"\0" + content[21:], "checksum of the record at byte 0"),
        (lambda content: content + b"\0", "no record at byte"),
        (lambda content: b"version https://git-lfs.github.com/spec/v1\n", "no record at byte 0"),
    ],
)
def test_damaged_warmup_requests_are_named(models, tmp_path, damage, said):
    path = tmp_path / "tf_serving_warmup_requests"
    path.write_bytes(damage((models / "warm" / WARMUP_NAME).read_bytes()))
    with pytest.raises(ModelError, match=said) as caught:
        read_warmup(path)
    assert caught.value.where == str(path)


def test_a_record_that_is_no_request_is_named():
    record = b"\x32\x05\x0a"
    size = len(record).to_bytes(8, "little")
    sums = [masked_crc32c(part).to_bytes(4, "little") for part in (size, record)]
    with pytest.raises(ModelError, match="longer than what holds it"):
        parse_warmup(size + sums[0] + record + sums[1])


def test_no_requests_are_no_error():
    assert parse_warmup(b"").records == 0


def test_a_large_warmup_file_is_not_read_twice(models, tmp_path):
    """Larger than what is read at once: it is mapped, and gives the same."""
    source = (models / "warm" / WARMUP_NAME).read_bytes()
    copies = 1 + (5 << 20) // len(source)
    folder = tmp_path / "model"
    shutil.copytree(models / "warm", folder)
    (folder / WARMUP_NAME).write_bytes(source * copies)
    found = read_warmup(folder / WARMUP_NAME)
    assert (found.records, found.kinds["predict"]) == (8 * copies, 2 * copies)
