"""What `cpr validate` prints for other programs, read by parsers that nobody here wrote."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import junitparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as Sarif
from support.command import cpr
from support.routines import CONFIG, PREDICTOR, write_routine

from cpr.cli import github, junit, sarif
from cpr.manifest import ClassRef, Manifest
from cpr.report import Finding, Report, Severity, Suppressed

NEWER = PREDICTOR + "\n\nif (size := 3) > 4:\n    pass\n"  # Python 3.8
LINE = NEWER.splitlines().index("if (size := 3) > 4:") + 1
ACCEPTED = "suppress:\n- {check: CPR309, reason: we know}\n"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_routine(tmp_path_factory.mktemp("formats") / "my routine", CONFIG + ACCEPTED, NEWER)


def report(*findings: Finding, suppressed: tuple[Suppressed, ...] = ()) -> Report:
    return Report("sha256:0", "ai-platform", "mls1-c1-m2", findings, {"seconds": 1.5}, {}, suppressed)


def finding(where: str, message: str) -> Finding:
    return Finding("CPR402", Severity.ERROR, where, message, message)


MANIFEST = Manifest("tiny", "1.0", ClassRef("predictor", "Scale"), ())
TEXT = st.text(st.characters(codec="utf-8"), max_size=40) | st.text(
    st.sampled_from("\x00\x1b\r\n%:,]]>&<\"'\ufffe "), max_size=20
)


def test_sarif_has_each_finding_at_its_line(project: Path) -> None:
    ran = cpr("validate", project.name, "--format", "sarif", cwd=project.parent)
    assert ran.status == 1
    run = Sarif.model_validate_json(ran.out).runs[0]
    assert run.results is not None and run.tool.driver.rules is not None
    (error,) = [each for each in run.results if each.level.value == "error"]
    physical = error.locations[0].physicalLocation
    assert (physical.artifactLocation.uri, physical.region.startLine) == ("my%20routine/predictor.py", LINE)
    assert run.tool.driver.rules[error.ruleIndex].id == error.ruleId == "CPR402"
    (accepted,) = [each for each in run.results if each.suppressions]
    assert (accepted.ruleId, accepted.suppressions[0].justification) == ("CPR309", "we know")


def test_the_sarif_reader_refuses_what_is_wrong() -> None:
    good = json.loads(sarif.text(report(finding("predictor.py:3", "no")), ()))
    Sarif.model_validate(good)

    def misspelt(run: Any) -> None:
        run["results"][0]["mesage"] = run["results"][0]["message"]

    def mistyped(run: Any) -> None:
        run["results"][0]["level"] = "fatal"

    def missing(run: Any) -> None:
        del run["tool"]

    for spoil in (misspelt, mistyped, missing):
        bad = copy.deepcopy(good)
        spoil(bad["runs"][0])
        with pytest.raises(ValidationError):
            Sarif.model_validate(bad)


def test_a_finding_is_known_again_when_its_line_moves() -> None:
    def prints(line: int) -> Any:
        document = json.loads(sarif.text(report(finding(f"predictor.py:{line}", "no")), ()))
        return document["runs"][0]["results"][0]["partialFingerprints"]

    assert prints(3) == prints(30)


def test_github_shows_each_finding_at_its_line(project: Path) -> None:
    ran = cpr("validate", project, "--format", "github", cwd=project)
    assert ran.status == 1
    first, *rest = ran.out.splitlines()
    assert first.startswith(f"::error title=CPR402,file=predictor.py,line={LINE}::Python 3.7 does not parse it")
    assert any(line.startswith("::notice title=CPR309::") and line.endswith("%0ASuppressed: we know") for line in rest)
    assert rest[-1].startswith("not ok: ")


def test_junit_has_a_test_for_each_check(project: Path) -> None:
    ran = cpr("validate", project, "--format", "junit")
    assert ran.status == 1
    (suite,) = junitparser.JUnitXml.fromstring(ran.out.encode())
    cases = {case.name.split()[0]: case for case in suite}
    assert (suite.tests, suite.failures, suite.skipped) == (len(cases), 1, 1)
    assert f"predictor.py:{LINE}: Python 3.7 does not parse it" in cases["CPR402"].result[0].text
    assert isinstance(cases["CPR309"].result[0], junitparser.Skipped) and not cases["CPR101"].result


@settings(deadline=None, max_examples=60)
@given(TEXT, TEXT, TEXT)
def test_no_text_breaks_a_format(where: str, message: str, reason: str) -> None:
    found = report(finding(where, message), suppressed=(Suppressed(finding(where, message), reason),))
    Sarif.model_validate_json(sarif.text(found, (Path(),)))
    (suite,) = junitparser.JUnitXml.fromfile(io.BytesIO(junit.text(MANIFEST, found, False).encode()))
    assert suite.failures == 1
    lines = github.text(found, (Path(),)).split("\n")
    assert len(lines) == 2 and all(line.startswith("::") and line.isprintable() for line in lines)


def test_formats_exclude_each_other(project: Path) -> None:
    assert cpr("validate", project, "--json", "--format", "sarif").status == 2
    assert "sarif" in cpr("validate", project, "--format", "sarf").err
