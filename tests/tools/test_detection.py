"""The detection table: its page holds the faults of the script, and what it says of the quick ones is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "detection.md").read_text(encoding="utf-8")
ROWS = {
    row[0]: row for row in re.findall(r"^\| (.+?) \| (\w+) \| `(.+?)` \| (.+?) \| (.+?) \| [0-9.]+ \|$", PAGE, re.MULTILINE)
}


def load() -> ModuleType:
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import detection
    finally:
        sys.path.remove(str(ROOT / "tools"))
    return detection


DETECTION = load()
QUICK = [fault for fault in DETECTION.FAULTS if fault.fast]


def test_the_page_lists_the_faults_of_the_script() -> None:
    assert len(DETECTION.FAULTS) >= 60
    assert [(fault.name, fault.base, fault.where) for fault in DETECTION.FAULTS] == [row[:3] for row in ROWS.values()], (
        "run: python tools/detection.py"
    )
    assert len(re.findall(r"^\| (?!fault|---)", PAGE, re.MULTILINE)) == len(ROWS)


def test_the_page_counts_right_and_names_every_miss() -> None:
    missed = [name for name, row in ROWS.items() if row[4] == "missed"]
    caught, number = len(ROWS) - len(missed), len(missed)
    assert f"**{len(ROWS)} faults: {caught} caught, {number} missed.**" in PAGE
    listed = PAGE.partition("## The misses\n")[2]
    assert [line for line in listed.splitlines() if line.startswith("- ")] and listed.count("\n- ") == number
    assert all(f"\n- {name}. " in listed for name in missed)


def test_there_are_enough_quick_ones_and_none_needs_tensorflow() -> None:
    assert len(QUICK) >= 8 and {fault.base for fault in QUICK} <= {"texts", "pickled"}


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.name)
def test_a_quick_fault_is_found_as_the_page_says(fault: object, tmp_path: Path) -> None:
    outcome = DETECTION.plant(fault, tmp_path)
    assert outcome.caught
    assert outcome.row().rpartition(" | ")[0] == f"| {' | '.join(part(ROWS[fault.name]))}", "run: python tools/detection.py"


def part(row: tuple[str, ...]) -> tuple[str, ...]:
    return (row[0], row[1], f"`{row[2]}`", *row[3:])


@pytest.mark.parametrize("base", ["texts", "pickled"])
def test_a_routine_without_a_fault_is_quiet(base: str, tmp_path: Path) -> None:
    """So nothing in the table is a false alarm, and a plant that plants nothing counts as missed."""
    assert DETECTION.healthy(base, tmp_path) == frozenset()
    nothing = DETECTION.Fault("nothing", base, "nowhere", lambda folder: None, ("*",))
    (tmp_path / "again").mkdir()
    assert not DETECTION.plant(nothing, tmp_path / "again").caught


def test_a_plant_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no"):
        DETECTION.plant(
            DETECTION.Fault("none", "texts", "x", DETECTION.data.edits("textual.py", ("nowhere", "")), ()), tmp_path
        )


def test_the_script_tells_its_use() -> None:
    done = subprocess.run([sys.executable, "tools/detection.py", "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "--only" in done.stdout
