"""`cpr diagnose`: every known text as people paste it, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.command import cpr
from support.pasted import KNOWN, UNKNOWN

from cpr.checks import CATALOGUE
from cpr.errors import UsageError
from cpr.messages import MAX_CHARACTERS, Message, Text
from cpr.steps.diagnose import diagnose
from cpr.symptoms import symptoms

ALL = [(name, text) for name, texts in KNOWN.items() for text in texts]
CHECKS = {symptom.id: symptom.checks for symptom in symptoms()}


def found(text: str) -> set[str | None]:
    return {match.symptom for match in diagnose(text)}


def test_every_failure_is_pasted_here() -> None:
    assert list(KNOWN) == [symptom.id for symptom in symptoms()]


@pytest.mark.parametrize(("name", "text"), ALL)
def test_a_pasted_text_is_known(name: str, text: str) -> None:
    first = diagnose(text)[0]
    same = {symptom.id for symptom in symptoms() if symptom.checks == CHECKS[name]} if CHECKS[name] else set()
    assert first.symptom in {name, *same} or name in found(text)
    assert first.symptom is not None and first.score == 1 and first.cause and first.remedy and first.source


@pytest.mark.parametrize("text", UNKNOWN)
def test_an_unrelated_text_is_unknown(text: str) -> None:
    assert diagnose(text) == ()


def test_there_are_enough_unrelated_texts() -> None:
    assert len(set(UNKNOWN)) >= 30


def in_json(text: str) -> str:
    return json.dumps({"error": {"code": 400, "message": json.dumps({"error": text})}})


def in_html(text: str) -> str:
    return "<p>" + text.replace("&", "&amp;").replace('"', "&quot;").replace("'", "&#39;").replace("<", "&lt;") + "</p>"


def wrapped(text: str) -> str:
    return textwrap.fill(text, 40, break_long_words=True, initial_indent="  ", subsequent_indent="  ")


def cut_by_column(text: str) -> str:
    return "\r\n".join(text[start : start + 37] for start in range(0, len(text), 37))


def in_colour(text: str) -> str:
    return "\x1b[1;31m" + text.replace("ERROR", "\x1b[0mERROR\x1b[31m") + "\x1b[0m"


@pytest.mark.parametrize("dressed", [in_json, in_html, wrapped, cut_by_column, in_colour, str.upper, repr])
@pytest.mark.parametrize(("name", "text"), ALL)
def test_what_carried_it_does_not_matter(name: str, text: str, dressed) -> None:
    plain = [(match.symptom, match.check) for match in diagnose(text)]
    assert [(match.symptom, match.check) for match in diagnose(dressed(text))] == plain


def test_a_long_text_cut_short_is_known_still() -> None:
    (text,) = KNOWN["S1"]
    text = text[text.index("churn.serving") :]
    at = text.index("fully qualified")
    for tail in (text[:at], text[: at + 8] + "...", text[: at + 9] + '…"}'):
        (match,) = diagnose(tail)
        assert match.check == "CPR101" and 0.3 < match.score < 1


def test_a_beginning_that_is_common_is_not_enough() -> None:
    assert diagnose("churn.Model cannot be found. Please make sure") == ()
    assert diagnose("Could not load the model") == ()


def test_what_the_frame_says_gives_way_to_the_reason() -> None:
    for name in ("S2", "S8", "S12", "S22", "S25"):
        assert found(KNOWN[name][0]) == {name}
    assert [match.check for match in diagnose("There was a problem processing the user code: odd (Error code: 4)")] == [
        "CPR502"
    ]


def test_a_text_that_several_share_names_them_all() -> None:
    assert {match.check for match in diagnose("Prediction failed: unknown error.")} >= {"CPR105", "CPR504"}
    both = "Prediction failed: unknown error. " + KNOWN["S5"][0]
    assert [match.check for match in diagnose(both)] == ["CPR105"]


def test_every_text_of_a_check_leads_to_it() -> None:
    for check in CATALOGUE:
        for text in check.prevents:
            assert check.id in {match.check for match in diagnose(re.sub(r"\{[a-z ]+\}", "7", text))}, (check.id, text)


def test_texts_say_enough_to_be_told_from_others() -> None:
    for symptom in symptoms():
        for source in symptom.texts:
            words = Text(source).words
            assert len(words) >= 2 and sum(len(word.text) for word in words) >= 18, (symptom.id, source)


def test_the_texts_that_the_help_and_the_how_to_show_are_known(repository: Path) -> None:
    told = (repository / "docs" / "how-to.md").read_text() + cpr("diagnose", "--help").out
    shown = re.findall(r"cpr diagnose '(.+?)'$", told, re.MULTILINE)
    assert len(shown) >= 2
    assert all(diagnose(text)[0].check == "CPR531" for text in shown)


def test_no_words_at_all() -> None:
    with pytest.raises(UsageError):
        diagnose("... ???")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_taken(text: str) -> None:
    try:
        assert diagnose(text) == ()
    except UsageError:
        assert Message(text).is_empty


COMMON = "error failed model the to load version with not found create request internal input memory module name".split()  # noqa: SIM905


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(COMMON), min_size=1, max_size=40))
def test_common_words_are_no_message(words: list[str]) -> None:
    assert diagnose(" ".join(words)) == ()


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ALL), st.text(alphabet="abc xyz\n", max_size=60), st.text(alphabet="abc xyz\n", max_size=60))
def test_anything_may_stand_around_it(pasted: tuple[str, str], before: str, after: str) -> None:
    name, text = pasted
    assert name in found(f"{before} {text} {after}")


@pytest.mark.parametrize(
    "filler", ["input ", "field: ", "could not load the model ", "x" * 50 + " ", "\\u0041", "&quot;", "a\n"]
)
def test_huge_input_is_bounded(filler: str) -> None:
    text = filler * (4 * MAX_CHARACTERS // len(filler)) + " MetaGraph must have at least one signature_def."
    started = time.monotonic()
    assert found(text) == {"S25"}
    assert time.monotonic() - started < 20


def test_the_command() -> None:
    ran = cpr("diagnose", "MetaGraph must have", "at least one signature_def.")
    assert (ran.status, ran.err) == (0, "") and "CPR609" in ran.out and "  fix: " in ran.out
    ran = cpr("diagnose", "--json", KNOWN["S9"][0])
    document = json.loads(ran.out)
    assert document["schema"] == "cpr.diagnose/1" and document["known"] is True
    (match,) = document["matches"]
    assert match["check"] is None and match["symptom"] == "S9" and match["score"] == 1
    assert {"title", "message", "cause", "remedy", "source"} < match.keys()


def test_the_command_says_unknown() -> None:
    ran = cpr("diagnose", "kernel panic")
    assert ran.status == 1 and ran.out.startswith("unknown") and "next:" in ran.out
    ran = cpr("diagnose", "--json", "kernel panic")
    assert ran.status == 1 and json.loads(ran.out) == {"schema": "cpr.diagnose/1", "known": False, "matches": []}
    assert cpr("diagnose", "???").status == 2


def test_standard_input() -> None:
    command = [sys.executable, "-m", "cpr", "diagnose", "-"]
    text = KNOWN["S10"][0].encode() + b"\xff\xfe\x00"
    ran = subprocess.run(command, input=text, capture_output=True)
    assert ran.returncode == 0 and b"CPR531" in ran.stdout and ran.stderr == b""
