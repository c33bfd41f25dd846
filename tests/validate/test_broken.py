"""Every routine of tests/broken is caught by exactly its check, with exit status 1."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from cpr.cli import main

BROKEN = Path(__file__).resolve().parent.parent / "broken"
EXPECTED = yaml.safe_load((BROKEN / "expected.yaml").read_text())


def test_the_table_is_whole() -> None:
    assert set(EXPECTED) == {path.name for path in BROKEN.iterdir() if path.is_dir()}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_is_caught_by_exactly_its_check(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = tmp_path / name
    shutil.copytree(BROKEN / name, project, ignore=shutil.ignore_patterns("dist"))
    expected = EXPECTED[name]
    status = main(["validate", str(project), "--json", "--timeout", str(expected.get("timeout", 60))])
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "cpr.validate/1", document
    errors = [finding for finding in document["findings"] if finding["severity"] == "error"]
    assert {finding["check"] for finding in errors} == {expected["check"]}, errors
    assert any(expected["says"] in " ".join(finding.values()) for finding in errors), errors
    assert all(finding["where"] and finding["remedy"] and str(tmp_path) not in finding["where"] for finding in errors), errors
    assert (status, document["ok"]) == (1, False)
    record = json.loads(next(project.glob("dist/*/validation.json")).read_text())
    assert (record["ok"], record["findings"]) == (False, document["findings"])
