"""The scripts that are emitted, run as they are, with the real gcloud; only the services behind it are stood in for."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.gcloud import GCLOUD, PROJECT, Service, google
from targets.conftest import HOSTILE, HOSTILE_URI, MakeBundle

from cpr.bundle import DeployConfig
from cpr.steps.targets import at_uri, deploy_config, write_config

pytestmark = [
    pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="the scripts need bash"),
]
EXTRA = "description: " + json.dumps(HOSTILE) + "\nlabels: {team: search, tier: x-1}\n"


def applied(config: DeployConfig, folder: Path) -> Service:
    """Run the emitted deploy.sh; the image is taken to be in its registry already."""
    write_config(config, folder / "deploy")
    with google(folder / "gcloud") as (service, environment):
        done = subprocess.run(
            [str(folder / "deploy" / "deploy.sh")],
            cwd=folder,
            env=environment | {"PROJECT": PROJECT, "SKIP_BUILD": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not (folder / "pwned").exists()
    return service


def only(service: Service, ending: str) -> Any:
    (call,) = service.posted(ending)
    return call


def test_a_version_with_a_prediction_class(make_bundle: MakeBundle, tmp_path: Path) -> None:
    config = deploy_config(at_uri(make_bundle(EXTRA), HOSTILE_URI), "ai-platform", "mls1-c4-m2", region="europe-west1")
    service = applied(config, tmp_path)

    model = only(service, "/models")
    assert (model.host, model.path) == ("ml.invalid", f"/v1/projects/{PROJECT}/models")
    assert (model.body["name"], model.body["regions"]) == ("tiny", ["europe-west1"])
    version = only(service, "/versions")
    assert (version.host, version.path) == ("ml.invalid", f"/v1/projects/{PROJECT}/models/tiny/versions")
    assert version.body == {"name": "v1_2_0", **yaml.safe_load(config.files["version.yaml"])}
    assert version.body["predictionClass"] == "predictor.Scale"
    assert version.body["description"] == HOSTILE


def test_a_version_with_a_container(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle(EXTRA)
    config = deploy_config(at_uri(bundle, HOSTILE_URI), "ai-platform", "n1-standard-4", region="europe-west4", source=bundle)
    service = applied(config, tmp_path)

    model = only(service, "/models")
    assert (model.host, model.body["regions"]) == ("europe-west4-ml.invalid", ["europe-west4"])
    version = only(service, "/versions")
    assert version.host == "europe-west4-ml.invalid"
    expected = yaml.safe_load(config.files["version.yaml"])
    expected["container"]["image"] = f"europe-west4-docker.pkg.dev/{PROJECT}/cpr/tiny:v1_2_0"
    assert version.body == {"name": "v1_2_0", **expected}


def test_a_model_on_an_endpoint_of_vertex(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle(EXTRA)
    config = deploy_config(at_uri(bundle, HOSTILE_URI), "vertex-ai", "e2-standard-4", project=PROJECT, source=bundle)
    service = applied(config, tmp_path)
    place = f"/v1/projects/{PROJECT}/locations/us-central1"

    upload = only(service, ":upload")
    assert upload.path == f"{place}/models:upload"
    # gcloud sends an empty list of variables, too; the rest is the body that is emitted for those who use no gcloud.
    assert upload.body["model"]["containerSpec"].pop("env", []) == []
    assert upload.body == json.loads(config.files["upload-model.json"])
    endpoint = only(service, "/endpoints")
    assert (endpoint.path, endpoint.query["endpointId"]) == (f"{place}/endpoints", ["tiny"])
    assert endpoint.body == json.loads(config.files["endpoint.json"])
    deploy = only(service, ":deployModel")
    assert deploy.path == f"{place}/endpoints/tiny:deployModel"
    assert _fits(json.loads(config.files["deploy-model.json"]), deploy.body)


def test_an_explanation_travels_with_the_model(make_bundle: MakeBundle, tmp_path: Path) -> None:
    spec = {
        "parameters": {"sampledShapleyAttribution": {"pathCount": 7}},
        "metadata": {"inputs": {"rooms": {"inputBaselines": [3.5]}, "at": {}}, "outputs": {"price": {}}},
    }
    bundle = make_bundle(EXTRA)
    published = at_uri(bundle, HOSTILE_URI)
    config = deploy_config(published, "vertex-ai", "e2-standard-4", project=PROJECT, source=bundle, explanation=spec)
    assert json.loads(config.files["upload-model.json"])["model"]["explanationSpec"] == spec
    sent = only(applied(config, tmp_path), ":upload").body["model"]["explanationSpec"]
    assert sent == spec


def _fits(expected: Any, sent: Any) -> bool:
    """True where everything that is expected was sent; gcloud adds what is false by default."""
    if isinstance(expected, dict):
        return isinstance(sent, dict) and all(key in sent and _fits(value, sent[key]) for key, value in expected.items())
    return bool(expected == sent)


def test_gcloud_refuses_what_is_wrong(make_bundle: MakeBundle, tmp_path: Path) -> None:
    """A parser counts as one only when it refuses: the same script with a key that is misspelt."""
    folder = tmp_path / "deploy"
    write_config(deploy_config(at_uri(make_bundle(), "gs://my-bucket/x"), "ai-platform"), folder)
    path = folder / "version.yaml"
    path.write_text(path.read_text().replace("predictionClass", "predictorClass"))
    with google(tmp_path / "gcloud") as (service, environment):
        service.resources[f"projects/{PROJECT}/models/tiny"] = {"name": f"projects/{PROJECT}/models/tiny"}
        done = subprocess.run(
            [str(folder / "deploy.sh")],
            env=environment | {"PROJECT": PROJECT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode != 0
    assert "Invalid field [predictorClass]" in done.stderr
    assert service.posted("/versions") == []
