"""The emitted Dockerfile, followed instruction by instruction without Docker, and the server that it starts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from support.buckets import Place
from support.command import cpr
from support.dockerfile import Image, follow

from cpr.bundle import Bundle
from cpr.examples import compare, read_examples
from cpr.steps.build import build
from cpr.steps.targets import at_uri, deploy_config, write_config
from cpr.steps.validate import validate

ROUTE, HEALTH = "/predict/here", "/health/here"


def installed(image: Image) -> dict[str, str]:
    """What pip finds in the image, by its own word."""
    done = subprocess.run(
        [image.mapped("/python/bin/python"), "-m", "pip", "list", "--format=json"],
        env=image.process_environment(),
        capture_output=True,
        check=True,
    )
    return {canonicalize_name(entry["name"]): entry["version"] for entry in json.loads(done.stdout)}


@contextmanager
def container(image: Image, **environment: str) -> Iterator[str]:
    """Start what the image starts, as Vertex AI would, and stop it as Vertex AI would."""
    environment = {"AIP_HTTP_PORT": "0", "AIP_PREDICT_ROUTE": ROUTE, "AIP_HEALTH_ROUTE": HEALTH, **environment}
    with (image.root / "log").open("w") as log:
        process = subprocess.Popen(
            image.start,
            cwd=image.mapped(image.folder),
            env=image.process_environment(**environment),
            executable=image.mapped(f"/python/bin/{image.entrypoint[0]}"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        word, _, url = process.stdout.readline().strip().partition(" ")
        assert word == "ready", (image.root / "log").read_text()
        yield url
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, (image.root / "log").read_text()
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def serves_the_examples(url: str, bundle: Bundle) -> int:
    """Ask for every golden example over HTTP; the number that were compared with an expectation."""
    compared = 0
    with urllib.request.urlopen(url + HEALTH, timeout=60) as answer:
        assert answer.status == 200
    for example in read_examples(bundle.path("examples.jsonl")):
        headers = {"Content-Type": "application/json"}
        for route in (ROUTE, f"/v1/models/{bundle.manifest.name}:predict"):
            request = urllib.request.Request(url + route, json.dumps(example.request).encode(), headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                predictions = json.load(answer)["predictions"]
            if example.expect is not None:
                expect = example.expect
                assert compare(expect.predictions, predictions, expect.rtol, expect.atol) is None
                compared += 1
    return compared


def runs_only_its_own(image: Image) -> None:
    """The server's cpr is the one of the wheel, and the author's part of it was not installed over it."""
    code = "import cpr, cpr.cli; print(cpr.__file__)"
    python = image.mapped("/python/bin/python")
    done = subprocess.run([python, "-c", code], env=image.process_environment(), cwd=image.root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(image.root)
    assert (image.user, image.ports) == ("10001:10001", ["8080"])


def test_an_image_with_the_weights_in_it_serves_the_examples(tiny: Path, tmp_path: Path) -> None:
    bundle = validate(build(tiny, tmp_path / "built"), target="vertex-ai").bundle
    config = deploy_config(at_uri(bundle, "gs://a-bucket/b"), "vertex-ai", source=bundle, bake_weights=True)
    write_config(config, tmp_path / "context")
    shutil.copytree(bundle.model_dir, tmp_path / "context/bundle/model")  # what build-image.sh fetches
    image = follow(tmp_path / "context", tmp_path / "image")
    runs_only_its_own(image)
    with container(image) as url:
        assert serves_the_examples(url, bundle) > 0

    # Weights of another version, or damaged on their way into the image, are not served.
    Path(image.mapped("/opt/bundle/model/factor.json")).write_text("4")
    with pytest.raises(AssertionError, match=r"factor\.json"), container(image):
        pass


def test_an_image_that_fetches_its_weights_serves_a_saved_model(repository: Path, gs_place: Place, tmp_path: Path) -> None:
    """From the routine folder to the answer over HTTP by the commands alone; the image is made from what the bucket holds."""
    shutil.copytree(repository / "sample_models/iris", tmp_path / "iris", ignore=shutil.ignore_patterns("dist"))
    built = cpr("build", "iris", "--json", cwd=tmp_path)
    assert built.status == 0, built.err
    bundle = Bundle.open(tmp_path / built.document["bundle"])
    uploaded = cpr("upload", bundle.root, gs_place.uri, "--target", "vertex-ai", "--json", cwd=tmp_path)
    assert uploaded.status == 0, uploaded.err
    uri = uploaded.document["uri"]
    written = cpr("deploy-config", uri, "--target", "vertex-ai", "-o", "context", cwd=tmp_path)
    assert written.status == 0, written.err
    assert not (tmp_path / "context/bundle/model").exists()

    image = follow(tmp_path / "context", tmp_path / "image")
    runs_only_its_own(image)
    report = json.loads((bundle.root / "validation.json").read_text())
    pins = {canonicalize_name(name): version for name, version in report["environment"]["packages"].items()}
    assert "tensorflow" in pins
    assert {name: version for name, version in installed(image).items() if name in pins} == pins
    emulator = {"STORAGE_EMULATOR_HOST": os.environ["STORAGE_EMULATOR_HOST"], "NO_PROXY": "127.0.0.1"}
    with container(image, AIP_STORAGE_URI=f"{uri}/model", TF_CPP_MIN_LOG_LEVEL="2", **emulator) as url:
        assert serves_the_examples(url, bundle) > 0
