"""``cpr lock``, and ``cpr validate --requirements``, with an index on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.command import cpr
from support.index import Index
from support.routines import CONFIG, write_routine

import cpr as package
from cpr.errors import TargetError
from cpr.steps.build import build
from cpr.steps.lock import lock


def routine(folder: Path, requirements: str, more: str = "") -> Path:
    return write_routine(folder / "routine", config=f"{CONFIG}requirements: {requirements}\n{more}")


@pytest.fixture
def stocked(index: Index) -> Index:
    """Of ``both`` there is a wheel for 3.7 and another for 3.11; of ``newer`` for 3.11 alone."""
    index.wheel("both", "1.0", "cp37-cp37m-manylinux2014_x86_64")
    index.wheel("both", "2.0", "cp311-cp311-manylinux2014_x86_64")
    index.wheel("newer", "1.0", "cp311-cp311-manylinux_2_28_x86_64")
    index.wheel("numpy", "1.21.6")
    return index


def test_the_target_decides_the_python(stocked: Index, tmp_path: Path) -> None:
    folder = routine(tmp_path, "[both, numpy]", "python: 3.11\n")
    service = cpr("lock", folder, "--json").document
    assert (service["schema"], service["python"], service["platform"]) == ("cpr.lock/1", "3.7", "x86_64-manylinux2014")
    assert [(each["name"], each["version"]) for each in service["packages"]] == [("both", "1.0")]  # the runtime has NumPy
    assert service["bytes"] == service["packages"][0]["size"] == len(stocked.files[service["packages"][0]["file"]])
    image = cpr("lock", folder, "--target", "vertex-ai", "--json").document
    assert (image["python"], [(each["name"], each["version"]) for each in image["packages"]]) == (
        "3.11",
        [("both", "2.0"), ("numpy", "1.21.6")],
    )
    container = cpr("lock", folder, "--machine-type", "n1-standard-2", "--json").document
    assert container["python"] == "3.11"


def test_what_is_printed_is_what_is_written(stocked: Index, tmp_path: Path) -> None:
    folder = routine(tmp_path, "[both]")
    printed = cpr("lock", folder)
    assert printed.out.startswith(
        "# tiny 1.2.0 on ai-platform: Python 3.7, x86_64-manylinux2014\nboth==1.0 \\\n    --hash=sha256:"
    )
    written = cpr("lock", folder, "-o", tmp_path / "locked.txt")
    assert (tmp_path / "locked.txt").read_text() == printed.out
    assert "1 package," in written.out and sorted(path.name for path in tmp_path.iterdir()) == ["locked.txt", "routine"]
    nowhere = cpr("lock", folder, "-o", tmp_path / "none" / "locked.txt", "--json")
    assert (nowhere.status, nowhere.error["type"]) == (1, "OutputError")


def test_nothing_to_lock(stocked: Index, tmp_path: Path) -> None:
    ran = cpr("lock", routine(tmp_path, "[numpy]"))
    assert ran.status == 0 and "the runtime has all" in ran.out
    assert stocked.asked == []


@pytest.mark.parametrize(
    ("requirements", "kind", "says"),
    [("[newer]", "NoWheel", "newer"), ("['both==9']", "NoSolution", "both==9"), ("[nowhere]", "NoSolution", "nowhere")],
)
def test_errors_have_a_type_and_a_remedy(stocked: Index, tmp_path: Path, requirements: str, kind: str, says: str) -> None:
    ran = cpr("lock", routine(tmp_path, requirements), "--json")
    assert (ran.status, ran.error["type"]) == (1, kind)
    assert says in ran.error["message"] and ran.error["remedy"]


def test_from_python(stocked: Index, tmp_path: Path) -> None:
    bundle = build(routine(tmp_path, "[both]"))
    assert package.lock(bundle) == lock(bundle, "ai-platform", "mls1-c4-m2")
    with pytest.raises(TargetError):
        lock(bundle, "ai-platform", "mls1-c1-m3")


def checked(folder: Path, *options: str) -> dict[str, dict[str, str]]:
    document = cpr("validate", folder, "--json", *options).document
    assert document["schema"] == "cpr.validate/1", document
    return {finding["check"]: finding for finding in document["findings"] if finding["check"].startswith("CPR80")}


def test_the_index_is_asked_only_when_told(stocked: Index, tmp_path: Path) -> None:
    folder = routine(tmp_path, "[newer]")
    assert set(checked(folder)) == {"CPR807"}
    assert stocked.asked == []
    found = checked(folder, "--requirements")
    assert (found["CPR802"]["severity"], "newer" in found["CPR802"]["message"]) == ("error", True)
    assert set(checked(folder, "--requirements", "--target", "vertex-ai")) == {"CPR807"}


def test_a_version_that_is_not_there(stocked: Index, tmp_path: Path) -> None:
    found = checked(routine(tmp_path, "['both==9.0']"), "--requirements")
    assert (found["CPR801"]["severity"], "both==9.0" in found["CPR801"]["message"]) == ("error", True)


def test_without_an_index_the_rest_is_checked(stocked: Index, tmp_path: Path) -> None:
    stocked.stop()
    found = checked(routine(tmp_path, "['both==1.0']"), "--requirements")
    assert (found["CPR801"]["severity"], set(found)) == ("warning", {"CPR801"})
