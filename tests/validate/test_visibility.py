"""What a rehearsal sees of what is installed here: jsonschema and scikit-learn are, because the tests need them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.routines import CONFIG, write_routine

from cpr import isolation
from cpr.errors import UsageError
from cpr.examples import read_examples
from cpr.isolation import Provided, Run, rehearse
from cpr.isolation.environment import ThisInterpreter
from cpr.isolation.installed import _files, closure, distributions, visibility
from cpr.report import Finding, Report
from cpr.steps.build import build
from cpr.steps.validate import examine, validate

SIGHT = Path(isolation.__file__).with_name("probe_imports.py")

CLASS = """

class Scale:
    @classmethod
    def from_path(cls, model_dir):
        {from_path}
        return cls()

    def predict(self, instances, **kwargs):
        {predict}
"""


def routine(folder: Path, head: str, *, from_path: str = "pass", predict: str = "return instances", declared: str = "") -> Path:
    return write_routine(
        folder / "routine",
        config=CONFIG + (f"requirements: [{declared}]\n" if declared else ""),
        predictor=head + CLASS.format(from_path=from_path, predict=predict),
        files={"examples.jsonl": '{"instances": [1], "expect": {"predictions": [1]}}\n'},
    )


def examined(folder: Path, head: str, target: str = "ai-platform", **more: str) -> Report:
    return examine(build(routine(folder, head, **more)), target)


def of(report: Report, check: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.check == check]


def errors(report: Report) -> list[str]:
    return [finding.check for finding in report.findings if finding.severity.value == "error"]


@pytest.mark.parametrize(
    ("head", "more"),
    [
        ("import jsonschema", {}),
        ("from jsonschema import validators", {}),
        ("import importlib\nschema = importlib.import_module('jsonschema.validators')", {}),
        ("", {"from_path": "import jsonschema"}),
        ("", {"from_path": "import pickle; pickle.loads(b'cjsonschema.validators\\nDraft7Validator\\n.')"}),
        ("", {"predict": "import jsonschema; return instances"}),
        ("try:\n    import jsonschema\nexcept ImportError as error:\n    raise RuntimeError('no schema') from None", {}),
    ],
)
@pytest.mark.parametrize("target", ["ai-platform", "vertex-ai"])
def test_what_is_only_installed_here_is_an_error(tmp_path: Path, head: str, more: dict[str, str], target: str) -> None:
    report = examined(tmp_path, head, target, **more)
    assert errors(report) == ["CPR545"]
    (finding,) = of(report, "CPR545")
    assert finding.where.startswith("predictor.py:") and "jsonschema (of jsonschema 4." in finding.message
    assert '`requirements: ["jsonschema' in finding.remedy and ("==" in finding.remedy) == (target == "vertex-ai")


def test_what_is_declared_and_what_that_requires_is_seen(tmp_path: Path) -> None:
    report = examined(tmp_path, "import jsonschema, attrs, referencing, rpds", "vertex-ai", declared="jsonschema")
    assert errors(report) == [] and not {"CPR545", "CPR546", "CPR548"} & {finding.check for finding in report.findings}


def test_what_the_runtime_has_is_told_and_fails_in_a_container(tmp_path: Path) -> None:
    report = examined(tmp_path / "a", "import sklearn.preprocessing\nimport scipy")
    assert errors(report) == []
    # scipy is there already when the routine asks for it, and comes with scikit-learn
    (finding,) = of(report, "CPR546")
    assert (finding.severity.value, finding.where) == ("note", "predictor.py:1") and "scikit-learn" in finding.message
    assert errors(examined(tmp_path / "b", "import sklearn.preprocessing", "vertex-ai")) == ["CPR545"]


def test_what_the_runtime_may_have_is_a_warning(tmp_path: Path) -> None:
    report = examined(tmp_path, "from google.cloud import storage")
    assert errors(report) == []
    (finding,) = of(report, "CPR546")
    assert (
        finding.severity.value == "warning" and "google-cloud-storage" in finding.message and "not certain" in finding.message
    )


def test_what_the_image_has_for_its_server_is_told(tmp_path: Path) -> None:
    report = examined(tmp_path, "import yaml", "vertex-ai")
    (finding,) = of(report, "CPR546")
    assert errors(report) == [] and finding.severity.value == "note" and "the server in the image" in finding.message


@pytest.mark.parametrize(
    "head",
    [
        "try:\n    import jsonschema\nexcept ImportError:\n    jsonschema = None",
        "import importlib.util\nif importlib.util.find_spec('jsonschema') is not None:\n    import jsonschema",
    ],
)
def test_an_optional_import_is_not_there_and_that_is_told(tmp_path: Path, head: str) -> None:
    report = examined(tmp_path, head)
    assert errors(report) == []
    (finding,) = of(report, "CPR548")
    assert finding.severity.value == "note" and finding.where == "predictor.py:2"


def test_optional_imports_of_other_packages_are_nobodys_business(tmp_path: Path) -> None:
    """requests looks for a handful of packages that may be there; of the routine's own lines nothing is told."""
    report = examined(tmp_path, "import requests", "vertex-ai", declared="requests")
    assert not {"CPR545", "CPR546", "CPR548"} & {finding.check for finding in report.findings}


def rehearsed(folder: Path, head: str, environment: ThisInterpreter = ThisInterpreter(), **more: str) -> Run:  # noqa: B008
    bundle = build(routine(folder, head, **more))
    return rehearse(bundle, read_examples(bundle.root / "examples.jsonl"), environment=environment)


def test_a_package_in_a_namespace_that_others_share(tmp_path: Path) -> None:
    head = "import google.protobuf\ntry:\n    from google.cloud import storage\nexcept ImportError as no:\n    text = str(no)"
    run = rehearsed(tmp_path / "a", head, predict="return [text]", declared="protobuf")
    assert run.answers[0].answer == ["cannot import name 'storage' from 'google.cloud' (unknown location)"]
    run = rehearsed(tmp_path / "b", "import google.protobuf\nfrom google.cloud import storage", declared="protobuf")
    assert run.raised[0].hidden == "google.cloud.storage"
    assert [each.distribution for each in run.imported if each.hidden] == ["google-cloud-storage"]


def test_a_copy_that_travels_is_not_the_one_installed_here(tmp_path: Path) -> None:
    folder = routine(tmp_path, "import jsonschema", predict="return [jsonschema.ANSWER for _ in instances]")
    (folder / "jsonschema.py").write_text("ANSWER = 1\n")
    assert errors(examine(build(folder))) == []


def test_nothing_is_listed_that_is_hidden(tmp_path: Path) -> None:
    head = "from importlib import metadata\nNAMES = {each.metadata['Name'].lower() for each in metadata.distributions()}"
    run = rehearsed(tmp_path, head, predict="return [sorted(NAMES)]", declared="requests")
    (answer,) = run.answers
    assert answer.answer is not None
    assert "requests" in answer.answer[0] and "urllib3" in answer.answer[0] and "tiny" in answer.answer[0]
    assert not {"jsonschema", "scikit-learn", "tensorflow"} & set(answer.answer[0])


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another environment: with a folder that a .pth file adds, and a sitecustomize that imports before anybody else."""
    root = tmp_path_factory.mktemp("elsewhere")
    venv.create(root / "venv", symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(root / "venv"), "platbase": str(root / "venv")}))
    (root / "stray").mkdir()
    (root / "stray" / "strayed.py").write_text("import os\n")
    here = sysconfig.get_path("purelib")
    (site / "more.pth").write_text(f"{here}\n{root / 'stray'}\n")
    (site / "sitecustomize.py").write_text("import jsonschema\n")
    return root / "venv" / "bin" / "python"


def test_a_folder_that_a_pth_file_adds_is_not_there(tmp_path: Path, elsewhere: Path) -> None:
    run = rehearsed(tmp_path, "import strayed", ThisInterpreter(python=str(elsewhere)))
    assert run.raised[0].hidden == "strayed"
    assert [(each.module, each.hidden, each.where) for each in run.imported] == [("strayed", True, "predictor.py:1")]
    assert run.imported[0].folder == str(elsewhere.parents[2] / "stray")


def test_what_was_imported_at_the_start_of_python_is_hidden_too(tmp_path: Path, elsewhere: Path) -> None:
    run = rehearsed(tmp_path, "import jsonschema", ThisInterpreter(python=str(elsewhere)))
    assert run.raised[0].hidden == "jsonschema"


def test_in_the_open_nothing_is_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "beside_it.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "outside"))
    monkeypatch.setenv("SECRET", "token")
    head = "import os, importlib.util\nimport jsonschema, beside_it\nassert importlib.util.find_spec('record') is None"
    bundle = build(routine(tmp_path, head, predict="return [len(os.environ['SECRET']) - 4 for _ in instances]"))
    before = examine(build(routine(tmp_path / "fine", "")))
    report = examine(bundle, isolation="none")
    assert report.ok, report.findings
    assert [finding.severity.value for finding in of(report, "CPR547")] == ["note"]
    assert (report.measured["isolation"], report.measured["network"]) == ("none", "none")
    assert not (bundle.root / "validation.json").exists()
    assert of(before, "CPR547") == []
    with pytest.raises(UsageError, match="proves nothing"):
        validate(bundle, isolation="none")


def test_a_record_of_a_run_in_the_open_is_no_proof(tmp_path: Path) -> None:
    from cpr.steps.validate import stored_validation, write_report

    bundle = build(routine(tmp_path, ""))
    report = examine(bundle)
    assert stored_validation(bundle) is not None
    write_report(bundle, report._replace(measured={**report.measured, "isolation": "none"}))
    assert stored_validation(bundle) is None


def test_modules_and_their_distributions() -> None:
    found = {each.name: each for each in distributions()}
    assert found["pillow"].modules == {"PIL"} and found["scikit-learn"].modules == {"sklearn"}
    assert "google.protobuf" in found["protobuf"].modules and "google.cloud.storage" in found["google-cloud-storage"].modules
    assert found["cpr-kit"].modules == {"cpr"}, "an editable installation, too"
    assert found["numpy"].bytes > 10_000_000
    sight = visibility(["protobuf"], Provided())
    assert "google.protobuf" not in sight.hidden and "google.cloud.storage" in sight.hidden and "google" in sight.packages
    assert "urllib3" in closure(["requests"])


@pytest.mark.skipif(sys.version_info < (3, 10) or os.name != "posix", reason="the rehearsal's own Python")
def test_a_thread_and_a_fork_that_import(tmp_path: Path) -> None:
    predict = """
        import threading, os
        def look():
            try:
                import jsonschema
            except ImportError:
                pass
        threads = [threading.Thread(target=look) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        child = os.fork()
        if child == 0:
            look()
            os._exit(5)
        return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) - 4]
    """
    run = rehearsed(tmp_path, "", predict=predict.strip())
    (answer,) = run.answers
    assert answer.answer == [1] and run.complete


def test_a_module_named_like_the_standard_librarys_is_left_alone() -> None:
    """A hidden distribution may have such a module (an old backport): Python's own stays where it is."""
    code = f"""if True:
        import importlib.util, sys, typing
        spec = importlib.util.spec_from_file_location("sight", {str(SIGHT)!r})
        sight = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sight)
        job = {{"hidden": {{"typing": "typing", "json": "backport", "yaml": "pyyaml"}}, "packages": [], "distributions": []}}
        looking = sight.Sight(job, "/nowhere", lambda *event, **fields: None)
        looking.install()
        assert sys.modules["typing"] is typing
        import json.decoder
        try:
            import yaml
        except ModuleNotFoundError as error:
            print(error, looking.reason(error))
    """
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("No module named 'yaml' yaml\n", "")


@given(st.text(), st.lists(st.text(alphabet='abc/_.,"1 \n', max_size=40)))
def test_any_list_of_files_is_read(text: str, rows: list[str]) -> None:
    for record in (text, "\n".join(rows), "\n".join(f"{row}.py,sha256=x,12" for row in rows)):
        files, size = _files(record)
        assert size >= 0 and all(part.isidentifier() for path in files for part in path[:-1])


def test_metadata_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, files in {
        "half-1.0.dist-info": {"RECORD": b"half.py,,\n"},
        "bytes-1.0.dist-info": {
            "METADATA": b"Name: bytes\nVersion: 1.0\n",
            "RECORD": b"\xff\xfe",
            "top_level.txt": b"bytes_of\n",
        },
        "worse-1.0.dist-info": {"METADATA": b"\xff\xff"},
    }.items():
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    found = {each.name: each for each in distributions()}
    assert found["bytes"].modules == {"bytes_of"} and "half" not in found and "worse" not in found
