"""``cpr upload`` as a user runs it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from support.buckets import Place
from support.command import cpr
from support.faults import ALWAYS, fault_proxy, stall
from support.uploads import journals
from upload.conftest import MakeValidated

from cpr.storage import read_published


def with_record(make: MakeValidated, **options: object) -> Path:
    """A bundle folder with its validation record, as ``cpr validate`` leaves it."""
    validated = make(**options)
    root = validated.bundle.root
    (root / "validation.json").write_text(json.dumps(validated.report.to_json()))
    return root


def test_json_document(place: Place, make: MakeValidated) -> None:
    root = with_record(make)
    first = cpr("upload", root, place.uri, "--json")
    assert first.status == 0, first.out + first.err
    document = first.document
    assert list(document) == ["schema", "uri", "digest", "uploaded", "skipped", "copied", "bytes_sent", "bytes_resumed"]
    assert document["schema"] == "cpr.upload/1"
    assert document["uri"] == f"{place.uri}/tiny/1.2.0"
    assert document["uploaded"] > 3
    assert document["bytes_sent"] > 1000
    assert read_published(document["uri"]).manifest.digest == document["digest"]
    # A log gets one line a file.
    assert len(first.err.splitlines()) == document["uploaded"]
    assert "manifest.json" in first.err.splitlines()[-1]

    again = cpr("upload", root, place.uri, "--json").document
    expected = {**document, "uploaded": 0, "skipped": document["uploaded"], "bytes_sent": 0}
    assert again == expected


def test_text(make: MakeValidated, tmp_path: Path) -> None:
    root = with_record(make)
    first = cpr("upload", root, tmp_path / "out", "-q")
    assert (first.status, first.err) == (0, "")
    assert first.out.startswith(f"{tmp_path / 'out'}/tiny/1.2.0\n")
    assert "files sent" in first.out
    assert "nothing was sent" in cpr("upload", root, tmp_path / "out").out


def test_other_content(make: MakeValidated, tmp_path: Path) -> None:
    assert cpr("upload", with_record(make), tmp_path / "out").status == 0
    refused = cpr("upload", with_record(make, factor="4"), tmp_path / "out", "--json")
    assert refused.status == 1
    assert refused.error["type"] == "VersionExists"
    assert "model/factor.json" in refused.error["message"]
    assert "new version" in refused.error["remedy"]


def test_endpoint(s3_place: Place, make: MakeValidated) -> None:
    root, endpoint = with_record(make), f"http://127.0.0.1:{s3_place.port}"
    done = cpr("upload", root, s3_place.uri, "--endpoint", endpoint, "--json", env={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    assert done.status == 0, done.out + done.err


def test_errors_are_two_lines(make: MakeValidated, tmp_path: Path) -> None:
    wrong = cpr("upload", with_record(make), "gcs://my-bucket/x")
    assert wrong.status == 1
    assert wrong.out == ""
    assert wrong.err.splitlines()[-1] == "  fix: Did you mean gs://my-bucket/x?"
    nothing = cpr("upload", tmp_path, tmp_path / "out")
    assert nothing.status == 1
    assert "is not a bundle" in nothing.err
    assert cpr("upload", tmp_path).status == 2


def test_altered_bundle(make: MakeValidated, tmp_path: Path) -> None:
    root = with_record(make)
    (root / "model/factor.json").write_text("5")
    altered = cpr("upload", root, tmp_path / "out", "--json")
    assert altered.status == 1
    assert altered.error["type"] == "BundleError"
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_validates_first_where_no_record_is_there(make: MakeValidated, tmp_path: Path) -> None:
    root = make().bundle.root
    done = cpr("upload", root, tmp_path / "out", "--json")
    assert done.status == 0, done.out + done.err
    assert "Validating first" in done.err
    report = read_published(done.document["uri"]).report
    assert report is not None
    assert report.ok


def test_one_changing_line_on_a_terminal(make: MakeValidated, tmp_path: Path) -> None:
    """Standard error is a real terminal here: the line is rewritten, and gone at the end."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cpr", "upload", str(with_record(make)), str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, stdin=subprocess.DEVNULL) as process:
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 4096):
                shown += block
        except OSError:  # how a terminal says that the other side is closed
            pass
        out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    assert b"\n" not in shown
    assert b"manifest.json" in shown
    assert shown.endswith(b"\r\x1b[K")
    assert b"files sent" in out


def test_ctrl_c_says_how_to_go_on_and_abort_removes_what_is_there(gs_place: Place, make: MakeValidated) -> None:
    """The proxy holds back one file: the command is interrupted while that is on its way."""
    root = with_record(make, files={"held.bin": b"x" * 3000})
    with fault_proxy(gs_place.port, stall(30, path="held", times=ALWAYS)) as proxy:
        command = [sys.executable, "-m", "cpr", "upload", str(root), gs_place.uri, "--endpoint", proxy.endpoint]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            while "examples.jsonl" not in (line := process.stderr.readline()):
                assert line, "the command ended"
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "run it again to go on" in told and "--abort" in told and "Traceback" not in told
    assert journals(root.parent)
    removed = cpr("upload", root, gs_place.uri, "--abort", "--json")
    assert removed.status == 0, removed.out + removed.err
    assert removed.document["removed"] >= 1
    assert not journals(root.parent)
    done = cpr("upload", root, gs_place.uri, "--verify", "--json")
    assert done.status == 0, done.out + done.err
    assert done.document["skipped"] == 0
