"""The failures known from the field: all of them have a check or a reason, and every check can be explained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command import cpr

from cpr.checks import CATALOGUE
from cpr.checks.explained import explained, explanation, find_check, prevented
from cpr.errors import UsageError
from cpr.messages import Text
from cpr.symptoms import symptoms, texts_prevented

IDS = {check.id for check in CATALOGUE}


def test_all_fifty_four_are_there_in_order() -> None:
    assert [symptom.id for symptom in symptoms()] == [f"S{number}" for number in range(1, 55)]


def test_every_one_has_a_check_or_a_reason() -> None:
    for symptom in symptoms():
        assert symptom.checks or symptom.unseen, symptom.id
        assert symptom.checks or symptom.remedy, f"{symptom.id}: without a check, its remedy is told nowhere"
        assert symptom.title and symptom.cause.endswith(".") and symptom.source and symptom.texts, symptom.id


def test_every_check_named_is_there() -> None:
    named = {name for symptom in symptoms() for name in symptom.checks}
    assert named <= IDS, named - IDS


def test_a_check_has_the_texts_of_the_failures_that_name_it() -> None:
    for check in CATALOGUE:
        keys = " | ".join(Text(text).key for text in prevented(check))
        for text in (*texts_prevented(check.id), *check.prevents):
            assert Text(text).key in keys, (check.id, text)
    assert "Please make sure (1) prediction_class" in " ".join(prevented(find_check("CPR101", CATALOGUE)))


def test_texts_are_told_once() -> None:
    for check in CATALOGUE:
        keys = [Text(text).key for text in prevented(check)]
        assert not [key for key in keys for other in keys if key != other and key in other], check.id


def test_every_check_can_be_explained() -> None:
    for check in CATALOGUE:
        document = json.loads(json.dumps(explanation(check)))
        assert list(document) == ["check", "title", "severity", "targets", "variant", "cause", "remedy", "prevents", "source"]
        text = explained(check)
        assert all(str(document[key]) in text for key in ("check", "title", "severity", "cause", "remedy", "source")), check.id
        assert document["targets"] and all(prevents in text for prevents in document["prevents"])


@pytest.mark.parametrize(
    ("name", "near"), [("CPR100", "CPR101"), ("cpr5170", "CPR51"), ("CRP101", "CPR101"), ("CPR654x", "CPR654")]
)
def test_an_unknown_check_names_those_near_it(name: str, near: str) -> None:
    with pytest.raises(UsageError) as raised:
        find_check(name, CATALOGUE)
    assert near in raised.value.remedy


def test_what_is_near_to_none() -> None:
    with pytest.raises(UsageError) as raised:
        find_check("memory", CATALOGUE)
    assert "checks.md" in raised.value.remedy


def test_the_command_line_explains(tmp_path: Path) -> None:
    ran = cpr("validate", "--explain", "cpr105", cwd=tmp_path)
    assert ran.status == 0 and ran.out.startswith("CPR105 ") and "argument 'stats'" in ran.out
    ran = cpr("validate", "--explain", "CPR105", "--json", cwd=tmp_path)
    assert ran.document["schema"] == "cpr.explain/1" and ran.document["check"] == "CPR105"
    ran = cpr("validate", "--explain", "CPR999", "--json", cwd=tmp_path)
    assert ran.status == 2 and ran.error["where"] == "--explain"
    ran = cpr("validate", "--json", cwd=tmp_path)
    assert ran.status == 2 and "No bundle" in ran.error["message"]
