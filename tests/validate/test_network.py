"""The fall-back where no namespace can be made: an audit hook, in a process that the kernel really refuses one."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support.routines import write_routine

REPOSITORY = Path(__file__).resolve().parents[2]
WITHOUT = REPOSITORY / "tests" / "support" / "no_namespaces.py"

PREDICTOR = """\
import errno
import socket


def outcome(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, type(error).__name__) if error.errno and error.errno > 0 else "gaierror"
    return "fine"


class Scale:
    @classmethod
    def from_path(cls, model_dir):
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
            socket.getaddrinfo("localhost", server.getsockname()[1])
        first, second = socket.socketpair()
        first.sendall(b"x")
        return cls()

    def predict(self, instances, **kwargs):
        place = (OWN, PORT)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        return [[
            outcome(socket.create_connection, place, 5),
            outcome(udp.sendto, b"x", place),
            outcome(udp.sendmsg, [b"x"], [], 0, place),
            outcome(socket.getaddrinfo, "models.example.com", 443),
            outcome(socket.gethostbyname, "models.example.com"),
            errno.errorcode.get(socket.socket().connect_ex(("198.51.100.7", 80)), "?") if REFUSED else "",
        ]]
"""


def own_address() -> str | None:
    """An address of this machine that is not loopback: it answers, wherever the tests run."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.200", 9))
            address: str = sock.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


def validated(routine: Path, *, hindered: bool) -> dict[str, object]:
    hindrance = [sys.executable, str(WITHOUT)] if hindered else []
    command = [*hindrance, sys.executable, "-m", "cpr", "validate", str(routine), "--json", "-q"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("this kernel makes no user namespaces at all")
    document: dict[str, object] = json.loads(done.stdout)
    assert document["schema"] == "cpr.validate/1", document
    return document


def test_an_audit_hook_refuses_all_but_loopback(tmp_path: Path) -> None:
    address = own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    with socket.create_server((address, 0)) as server:
        text = PREDICTOR.replace("OWN, PORT", repr((address, server.getsockname()[1]))[1:-1]).replace("REFUSED", "True")
        expected = ["ENETUNREACH", "ENETUNREACH", "ENETUNREACH", "gaierror", "gaierror", "?"]
        example = {"instances": [1], "expect": {"predictions": [expected]}}
        routine = write_routine(tmp_path / "routine", predictor=text, files={"examples.jsonl": json.dumps(example) + "\n"})
        document = validated(routine, hindered=True)
        assert document["measured"]["network"] == "audit-hook", document
        found = {finding["check"]: finding for finding in document["findings"]}
        assert "models.example.com" in found["CPR508"]["message"]
        assert found["CPR541"] is not None
        assert any("Python code alone" in finding["message"] for finding in document["findings"])
        # The same addresses answer where nothing is cut off, so it is the hook that refused them.
        socket.create_connection((address, server.getsockname()[1]), 5).close()


def test_a_namespace_where_there_can_be_one(tmp_path: Path) -> None:
    document = validated(write_routine(tmp_path / "routine"), hindered=False)
    assert document["measured"]["network"] in ("namespace", "audit-hook")
    assert (document["measured"]["network"] == "namespace") == namespaces()


def namespaces() -> bool:
    probe = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x40000000) and ctypes.CDLL(None).unshare(0x50000000))"
    return sys.platform == "linux" and subprocess.run([sys.executable, "-c", probe]).returncode == 0
