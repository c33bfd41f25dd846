"""What a version may combine: every config that cpr writes, and each rule against a version that breaks it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from targets.conftest import MakeBundle

from cpr.combinations import problems, rules
from cpr.errors import TargetError
from cpr.machines import read_target
from cpr.steps.targets import _refuse_combination, at_uri, deploy_config

TARGET = read_target("ai-platform")

ROUTINE: dict[str, Any] = {
    "deploymentUri": "gs://b/m",
    "packageUris": ["gs://b/p.tar.gz"],
    "predictionClass": "predictor.Model",
    "runtimeVersion": "2.9",
    "pythonVersion": "3.7",
    "machineType": "mls1-c1-m2",
}
CONTAINER: dict[str, Any] = {
    "container": {"image": "x"},
    "routes": {"predict": "/p", "health": "/h"},
    "machineType": "n1-standard-2",
    "autoScaling": {"minNodes": 1},
}
GRAPH: dict[str, Any] = {
    "deploymentUri": "gs://b/m",
    "runtimeVersion": "2.9",
    "pythonVersion": "3.7",
    "framework": "TENSORFLOW",
    "machineType": "n1-standard-2",
}


@pytest.mark.parametrize("machine", TARGET.machines, ids=lambda machine: machine.name)
def test_every_config_that_is_written_holds(machine, make_bundle: MakeBundle) -> None:
    published = at_uri(bundle := make_bundle(), "gs://my-bucket/x")
    config = deploy_config(published, "ai-platform", machine.name, source=bundle)
    assert problems("ai-platform", yaml.safe_load(config.files["version.yaml"]), machine.endpoint) == ()


@pytest.mark.parametrize(
    ("version", "endpoint"),
    [
        (ROUTINE, "global"),
        ({**ROUTINE, "machineType": None}, "global"),
        ({**ROUTINE, "serviceAccount": "a@b"}, "global"),
        ({**ROUTINE, "autoScaling": {"minNodes": 0}}, "global"),
        ({**ROUTINE, "runtimeVersion": "1.4"}, "global"),
        (CONTAINER, "regional"),
        ({**CONTAINER, "serviceAccount": "a@b", "acceleratorConfig": {"type": "NVIDIA_TESLA_T4", "count": 1}}, "regional"),
        (GRAPH, "regional"),
        ({**GRAPH, "explanationConfig": {"xraiAttribution": {}}, "acceleratorConfig": {"count": 1}}, "regional"),
    ],
)
def test_what_may_be_combined(version: dict[str, Any], endpoint: str) -> None:
    assert problems("ai-platform", version, endpoint) == ()


BROKEN = [
    (ROUTINE, {"packageUris": []}, "global", "packageUris"),
    (ROUTINE, {"framework": "SCIKIT_LEARN"}, "global", "framework"),
    (ROUTINE, {"routes": {"predict": "/p"}}, "global", "routes"),
    (ROUTINE, {"explanationConfig": {"x": 1}}, "global", "explanationConfig"),
    (ROUTINE, {"machineType": "n1-standard-2"}, "regional", "machineType"),
    (ROUTINE, {}, "regional", "endpoint"),
    (ROUTINE, {"runtimeVersion": "1.3"}, "global", "runtimeVersion"),
    (ROUTINE, {"runtimeVersion": "2.0"}, "global", "runtimeVersion"),
    (ROUTINE, {"requestLoggingConfig": {"samplingPercentage": 1}}, "global", "requestLoggingConfig"),
    (CONTAINER, {"machineType": None}, "regional", "machineType"),
    (CONTAINER, {}, "global", "endpoint"),
    *((CONTAINER, {key: "x"}, "regional", key) for key in ("runtimeVersion", "pythonVersion", "framework", "packageUris")),
    (CONTAINER, {"container": None}, "regional", "container"),
    (CONTAINER, {"autoScaling": {"minNodes": 0, "maxNodes": 2}}, "regional", "autoScaling.minNodes"),
    (CONTAINER, {"manualScaling": {"nodes": 1}}, "regional", "manualScaling"),
    (GRAPH, {"framework": "XGBOOST", "acceleratorConfig": {"count": 1}}, "regional", "framework"),
    (GRAPH, {"machineType": "mls1-c1-m2", "acceleratorConfig": {"count": 1}}, "global", "machineType"),
    (GRAPH, {"framework": None, "explanationConfig": {"x": 1}}, "regional", "framework"),
    (GRAPH, {"serviceAccount": "a@b"}, "regional", "container"),
    (GRAPH, {"deploymentUri": None}, "regional", "deploymentUri"),
]


@pytest.mark.parametrize(("version", "change", "endpoint", "key"), BROKEN)
def test_what_may_not(version: dict[str, Any], change: dict[str, Any], endpoint: str, key: str) -> None:
    found = problems("ai-platform", {**version, **change}, endpoint)
    assert any(f": {key} is " in problem for problem in found), found


def test_a_config_that_breaks_a_rule_is_not_written() -> None:
    machine = TARGET.machine("n1-standard-2")
    _refuse_combination(TARGET, machine, {"version.yaml": json.dumps(CONTAINER).encode()})
    with pytest.raises(TargetError, match="machineType is"):
        _refuse_combination(TARGET, machine, {"version.yaml": json.dumps({**ROUTINE, "machineType": machine.name}).encode()})


def test_a_target_without_rules_has_no_problems() -> None:
    assert problems("vertex-ai", {"predictionClass": "x"}, "regional") == ()


def test_no_rule_is_without_a_case() -> None:
    cases = [({**version, **change, "endpoint": endpoint}) for version, change, endpoint, _ in BROKEN]
    assert [rule for rule in rules("ai-platform") if not any(rule.broken(case) for case in cases)] == []
