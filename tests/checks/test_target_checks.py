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


@pytest.mark.parametrize(
    ("runtime", "python", "found"),
    [("1.14", None, 0), ("1.15", None, 1), ("1.15", "3.7", 1), ("1.15", "2.7", 0), ("2.1", None, 0)],
)
def test_a_fault_that_the_platform_had(runtime: str, python: str | None, found: int) -> None:
    faulty = faults("CPR310", subject(runtime_version=runtime, python=python))
    assert len(faulty) == found and all("2020-01-23" in fault.message for fault in faulty)
    assert faults("CPR310", subject(runtime_version=runtime, python=python, machine_type="n1-standard-2")) == []


@pytest.mark.parametrize(
    ("target", "key", "longest"), [("ai-platform", "name", 128), ("vertex-ai", "name", 63), ("vertex-ai", "version", 128)]
)
def test_the_longest_name_of_each_target(target: str, key: str, longest: int) -> None:
    def named(length: int) -> dict[str, str]:
        return {"name": "a" * length} if key == "name" else {"version": "1." + "0" * (length - 3)}  # a v comes before it

    assert faults("CPR307", subject(target=target, **named(longest))) == []
    (fault,) = faults("CPR307", subject(target=target, **named(longest + 1)))
    assert fault.where == f"routine.yaml: {key}"


@pytest.mark.parametrize("target", ["ai-platform", "vertex-ai"])
@pytest.mark.parametrize(
    ("name", "allowed"), [("two-words", True), ("two_words", True), ("a1", True), ("1a", False), ("_a", False), ("a.b", False)]
)
def test_names_on_each_target(target: str, name: str, allowed: bool) -> None:
    assert (faults("CPR307", subject(target=target, name=name)) == []) is allowed


@pytest.mark.parametrize("target", ["ai-platform", "vertex-ai"])
@pytest.mark.parametrize(("version", "allowed"), [("1.0", True), ("1.0.dev3", True), ("1.0+local.1", True), ("2!1.0rc1", True)])
def test_versions_on_each_target(target: str, version: str, allowed: bool) -> None:
    assert (faults("CPR307", subject(target=target, version=version)) == []) is allowed


@pytest.mark.parametrize("target", ["ai-platform", "vertex-ai"])
@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("k" * 63, "v" * 63, True),
        ("k" * 64, "v", False),
        ("k", "v" * 64, False),
        ("größe", "über", True),
        ("1k", "v", False),
        ("k", "", True),
        ("k", "1", True),
        ("k", "A", False),
        ("k.x", "v", False),
    ],
)
def test_labels_on_each_target(target: str, key: str, value: str, allowed: bool) -> None:
    assert (faults("CPR308", subject(target=target, labels=((key, value),))) == []) is allowed


@pytest.mark.parametrize("target", ["ai-platform", "vertex-ai"])
def test_number_of_labels(target: str) -> None:
    labels = tuple((f"k{number}", "v") for number in range(65))
    assert faults("CPR308", subject(target=target, labels=labels[:64])) == []
    assert len(faults("CPR308", subject(target=target, labels=labels))) == 1


@pytest.mark.parametrize(
    ("wrong", "right"), [("mls-c4-m2", "mls1-c4-m2"), ("n1-standart-4", "n1-standard-4"), ("mls1-c1m2", "mls1-c1-m2")]
)
def test_a_wrong_machine_type_is_refused_with_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(TargetError) as raised:
        subject(machine_type=wrong)
    assert right in raised.value.remedy
