"""`cpr ship`: the four steps in one, and nothing uploaded that was refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command import cpr
from support.routines import PREDICTOR


def test_the_four_documents(tiny: Path, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    ran = cpr("ship", tiny, bucket, "--target", "vertex-ai", "--version", "2.0.dev1", "-o", tmp_path / "config", "--json")
    assert ran.status == 1
    assert ran.error["type"] == "TargetError"
    assert not bucket.exists(), "vertex-ai cannot read from a folder, so nothing was sent there"


def test_to_a_bucket(tiny: Path, tmp_path: Path, gs_place) -> None:
    arguments = ["ship", tiny, gs_place.uri, "--target", "ai-platform", "-o", tmp_path / "config", "--json", "-q"]
    ran = cpr(*arguments)
    assert ran.status == 0, ran.err + ran.out
    document = ran.document
    assert list(document) == ["schema", "build", "validate", "upload", "deploy-config"]
    assert document["validate"]["ok"]
    assert document["upload"]["digest"] == document["build"]["digest"]
    assert document["upload"]["uri"] == f"{gs_place.uri}/tiny/1.2.0"
    assert document["deploy-config"]["machine_type"] == "mls1-c1-m2"
    assert (tmp_path / "config" / "deploy.sh").is_file()
    again = cpr(*arguments)
    assert (again.status, again.document["upload"]["uploaded"]) == (0, 0)
    (tiny / "model" / "factor.json").write_text("4")
    (tiny / "examples.jsonl").write_text(json.dumps({"instances": [1], "expect": {"predictions": [4]}}) + "\n")
    other = cpr(*arguments)
    assert other.status == 1
    assert other.error["type"] == "VersionExists"
    assert "model/factor.json" in other.error["message"]


@pytest.mark.parametrize("mode", [[], ["--json"]])
def test_a_routine_that_fails_is_not_uploaded(tiny: Path, tmp_path: Path, mode: list[str]) -> None:
    (tiny / "predictor.py").write_text(PREDICTOR.replace("* self.factor", "* 4"))
    ran = cpr("ship", tiny, "gs://no-such-bucket", "--target", "ai-platform", "-o", tmp_path / "config", *mode)
    assert ran.status == 1
    assert "expected 3" in ran.out
    assert not (tmp_path / "config").exists()


@pytest.mark.parametrize(
    ("destination", "message", "remedy"),
    [("bucket", "not from a folder", "DEST_URI"), ("gs:/b", "two slashes", "gs://b"), ("", "DEST_URI is empty", "unset")],
)
def test_a_destination_that_cannot_be_is_told_before_the_rehearsal(
    tiny: Path, tmp_path: Path, destination: str, message: str, remedy: str
) -> None:
    ran = cpr("ship", tiny, destination, "--target", "ai-platform", cwd=tmp_path)
    assert ran.status == (1 if destination else 2)
    assert message in ran.err
    assert remedy in ran.err
    assert "--uri" not in ran.err
    assert "fresh process" not in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]
