"""The server, driven by the clients that people use: curl, Google's API client, the real gcloud, and ``cpr predict``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.command import cpr
from support.servers import Served, free_port, serving

from cpr.bundle import Bundle
from cpr.steps.build import build

NAME = "projects/proj/models/moody_one"
VERSION = f"{NAME}/versions/v1_0_2_a1"


def have(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@have("curl")
def test_curl(served: Served, tmp_path: Path) -> None:
    def curl(*arguments: str) -> tuple[str, str]:
        command = ["curl", "-sS", "--noproxy", "*", "-w", "\n%{http_code}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        body, _, status = done.stdout.rpartition("\n")
        return status, body

    url = f"{served.url}/v1/models/moody-one:predict"
    assert curl("-d", '{"instances": [1, 2]}', url) == ("200", '{"predictions": [1,2]}')
    assert curl("-X", "POST", url)[0] == "400"
    assert curl("-I", served.url)[0] == "200"
    large = tmp_path / "large.json"
    large.write_bytes(b'{"instances": ["' + b"x" * 4_000_000 + b'"]}')
    # curl asks first (Expect: 100-continue), and on every other way sends it all.
    for extra in ((), ("-H", "Expect:"), ("-H", "Transfer-Encoding: chunked")):
        status, body = curl("--data-binary", f"@{large}", *extra, url)
        assert status == "413" and "the limit is 1500000 bytes" in json.loads(body)["error"]


def test_google_api_client(served: Served) -> None:
    from google.auth.credentials import AnonymousCredentials
    from googleapiclient.discovery import build as build_client
    from googleapiclient.errors import HttpError

    with build_client(
        "ml",
        "v1",
        credentials=AnonymousCredentials(),
        static_discovery=True,
        cache_discovery=False,
        client_options={"api_endpoint": served.url},
    ) as ml:
        body = {"instances": [[1.5, 2]], "anything": {"else": 1}}
        for name in (NAME, VERSION):
            assert ml.projects().predict(name=name, body=body).execute() == {"predictions": [[1.5, 2]]}
        assert ml.projects().models().get(name=NAME).execute()["defaultVersion"]["name"] == VERSION
        assert ml.projects().models().versions().get(name=VERSION).execute()["state"] == "READY"
        with pytest.raises(HttpError) as bad:
            ml.projects().predict(name=VERSION, body={"instances": 5}).execute()
        assert bad.value.status_code == 400 and b"not a list" in bad.value.content
        with pytest.raises(HttpError) as unknown:
            ml.projects().models().versions().get(name=f"{NAME}/versions/v9").execute()
        assert unknown.value.status_code == 404 and "There is no version 'v9' here." in unknown.value.reason


def gcloud_environment(port: int, folder: Path) -> dict[str, str]:
    dead = "http://127.0.0.1:9"  # whatever is not for this machine must not leave it
    return {
        **os.environ,
        "CLOUDSDK_CONFIG": str(folder),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "1",
        "CLOUDSDK_CORE_PROJECT": "proj",
        "CLOUDSDK_AI_PLATFORM_REGION": "global",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_CHECK_GCE_METADATA": "0",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_ML": f"http://127.0.0.1:{port}/",
        "HTTPS_PROXY": dead,
        "HTTP_PROXY": dead,
        "NO_PROXY": "127.0.0.1,localhost",
    }


@have("gcloud")
def test_gcloud(served: Served, tmp_path: Path) -> None:
    instances = tmp_path / "instances.json"
    instances.write_text('[1, 2]\n{"a": "b"}\n')

    def gcloud(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["gcloud", "ai-platform", "predict", f"--json-instances={instances}", "--format=json", *arguments]
        environment = gcloud_environment(served.port, tmp_path / "gcloud")
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)

    done = gcloud("--model=moody_one")  # asks for the model, whose default version it wants to see
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"predictions": [[1, 2], {"a": "b"}]}
    done = gcloud("--model=moody_one", "--version=v9")
    assert done.returncode == 1
    assert "There is no version 'v9' here." in done.stderr and "crashed" not in done.stderr


@pytest.fixture
def body(tmp_path: Path) -> Path:
    path = tmp_path / "body.json"
    path.write_text(json.dumps({"instances": [1, {"ä": None}]}, indent=2))
    return path


def test_predict_asks_a_server_for_its_model(served: Served, body: Path) -> None:
    for url in (served.url, served.url + "/", served.url + "/v1/models/moody-one:predict"):
        ran = cpr("predict", url, "--instances", body, env={"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""})
        assert (ran.status, ran.out) == (0, '1\n{"\\u00e4": null}\n')
    ran = cpr("predict", served.url, "--instances", body, "--json")
    assert ran.document == {"schema": "cpr.predict/1", "predictions": [1, {"ä": None}]}


def test_predict_in_process_is_the_same(moody: Bundle, tiny: Path, body: Path, tmp_path: Path) -> None:
    assert cpr("predict", moody.root, "--instances", body, "--json").document["predictions"] == [1, {"ä": None}]
    lines = tmp_path / "lines.jsonl"
    lines.write_bytes("\ufeff2\n\n 3 \r\n".encode())
    ran = cpr("predict", tiny, "--instances", lines)
    assert (ran.status, ran.out) == (0, "6\n9\n")


def test_predict_passes_the_signature_on(moody: Bundle, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text('{"instances": [0], "mood": "kwargs"}')
    ran = cpr("predict", moody.root, "--instances", request, "--signature-name", "other", "--json")
    assert ran.document["predictions"][0]["signature_name"] == "other"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("1\n2,\n", 2, "Extra data at column 2"),
        ("1\n\nnope\n", 3, "Expecting value at column 1"),
        (b"1\n\xff\n", 2, "not UTF-8"),
        ("[" * 100_000, 1, "cannot be read"),
        ("9" * 5000, 1, "cannot be read"),
    ],
)
def test_a_bad_line_is_named_by_its_number(moody: Bundle, tmp_path: Path, text: str | bytes, line: int, message: str) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    ran = cpr("predict", moody.root, "--instances", path, "--json")
    assert ran.status == 1
    assert ran.error["where"] == f"{path}:{line}" and message in ran.error["message"]


def test_what_cannot_be_asked_is_said(moody: Bundle, body: Path, tmp_path: Path) -> None:
    assert cpr("predict", moody.root, "--instances", tmp_path / "absent").status == 2
    assert cpr("predict", tmp_path / "absent", "--instances", body, "--json").error["type"] == "BundleError"
    assert cpr("predict", "http://", "--instances", body, "--json").error["type"] == "UsageError"
    assert cpr("predict", "http://x:y/", "--instances", body).status == 2
    assert cpr("predict", moody.root, "--instances", body, "--timeout", "nan").status == 2


def test_the_servers_own_words_reach_the_user(served: Served, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text('{"instances": [1], "mood": "fail"}')
    error = cpr("predict", served.url, "--instances", request, "--json").error
    assert error["type"] == "RemoteError"
    assert error["message"] == "The server answered 500: predict raised ValueError: no value for [1]"
    request.write_text('{"instances": [2], "mood": "sleep"}')
    error = cpr("predict", served.url, "--instances", request, "--json", "--timeout", "0.5").error
    assert "did not answer within 0.5 seconds" in error["message"]


def test_a_refused_connection_says_how_to_start_a_server(body: Path) -> None:
    error = cpr("predict", f"http://127.0.0.1:{free_port()}", "--instances", body, "--json").error
    assert "Nothing listens at" in error["message"] and "cpr serve" in error["remedy"]


class Odd(BaseHTTPRequestHandler):
    """Answers that no prediction server gives."""

    ANSWERS: ClassVar = {
        "/html:predict": (200, b"<html>hello</html>"),
        "/other:predict": (200, b'{"outputs": [1]}'),
        "/google:predict": (403, b'{"error": {"code": 403, "message": "Permission denied."}}'),
        "/empty:predict": (502, b""),
        "/deep:predict": (200, b"[" * 100_000),
        "/two/v1/models": (200, b'{"models": ["a", "b"]}'),
    }

    def respond(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/broken:predict":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            return
        status, body = self.ANSWERS.get(self.path, (404, b"lost\x1b[31m"))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = respond

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def odd() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/html:predict", "answered something else than JSON: <html>hello</html>."),
        ("/other:predict", 'answered without predictions: {"outputs": [1]}.'),
        ("/google:predict", "The server answered 403: Permission denied."),
        ("/empty:predict", "The server answered 502: Bad Gateway."),
        ("/deep:predict", "answered something else than JSON"),
        ("/broken:predict", "broke off its answer."),
        ("/two", "serves 2 models: a, b."),
        ("", "The server answered 404: lost [31m"),
    ],
)
def test_answers_that_are_no_predictions(odd: str, body: Path, path: str, message: str) -> None:
    ran = cpr("predict", odd + path, "--instances", body, "--json")
    assert ran.status == 1
    assert ran.error["type"] == "RemoteError" and message in ran.error["message"]


@pytest.fixture(scope="module")
def iris(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    bundle = build(repository / "sample_models" / "iris", tmp_path_factory.mktemp("iris"))
    with serving(bundle.root) as server:
        yield server


def test_a_real_model_answers_its_golden_examples(iris: Served, repository: Path) -> None:
    from cpr.examples import compare, read_examples

    for example in read_examples(repository / "sample_models" / "iris" / "examples.jsonl"):
        reply = iris.request("/v1/models/iris:predict", example.request)
        assert reply.status == 200, reply.body
        assert example.expect is not None
        assert compare(example.expect.predictions, reply.json["predictions"], example.expect.rtol, example.expect.atol) is None


@pytest.mark.parametrize(
    "instance", [["a", "b", "c", "d"], [1, 2, 3], [[1], [2], [3], [4]], None, {"nothing": 1}, {"b64": "AAAA"}]
)
def test_a_wrong_dtype_or_shape_is_the_clients_error(iris: Served, instance: Any) -> None:
    reply = iris.request("/v1/models/iris:predict", {"instances": [instance]})
    assert reply.status == 400, reply.body
    assert reply.error
