"""A spec on its way into the files that deploy a container."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.command import cpr as run
from support.routines import write_routine

from cpr.errors import TargetError
from cpr.explaining.deploying import deployed

SPEC: dict[str, Any] = {
    "parameters": {"sampledShapleyAttribution": {"pathCount": 7}},
    "metadata": {"inputs": {"x": {}}, "outputs": {"y": {}}},
}


@pytest.mark.parametrize(
    ("target", "change", "message"),
    [
        ("ai-platform", {}, "ai-platform explains no container"),
        ("vertex-ai", {"parameters": {"integratedGradientsAttribution": {"stepCount": 5}}}, "by sampled-shapley alone"),
        ("vertex-ai", {"parameters": {"sampledShapleyAttribution": {"pathCount": 51}}}, "51, and 50 is the most"),
        ("vertex-ai", {"metadata": {"inputs": {"x": {"inputTensorName": "x"}}, "outputs": {"y": {}}}}, "names tensors"),
        ("vertex-ai", {"metadata": {}}, "lacks inputs"),
    ],
)
def test_a_spec_of_another_kind_is_refused(target: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(TargetError, match=message):
        deployed(target, {**SPEC, **change})


def test_what_gcloud_cannot_take_along_is_told() -> None:
    assert any(
        "topK" in note for note in deployed("vertex-ai", {**SPEC, "parameters": {**SPEC["parameters"], "topK": 2}}).notes
    )


def test_from_explain_to_the_config(tmp_path: Path) -> None:
    example = {"instances": [{"x": 2}], "expect": {"predictions": [{"y": 6}]}}
    folder = write_routine(tmp_path / "tiny", files={"examples.jsonl": json.dumps(example) + "\n"})
    explained = run("explain", folder, "-o", tmp_path / "out", "--paths", "7", "--json").document
    (spec,) = explained["files"]
    place = ("--uri", "gs://my-bucket/routines", "--target", "vertex-ai", "--project", "proj", "-o", tmp_path / "deploy")
    written = run("deploy-config", folder, *place, "--explanation", spec)
    assert written.status == 0, written.err
    assert json.loads((tmp_path / "deploy" / "upload-model.json").read_text())["model"]["explanationSpec"] == {
        **SPEC,
        "metadata": {"inputs": {"x": {"inputBaselines": [2]}}, "outputs": {"y": {}}},
    }
    assert "explanation-metadata.json" in (tmp_path / "deploy" / "deploy.sh").read_text()
    refused = run("deploy-config", folder, *place, "--explanation", folder / "predictor.py", "--json")
    assert refused.status == 2 and refused.error["message"] == "The explanation is no JSON."
