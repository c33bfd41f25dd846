"""Every limit in the data of every target, with a bundle just under it and one just over it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.checking import findings, run, subject
from support.routines import CONFIG, write_routine

from cpr.bundle import Bundle
from cpr.isolation import Phase
from cpr.machines import Limits, Machine, Target, read_target
from cpr.manifest import FileEntry
from cpr.report import Severity
from cpr.resources import target_names
from cpr.steps.build import build
from cpr.steps.validate import examine

TARGETS = [read_target(name) for name in target_names()]
PLACES = {
    "limits: max_files": "test_model_files",
    "limits: request_bytes": "test_request_bytes",
    "limits: response_bytes": "test_response_bytes",
    "limits: gcloud_instances": "test_gcloud_instances",
    "limits: request_seconds": "",  # a wall clock of another machine: no answer here is an error for it
    "machines: max_model_bytes": "test_model_bytes",
    "machines: memory_mib": "test_memory",
    "names: model": "test_name_lengths",
    "names: version": "test_name_lengths",
    "labels: max_count": "test_label_count",
    "labels: key": "test_label_lengths",
    "labels: value": "test_label_lengths",
}
"""Each kind of limit, and the test that goes to both of its sides."""

EITHER = [False, True]
ids = {True: "over", False: "under"}.get


def test_no_kind_of_limit_is_left_out() -> None:
    known = {f"limits: {field.name}" for field in dataclasses.fields(Limits)}
    known |= {
        f"machines: {field.name}" for field in dataclasses.fields(Machine) if field.name in ("memory_mib", "max_model_bytes")
    }
    known |= {"names: model", "names: version", "labels: max_count", "labels: key", "labels: value"}
    assert known == set(PLACES), "give the limit a test on both of its sides"
    assert {name for name in PLACES.values() if name} <= set(globals())


def having(limit: str) -> Any:
    """A parameter for each target that has the limit."""
    found = [target for target in TARGETS if getattr(target.limits, limit) is not None]
    assert found
    return pytest.mark.parametrize("target", found, ids=lambda target: target.name)


def errors(bundle: Bundle, target: Target, machine: str | None = None) -> list[str]:
    report = examine(bundle, target.name, machine)
    return [finding.check for finding in report.findings if finding.severity is Severity.ERROR]


def expected(check: str, over: bool) -> list[str]:
    return [check] if over else []


def test_a_model_directory_without_a_file(tmp_path: Path) -> None:
    bundle = build(write_routine(tmp_path / "tiny", predictor=NO_FILE))
    assert errors(bundle, TARGETS[0]) == []
    files = tuple(file for file in bundle.manifest.files if not file.path.startswith("model/"))
    (bundle.root / "model" / "factor.json").unlink()
    empty = Bundle(bundle.root, dataclasses.replace(bundle.manifest, files=files))
    assert errors(empty, TARGETS[0]) == ["CPR201"]


NO_FILE = """\
class Scale:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return [value * 3 for value in instances]
"""


def bounded() -> list[tuple[Target, Machine]]:
    """For each target and each bound on the size of a model, the first machine that has it."""
    found = {
        (target.name, machine.max_model_bytes): (target, machine) for target in TARGETS for machine in target.machines[::-1]
    }
    return [found[key] for key in sorted((key for key in found if key[1] is not None), key=str)]


REAL = 1_000_000_000
"""Models up to this size are made, with a hole in the place of the weights; larger ones are listed in a manifest only."""


@pytest.mark.parametrize("over", EITHER, ids=ids)
@pytest.mark.parametrize(("target", "machine"), bounded(), ids=lambda value: value.name)
def test_model_bytes(target: Target, machine: Machine, over: bool, tmp_path: Path) -> None:
    assert machine.max_model_bytes is not None
    size = machine.max_model_bytes + over
    if size <= REAL:
        assert errors(with_hole(build(write_routine(tmp_path / "tiny")), size), target, machine.name) == expected(
            "CPR203", over
        )
    listed = subject(model={"factor.json": 1, "weights.bin": size - 1}, target=target.name, machine_type=machine.name)
    assert [finding.check for finding in findings("CPR203", listed)] == expected("CPR203", over)


BLOCK = 1 << 20


@cache
def zeros(blocks: int) -> hashlib._Hash:
    """What so many blocks of zeros hash to, so far."""
    digest = hashlib.sha256()
    for _ in range(blocks):
        digest.update(bytes(BLOCK))
    return digest


def with_hole(bundle: Bundle, size: int) -> Bundle:
    """The bundle with a model directory of exactly that size."""
    rest = size - sum(file.size for file in bundle.manifest.model_files)
    path = bundle.root / "model" / "weights.bin"
    with open(path, "wb") as file:
        file.truncate(rest)
    digest = zeros(rest // BLOCK).copy()
    digest.update(bytes(rest % BLOCK))
    files = sorted([*bundle.manifest.files, FileEntry("model/weights.bin", rest, digest.hexdigest())])
    return Bundle(bundle.root, dataclasses.replace(bundle.manifest, files=tuple(files)))


@pytest.mark.parametrize("over", EITHER, ids=ids)
@having("max_files")
def test_model_files(target: Target, over: bool, tmp_path: Path) -> None:
    routine = write_routine(tmp_path / "tiny")
    assert target.limits.max_files is not None
    for number in range(target.limits.max_files - 1 + over):  # factor.json is one
        (routine / "model" / f"{number}.txt").write_text(str(number))
    assert errors(build(routine), target) == expected("CPR204", over)


ECHO = """\
class Scale:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return ["x" * kwargs["size"]]
"""


@pytest.mark.parametrize("over", EITHER, ids=ids)
@having("request_bytes")
def test_request_bytes(target: Target, over: bool, tmp_path: Path) -> None:
    limit = target.limits.request_bytes
    assert limit is not None
    empty = len(json.dumps({"instances": [""], "size": 1}))
    request = json.dumps({"instances": ["ü" + "x" * (limit - empty - 2 + over)], "size": 1}, ensure_ascii=False)
    assert len(request.encode()) == limit + over
    routine = write_routine(tmp_path / "tiny", predictor=ECHO, files={"examples.jsonl": request + "\n"})
    assert errors(build(routine), target) == expected("CPR516", over)


@pytest.mark.parametrize("over", EITHER, ids=ids)
@having("gcloud_instances")
def test_gcloud_instances(target: Target, over: bool, tmp_path: Path) -> None:
    assert target.limits.gcloud_instances is not None
    example = json.dumps({"instances": [1] * (target.limits.gcloud_instances + over)})
    report = examine(build(write_routine(tmp_path / "tiny", files={"examples.jsonl": example + "\n"})), target.name)
    assert [finding.check for finding in report.findings if finding.check == "CPR565"] == expected("CPR565", over)


@pytest.mark.parametrize("over", EITHER, ids=ids)
@having("response_bytes")
def test_response_bytes(target: Target, over: bool, tmp_path: Path) -> None:
    assert target.limits.response_bytes is not None
    size = target.limits.response_bytes - len('{"predictions": [""]}') + over
    example = json.dumps({"instances": [1], "size": size})
    routine = write_routine(tmp_path / "tiny", predictor=ECHO, files={"examples.jsonl": example + "\n"})
    assert errors(build(routine), target) == expected("CPR515", over)


@pytest.mark.parametrize("over", EITHER, ids=ids)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_memory(target: Target, over: bool) -> None:
    """What the rehearsal measures is measured in test_rehearsal; here, each amount of memory that a machine has."""
    for machine in {machine.memory_mib: machine for machine in target.machines}.values():
        measured = run(phases=(Phase("from_path", 0.1, machine.memory_mib + (0.1 if over else 0.0)),))
        found = findings("CPR531", subject(target=target.name, machine_type=machine.name, run=measured))
        assert [finding.severity for finding in found] == [Severity.ERROR if over else Severity.WARNING], machine


def declared(check: str, over: bool, target: Target, bundle: Bundle) -> None:
    """What the check says of a bundle's manifest; what the routine does is of no matter to it."""
    looked_at = dataclasses.replace(subject(target=target.name), bundle=bundle)
    assert [finding.check for finding in findings(check, looked_at)] == expected(check, over)


@pytest.mark.parametrize("over", EITHER, ids=ids)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_name_lengths(target: Target, over: bool, tmp_path: Path) -> None:
    bundle = build(write_routine(tmp_path / "tiny"))
    name = "a" * (target.model_rule.max_length + over)  # more than routine.yaml takes: from another tool
    prefix = len(target.version_name("1.0")) - len("1.0")
    version = "1." + "1" * (target.version_rule.max_length - prefix - 2 + over)
    for changed in ({"name": name}, {"version": version}):
        manifest = dataclasses.replace(bundle.manifest, **changed)
        declared("CPR307", over, target, Bundle(bundle.root, manifest))


def labelled(folder: Path, labels: dict[str, str]) -> Bundle:
    return build(write_routine(folder / "tiny", config=CONFIG + f"labels: {json.dumps(labels)}\n"))


@pytest.mark.parametrize("over", EITHER, ids=ids)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_label_count(target: Target, over: bool, tmp_path: Path) -> None:
    labels = {f"key{number}": "value" for number in range(target.labels.max_count + over)}
    declared("CPR308", over, target, labelled(tmp_path, labels))


@pytest.mark.parametrize("over", EITHER, ids=ids)
@pytest.mark.parametrize("what", ["key", "value"])
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_label_lengths(target: Target, what: str, over: bool, tmp_path: Path) -> None:
    long = "k" * (63 + over)
    assert "63" in target.labels.rule
    labels = {long: "value"} if what == "key" else {"key": long}
    declared("CPR308", over, target, labelled(tmp_path, labels))
