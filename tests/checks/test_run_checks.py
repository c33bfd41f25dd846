"""CPR5xx: what is made of a rehearsal's record, where a real one would be slow or needs another machine."""

from __future__ import annotations

import pytest
from support.checking import answer, example, faults, findings, run, subject

from cpr.errors import ProjectError
from cpr.examples import Example
from cpr.isolation import Phase, Raised
from cpr.report import Severity


def test_a_package_that_does_not_install() -> None:
    failed = run(install_failure=("packages/tiny-1.0.tar.gz", "Processing it\nERROR: no setup.py\n"), complete=False, status=1)
    (fault,) = faults("CPR501", subject(run=failed))
    assert fault.message == "pip does not install it: ERROR: no setup.py"
    assert faults("CPR505", subject(run=failed)) == []


@pytest.mark.parametrize(
    ("peak", "severity"), [(1740.0, None), (1741.0, "warning"), (2048.0, "warning"), (2048.1, "error"), (6000.0, "error")]
)
def test_memory_against_the_machine(peak: float, severity: str | None) -> None:
    phases = (Phase("interpreter", 0.1, 16.0), Phase("from_path", 1.0, peak), Phase("first_predict", 1.0, 400.0))
    found = faults("CPR531", subject(run=run(phases=phases)))
    assert [(fault.severity or Severity.ERROR).value for fault in found] == ([] if severity is None else [severity])
    for fault in found:
        assert "in from_path" in fault.message and fault.remedy is not None and "n1-" in fault.remedy


def test_memory_that_cannot_be_measured() -> None:
    blind = run(phases=(Phase("from_path", 1.0, None),))
    assert faults("CPR531", subject(run=blind)) == []
    assert [fault.message for fault in faults("CPR541", subject(run=blind))] == ["Memory cannot be measured on this system."]


def test_what_was_not_proved_is_said() -> None:
    assert faults("CPR541", subject(run=run())) == []
    other = run(environment={"python": "3.11.7", "packages": {"tensorflow": "2.21.0"}})
    (fault,) = faults("CPR541", subject(run=other))
    assert "runs Python 3.7 and TensorFlow 2.9; the rehearsal ran on Python 3.11.7 and TensorFlow 2.21.0" in fault.message
    assert faults("CPR541", subject(run=other, machine_type="n1-standard-2")) == []
    assert len(faults("CPR541", subject(run=run(network="none")))) == 1


def test_requirements_that_are_not_what_ran() -> None:
    ran = run(environment={"python": "3.7.16", "packages": {"numpy": "2.4.6"}})
    assert faults("CPR542", subject(run=ran, requirements=("numpy>=1.20",))) == []
    assert faults("CPR542", subject(run=ran, requirements=("pandas; python_version < '3'",))) == []
    (other,) = faults("CPR542", subject(run=ran, requirements=("numpy==1.18.5",)))
    assert "numpy 2.4.6" in other.message
    (missing,) = faults("CPR542", subject(run=ran, requirements=("pandas<2",)))
    assert missing.remedy == "`pip install 'pandas<2'`"
    old = run(environment={"python": "3.7.16", "packages": {"relic": "2.0-of-the-house"}})
    assert faults("CPR542", subject(run=old, requirements=("relic",))) == []
    assert len(faults("CPR542", subject(run=old, requirements=("relic>=1",)))) == 1


def test_a_network_that_was_asked_in_vain_is_a_warning() -> None:
    (fault,) = faults("CPR508", subject(run=run(calls=("metadata.google.internal",))))
    assert fault.severity is Severity.WARNING and "metadata.google.internal, and does without" in fault.message
    (fault,) = faults("CPR508", subject(run=run(calls=("metadata.google.internal",), network="none")))
    assert fault.severity is Severity.WARNING and "without" not in fault.message


@pytest.mark.parametrize(("size", "found"), [(1_500_000, 0), (1_500_001, 1)])
def test_size_of_an_answer(size: int, found: int) -> None:
    assert len(faults("CPR515", subject(run=run(answers=(answer(bytes=size),))))) == found


@pytest.mark.parametrize(("length", "found"), [(1_500_000, 0), (1_500_001, 1)])
def test_size_of_a_request(length: int, found: int) -> None:
    request = {"instances": ["x" * (length - len('{"instances": [""]}'))]}
    line = type(example())(3, request, None)
    assert [fault.where for fault in faults("CPR516", subject(examples=(line,)))] == ["examples.jsonl:3"] * found


def test_the_same_problem_on_many_lines_is_said_once() -> None:
    answers = tuple(answer(line=line, type="tuple", rows=None, problem="type") for line in range(1, 41))
    (fault,) = faults("CPR511", subject(run=run(answers=answers)))
    assert fault.where == "examples.jsonl:1" and "39 more" in fault.message


def test_an_expectation_within_its_tolerance() -> None:
    looked_at = subject(run=run(answers=(answer(answer=[0.5000001]),)), examples=(example(1, [0.5]),))
    assert faults("CPR517", looked_at) == []
    looked_at = subject(run=run(answers=(answer(answer=[0.5001]),)), examples=(example(1, [0.5]),))
    assert len(faults("CPR517", looked_at)) == 1


def test_an_answer_that_was_not_compared_is_named() -> None:
    assert len(faults("CPR523", subject(run=run(answers=(answer(),)), examples=(example(1, [0.5]),)))) == 1


def test_examples_missing_or_bad() -> None:
    assert len(faults("CPR521", subject())) == 1
    problem = ProjectError("The example is not JSON.", "Mend it.", "/somewhere/examples.jsonl:7")
    assert faults("CPR521", subject(examples_problem=problem)) == []
    assert [fault.where for fault in faults("CPR522", subject(examples_problem=problem))] == ["examples.jsonl:7"]


@pytest.mark.parametrize(
    ("kind", "remedy"), [("coroutine", "without async"), ("NoneType", "without a return"), ("numpy.ndarray", ".tolist()")]
)
def test_the_remedy_fits_what_was_returned(kind: str, remedy: str) -> None:
    (fault,) = findings("CPR511", subject(run=run(answers=(answer(type=kind, rows=None, problem="type"),))))
    assert remedy in fault.remedy


@pytest.mark.parametrize("phase", ["import", "from_path", "predict"])
def test_a_module_that_a_pickle_names_and_nobody_packed(phase: str) -> None:
    raised = Raised(phase, None, "ModuleNotFoundError", "No module named 'prep'", "prep", None, None, None, False)
    id = {"import": "CPR502", "from_path": "CPR503", "predict": "CPR504"}[phase]
    (fault,) = faults(id, subject(run=run(raised=(raised,))))
    assert "list it under `modules`" in (fault.remedy or "")


def test_a_python_without_pip() -> None:
    failed = run(install_failure=("packages/tiny-1.0.tar.gz", "/usr/bin/python3: No module named pip\n"), status=1)
    (fault,) = faults("CPR501", subject(run=failed))
    assert "ensurepip" in (fault.remedy or "")


def test_an_alarm_is_no_crash() -> None:
    (fault,) = faults("CPR506", subject(run=run(complete=False, status=-14, last_phase="from_path")))
    assert "SIGALRM" in fault.message and "timer" in (fault.remedy or "")


def test_answers_too_deep_to_compare() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    looked_at = subject(run=run(answers=(answer(answer=[deep]),)), examples=(example(1, [deep]),))
    (fault,) = faults("CPR517", looked_at)
    assert "cannot be compared" in fault.message


def test_a_process_killed_by_the_system() -> None:
    killed = run(complete=False, status=-9, last_phase="from_path")
    (fault,) = faults("CPR506", subject(run=killed))
    assert "SIGKILL during from_path" in fault.message and "memory" in (fault.remedy or "")
    assert faults("CPR505", subject(run=killed)) == []


def test_more_instances_than_gcloud_sends() -> None:
    def with_rows(count: int, line: int = 1) -> Example:
        return Example(line, {"instances": [1] * count}, None)

    assert faults("CPR565", subject(examples=(with_rows(100),))) == []
    (fault,) = faults("CPR565", subject(examples=(with_rows(1), with_rows(101, 2), with_rows(200, 3))))
    assert (fault.where, "101" in fault.message, "1 more" in fault.message) == ("examples.jsonl:2", True, True)
    assert faults("CPR565", subject(target="vertex-ai", examples=(with_rows(101),))) == []
