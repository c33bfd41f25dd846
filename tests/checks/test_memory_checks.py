"""CPR53x at their limits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.checking import faults, findings, run, subject

from cpr.checks import Subject
from cpr.isolation import ImportCost, Phase, Run


def loaded(peak: float, shared: float | None, **recorded: object) -> Run:
    return run(phases=(Phase("interpreter", 0.1, 16.0, 0, 8.0), Phase("from_path", 1.0, peak, 0, shared)), **recorded)


def of(rehearsal: Run, workers: int, machine_type: str = "mls1-c1-m2") -> Subject:
    return replace(subject(run=rehearsal, machine_type=machine_type), workers=workers)


@pytest.mark.parametrize(
    ("peak", "workers", "found"), [(1174.0, 2, 0), (1174.5, 2, 1), (882.6, 3, 0), (883.0, 3, 1), (2048.0, 1, 0), (2049.0, 2, 0)]
)
def test_workers_share_the_pages_of_files(peak: float, workers: int, found: int) -> None:
    """300 MiB of 2,048 are shared: two workers may have 874 MiB of their own each. One that alone is too much is CPR531's."""
    assert len(faults("CPR532", of(loaded(peak, 300.0), workers))) == found


def test_room_for_so_many() -> None:
    (fault,) = faults("CPR532", of(loaded(700.0, 200.0), 8))
    assert "8 processes need about 4,200 MiB" in fault.message and "room for 3" in fault.message
    assert fault.remedy is not None and fault.remedy.startswith("Run 3 with `--workers 3`. ") and "n1-" in fault.remedy


def test_children_are_multiplied_too() -> None:
    assert loaded(500.0, 100.0).needed_mib(2) == 900.0
    assert loaded(500.0, 100.0, children=2, together_mib=700.0).needed_mib(2) == 1300.0
    assert loaded(500.0, None).needed_mib(2) == 1000.0
    assert run(phases=(Phase("import", 0.1, None),)).needed_mib(2) is None


@pytest.mark.parametrize(("together", "severity"), [(2048.0, "warning"), (2048.1, "error")])
def test_the_routine_and_its_children_against_the_machine(together: float, severity: str) -> None:
    looked_at = of(loaded(1000.0, 100.0, children=3, together_mib=together), 1)
    (finding,) = findings("CPR531", looked_at)
    assert finding.severity.value == severity and "its 3 processes" in finding.message
    (note,) = findings("CPR533", looked_at)
    assert note.severity.value == "note" and "3 processes" in note.message
    assert findings("CPR533", of(loaded(1000.0, 100.0), 1)) == []


def test_the_largest_parts_are_named() -> None:
    costs = (ImportCost("tensorflow", 4.0, 467.2), ImportCost("six", 0.1, 0.2))
    looked_at = of(loaded(3000.0, 100.0, costs=costs), 1)
    (fault,) = faults("CPR531", looked_at)
    assert fault.message.endswith("mls1-c1-m2 has 2,048 MiB. The largest parts: importing tensorflow 467 MiB.")
