"""CPR3xx: machines, runtimes, names and labels of a target."""

from __future__ import annotations

import pytest
from support.checking import faults, run, subject

from cpr.errors import TargetError
from cpr.report import Severity


def test_a_routine_on_n1_becomes_a_container() -> None:
    assert faults("CPR301", subject()) == []
    (fault,) = faults("CPR301", subject(machine_type="n1-highmem-2"))
    assert "mls1-c1-m2" in fault.message
    assert faults("CPR301", subject(target="vertex-ai")) == []  # a container is the only way there


def test_doubtful_machines() -> None:
    assert faults("CPR302", subject(machine_type="mls1-c4-m2")) == []
    (old,) = faults("CPR302", subject(machine_type="mls1-highmem-1"))
    assert old.remedy == "Write mls1-c1-m2."
    (ghost,) = faults("CPR302", subject(machine_type="mls1-c4-m4"))
    assert "no official list" in ghost.message


def test_runtime_that_is_not_there() -> None:
    problem = TargetError("no runtime version '2.0'.", "The runtime versions are ….")
    assert [fault.message for fault in faults("CPR303", subject(runtime_problem=problem))] == [problem.message]


@pytest.mark.parametrize(("version", "doubted"), [("1.4", False), ("2.1", True), ("2.9", False), ("2.11", True), (None, False)])
def test_doubtful_runtimes(version: str | None, doubted: bool) -> None:
    found = faults("CPR304", subject(runtime_version=version))
    assert bool(found) is doubted
    assert faults("CPR304", subject(runtime_version=version, machine_type="n1-standard-2")) == []


@pytest.mark.parametrize(
    ("runtime", "python", "severity"),
    [
        ("2.9", "3.7", None),
        ("2.9", "3.7.12", None),
        ("1.15", "2.7", None),
        ("1.14", "3.5", None),
        ("1.14", "3.7", "error"),
        ("2.9", "3.10", "error"),
        (None, "3.7", None),
        (None, "3.11", "warning"),
        ("2.9", None, None),
    ],
)
def test_python_and_runtime(runtime: str | None, python: str | None, severity: str | None) -> None:
    found = faults("CPR305", subject(runtime_version=runtime, python=python))
    assert [(fault.severity or Severity.ERROR).value for fault in found] == ([] if severity is None else [severity])
    assert faults("CPR305", subject(runtime_version=runtime, python=python, machine_type="n1-standard-2")) == []


@pytest.mark.parametrize(("declared", "found"), [("2.9", 0), ("2.9.3", 0), ("2.8", 0), ("2.10", 1), ("2.21", 1), (None, 0)])
def test_tensorflow_and_runtime(declared: str | None, found: int) -> None:
    assert len(faults("CPR306", subject(tensorflow=declared, runtime_version="2.9"))) == found


def test_length_of_names() -> None:
    longest = "1." + "0" * 125  # the platform's spelling puts a v before it: 128 characters
    assert faults("CPR307", subject(version=longest)) == []
    assert len(faults("CPR307", subject(version=longest + "0"))) == 1


def test_names_are_judged_in_the_targets_spelling() -> None:
    assert faults("CPR307", subject(name="two-words")) == []
    assert faults("CPR307", subject(name="two_words", target="vertex-ai")) == []


@pytest.mark.parametrize(
    ("labels", "found"), [((("team", "search"),), 0), ((("Team", "search"),), 1), ((("team", "x" * 64),), 1)]
)
def test_labels(labels: tuple[tuple[str, str], ...], found: int) -> None:
    assert len(faults("CPR308", subject(labels=labels))) == found


def test_a_retired_service_names_its_successors() -> None:
    (fault,) = faults("CPR309", subject(run=run()))
    assert "2025-01-31" in fault.message and fault.remedy is not None and "--target vertex-ai" in fault.remedy
    assert faults("CPR309", subject(target="vertex-ai")) == []
