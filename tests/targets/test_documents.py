"""The structured files: against the schemas that ship, and against Google's own discovery documents."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from support import discovery
from targets.conftest import HOSTILE, HOSTILE_URI, MakeBundle

from cpr import resources
from cpr.machines import read_target
from cpr.steps.targets import at_uri, deploy_config

Document = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One emitted document: where it comes from, the message it is, and three ways to spoil it.

    ``wrap`` makes it the body that is sent: gcloud adds the version's name to what the file holds. ``optional`` is what the
    discovery document calls required although a container lifts that (UploadModelRequest and Version descriptions).
    """

    target: str
    machine: str
    file: str
    api: str
    message: str
    misspelt: Callable[[Document], Any]
    mistyped: Callable[[Document], Any]
    missing: Callable[[Document], Any]
    wrap: Callable[[Document], Document] = lambda document: document
    optional: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.target}-{self.machine}-{self.file}"


def _named(document: Document) -> Document:
    return {"name": "v1_2_0", **document}


CASES = [
    Case(
        "ai-platform",
        "mls1-c1-m2",
        "version.yaml",
        "ml.v1",
        "GoogleCloudMlV1__Version",
        misspelt=lambda document: document.update(predictorClass=document.pop("predictionClass")),
        mistyped=lambda document: document.update(runtimeVersion=2.9),
        missing=lambda document: document.pop("pythonVersion"),
        wrap=_named,
    ),
    Case(
        "ai-platform",
        "n1-standard-4",
        "version.yaml",
        "ml.v1",
        "GoogleCloudMlV1__Version",
        misspelt=lambda document: document["container"].update(Image=document["container"].pop("image")),
        mistyped=lambda document: document["container"]["ports"][0].update(containerPort="8080"),
        missing=lambda document: document.pop("machineType"),
        wrap=_named,
        optional=("runtimeVersion", "pythonVersion"),
    ),
    Case(
        "vertex-ai",
        "n1-standard-4",
        "upload-model.json",
        "aiplatform.v1",
        "GoogleCloudAiplatformV1UploadModelRequest",
        misspelt=lambda document: document["model"].update(artefactUri=document["model"].pop("artifactUri")),
        mistyped=lambda document: document["model"].update(versionAliases="v1"),
        missing=lambda document: document["model"]["containerSpec"].pop("imageUri"),
    ),
    Case(
        "vertex-ai",
        "n1-standard-4",
        "endpoint.json",
        "aiplatform.v1",
        "GoogleCloudAiplatformV1Endpoint",
        misspelt=lambda document: document.update(display_name="x"),
        mistyped=lambda document: document.update(labels=["a"]),
        missing=lambda document: document.pop("displayName"),
    ),
    Case(
        "vertex-ai",
        "n1-standard-4",
        "deploy-model.json",
        "aiplatform.v1",
        "GoogleCloudAiplatformV1DeployModelRequest",
        misspelt=lambda document: document["deployedModel"]["dedicatedResources"].update(minReplicas=1),
        mistyped=lambda document: document["trafficSplit"].update({"0": "100"}),
        missing=lambda document: document["deployedModel"]["dedicatedResources"].pop("machineSpec"),
    ),
]


def emitted(case: Case, make_bundle: MakeBundle, **options: Any) -> Document:
    bundle = make_bundle("labels: {team: search, größe: klein}\nruntime_version: '2.10'\n")
    config = deploy_config(at_uri(bundle, HOSTILE_URI), case.target, case.machine, source=bundle, **options)
    document = yaml.safe_load(config.files[case.file])
    if case.file.endswith(".json"):
        assert json.loads(config.files[case.file]) == document
    return document


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("options", [{}, {"project": "my-project", "region": "us-east1"}], ids=["plain", "placed"])
def test_fits_the_discovery_document(case: Case, options: dict[str, Any], make_bundle: MakeBundle) -> None:
    check = discovery.validator(case.api, case.message, case.optional)
    document = emitted(case, make_bundle, **options)
    assert discovery.problems(check, case.wrap(document)) == []

    # A validator counts only when it refuses what is wrong. That a container needs a machine the discovery document does not
    # know; there the missing field is the name that gcloud adds.
    for spoil in (case.misspelt, case.mistyped, *([] if case.optional else [case.missing])):
        spoilt = copy.deepcopy(document)
        spoil(spoilt)
        assert discovery.problems(check, case.wrap(spoilt)) != []
    if case.optional:
        assert discovery.problems(check, document) != []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_fits_the_schema_that_ships(case: Case, make_bundle: MakeBundle) -> None:
    variant = read_target(case.target).machine(case.machine).variant
    name = case.file.rpartition(".")[0]
    schema = resources.read_document(case.target, f"schemas/{variant}/{name}.json")
    Draft202012Validator.check_schema(schema)
    check = Draft202012Validator(schema)
    document = emitted(case, make_bundle)
    assert [f"{error.json_path}: {error.message}" for error in check.iter_errors(document)] == []
    for spoil in (case.misspelt, case.mistyped, case.missing):
        spoilt = copy.deepcopy(document)
        spoil(spoilt)
        assert list(check.iter_errors(spoilt))


def test_every_structured_file_has_a_schema_and_a_case() -> None:
    covered = {(case.target, read_target(case.target).machine(case.machine).variant, case.file) for case in CASES}
    for name in resources.target_names():
        for variant in {machine.variant for machine in read_target(name).machines}:
            files = {file for file in resources.read_texts(name, variant) if file.endswith((".yaml", ".json"))}
            assert {(name, variant, file) for file in files} <= covered
            schemas = {file.rpartition(".")[0] for file in resources.read_texts(name, "schemas", variant)}
            assert schemas == {file.rpartition(".")[0] for file in files}


def test_a_version_with_a_prediction_class(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    published = at_uri(bundle, "gs://my-bucket/routines")
    document = yaml.safe_load(deploy_config(published, "ai-platform").files["version.yaml"])
    assert document == {
        "description": "tiny 1.2.0",
        "deploymentUri": "gs://my-bucket/routines/tiny/1.2.0/model",
        "packageUris": ["gs://my-bucket/routines/tiny/1.2.0/packages/tiny-1.2.0.tar.gz"],
        "predictionClass": "predictor.Scale",
        "runtimeVersion": "2.9",
        "pythonVersion": "3.7",
        "machineType": "mls1-c1-m2",
    }


def test_versions_are_quoted(make_bundle: MakeBundle) -> None:
    bundle = make_bundle("runtime_version: '2.10'\n")
    text = deploy_config(at_uri(bundle, "gs://my-bucket/x"), "ai-platform").files["version.yaml"].decode()
    assert "runtimeVersion: '2.10'\n" in text
    assert "pythonVersion: '3.7'\n" in text


def test_text_of_the_author_stays_text(make_bundle: MakeBundle) -> None:
    bundle = make_bundle("description: " + json.dumps(HOSTILE) + "\n")
    published = at_uri(bundle, HOSTILE_URI)
    routine = yaml.safe_load(deploy_config(published, "ai-platform").files["version.yaml"])
    assert routine["description"] == HOSTILE
    assert routine["deploymentUri"] == f"{HOSTILE_URI}/tiny/1.2.0/model"
    upload = json.loads(deploy_config(published, "vertex-ai", source=bundle).files["upload-model.json"])
    assert upload["model"]["description"] == HOSTILE
    assert upload["model"]["artifactUri"] == f"{HOSTILE_URI}/tiny/1.2.0/model"
