"""CPR80x: what the requirements say by themselves, and what an index says of them."""

from __future__ import annotations

import dataclasses

import pytest
from support.checking import faults, findings, subject

from cpr.checks import Subject
from cpr.errors import IndexUnreachable, MissingExtra, NoSolution, NoWheel
from cpr.locking import Lock, Package
from cpr.report import Severity

WHEEL = "https://example.com/w/"


@pytest.mark.parametrize(
    ("file", "declared", "says"),
    [
        ("torch-1.4.0+cpu-cp37-cp37m-linux_x86_64.whl", {}, None),
        ("torch-1.4.0%2Bcpu-cp37-cp37m-manylinux1_x86_64.whl", {}, None),
        ("six-1.0-py2.py3-none-any.whl", {}, None),
        ("six-1.0-py37-none-any.whl", {}, None),
        ("six-1.0-cp36-abi3-manylinux2014_x86_64.whl", {}, None),
        ("torch-1.4.0-cp38-cp38-linux_x86_64.whl", {}, "cp38-cp38; the target runs Python 3.7"),
        ("six-1.0-py2-none-any.whl", {}, "py2-none"),
        ("six-1.0-py38-none-any.whl", {}, "py38-none"),
        ("six-1.0-cp27-cp27mu-linux_x86_64.whl", {"runtime_version": "1.15", "python": "2.7"}, None),
        ("six-1.0-cp37-cp37m-macosx_10_9_x86_64.whl", {}, "macosx_10_9_x86_64"),
        ("six-1.0-cp37-cp37m-win_amd64.whl", {}, "win_amd64"),
        ("six-1.0-cp37-cp37m-manylinux2014_aarch64.whl", {}, "aarch64"),
        ("six-1.0-cp311-cp311-manylinux2014_aarch64.whl", {"target": "vertex-ai", "python": "3.11"}, None),
        ("six-1.0-cp310-cp310-manylinux2014_x86_64.whl", {"target": "vertex-ai", "python": "3.11"}, "cp310-cp310"),
        ("six-1.0-cp310-cp310-manylinux2014_x86_64.whl", {"target": "vertex-ai"}, None),  # whatever Python proves it
        ("six.whl", {}, "no name of a wheel"),
        ("six-1.0.tar.gz", {}, None),
    ],
)
def test_wheels_of_another_python_or_system(file: str, declared: dict[str, str], says: str | None) -> None:
    found = findings("CPR803", subject(requirements=(f"it @ {WHEEL}{file}",), **declared))
    assert [finding.severity for finding in found] == ([] if says is None else [Severity.ERROR])
    assert all(str(says) in finding.message for finding in found)


def test_a_requirement_for_another_python_is_not_looked_at() -> None:
    wheel = f"it @ {WHEEL}it-1.0-cp38-cp38-linux_x86_64.whl"
    assert faults("CPR803", subject(requirements=(f"{wheel} ; python_version >= '3.8'",))) == []
    assert len(faults("CPR803", subject(requirements=(f"{wheel} ; python_version < '3.8'",)))) == 1


@pytest.mark.parametrize(
    ("requirement", "runtime", "says"),
    [
        ("tensorflow", "2.9", None),
        ("tensorflow>=2.4,<2.10", "2.9", None),
        ("tensorflow==2.9.3", "2.9", None),
        ("tensorflow>=2.15", "2.9", "the runtime brings TensorFlow 2.9"),
        ("scikit-learn==0.20.4", "1.15", None),
        ("scikit-learn>=0.22", "1.15", "scikit-learn 0.20.4"),
        ("scikit_learn>=0.22", "2.9", None),  # what 2.9 has is not known
        ("protobuf<3.20", "2.9", None),
        ("protobuf", "2.9", None),
        ("protobuf>=3.12", "2.9", None),
        ("protobuf==4.21.0", "2.9", "needs protobuf <3.20"),
        ("protobuf>=4", "2.11", "needs protobuf <3.20"),
        ("numpy>=1.20", "1.15", "TensorFlow 1.15 needs numpy <1.19.0"),
        ("google-cloud-storage==1.30.0", "2.9", "not known"),
        ("google-cloud-storage", "2.9", None),
        ("google-auth==1.0", "2.9", None),
    ],
)
def test_clashes_with_the_runtime_are_warnings(requirement: str, runtime: str, says: str | None) -> None:
    found = findings("CPR804", subject(requirements=(requirement,), runtime_version=runtime))
    assert [finding.severity for finding in found] == ([] if says is None else [Severity.WARNING])
    assert all(str(says) in finding.message for finding in found)
    assert findings("CPR804", subject(requirements=(requirement,), target="vertex-ai")) == []


@pytest.mark.parametrize(
    ("code", "severity"),
    [
        ("import pkg_resources\npkg_resources.get_distribution('google-cloud-dlp')", "warning"),
        ("from pkg_resources import get_distribution as g\nV = g('google-cloud-dlp').version", "warning"),
        ("import pkg_resources\npkg_resources.require('google-cloud-dlp>=1')", "warning"),
        ("from importlib import metadata\nV = metadata.version('dlp')", "warning"),
        ("import importlib.metadata\nV = importlib.metadata.version('dlp')", "warning"),
        ("from importlib_metadata import version\nV = version('dlp')", "warning"),
        ("from importlib.metadata import version\nV = version('attrs')", None),
        ("from importlib.metadata import version\nV = version('tensorflow')", None),
        ("import pkg_resources\nV = pkg_resources.get_distribution('attrs')", "note"),
        ("import pkg_resources\nV = pkg_resources.get_distribution('Tiny')", "note"),
        ("import pkg_resources\nV = pkg_resources.get_distribution(NAME)", None),
        ("import pkg_resources\nV = pkg_resources.resource_string('dlp', 'x')", None),
        ("from pkg_resources import get_distribution\ntry:\n    get_distribution('dlp')\nexcept Exception:\n    pass", None),
        ("def version(name): ...\nversion('dlp')", None),
        ("from importlib.metadata import version\nversion('not a name')", None),
    ],
)
def test_distributions_that_the_code_looks_up(code: str, severity: str | None) -> None:
    found = findings("CPR805", subject(sources={"predictor.py": code}, requirements=("attrs==21.4.0",)))
    assert [finding.severity.value for finding in found] == ([] if severity is None else [severity])
    assert all(finding.where.startswith("predictor.py:2") for finding in found)


def test_what_is_not_pinned_is_one_note() -> None:
    loose = subject(requirements=("attrs", "six>=1", "zipp==3.*", "fine==1.0", "also===1", f"it @ {WHEEL}it-1.tar.gz", "numpy"))
    (finding,) = findings("CPR807", loose)
    assert finding.severity is Severity.NOTE
    assert finding.message == "attrs, six>=1, zipp==3.* are open to more than one version."
    assert findings("CPR807", subject(requirements=("fine==1.0", "tensorflow", "numpy>1"))) == []  # the runtime's own
    assert len(findings("CPR807", subject(requirements=("numpy>1",), target="vertex-ai"))) == 1


@pytest.mark.parametrize(
    ("place", "service", "image"),
    [
        ("https://example.com/it-1.0.tar.gz", None, None),
        ("http://localhost:8000/it-1.0.tar.gz", "error", "error"),
        ("file:///home/me/it-1.0.tar.gz", "error", "error"),
        ("git+file:///home/me/it", "error", "error"),
        ("git+https://example.com/it@v1", "warning", "error"),
        ("git+ssh://git@example.com/it", "warning", "error"),
    ],
)
def test_places_that_the_target_cannot_reach(place: str, service: str | None, image: str | None) -> None:
    for target, severity in (("ai-platform", service), ("vertex-ai", image)):
        found = findings("CPR808", subject(requirements=(f"it @ {place}",), target=target))
        assert [finding.severity.value for finding in found] == ([] if severity is None else [severity])


# --- with a lock -------------------------------------------------------------------------------------------------------------


def asked(problem: Exception | None = None, wheels: int | None = None, model: int = 1, **given: str) -> Subject:
    packages = (
        () if wheels is None else (Package("torch", "1.4.0", "torch-1.4.0-cp37-cp37m-linux_x86_64.whl", wheels, "ab" * 32),)
    )
    locked = None if wheels is None else Lock(("torch",), "3.7", None, packages)
    return dataclasses.replace(subject(model={"m.bin": model}, **given), locked=locked, lock_problem=problem)


def test_requirements_that_cannot_be_resolved() -> None:
    assert findings("CPR801", asked()) == []
    (finding,) = findings("CPR801", asked(NoSolution("attrs==999 is not there.", "Change it.")))
    assert (finding.severity, finding.remedy) == (Severity.ERROR, "Change it.")


@pytest.mark.parametrize("problem", [IndexUnreachable("No index.", "Look."), MissingExtra("lock", "Locking")])
def test_what_could_not_be_asked_is_no_error(problem: Exception) -> None:
    (finding,) = findings("CPR801", asked(problem))
    assert finding.severity is Severity.WARNING and "were not looked at" in finding.message
    assert findings("CPR802", asked(problem)) == []


def test_packages_without_a_wheel() -> None:
    problem = NoWheel(("fbprophet", "torch"), ("torch",), "No wheel.", "Another.")
    source, absent = findings("CPR802", asked(problem))
    assert (source.severity, absent.severity) == (Severity.WARNING, Severity.ERROR)
    assert source.message.startswith("fbprophet") and absent.message.startswith("torch")
    assert findings("CPR801", asked(problem)) == []


MEMORY = 2048 * 2**20
SMALLEST = round(880_000_000 / 2.4)


@pytest.mark.parametrize(
    ("wheels", "model", "severity"),
    [
        (SMALLEST - 1, 0, None),
        (SMALLEST, 1, "warning"),
        (round((MEMORY - 500) / 2.4), 0, "warning"),
        (MEMORY - 1, 1, "warning"),
        (MEMORY, 1, "error"),
        (MEMORY - 1, 2, "error"),
    ],
)
def test_what_is_installed_against_the_machine(wheels: int, model: int, severity: str | None) -> None:
    found = findings("CPR806", asked(wheels=wheels, model=model))
    assert [finding.severity.value for finding in found] == ([] if severity is None else [severity])
    assert all("torch" in finding.message and "MB" in finding.message for finding in found)
    assert findings("CPR806", asked(wheels=wheels, model=model, machine_type="n1-standard-2")) == []


def test_sizes_that_are_not_known_prove_nothing() -> None:
    assert findings("CPR806", asked(wheels=0)) == []
