"""`cpr demo`: what a newcomer sees first."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import cpr

pytestmark = pytest.mark.xdist_group("tensorflow")


def test_the_same_prediction_in_process_and_over_http(tmp_path: Path) -> None:
    ran = cpr("demo", "-o", tmp_path / "shown", "--json", cwd=tmp_path)
    assert ran.status == 0, ran.err
    document = ran.document
    assert [step["step"] for step in document["steps"]] == ["build", "validate", "upload", "deploy-config", "predict"]
    predict = document["steps"][-1]
    assert predict["in_process"] == predict["over_http"]
    assert predict["in_process"][0]["species"] == "virginica"
    assert predict["equal"] is True
    validate = document["steps"][1]
    assert 0 < validate["peak_mib"] < validate["memory_mib"] == 2048
    for folder in document["steps"][3]["folders"]:
        assert (Path(folder) / "deploy.sh").is_file()
    again = cpr("demo", "-o", tmp_path / "shown")
    assert again.status == 1
    assert "not empty" in again.err
