"""A door before a server, or before nothing: it looks at each request, answers some itself, and lets the others through.

``with door(guard, port) as front``: ``guard`` takes a :class:`Call` and returns ``None`` to let it through to the server at
``port``, else the answer: ``(status, headers, body)``, or the bytes that stand on the socket before it is closed.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias

Answer: TypeAlias = "tuple[int, Mapping[str, str], bytes] | bytes | None"


@dataclass(frozen=True)
class Call:
    """A request as it came: ``target`` with its query and every escape."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Front:
    def __init__(self, guard: Callable[[Call], Answer], port: int, certificate: Path | None) -> None:
        self.calls: list[Call] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, guard, port))
        self.server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server.server_address[1]}"


def _handler(front: Front, guard: Callable[[Call], Answer], port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            headers = {key.lower(): value for key, value in self.headers.items()}
            call = Call(self.command, self.path, headers, self.rfile.read(int(headers.get("content-length", 0))))
            front.calls.append(call)
            answer = guard(call)
            with suppress(ConnectionError):
                self._answer(_through(call, port) if answer is None else answer)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

        def _answer(self, answer: tuple[int, Mapping[str, str], bytes] | bytes) -> None:
            if isinstance(answer, bytes):
                self.wfile.write(answer)
                self.close_connection = True
                return
            status, headers, body = answer
            self.send_response(status)
            for key, value in ({} if status == 204 else {"Content-Length": str(len(body))} | dict(headers)).items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


def _through(call: Call, port: int) -> tuple[int, Mapping[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(call.method, call.target, call.body, dict(call.headers))
        answer = connection.getresponse()
        body = answer.read()
        kept = {key: value for key, value in answer.getheaders() if key.lower() not in ("transfer-encoding", "connection")}
        return answer.status, kept, body
    finally:
        connection.close()


@contextmanager
def door(guard: Callable[[Call], Answer], port: int = 0, certificate: Path | None = None) -> Iterator[Front]:
    """``certificate`` is a file with a key and what it proves (:func:`write_certificate`): then it is a door of TLS."""
    front = Front(guard, port, certificate)
    thread = threading.Thread(target=front.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield front
    finally:
        front.server.shutdown()
        front.server.server_close()
        thread.join(5)


def write_certificate(path: Path) -> Path:
    """For 127.0.0.1, signed by itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    proof = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    proof = proof.serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    proof = proof.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
    path.write_bytes(_pem(key) + proof.sign(key, hashes.SHA256()).public_bytes(_encoding()))
    return path


def service_account(token_url: str) -> dict[str, str]:
    """A key file of Google's, whose tokens come from ``token_url``."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return {
        "type": "service_account",
        "client_email": "robot@project.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": _pem(rsa.generate_private_key(65537, 2048)).decode(),
        "token_uri": token_url,
    }


def _encoding():
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.PEM


def _pem(key) -> bytes:
    from cryptography.hazmat.primitives.serialization import NoEncryption, PrivateFormat

    return key.private_bytes(_encoding(), PrivateFormat.PKCS8, NoEncryption())
