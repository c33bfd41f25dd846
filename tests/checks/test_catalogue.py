"""The registry: stable ids, words for each check, and no check that nothing tests."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from support.checking import run, subject

from cpr.checks import CATALOGUE, inspect
from cpr.report import Severity

TESTS = Path(__file__).resolve().parent.parent


def test_ids_are_unique_and_of_their_family() -> None:
    ids = [check.id for check in CATALOGUE]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"CPR[1-9]\d\d", name) for name in ids)


def test_every_check_explains_itself() -> None:
    for check in CATALOGUE:
        assert check.title and check.cause.endswith(".") and check.remedy and check.source, check.id


def test_every_check_is_tested_by_name() -> None:
    table = yaml.safe_load((TESTS / "broken" / "expected.yaml").read_text())
    named = {row["check"] for row in table.values()}
    named |= {name for path in TESTS.glob("*/test_*.py") for name in re.findall(r'"(CPR\d{3})"', path.read_text())}
    assert {check.id for check in CATALOGUE} - named == set()


def test_a_healthy_routine_has_nothing_but_notes() -> None:
    found = inspect(subject(run=run()))
    assert {finding.severity for finding in found} <= {Severity.NOTE, Severity.WARNING}
    assert [finding.check for finding in found] == ["CPR521", "CPR309"]  # no examples; the service is retired


def test_findings_come_worst_first() -> None:
    found = inspect(subject(run=run(), model={"model.pkl": 1, "model.bst": 1}, labels=(("Team", "x"),)))
    assert [finding.check for finding in found] == ["CPR202", "CPR308", "CPR521", "CPR309"]


def test_a_check_taken_out_finds_nothing() -> None:
    broken = subject(run=run(), model={"model.pkl": 1, "model.bst": 1})
    rest = [check for check in CATALOGUE if check.id != "CPR202"]
    assert "CPR202" in {finding.check for finding in inspect(broken)}
    assert "CPR202" not in {finding.check for finding in inspect(broken, rest)}
