"""``:explain`` over HTTP, on the wires of the services."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.gcloud import GCLOUD, PROJECT, proxied
from support.routines import write_routine

import cpr
from cpr.steps.serving import Settings, running

PREDICTOR = """\
import cpr


class Halved(cpr.SavedModelPredictor):
    def preprocess(self, instances, *, factor=0.5, **kwargs):
        return [{"a": [value * factor for value in instance["a"]], "b": instance["b"]} for instance in instances]

    def postprocess(self, predictions, **kwargs):
        return [{"y": value} for value in predictions]


class Own(cpr.SavedModelPredictor):
    def predict(self, instances, **kwargs):
        return super().predict(instances, **kwargs)
"""

BODY = {"instances": [{"a": [2.0, 4.0], "b": 5.0}, {"a": [-2.0, 1.0], "b": 0.0}]}
ATTRIBUTIONS = [{"a": [2.0, -6.0], "b": 5.0}, {"a": [-2.0, -1.5], "b": 0.0}]
ENDPOINT = f"/v1/projects/{PROJECT}/locations/us-central1/endpoints/77"


def routine(folder: Path, model: Path, name: str) -> Path:
    config = f"name: halved\nversion: '1.0'\npredictor: predictor.{name}\n"
    write_routine(folder, config, PREDICTOR, {"examples.jsonl": json.dumps(BODY) + "\n"})
    shutil.copytree(model, folder / "model" / "saved_model")
    return folder


@pytest.fixture(scope="module")
def url(explained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = routine(tmp_path_factory.mktemp("served") / "halved", explained / "two_inputs", "Halved")
    with cpr.load(cpr.build(folder)) as loaded, running(loaded, Settings(port=0, predict_route=f"{ENDPOINT}:predict")) as url:
        yield url


def post(url: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), method="POST")
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.parametrize("path", ["/v1/models/halved", "/v1/models/halved/versions/1.0", "/v1/projects/p/models/halved"])
def test_ai_platform_and_kserve_get_attributions_of_what_preprocess_made(url: str, path: str) -> None:
    status, document = post(f"{url}{path}:explain", BODY)
    assert status == 200 and list(document) == ["explanations"]
    for explanation, expected in zip(document["explanations"], ATTRIBUTIONS, strict=True):
        (found,) = explanation["attributions_by_label"]
        assert found["attributions"] == {name: pytest.approx(value) for name, value in expected.items()}
        assert set(found) == {"attributions", "baseline_score", "example_score", "approx_error", "output_name"}
        total = sum(found["attributions"]["a"]) + found["attributions"]["b"]
        assert found["example_score"] - found["baseline_score"] == pytest.approx(total)


def test_the_answer_to_vertex_is_what_its_discovery_document_says(url: str) -> None:
    from support.discovery import _schemas

    override = {
        "parameters": {"integratedGradientsAttribution": {"stepCount": 10}},
        "metadata": {"inputs": {"b": {"inputBaselines": [1.0]}}},
    }
    status, document = post(f"{url}{ENDPOINT}:explain", {**BODY, "explanationSpecOverride": override, "deployedModelId": "1"})
    assert status == 200
    assert document["predictions"] == post(f"{url}{ENDPOINT}:predict", BODY)[1]["predictions"]
    for explanation, expected in zip(document["explanations"], ATTRIBUTIONS, strict=True):
        (found,) = explanation["attributions"]
        assert set(found) <= set(_schemas("aiplatform.v1")["GoogleCloudAiplatformV1Attribution"]["properties"])
        assert found["featureAttributions"] == {"a": pytest.approx(expected["a"]), "b": pytest.approx(expected["b"] - 1.0)}
        assert found["baselineOutputValue"] == pytest.approx(1.0)


@pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed")
@pytest.mark.parametrize(
    ("command", "key", "attributions"),
    [
        ("beta ai-platform explain --model=halved --json-instances", "attributions_by_label", "attributions"),
        ("ai endpoints explain 77 --json-request", "attributions", "featureAttributions"),
    ],
)
def test_gcloud_reads_the_answer(url: str, tmp_path: Path, command: str, key: str, attributions: str) -> None:
    file = tmp_path / "request.json"
    lines = "\n".join(map(json.dumps, BODY["instances"]))
    file.write_text(json.dumps(BODY) if command.endswith("request") else lines)
    arguments = [*command.split()[:-1], f"{command.split()[-1]}={file}", "--region=us-central1", f"--project={PROJECT}"]
    port = urlsplit(url).port
    assert port
    done = subprocess.run(
        [str(GCLOUD), *arguments, "--format=json"],
        env=proxied(tmp_path / "gcloud", port),
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    explanations = json.loads(done.stdout)["explanations"]
    assert [each[key][0][attributions] for each in explanations] == [
        {name: pytest.approx(value) for name, value in expected.items()} for expected in ATTRIBUTIONS
    ]


def test_the_routines_own_arguments_and_ours_go_together(url: str) -> None:
    body = {**BODY, "factor": 1.0, "explanation": {"method": "sampled-shapley", "paths": 2}}
    status, document = post(f"{url}/v1/models/halved:explain", body)
    assert status == 200
    assert document["explanations"][0]["attributions_by_label"][0]["attributions"]["a"] == pytest.approx([4.0, -12.0])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"instances": [{"a": [1.0], "b": 1.0}]}, "its shape is [1]"),
        ({"instances": []} | {"explanation": {"method": "lime"}}, "There is no method 'lime' here."),
        ({**BODY, "explanationSpecOverride": {"parameters": {"xraiAttribution": {"stepCount": 5}}}}, "XRAI is not computed"),
        ({"inputs": {}}, "no key instances"),
    ],
)
def test_a_request_that_cannot_be_explained_is_answered_with_the_reason(url: str, body: dict, message: str) -> None:
    status, document = post(f"{url}/v1/models/halved:explain", body)
    assert status == 400 and message in document["error"]


def test_nothing_is_the_explanation_of_nothing(url: str) -> None:
    assert post(f"{url}/v1/models/halved:explain", {"instances": []}) == (200, {"explanations": []})


def test_a_class_whose_model_cannot_be_reached_says_why(explained: Path, tiny: Path, tmp_path: Path) -> None:
    own = routine(tmp_path / "own", explained / "two_inputs", "Own")
    for folder, reason in ((tiny, "Scale is not a cpr.SavedModelPredictor"), (own, "Own has a predict of its own")):
        with cpr.load(cpr.build(folder)) as loaded, running(loaded) as url:
            name = loaded.manifest.name
            status, document = post(f"{url}/v1/models/{name}:explain", {"instances": [1]})
        assert status == 400 and reason in document["error"]


@pytest.mark.parametrize("sample", ["iris", "digits_png"])
def test_the_samples_add_up(repository: Path, tmp_path: Path, sample: str) -> None:
    folder = shutil.copytree(repository / "sample_models" / sample, tmp_path / sample, ignore=shutil.ignore_patterns("dist"))
    body = json.loads((folder / "examples.jsonl").read_text().splitlines()[0])
    del body["expect"]
    with cpr.load(cpr.build(folder)) as loaded:
        ((found,),) = loaded.explain(body)
    (attributions,) = found.attributions.values()
    assert attributions.sum() == pytest.approx(found.score - found.baseline_score, rel=1e-3)
    assert found.approx_error < 1e-3


def test_a_model_of_whole_numbers_is_explained_by_sampling(repository: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(
        repository / "sample_models" / "docstrings", tmp_path / "docstrings", ignore=shutil.ignore_patterns("dist")
    )
    body = {"instances": ["Move the turtle forward."], "explanation": {"method": "sampled-shapley", "paths": 10}}
    with cpr.load(cpr.build(folder)) as loaded:
        ((found,),) = loaded.explain(body)
        words = found.attributions["words"]
        with pytest.raises(cpr.RequestError, match="int64"):
            loaded.explain({"instances": body["instances"]})
    assert words.sum() == pytest.approx(found.score - found.baseline_score, rel=1e-4)
    assert words.shape == (4,) and words.all()
