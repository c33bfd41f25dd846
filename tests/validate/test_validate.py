"""The step and the verb: what they return, write, raise and print."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
from support.command import cpr
from support.routines import PREDICTOR, write_routine

import cpr as package
from cpr.bundle import Bundle
from cpr.errors import BundleError, OutputError, TargetError
from cpr.manifest import MANIFEST_NAME, VALIDATION_NAME, FileEntry
from cpr.report import Report
from cpr.steps.build import build
from cpr.steps.validate import ValidationFailed, examine, stored_validation, validate, write_report

WRONG = "class Scale:\n    pass\n"


@pytest.fixture
def bundle(tiny: Path) -> Bundle:
    return build(tiny)


def with_file(bundle: Bundle, path: str, content: bytes) -> Bundle:
    """The bundle with another file, made by another tool: its manifest is right."""
    bundle.path(path).parent.mkdir(parents=True, exist_ok=True)
    bundle.path(path).write_bytes(content)
    entry = FileEntry(path, len(content), hashlib.sha256(content).hexdigest())
    files = tuple(sorted([*(old for old in bundle.manifest.files if old.path != path), entry]))
    manifest = dataclasses.replace(bundle.manifest, files=files)
    (bundle.root / MANIFEST_NAME).write_text(manifest.to_json())
    return Bundle.open(bundle.root)


def test_a_healthy_bundle(bundle: Bundle) -> None:
    seen: list[str] = []
    validated = validate(bundle, "ai-platform", "mls1-c4-m2", progress=seen.append)
    report = validated.report
    assert (validated.bundle, report.digest, report.machine_type) == (bundle, bundle.manifest.digest, "mls1-c4-m2")
    assert seen and all(isinstance(line, str) for line in seen)
    assert report.measured["examples"] == 1 and report.measured["memory_mib"] == 2048
    assert {phase["name"] for phase in report.measured["phases"]} == {
        "interpreter",
        "import",
        "from_path",
        "first_predict",
        "steady_predict",
    }
    assert Report.from_json(json.loads((bundle.root / VALIDATION_NAME).read_text())) == report
    assert {path.name for path in bundle.root.iterdir()} == {
        "manifest.json",
        "model",
        "packages",
        "examples.jsonl",
        "validation.json",
    }


def test_the_default_machine_is_the_targets(bundle: Bundle) -> None:
    assert package.validate(bundle).report.machine_type == "mls1-c1-m2"
    assert package.validate(bundle, "vertex-ai").report.machine_type == "n1-standard-2"


def test_a_failure_raises_with_the_report(tmp_path: Path) -> None:
    bundle = build(write_routine(tmp_path / "tiny", predictor=WRONG))
    with pytest.raises(ValidationFailed) as caught:
        validate(bundle)
    assert not caught.value.report.ok
    assert str(caught.value).startswith("CPR102: ") and "And 1 more" in str(caught.value)
    assert json.loads((bundle.root / VALIDATION_NAME).read_text())["ok"] is False
    assert stored_validation(bundle) is None


def test_an_altered_bundle_is_refused(bundle: Bundle) -> None:
    (bundle.root / "model" / "factor.json").write_text("4")
    with pytest.raises(BundleError, match="altered"):
        examine(bundle)
    assert not (bundle.root / VALIDATION_NAME).exists()


def test_unknown_target_and_machine(bundle: Bundle) -> None:
    with pytest.raises(TargetError):
        examine(bundle, "ai-plattform")
    with pytest.raises(TargetError) as caught:
        examine(bundle, machine_type="mls1-c1-m1")
    assert "mls1-c1-m2" in caught.value.remedy


def test_the_stored_proof_counts_only_where_it_fits(bundle: Bundle) -> None:
    assert stored_validation(bundle) is None
    report = examine(bundle)
    stored = stored_validation(bundle)
    assert stored is not None and stored.report == report
    assert stored_validation(bundle, "ai-platform", "mls1-c1-m2") is not None
    assert stored_validation(bundle, "vertex-ai") is None
    assert stored_validation(bundle, "ai-platform", "mls1-highmem-1") is not None  # the old name of that machine type
    assert stored_validation(bundle, "ai-platform", "mls1-c4-m2") is None
    other = with_file(bundle, "model/more.json", b"{}")
    assert stored_validation(other) is None


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", '{"digest": 1}', "[" * 100_000, "\x00\xff"])
def test_a_stored_proof_that_is_none(bundle: Bundle, text: str) -> None:
    (bundle.root / VALIDATION_NAME).write_text(text)
    assert stored_validation(bundle) is None


def test_a_folder_that_cannot_be_written(bundle: Bundle) -> None:
    report = Report(bundle.manifest.digest, "ai-platform", "mls1-c1-m2", (), {}, {})
    (bundle.root / VALIDATION_NAME).mkdir()
    with pytest.raises(OutputError):
        write_report(bundle, report)
    assert [path.name for path in bundle.root.iterdir() if path.name.startswith(".")] == []


def test_a_bad_line_in_a_bundle_from_elsewhere(bundle: Bundle) -> None:
    report = examine(with_file(bundle, "examples.jsonl", b'{"instances": [1]}\n{"instances": 1}\n'))
    assert [(finding.check, finding.where) for finding in report.findings if finding.severity.value == "error"] == [
        ("CPR522", "examples.jsonl:2")
    ]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ('{"instances": [{"b64": "a-b"}]}', "instances[0] is not base64."),
        ('{"instances": [[{"x": {"b64": 5}}]]}', "instances[0][0].x is not base64."),
        ('{"instances": ["\\ud800"]}', "half of a surrogate pair"),
        ('{"instances": [1], "stats": 1}', "The key 'stats' of the request is reserved."),
    ],
)
def test_an_example_that_the_server_refuses_is_refused(bundle: Bundle, request_: str, message: str) -> None:
    report = examine(with_file(bundle, "examples.jsonl", b'{"instances": [1]}\n' + request_.encode() + b"\n"))
    (finding,) = (finding for finding in report.findings if finding.severity.value == "error")
    assert (finding.check, finding.where) == ("CPR522", "examples.jsonl:2")
    assert message in finding.message


def test_a_package_that_does_not_install(bundle: Bundle) -> None:
    from cpr.archive import read_sdist, write_sdist

    members = read_sdist(bundle.path(bundle.manifest.sdist))
    broken = write_sdist("tiny-1.2.0", members | {"setup.py": b"raise RuntimeError('needs a compiler')\n"})
    report = examine(with_file(bundle, bundle.manifest.sdist, broken))
    assert [finding.check for finding in report.findings if finding.severity.value == "error"] == ["CPR501"]


def test_the_text_for_a_person(tmp_path: Path) -> None:
    text = "import json\n\n\nclass Scale:\n    @classmethod\n    def from_path(cls, model_dir):\n        json.loads('[')\n\n"
    routine = write_routine(tmp_path / "tiny", predictor=text + "    def predict(self, instances):\n        return instances\n")
    ran = cpr("validate", routine, "-q")
    assert (ran.status, ran.err) == (1, "")
    lines = ran.out.splitlines()
    assert lines[0].startswith("error   CPR105 predictor.py:4: ") and lines[1].startswith("  fix: Write `def predict(")
    assert lines[2].startswith("error   CPR503 predictor.py:7: from_path raises json.decoder.JSONDecodeError")
    assert 'File "predictor.py", line 7, in from_path' in ran.out
    assert "cpr/isolation/probe.py" not in ran.out and "site/" not in ran.out
    kinds = [line.split()[0] for line in lines if line.split()[1:] and line.split()[1].startswith("CPR")]
    assert len(kinds) == 4
    assert kinds == sorted(kinds, key=["error", "warning", "note"].index)
    assert lines[-1].startswith("not ok: tiny 1.2.0 on ai-platform mls1-c1-m2: 2 errors, 2 notes, 0 examples")


def test_the_verb_takes_a_bundle_too(bundle: Bundle) -> None:
    ran = cpr("validate", bundle.root, "--format", "json", "--target", "vertex-ai")
    assert ran.status == 0
    assert list(ran.document)[:2] == ["schema", "ok"]
    assert ran.document["schema"] == "cpr.validate/1" and ran.document["target"] == "vertex-ai"
    text = cpr("validate", bundle.root)
    assert text.status == 0 and text.out.splitlines()[-1].startswith("ok: tiny 1.2.0 on ai-platform mls1-c1-m2: ")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--format", "yaml"], "text, json"),
        (["--format", "jsn"], "json"),
        (["--timeout", "soon"], "number of seconds"),
        (["--timeout", "-1"], "number of seconds"),
        (["--workers", "0"], "number of processes"),
        (["--workers", "two"], "number of processes"),
    ],
)
def test_wrong_usage(bundle: Bundle, arguments: list[str], says: str) -> None:
    ran = cpr("validate", bundle.root, *arguments)
    assert ran.status == 2 and says in ran.err


def test_wrong_places(tmp_path: Path, bundle: Bundle) -> None:
    ran = cpr("validate", tmp_path / "nowhere", "--json")
    assert (ran.status, ran.error["type"]) == (1, "BundleError")
    ran = cpr("validate", bundle.root, "--machine-type", "n1-standard-3", "--json")
    assert (ran.status, ran.error["type"]) == (1, "TargetError")
    ran = cpr("validate", bundle.root, "--target", "vertex", "--json")
    assert (ran.status, ran.error["type"]) == (1, "TargetError")
    (bundle.root / "model" / "factor.json").unlink()
    ran = cpr("validate", bundle.root, "--json")
    assert (ran.status, ran.error["type"]) == (1, "BundleError")


def test_a_real_saved_model(repository: Path, tmp_path: Path) -> None:
    """The iris sample: TensorFlow imported once, every example replayed, memory against the machine's."""
    bundle = build(repository / "sample_models" / "iris", tmp_path)
    report = examine(bundle)
    assert report.ok, report.findings
    assert report.measured["examples"] == len((bundle.root / "examples.jsonl").read_text().splitlines())
    assert 200 < report.measured["peak_mib"] < 2048
    assert {"tensorflow", "numpy", "keras"} <= set(report.environment["packages"])
    assert stored_validation(bundle) is not None


def test_a_terminal_obeys_no_exception(tmp_path: Path) -> None:
    text = PREDICTOR.replace(
        "return [value", "raise ValueError('\\x1b[2J \\ud800 \\x9b\\rerror CPR999 no')\n        return [value"
    )
    done = cpr("validate", str(write_routine(tmp_path / "routine", predictor=text)))
    assert done.status == 1 and "CPR504" in done.out
    assert not set("\x1b\x9b\r") & set(done.out) and "\\x1b[2J" in done.out
