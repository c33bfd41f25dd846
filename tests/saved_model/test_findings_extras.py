"""CPR661: the fingerprint and the warm-up requests."""

import shutil
import struct

import pytest
from protobuf_fields import within
from support.surveyed import found, ranked

from cpr.saved_model.crc32c import masked_crc32c

REQUESTS = "assets.extra/tf_serving_warmup_requests"


@pytest.fixture
def folder(models, tmp_path):
    return shutil.copytree(models / "vocabulary", tmp_path / "model")


def warm_up(folder, signature, count=1):
    """TFRecords of ``PredictionLog { predict_log { request { model_spec { signature_name } } } }``."""
    log = within(6, within(1, within(1, within(3, signature.encode()))))
    length = struct.pack("<Q", len(log))
    record = length + struct.pack("<I", masked_crc32c(length)) + log + struct.pack("<I", masked_crc32c(log))
    (folder / REQUESTS).parent.mkdir(exist_ok=True)
    (folder / REQUESTS).write_bytes(record * count)
    return len(record)


def test_a_fingerprint_that_cannot_be_read(folder):
    assert ranked(folder, "CPR661") == []
    fingerprint = folder / "fingerprint.pb"
    fingerprint.write_bytes(fingerprint.read_bytes()[:-5])
    (finding,) = found(folder, "CPR661")
    assert (finding.severity.value, finding.where) == ("warning", "fingerprint.pb")


def test_damaged_warm_up_requests(folder):
    warm_up(folder, "serving_default")
    assert ranked(folder, "CPR661") == []
    content = (folder / REQUESTS).read_bytes()
    (folder / REQUESTS).write_bytes(content[:-1])
    assert ranked(folder, "CPR661") == [("warning", REQUESTS)]


def test_warm_up_requests_for_a_signature_that_is_not_there(folder):
    warm_up(folder, "classify")
    (finding,) = found(folder, "CPR661")
    assert (finding.severity.value, finding.where) == ("warning", REQUESTS)
    assert "call classify, and the model has serving_default" in finding.message


def test_more_warm_up_requests_than_are_taken(folder):
    warm_up(folder, "serving_default", 1000)
    assert ranked(folder, "CPR661") == []
    warm_up(folder, "serving_default", 1001)
    (finding,) = found(folder, "CPR661")
    assert "1,001" in finding.message
