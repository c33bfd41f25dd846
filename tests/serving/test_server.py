"""The HTTP server as a process: its routes, its errors, its limits, its start and its end."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from support.command import cpr
from support.routines import write_routine
from support.servers import Reply, Served, exchange, free_port, serving, wait_for

from cpr.bundle import Bundle
from cpr.runtime import load
from cpr.steps.build import build
from cpr.steps.serving import Settings, running

PREDICT = "/v1/models/moody-one:predict"


class Background(threading.Thread):
    """A prediction that takes ``seconds``, in a thread, begun when this returns."""

    def __init__(self, server: Served, seconds: float, started: Path) -> None:
        super().__init__()
        self.replies: list[Reply] = []
        self.server = server
        self.body = {"instances": [seconds], "mood": "sleep", "started": str(started)}
        self.start()
        wait_for(started)

    def run(self) -> None:
        self.replies.append(self.server.request(PREDICT, self.body))


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/moody-one:predict",
        "/v1/models/moody_one:predict",
        "/v1/models/moody_one/versions/v1_0_2_a1:predict",
        "/v1/models/moody-one/versions/1.0.2+a1:predict",
        "/v1/models/moody-one/versions/1.0.2%2Ba1:predict",
        "/v1/projects/p/models/moody_one:predict",
        "/v1/projects/p-1%40x/models/moody_one/versions/v1_0_2_a1:predict?alt=json&prettyPrint=false",
    ],
)
def test_every_protocol_reaches_the_same_routine(served: Served, path: str) -> None:
    reply = served.request(path, {"instances": [1, [2.5], {"a": "ü"}]})
    assert (reply.status, reply.json) == (200, {"predictions": [1, [2.5], {"a": "ü"}]})
    assert reply.headers["content-type"] == "application/json"


def test_the_routine_gets_what_the_service_would_pass(served: Served) -> None:
    reply = served.request(PREDICT, {"instances": [0], "mood": "kwargs", "top_k": 3})
    assert reply.json["predictions"] == [{"mood": "kwargs", "signature_name": "None", "stats": "{}", "top_k": "3"}]
    reply = served.request(PREDICT, {"instances": [{"b64": "aGV5"}, {"b64": "aGV5", "x": 1}], "mood": "bytes"})
    assert reply.json["predictions"] == [3, "<class 'dict'>"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", {"status": "ok"}),
        ("/healthz", {"status": "ok"}),
        ("/v1/models", {"models": ["moody-one"]}),
        (
            "/v1/projects/p/models/moody_one/versions/v1_0_2_a1?alt=json",
            {
                "name": "projects/p/models/moody_one/versions/v1_0_2_a1",
                "isDefault": True,
                "predictionClass": "moody.Moody",
                "state": "READY",
                "runtimeVersion": "2.9",
            },
        ),
    ],
)
def test_what_clients_ask_before_they_predict(served: Served, path: str, expected: object) -> None:
    assert served.request(path).json == expected
    head = served.request(path, method="HEAD")
    assert (head.status, head.body) == (200, b"")


def test_the_status_of_a_model_is_that_of_tensorflow_serving_and_of_kserve(served: Served) -> None:
    status = served.request("/v1/models/moody-one").json
    assert status["ready"] is True and status["name"] == "moody-one"
    assert status["model_version_status"][0] == {
        "version": "1.0.2+a1",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    assert served.request("/v1/projects/p/models/moody_one").json["defaultVersion"]["name"].endswith("/versions/v1_0_2_a1")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v1/models/other:predict", "There is no model 'other' here. This server has 'moody-one'."),
        ("/v1/models/moody-one/versions/9:predict", "There is no version '9' here."),
        ("/v1/models/moody-one:classify", "'classify' is not offered here. Use :predict or :explain."),
        ("/v2/models/moody-one/infer", "Predictions are at /v1/models/moody-one:predict."),
        ("/v1/models/moody-one:predict/", "There is nothing at"),
        ("/v1/models//../etc", "There is nothing at"),
        ("/v1/models/%0a%1b[31m:predict", "There is no model '??[31m' here"),
    ],
)
def test_an_unknown_path_names_the_right_one(served: Served, path: str, message: str) -> None:
    reply = served.request(path, {"instances": []})
    assert reply.status == 404
    assert message in reply.error


def test_an_unknown_resource_of_a_project_is_an_error_google_clients_read(served: Served) -> None:
    reply = served.request("/v1/projects/p/models/other")
    assert reply.json["error"]["code"] == reply.status == 404
    assert reply.json["error"]["status"] == "NOT_FOUND"


@pytest.mark.parametrize(("method", "path", "allowed"), [("GET", PREDICT, "POST"), ("DELETE", "/v1/models", "GET, HEAD")])
def test_a_wrong_method_is_named(served: Served, method: str, path: str, allowed: str) -> None:
    reply = served.request(path, method=method)
    assert (reply.status, reply.headers["allow"]) == (405, allowed)
    assert f"The method {method} is not allowed here." in reply.error


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The request has no body."),
        (b" \n", "The request has no body."),
        (b"instances", "The body is not JSON: Expecting value at line 1, column 1."),
        (b'{"instances": [1,\n}', "at line 2, column 1."),
        (b'{"instances": [1]} x', "The body is not JSON: Extra data"),
        (b"[1, 2]", "The request is a list, not an object."),
        (b"null", "The request is null, not an object."),
        (b"{}", "The request has no key instances."),
        (b'{"instance": [1]}', "The request has no key instances."),
        (b'{"inputs": 1}', "The inputs are neither a list nor an object of lists."),
        (b'{"instances": 1}', "The instances are a number, not a list."),
        (b'{"instances": null}', "The instances are null, not a list."),
        (b'{"instances": ["\xff"]}', "The body is not UTF-8 text: byte 16 is wrong."),
        ('{"instances": [1]}'.encode("utf-16"), "The body is not UTF-8 text"),
        (b'{"instances": ["\\ud800"]}', "half of a surrogate pair"),
        (b'{"instances": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "The body is nested too deep."),
        (b'{"instances": [' + b"9" * 5000 + b"]}", "The body holds a number that cannot be read"),
        (b'{"instances": [{"b64": "a-b"}]}', "instances[0] is not base64."),
        (b'{"instances": [[{"a": {"b64": 5}}]]}', "instances[0][0].a is not base64."),
        (b'{"instances": [1], "stats": 1}', "The key 'stats' of the request is reserved."),
        (b'{"instances": [1], "self": 1}', "The key 'self' of the request is reserved."),
    ],
)
def test_a_bad_request_is_answered_with_its_cause(served: Served, body: bytes, message: str) -> None:
    reply = served.request(PREDICT, body)
    assert reply.status == 400
    assert message in reply.error


@pytest.mark.parametrize(
    ("mood", "message"),
    [
        ("array", "predict returned a numpy.ndarray; it must return a list. Convert it with `.tolist()`."),
        ("scalar", "predictions[0].score is a numpy.float32; JSON cannot hold it."),
        ("generator", "predict returned a generator; it must return a list."),
        ("nan", "predictions[0][1] is nan, which JSON cannot hold."),
        ("few", "predict returned 1 predictions for 2 instances."),
        ("nothing", "predict returned a NoneType; it must return a list."),
        ("fail", "predict raised ValueError: no value for\n[1, 2]"),
        ("leave", "predict raised SystemExit: 3"),
        ("cancel", "predict raised asyncio.exceptions.CancelledError"),
        ("unreadable", "The predictions cannot be written as JSON: not today."),
        ("unheard", "predict raised AttributeError"),
    ],
)
def test_a_routine_that_fails_is_an_error_500_and_the_server_lives(served: Served, mood: str, message: str) -> None:
    reply = served.request(PREDICT, {"instances": [1, 2], "mood": mood})
    assert reply.status == 500
    assert message in reply.error
    assert served.request(PREDICT, {"instances": [1]}).json == {"predictions": [1]}


def test_the_log_has_a_line_for_each_error_and_the_authors_traceback_alone(served: Served) -> None:
    before = len(served.log)
    reply = served.request(PREDICT, {"instances": ["mark\x1b"], "mood": "fail"})
    assert "Traceback" not in reply.error
    deadline = time.monotonic() + 10
    while "ValueError: no value for" not in "".join(served.log[before + 1 :]) and time.monotonic() < deadline:
        time.sleep(0.01)
    lines = "".join(served.log[before:])
    assert f"500 POST {PREDICT}: predict raised ValueError: no value for?['mark" in lines
    assert 'File "moody.py", line ' in lines
    assert "runtime.py" not in lines and "cpr-routine-" not in lines and "\x1b" not in lines


def test_the_tokens_of_tensorflow_serving_are_read(served: Served) -> None:
    reply = served.request(PREDICT, b'\xef\xbb\xbf{"instances": [NaN, -Infinity], "mood": "kwargs"}')
    assert reply.status == 200


def test_a_compressed_body_is_refused(served: Served) -> None:
    reply = served.request(PREDICT, b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
    assert reply.status == 400 and "compressed" in reply.error


def test_the_default_limit_is_the_platforms(served: Served) -> None:
    shell = len('{"instances": [""]}')
    fits = b'{"instances": ["' + b"x" * (1_500_000 - shell) + b'"]}'
    # The answer is five bytes longer than this request.
    assert served.request(PREDICT, fits).error.startswith("The response has 1500002 bytes; the limit is 1500000.")
    assert served.request(PREDICT, fits.replace(b'["', b'[["').replace(b'"]', b'"]]')).status == 413
    for body in (fits + b" ", b"x" * 5_000_000):
        reply = served.request(PREDICT, body)
        assert reply.status == 413
        assert reply.error.startswith(f"The request has {len(body)} bytes; the limit is 1500000 bytes.")


def test_the_limit_holds_for_bodies_of_undeclared_length(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    connection.request(
        "POST", PREDICT, body=iter([b"x" * 100_000] * 40), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
    )
    reply = connection.getresponse()
    assert reply.status == 413
    assert json.loads(reply.read())["error"].startswith("The request is longer; the limit is 1500000 bytes.")
    connection.close()
    chunks = iter([b'{"instances"', b": [7]}"])
    connection.request("POST", PREDICT, body=chunks, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    assert json.loads(connection.getresponse().read()) == {"predictions": [7]}
    connection.close()


def test_one_connection_carries_many_requests_and_errors(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    for number in range(20):
        connection.request("POST", PREDICT if number % 3 else "/nowhere", body=json.dumps({"instances": [number]}))
        reply = connection.getresponse()
        document = json.loads(reply.read())
        assert document == {"predictions": [number]} if number % 3 else reply.status == 404
    connection.close()


def test_other_limits_can_be_set_or_lifted(moody: Bundle) -> None:
    with serving(moody.root, "--max-request-bytes", "100") as server:
        assert server.request(PREDICT, {"instances": ["x" * 100]}).status == 413
        reply = server.request(PREDICT, {"instances": [100], "mood": "much"})
        assert reply.status == 500 and reply.error.startswith("The response has 121 bytes; the limit is 100.")
    with serving(moody.root, "--max-request-bytes", "0") as server:
        body = {"instances": ["x" * 3_000_000]}
        assert server.request(PREDICT, body).json == {"predictions": body["instances"]}


def test_a_body_that_may_or_may_not_come_ends_the_connection(served: Served) -> None:
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
    for refused in ("Content-Length: 1500001\r\n\r\n", "Content-Length: 9\r\nContent-Encoding: gzip\r\n\r\n"):
        answer = exchange(served.port, (head + refused).encode(), timeout=30)
        assert answer.startswith(b"HTTP/1.1 4") and b"\r\nconnection: close\r\n" in answer
    asked = exchange(served.port, (head + "Content-Length: 18\r\n\r\n").encode() + b'{"instances": [1]}', timeout=1)
    assert b"100 Continue" in asked and b'{"predictions": [1]}' in asked and b"connection: close" not in asked


def test_a_full_queue_refuses_at_once_and_health_still_answers(moody: Bundle, tmp_path: Path) -> None:
    with load(moody) as routine, running(routine, Settings(port=0, waiting=1)) as url:
        statuses = []

        def ask(body: dict[str, object]) -> None:
            statuses.append(reply(url, body).status)

        started = tmp_path / "started"
        calls = [threading.Thread(target=ask, args=({"instances": [2], "mood": "sleep", "started": str(started)},))]
        calls[0].start()
        wait_for(started)
        calls += [threading.Thread(target=ask, args=({"instances": [1]},)) for _ in range(3)]
        for call in calls[1:]:
            call.start()
        while len(statuses) < 2:
            time.sleep(0.01)
        refused = reply(url, {"instances": [1]})
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert "Too many requests wait" in refused.error
        with urllib.request.urlopen(url + "/healthz") as health:
            assert health.status == 200
        for call in calls:
            call.join()
        assert sorted(statuses) == [200, 200, 429, 429]


def reply(url: str, body: dict[str, object]) -> Reply:
    request = urllib.request.Request(url + PREDICT, json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return Reply(response.status, response.read(), dict(response.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.read(), dict(error.headers))


def test_health_answers_while_a_prediction_runs(served: Served, tmp_path: Path) -> None:
    slow = Background(served, 2, tmp_path / "started")
    for _ in range(5):
        assert served.request("/healthz").status == 200
    assert slow.is_alive()
    slow.join()
    assert slow.replies[0].json == {"predictions": [2]}


@pytest.mark.parametrize(("threads", "patience", "expected"), [("1", 0.5, {500}), ("2", 30, {200})])
def test_threads_say_how_many_predictions_run_at_a_time(
    moody: Bundle, threads: str, patience: float, expected: set[int]
) -> None:
    statuses = set()
    body = {"instances": [patience], "mood": "meet"}  # returns when two of them run
    with serving(moody.root, "--threads", threads) as server:
        calls = [threading.Thread(target=lambda: statuses.add(server.request(PREDICT, body).status)) for _ in range(2)]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
    assert statuses == expected


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_what_is_in_flight_then_exits_0(moody: Bundle, tmp_path: Path, number: int) -> None:
    with serving(moody.root) as server:
        call = Background(server, 1, tmp_path / "started")
        assert server.stop(number) == 0
        call.join()
        assert server.process.stdout and server.process.stdout.read() == ""
    assert [(reply.status, reply.json) for reply in call.replies] == [(200, {"predictions": [1]})]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


def test_a_stop_does_not_wait_longer_than_the_grace_period(moody: Bundle, tmp_path: Path) -> None:
    started = tmp_path / "started"
    with serving(moody.root, "--grace", "1") as server:  # noqa: SIM117 - one needs the other
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            body = json.dumps({"instances": [60], "mood": "sleep", "started": str(started)}).encode()
            head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            wait_for(started)
            start = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - start < 20
    assert any("1 request was cut off" in line for line in server.log)


def test_nothing_temporary_is_left_behind(moody: Bundle, tmp_path: Path) -> None:
    with serving(moody.root, env={"TMPDIR": str(tmp_path)}) as server:
        assert [entry.name[:12] for entry in tmp_path.iterdir()] == ["cpr-routine-"]
        assert server.stop() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_stop_while_it_loads_leaves_nothing_behind(tmp_path: Path) -> None:
    started = tmp_path / "started"
    slow = ["import time", "class Scale:", " @classmethod", " def from_path(cls, model_dir):"]
    slow += [f"  open({str(started)!r}, 'w').close()", "  time.sleep(60)", " def predict(self, instances, **kwargs): ...", ""]
    bundle = build(write_routine(tmp_path / "slow", predictor="\n".join(slow)))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "cpr", "serve", bundle.root, "--port", "0"],
        env={**os.environ, "TMPDIR": str(temporary)},
        stderr=subprocess.DEVNULL,
    )
    wait_for(started)
    assert list(temporary.glob("cpr-routine-*/predictor.py"))
    process.terminate()
    assert process.wait(20) == 130
    assert list(temporary.iterdir()) == []


def test_a_port_in_use_is_named(moody: Bundle) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ran = cpr("serve", moody.root, "--port", str(port), "--json")
        assert ran.status == 1
        assert ran.error["message"] == f"Cannot listen on 127.0.0.1:{port}: Address already in use."
        assert "--port" in ran.error["remedy"]


def test_an_address_that_is_not_here_is_named(moody: Bundle) -> None:
    ran = cpr("serve", moody.root, "--host", "192.0.2.1", "--port", "0")
    assert ran.status == 1
    assert "Cannot listen on 192.0.2.1:0" in ran.err and "\n  fix: " in ran.err


@pytest.mark.parametrize("arguments", [["--port", "x"], ["--port", "70000"], ["--threads", "0"], ["--max-request-bytes", "-1"]])
def test_wrong_numbers_are_wrong_usage(moody: Bundle, arguments: list[str]) -> None:
    assert cpr("serve", moody.root, *arguments).status == 2


def test_the_ready_line_is_the_only_output(moody: Bundle) -> None:
    with serving(moody.root, "--json") as server:
        assert json.loads(server.first_line) == {"schema": "cpr.serve/1", "ready": True, "url": server.url}
        assert server.stop() == 0
        assert server.process.stdout and server.process.stdout.read() == ""
    with serving(moody.root) as server:
        assert server.first_line == f"ready {server.url}\n"
        assert server.url.startswith("http://127.0.0.1:")


def test_a_container_takes_port_and_routes_from_its_environment(moody: Bundle) -> None:
    port = free_port()
    environment = {
        "AIP_HTTP_PORT": str(port),
        "PORT": str(free_port()),
        "AIP_HEALTH_ROUTE": "/v1/endpoints/7/deployedModels/8",
        "AIP_PREDICT_ROUTE": "/v1/endpoints/7/deployedModels/8:predict",
        "AIP_STORAGE_URI": "",
    }
    with serving(moody.root, "--host", "0.0.0.0", env=environment, port=None) as server:
        assert server.url == f"http://127.0.0.1:{port}"
        assert server.request(environment["AIP_HEALTH_ROUTE"]).status == 200
        route = environment["AIP_PREDICT_ROUTE"]
        body = {"instances": [0], "parameters": {"mood": "kwargs", "top_k": 2}}
        assert server.request(route, body).json["predictions"][0]["top_k"] == "2"
        assert server.request(route, {"instances": [0], "parameters": None}).json == {"predictions": [0]}
        assert server.request(route, {"instances": [0], "mood": "kwargs"}).json["predictions"][0]["mood"] == "kwargs"
        assert "twice" in server.request(route, {"instances": [0], "a": 1, "parameters": {"a": 2}}).error
        assert "not an object" in server.request(route, {"instances": [0], "parameters": [2]}).error
        # Elsewhere the word has no meaning of its own.
        reply = server.request(PREDICT, {"instances": [0], "mood": "kwargs", "parameters": {"a": 1}})
        assert reply.json["predictions"][0]["parameters"] == "{'a': 1}"


def test_one_path_may_be_both_routes(moody: Bundle) -> None:
    with serving(moody.root, env={"AIP_PREDICT_ROUTE": "/", "AIP_HEALTH_ROUTE": "/"}) as server:
        assert server.request("/").json == {"status": "ok"}
        assert server.request("/", {"instances": [7]}).json == {"predictions": [7]}


def test_cloud_runs_port_is_used_and_a_flag_goes_before_it(moody: Bundle) -> None:
    port = free_port()
    with serving(moody.root, env={"PORT": str(port)}, port=None) as server:
        assert server.port == port
    with serving(moody.root, env={"PORT": str(port)}) as server:
        assert server.port != port


@pytest.mark.parametrize(("name", "value"), [("AIP_HTTP_PORT", "http"), ("PORT", "99999"), ("AIP_PREDICT_ROUTE", "predict")])
def test_an_environment_that_makes_no_sense_is_named(moody: Bundle, name: str, value: str) -> None:
    ran = cpr("serve", moody.root, "--json", env={name: value})
    assert ran.status == 2
    assert ran.error["where"] == name


def test_weights_come_from_a_uri_and_are_checked(moody: Bundle, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(moody.root, bare)
    weights = tmp_path / "weights"
    shutil.move(bare / "model", weights)
    assert "--model-uri" in cpr("serve", bare, "--port", "0", "--json").error["remedy"]
    with serving(bare, "--model-uri", weights.as_uri()) as server:
        assert server.request(PREDICT, {"instances": [1]}).json == {"predictions": [1]}
    with serving(bare, env={"AIP_STORAGE_URI": str(weights)}) as server:
        assert server.request("/healthz").status == 200
    (weights / "factor.json").write_text("4")
    failed = cpr("serve", bare, "--port", "0", "--model-uri", str(weights), "--json")
    assert failed.status == 1 and "not what the manifest says" in failed.error["message"]
    (weights / "factor.json").unlink()
    failed = cpr("serve", bare, "--port", "0", "--model-uri", str(weights), "--json")
    assert failed.status == 1 and failed.error["type"] == "StorageError"
    # A model that is baked in goes before what the platform mentions.
    with serving(moody.root, env={"AIP_STORAGE_URI": str(tmp_path / "nowhere")}) as server:
        assert server.request("/healthz").status == 200


def test_installed_packages_are_used_as_they_are(moody: Bundle, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        site,
    ]
    subprocess.run([*install, moody.path(moody.manifest.sdist)], check=True)
    bare = tmp_path / "bare"
    shutil.copytree(moody.root, bare, ignore=shutil.ignore_patterns("packages"))
    with serving(bare, "--installed", env={"PYTHONPATH": str(site)}) as server:
        assert server.request(PREDICT, {"instances": [1]}).json == {"predictions": [1]}
    failed = cpr("serve", bare, "--port", "0", "--json")
    assert failed.status == 1 and failed.error["type"] == "BundleError"


def test_a_routine_folder_is_built_and_served(tiny: Path) -> None:
    with serving(tiny) as server:
        assert server.request("/v1/models/tiny:predict", {"instances": [2]}).json == {"predictions": [6]}


def test_what_is_not_served_is_said_before_the_ready_line(tmp_path: Path, tiny: Path) -> None:
    assert cpr("serve", tmp_path, "--port", "0", "--json").error["type"] == "BundleError"
    (tiny / "predictor.py").write_text("import absent_module_for_this_test\n")
    ran = cpr("serve", tiny, "--port", "0")
    assert ran.status == 1 and ran.out == ""
    assert "predictor cannot be imported: ModuleNotFoundError" in ran.err
    assert 'File "predictor.py", line 1' in ran.err and "pip install absent_module_for_this_test" in ran.err


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/models/moody-one:predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/models/moody-one:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
        b"POST /v1/models/moody-one:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"POST /v1/models/moody-one:predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 200_000,
        b"\0" * 5000,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_garbage_on_the_wire_leaves_the_server_well(served: Served, garbage: bytes) -> None:
    received = exchange(served.port, garbage, timeout=0.5)
    assert not received or received.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200")), received[:200]
    assert served.request(PREDICT, {"instances": [1]}).json == {"predictions": [1]}


def test_absolute_targets_and_missing_headers_are_fine(served: Served) -> None:
    body = b'{"instances": [5]}'
    url = b"http://us-central1-ml.invalid/v1/projects/p/models/moody_one:predict?x=1"
    head = b"POST " + url + b" HTTP/1.1\r\nHost: us-central1-ml.invalid\r\n"
    answer = exchange(served.port, head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b'{"predictions": [5]}')


def test_a_client_that_goes_away_does_no_harm(served: Served) -> None:
    for rest in (b"", b'{"inst', b'{"instances": [0.3], "mood": "sleep"}'):
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 37\r\n\r\n%s" % (PREDICT.encode(), rest))
            time.sleep(0.05)
    assert served.request(PREDICT, {"instances": [1]}).json == {"predictions": [1]}
