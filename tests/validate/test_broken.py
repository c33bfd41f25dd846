"""Every routine of tests/broken is caught by exactly its check, with exit status 1, and by nothing once that check is gone."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from cpr.checks import CATALOGUE, Check, Subject, inspect
from cpr.cli import main
from cpr.report import Severity

TESTS = Path(__file__).resolve().parent.parent
BROKEN = TESTS / "broken"
EXPECTED = yaml.safe_load((BROKEN / "expected.yaml").read_text())

ELSEWHERE = {
    "CPR201": ("validate/test_limits.py::test_a_model_directory_without_a_file", "cpr build refuses to make such a bundle"),
    "CPR203": ("validate/test_limits.py::test_model_bytes", "half a gigabyte does not lie in a repository"),
    "CPR204": ("validate/test_limits.py::test_model_files", "nor do a thousand files"),
    "CPR501": ("validate/test_validate.py::test_a_package_that_does_not_install", "cpr build makes none that does not"),
    "CPR516": ("validate/test_limits.py::test_request_bytes", "nor a request of more than a megabyte"),
    "CPR522": ("validate/test_validate.py::test_a_bad_line_in_a_bundle_from_elsewhere", "cpr build refuses such a line"),
    "CPR711": ("checks/test_secrets.py::test_what_opens_something_is_an_error", "repositories refuse what looks like a key"),
    "CPR801": ("validate/test_requirements.py::test_a_version_that_is_not_there", "only an index knows"),
    "CPR802": ("validate/test_requirements.py::test_the_index_is_asked_only_when_told", "only an index knows"),
    "CPR806": ("checks/test_requirement_checks.py::test_what_is_installed_against_the_machine", "only an index knows sizes"),
    "CPR601": (
        "saved_model/test_findings_place.py::test_a_folder_without_a_model",
        "a routine needs none: of cpr inspect alone",
    ),
    "CPR611": (
        "saved_model/test_inspect.py::test_a_bundle_is_named_and_its_model_shown",
        "cpr validate ends before it: of cpr inspect alone",
    ),
}
"""Checks that find errors and have no folder: the test that proves each, and why there is no folder."""


def test_the_table_is_whole() -> None:
    assert set(EXPECTED) == {path.name for path in BROKEN.iterdir() if path.is_dir()}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_is_caught_by_exactly_its_check(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], subjects: list[Subject]
) -> None:
    project = tmp_path / name
    shutil.copytree(BROKEN / name, project, ignore=shutil.ignore_patterns("dist"))
    expected = EXPECTED[name]
    options = ["--timeout", str(expected.get("timeout", 60)), *expected.get("options", [])]
    status = main(["validate", str(project), "--json", *options])
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "cpr.validate/1", document
    errors = [finding for finding in document["findings"] if finding["severity"] == "error"]
    assert {finding["check"] for finding in errors} == {expected["check"]}, errors
    assert any(expected["says"] in " ".join(finding.values()) for finding in errors), errors
    assert all(finding["where"] and finding["remedy"] and str(tmp_path) not in finding["where"] for finding in errors), errors
    assert (status, document["ok"]) == (1, False)
    record = json.loads(next(project.glob("dist/*/validation.json")).read_text())
    assert (record["ok"], record["findings"]) == (False, document["findings"])

    # The mutation: what the run showed, looked at once more by every check but this one, holds no error. The row proves it.
    (subject,) = subjects
    assert expected["check"] in errors_found(subject, CATALOGUE)
    assert errors_found(subject, [check for check in CATALOGUE if check.id != expected["check"]]) == set()


def errors_found(subject: Subject, catalogue: Iterable[Check]) -> set[str]:
    return {finding.check for finding in inspect(subject, catalogue) if finding.severity is Severity.ERROR}


def proof(place: str) -> str:
    """The source of a test function, ``file::function``."""
    path, _, name = place.partition("::")
    text = (TESTS / path).read_text(encoding="utf-8")
    (function,) = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == name)
    first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
    return "\n".join(text.splitlines()[first - 1 : function.end_lineno])


def test_every_check_that_finds_errors_has_a_folder_or_a_reason() -> None:
    whole = {check.id for check in CATALOGUE if check.severity is Severity.ERROR}
    folders = {row["check"] for row in EXPECTED.values()}
    assert whole - folders == set(ELSEWHERE), "add a folder to tests/broken, or the test that proves the check to ELSEWHERE"


@pytest.mark.parametrize("check", sorted(ELSEWHERE))
def test_what_is_proved_elsewhere_is_proved_there(check: str) -> None:
    """The test exists, asserts, and names the check: without the check it fails."""
    place, reason = ELSEWHERE[check]
    text = proof(place)
    assert reason and check in text and "assert" in text
