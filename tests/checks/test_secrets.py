"""CPR711: what is looked through for credentials, and what is said of them."""

from __future__ import annotations

import json
import random
import string
from pathlib import Path

from support.routines import write_routine

from cpr.checks import CATALOGUE, Subject
from cpr.machines import read_target
from cpr.report import Finding, Severity
from cpr.steps.build import build
from cpr.steps.validate import _subject

TOKEN = "gh" + "p_" + "".join(random.Random(5).choices(string.ascii_letters + string.digits, k=36))
PASSWORD = "password = " + repr("q7Rz!" + "w0LmT9" + "xKb2vE4")


def subject_of(folder: Path, files: dict[str, str | bytes]) -> Subject:
    target = read_target("ai-platform")
    return _subject(build(write_routine(folder, files=files)), target, target.machine())


def looked(folder: Path, files: dict[str, str | bytes]) -> list[Finding]:
    (check,) = (check for check in CATALOGUE if check.id == "CPR711")
    return list(check.findings(subject_of(folder, files)))


def test_what_opens_something_is_an_error(tmp_path: Path) -> None:
    notebook = json.dumps({"cells": [{"source": ["import os"], "outputs": [{"text": [f"using {TOKEN}\n"]}]}]}, indent=1)
    example = json.dumps({"instances": [1], "key": TOKEN})
    files = {
        "predictor.py": f"import helper\nTOKEN = '{TOKEN}'\n\n\nclass Scale:\n    pass\n",
        "helper.py": "",
        "model/train.ipynb": notebook,
        "model/config.json": json.dumps({"token": TOKEN}),
        "model/weights.bin": TOKEN.encode() + b"\0" * 100,
        "examples.jsonl": example + "\n",
    }
    found = looked(tmp_path / "routine", files)
    places = {finding.where.partition(":")[0] for finding in found}
    assert places == {"predictor.py", "model/train.ipynb", "model/config.json", "examples.jsonl"}
    assert {finding.check for finding in found} == {"CPR711"}
    assert {finding.severity for finding in found} == {Severity.ERROR}
    assert all(TOKEN[4:10] not in " ".join((each.where, each.message, each.remedy)) for each in found)


def test_a_guess_is_a_warning(tmp_path: Path) -> None:
    (finding,) = looked(tmp_path / "routine", {"predictor.py": f"{PASSWORD}\n\n\nclass Scale:\n    pass\n"})
    assert (finding.severity, finding.where) == (Severity.WARNING, "predictor.py:1")


def test_more_text_than_is_looked_through(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"model/words{number}.txt": "some words\n" * 100_000 for number in range(10)}
    (finding,) = looked(tmp_path / "routine", files)
    assert finding.severity is Severity.NOTE
    assert looked(tmp_path / "less", {"model/words.txt": "some words\n" * 100_000}) == []
