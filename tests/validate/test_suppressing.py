"""Findings that the author lets stand, and warnings that count as errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command import cpr
from support.routines import CONFIG, PREDICTOR, write_routine

from cpr.bundle import Bundle
from cpr.steps.build import build
from cpr.steps.validate import stored_validation

NEWER = PREDICTOR + "\n\nif (size := 3) > 4:\n    pass\n"


def suppressing(*items: str) -> str:
    return CONFIG + "suppress:\n" + "".join(f"- {item}\n" for item in items)


def test_a_suppressed_error_is_listed_and_no_longer_counts(tmp_path: Path) -> None:
    project = write_routine(tmp_path / "r", suppressing("{check: CPR402, reason: it runs elsewhere}"), NEWER)
    ran = cpr("validate", project, "--json")
    document = ran.document
    assert (ran.status, document["ok"]) == (0, True)
    (suppressed,) = document["suppressed"]
    assert (suppressed["check"], suppressed["reason"]) == ("CPR402", "it runs elsewhere")
    assert not [finding for finding in document["findings"] if finding["check"] in ("CPR402", "CPR901")]
    bundle = Bundle.open(next((project / "dist").iterdir()))
    stored = stored_validation(bundle)
    assert stored is not None and stored.report.suppressed[0].reason == "it runs elsewhere"
    again = cpr("validate", bundle.root)  # the bundle alone knows it too
    assert again.status == 0 and "suppressed error CPR402" in again.out and "reason: it runs elsewhere" in again.out


def test_a_suppression_holds_for_its_place_alone(tmp_path: Path) -> None:
    config = suppressing(
        "{check: CPR402, reason: old, where: other.py:*}", "{check: CPR402, reason: newer, where: 'helper.py:*'}"
    )
    project = write_routine(tmp_path / "r", config, "import helper\n" + NEWER, {"helper.py": "print(f'{3 = }')\n(a := 3)\n"})
    document = cpr("validate", project, "--json").document
    assert [finding["where"].split(":")[0] for finding in document["findings"] if finding["check"] == "CPR402"] == [
        "predictor.py"
    ]
    assert {each["where"].split(":")[0] for each in document["suppressed"]} == {"helper.py"}
    (unused,) = [finding for finding in document["findings"] if finding["check"] == "CPR901"]
    assert unused["severity"] == "note" and "CPR402 finds nothing at other.py:*" in unused["message"]


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ("{check: CPR402}", "check and reason"),
        ("{check: CPR402, reason: ''}", "empty value"),
        ("{check: CPR402, reason: x, whre: y}", "check and reason"),
        ("{check: CPR402, reason: [x]}", "check and reason"),
        ("CPR402", "check and reason"),
        ("{check: CPR4O2, reason: x}", "Did you mean CPR"),
        ("{check: nothing, reason: x}", "name their checks"),
    ],
)
def test_what_is_no_suppression_is_refused_with_its_line(tmp_path: Path, item: str, says: str) -> None:
    project = write_routine(tmp_path / "r", suppressing(item))
    ran = cpr("build", project)
    assert ran.status == 1 and says in ran.err and "routine.yaml:5" in ran.err


def test_suppressions_are_part_of_the_digest_and_none_leaves_it_as_it_was(tmp_path: Path) -> None:
    plain = build(write_routine(tmp_path / "a"))
    assert "suppress" not in json.loads((plain.root / "manifest.json").read_text())
    with_one = build(write_routine(tmp_path / "b", suppressing("{check: CPR402, reason: x}")))
    assert with_one.manifest.digest != plain.manifest.digest
    assert Bundle.open(with_one.root).manifest == with_one.manifest


def test_strict_fails_on_a_warning(tmp_path: Path) -> None:
    project = write_routine(tmp_path / "r", files={"examples.jsonl": ""})  # CPR521: nothing was replayed
    assert cpr("validate", project).status == 0
    strict = cpr("validate", project, "--strict")
    assert strict.status == 1 and "not ok, as warnings fail too" in strict.out
    assert cpr("validate", project, "--strict", "--json").document["ok"] is False
    done = cpr("ship", project, tmp_path / "bucket", "--target", "vertex-ai", "--image", "a/b", "--strict", cwd=tmp_path)
    assert done.status == 1 and not (tmp_path / "bucket").exists(), done.err
    assert cpr("validate", write_routine(tmp_path / "s"), "--strict").status == 0


def test_what_is_mended_alike_is_told_once(tmp_path: Path) -> None:
    project = write_routine(tmp_path / "r", predictor="import helper\n" + NEWER, files={"helper.py": "(a := 3)\n"})
    out = cpr("validate", project).out
    assert out.count("CPR402") == 2 and out.count("Write it in the older syntax") == 1
