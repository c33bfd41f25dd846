"""The real gcloud, with a stand-in for the Google services that it talks to: no account, nothing leaves the machine."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

GCLOUD = shutil.which("gcloud")
PROJECT = "proj"


@dataclass(frozen=True)
class Call:
    """One request that arrived: ``host`` as the client named it, ``path`` without the query, the parsed body."""

    method: str
    host: str
    path: str
    query: dict[str, list[str]]
    body: Any


@dataclass
class Service:
    """What arrived, and the resources that exist because of it."""

    calls: list[Call] = field(default_factory=list)
    resources: dict[str, Any] = field(default_factory=dict)

    def posted(self, ending: str) -> list[Call]:
        return [call for call in self.calls if call.method == "POST" and call.path.endswith(ending)]

    def answer(self, call: Call) -> tuple[int, Any]:
        if call.method == "GET":
            return self._get(call)
        if call.path.endswith("models:upload"):
            return self._upload(call)
        if call.path.endswith(":deployModel"):
            return 200, _operation(call, "DeployModelResponse", {"deployedModel": {"id": "1"}})
        if call.path.endswith("/endpoints"):
            name = f"{_resource(call)}/{call.query['endpointId'][0]}"
            self.resources[name] = {"name": name, **call.body}
            return 200, _operation(call, "Endpoint", {"name": name})
        name = f"{_resource(call)}/{call.body['name']}"
        self.resources[name] = {**call.body, "name": name}
        if call.path.endswith("/models"):
            return 200, self.resources[name]
        return 200, {"name": f"projects/{PROJECT}/operations/1", "done": True, "response": {}}

    def _get(self, call: Call) -> tuple[int, Any]:
        name = _resource(call)
        if "/operations/" in name:
            return 200, {"name": name, "done": True, "response": {}}
        if name in self.resources:
            return 200, self.resources[name]
        return 404, {"error": {"code": 404, "status": "NOT_FOUND", "message": f"{name} not found"}}

    def _upload(self, call: Call) -> tuple[int, Any]:
        name = f"{_resource(call).removesuffix(':upload')}/{call.body['modelId']}"
        model = {**call.body["model"], "name": name, "supportedDeploymentResourcesTypes": ["DEDICATED_RESOURCES"]}
        for alias in ("", *(f"@{alias}" for alias in model.get("versionAliases", ()))):
            self.resources[name + alias] = model
        return 200, _operation(call, "UploadModelResponse", {"model": name})


def _resource(call: Call) -> str:
    """The path without its leading API version."""
    return call.path.lstrip("/").partition("/")[2]


def _operation(call: Call, kind: str, response: dict[str, Any]) -> dict[str, Any]:
    place = "/".join(_resource(call).split("/")[:4])
    meta = "type.googleapis.com/google.cloud.aiplatform.v1"
    return {
        "name": f"{place}/operations/1",
        "metadata": {"@type": f"{meta}.GenericOperationMetadata"},
        "done": True,
        "response": {"@type": f"{meta}.{kind}", **response},
    }


@contextmanager
def google(folder: Path) -> Iterator[tuple[Service, dict[str, str]]]:
    """The service, and the environment in which gcloud talks to it alone, whatever region it is asked for.

    gcloud puts the region before the host it is told to use, so it is told a name, and this server is its proxy: the name is
    never looked up.
    """
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            target = urlsplit(self.path)
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            call = Call(
                self.command,
                target.netloc or self.headers["Host"],
                target.path,
                parse_qs(target.query),
                json.loads(text) if text else None,
            )
            service.calls.append(call)
            status, document = service.answer(call)
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield service, proxied(folder, server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def storage_environment(folder: Path, port: int) -> dict[str, str]:
    """The environment in which ``gcloud storage`` talks to the store on this port alone."""
    return _apart(folder) | {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": f"http://127.0.0.1:{port}/storage/v1/",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def proxied(folder: Path, port: int) -> dict[str, str]:
    """The environment in which gcloud asks the server on this port alone, in whatever region, as its proxy."""
    proxy = f"http://127.0.0.1:{port}"
    return _apart(folder) | {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_ML": "http://ml.invalid/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": "http://vertex.invalid/",
        "HTTP_PROXY": proxy,
        "http_proxy": proxy,
        "NO_PROXY": "",
        "no_proxy": "",
    }


def _apart(folder: Path) -> dict[str, str]:
    """Nothing of the user's own settings and accounts, no question, no call home."""
    kept = {key: value for key, value in os.environ.items() if not key.upper().startswith(("CLOUDSDK", "GOOGLE", "AIP_"))}
    return kept | {
        "CLOUDSDK_CONFIG": str(folder),
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "1",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
        "CLOUDSDK_SURVEY_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_CHECK_GCE_METADATA": "0",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }
