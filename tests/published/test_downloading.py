"""A published bundle comes back whole, goes on where it was broken off, and overwrites nothing."""

from __future__ import annotations

import hashlib
import os
import pty
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from published.conftest import Publish, Shelf
from support.buckets import Place
from support.command import cpr, give_up_reading_everything
from support.proxy import DamagingProxy, damaging_proxy

import cpr as package
from cpr.bundle import Bundle
from cpr.errors import BundleError, ChecksumError, OutputError, StorageError
from cpr.storage import receive
from cpr.storage.landing import alone

ODD = {"empty": b"", "deep/er/ümlaut é.bin": b"x" * 1000, "big.bin": random.Random(5).randbytes(300_001)}


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def part_of(root: Path, bundle: Bundle, path: str) -> Path:
    entry = next(entry for entry in bundle.manifest.all_files if entry.path == path)
    found = receive.part_of(root / path, entry)
    found.parent.mkdir(parents=True, exist_ok=True)
    return found


@pytest.mark.parametrize("pieces", [False, True])
def test_what_comes_back_is_what_was_published(
    place: Place, pieces: bool, publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if pieces:
        monkeypatch.setattr(receive, "PIECE", 40_000)
        monkeypatch.setattr(receive, "LARGE", 100_000)
    done, moved = publish(place, files=ODD), Counter[str]()
    lock = threading.Lock()

    def progress(path: str, count: int) -> None:
        with lock:
            moved[path] += count

    bundle = package.download(done.uri, tmp_path / "here", progress=progress)
    bundle.verify()
    assert bundle.manifest == done.manifest
    assert moved == {entry.path: entry.size for entry in bundle.manifest.all_files}
    assert bundle.report() == done.report
    assert files(bundle.root).keys() == {*moved, "manifest.json", "validation.json"}
    # The second time nothing moves, and nothing is written.
    before, moved = {path: path.stat() for path in bundle.root.rglob("*")}, Counter()
    assert package.download(done.uri, tmp_path / "here", progress=progress) == bundle
    assert not moved
    assert {path: path.stat().st_mtime_ns for path in before} == {path: stat.st_mtime_ns for path, stat in before.items()}


@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_the_second_time_the_manifest_alone_is_read(
    kind: str, publish: Publish, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_place")
    done = publish(place)
    package.download(done.uri, tmp_path / "here")
    with damaging_proxy(place.port, b"-", b"-", times=0) as proxy:
        package.download(done.uri, tmp_path / "here", endpoint=f"http://127.0.0.1:{proxy.port}")
        asked = re.findall(rb"^[A-Z]+ (/\S*tiny\S*)", bytes(proxy.requests), re.MULTILINE)
    assert len(asked) == 1
    assert b"manifest.json" in asked[0]


def test_a_large_file_comes_in_pieces(
    gs_place: Place, publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "PIECE", 100_000)
    monkeypatch.setattr(receive, "LARGE", 300_001)
    done = publish(gs_place, files=ODD)
    with damaging_proxy(gs_place.port, b"-", b"-", times=0) as proxy:
        package.download(done.uri, tmp_path / "here", endpoint=f"http://127.0.0.1:{proxy.port}")
    parts = set(re.findall(rb"range: bytes=([0-9-]+)", bytes(proxy.requests), re.IGNORECASE))
    assert parts >= {b"100000-199999", b"200000-299999", b"300000-300000"}


@pytest.mark.parametrize("pieces", [False, True])
def test_goes_on_inside_a_file(
    place: Place, pieces: bool, publish: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if pieces:
        monkeypatch.setattr(receive, "PIECE", 40_000)
        monkeypatch.setattr(receive, "LARGE", 100_000)
    done, moved = publish(place, files=ODD), Counter[str]()
    part_of(tmp_path / "here", done, "model/big.bin").write_bytes(ODD["big.bin"][:200_000])
    shutil.copy(__file__, part_of(tmp_path / "here", done, "model/factor.json"))  # longer than the file will be
    part_of(tmp_path / "here", done, "model/deep/er/ümlaut é.bin").write_bytes(b"y" * 500)  # not how it begins
    package.download(done.uri, tmp_path / "here", progress=lambda path, count: moved.update({path: count})).verify()
    assert moved["model/big.bin"] == 100_001
    assert moved["model/factor.json"] == 1
    assert moved["model/deep/er/ümlaut é.bin"] == 500
    assert not [path for path in files(tmp_path / "here") if path.endswith(".part")]


class CuttingProxy(DamagingProxy):
    """Breaks a connection off after so many bytes of an answer, a few times; ``pause`` slows down what is long."""

    def __init__(self, target: int, cuts: int, after: int, pause: float = 0) -> None:
        self.cuts, self._after, self._pause, self._passed = cuts, after, pause, 0
        super().__init__(target, b"-", b"-", 0)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        super()._pump(source, target)
        with suppress(OSError):
            while source.recv(1 << 20):  # or the server waits for its answer to be taken, and with it all others
                pass

    def _harm(self, block: bytes) -> bytes:
        with self._lock:
            self._passed += len(block)
            if self.cuts and self._passed > self._after:
                self.cuts, self._passed = self.cuts - 1, 0
                raise OSError
        if len(block) > 4000:
            time.sleep(self._pause)
        return block


@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_goes_on_where_a_connection_broke_off(
    kind: str, publish: Publish, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_place")
    content = random.Random(6).randbytes(5_000_000)
    done = publish(place, files={"large.bin": content})
    proxy = CuttingProxy(place.port, cuts=1, after=3_000_000)
    came = []
    try:
        bundle = package.download(
            done.uri, tmp_path / "here", endpoint=f"http://127.0.0.1:{proxy.port}", progress=lambda _, count: came.append(count)
        )
    finally:
        proxy.close()
    assert proxy.cuts == 0
    assert (bundle.root / "model/large.bin").read_bytes() == content
    assert min(came) >= 0, "it did not begin anew"


@pytest.mark.parametrize("place", ["folder", "gs"], indirect=True)
def test_ends_with_the_name_of_what_is_damaged_or_missing(place: Place, shelf: Shelf, publish: Publish, tmp_path: Path) -> None:
    done = publish(place, files={"kept.bin": b"k" * 1000})
    shelf.put("tiny/1.2.0/model/factor.json", b"9")
    with pytest.raises(ChecksumError, match=r"tiny/1\.2\.0/model/factor\.json is not what the manifest lists, twice"):
        package.download(done.uri, tmp_path / "here")
    shelf.put("tiny/1.2.0/model/factor.json", b"3, and more")
    with pytest.raises(ChecksumError, match=r"factor\.json"):
        package.download(done.uri, tmp_path / "here")
    shelf.delete("tiny/1.2.0/model/factor.json")
    with pytest.raises(StorageError, match=r"factor\.json is missing"):
        package.download(done.uri, tmp_path / "here")
    assert "manifest.json" not in files(tmp_path / "here")
    shelf.put("tiny/1.2.0/model/factor.json", b"3")
    package.download(done.uri, tmp_path / "here").verify()
    shelf.put("tiny/1.2.0/manifest.json", done.manifest.to_json().replace("Scale", "Skale").encode())
    with pytest.raises(BundleError, match="altered") as caught:
        package.download(done.uri, tmp_path / "other")
    assert caught.value.where == f"{done.uri}/manifest.json"


@pytest.fixture
def source(publish: Publish, tmp_path: Path) -> str:
    return publish(str(tmp_path / "published")).uri


def refused(source: str, folder: Path, match: str) -> OutputError:
    before = files(folder) if folder.is_dir() else {}
    with pytest.raises(OutputError, match=match) as caught:
        package.download(source, folder)
    assert (files(folder) if folder.is_dir() else {}) == before
    assert caught.value.remedy
    return caught.value


def test_a_folder_with_anything_else_is_refused(source: str, publish: Publish, tmp_path: Path) -> None:
    other = package.download(publish(str(tmp_path / "published"), "1.3.0").uri, tmp_path / "other").root
    refused(source, other, r"holds another bundle: tiny 1\.3\.0")
    (other / "manifest.json").write_text("{}")
    refused(source, other, r"manifest\.json that is not this bundle's")

    foreign = tmp_path / "foreign"
    (foreign / "model").mkdir(parents=True)
    (foreign / "model/notes.txt").write_text("mine")
    refused(source, foreign, r"is no part of this bundle: model/notes\.txt")
    (foreign / "model/notes.txt").rename(foreign / "model/factor.json")
    refused(source, foreign, r"is not what the manifest lists: model/factor\.json")

    (tmp_path / "file").write_text("mine")
    refused(source, tmp_path / "file", "is no folder")
    (foreign / "model/factor.json").unlink()
    (foreign / "model/factor.json").mkdir()
    refused(source, foreign, r"is a folder in a file's place: model/factor\.json")


@pytest.mark.parametrize("linked", ["model", "model/factor.json"])
def test_a_link_that_leads_outside_is_refused(source: str, linked: str, tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "here"
    outside.mkdir()
    (folder / linked).parent.mkdir(parents=True)
    (folder / linked).symlink_to(outside if linked == "model" else outside / "new")
    refused(source, folder, rf"{linked} \(a link\)")
    assert not list(outside.iterdir())


def test_a_record_of_ones_own_stays(source: str, tmp_path: Path) -> None:
    bundle = package.download(source, tmp_path / "here")
    report = bundle.report()._replace(target="vertex-ai")
    (bundle.root / "validation.json").write_text(report.to_text())
    (bundle.root / "manifest.json").unlink()
    assert package.download(source, tmp_path / "here").report() == report
    (bundle.root / "validation.json").write_text(report._replace(digest="sha256:" + "0" * 64).to_text())
    refused(source, bundle.root, "about another bundle")


def test_two_at_a_time_do_not_write_into_one_folder(source: str, tmp_path: Path) -> None:
    with alone(tmp_path / "here"):
        refused(source, tmp_path / "here", "Another process is fetching")
    package.download(source, tmp_path / "here").verify()


def test_the_command(publish: Publish, tmp_path: Path) -> None:
    place = tmp_path / "published"
    for version in ("1.9.0", "1.10.0", "2.0rc1"):
        done = publish(str(place), version)
    newest = f"{place}/tiny/1.10.0"
    ran = cpr("download", place / "tiny", tmp_path / "here", "--json")
    document = ran.document
    assert (ran.status, document["schema"], document["uri"], document["version"]) == (0, "cpr.download/1", newest, "1.10.0")
    assert (document["received"], document["kept"]) == (3, 0)
    assert document["bytes_received"] == sum(entry.size for entry in Bundle.open(tmp_path / "here").manifest.all_files)
    assert newest in ran.err, "the choice is told"
    assert "[3/3]" in ran.err
    (tmp_path / "here/model/factor.json").unlink()
    again = cpr("download", newest, tmp_path / "here")
    assert "1 files received, 2 there already" in again.out
    assert "all of it was there already" in cpr("download", newest, tmp_path / "here", "-q").out
    other = cpr("download", done.uri, tmp_path / "here", "--json")
    assert (other.status, other.error["type"]) == (1, "OutputError")
    below = cpr("download", place, tmp_path / "new")
    assert (below.status, "Below it are tiny" in below.err) == (1, True)
    assert "Did you mean gs://b/c?" in cpr("download", "gcs://b/c", tmp_path / "new").err
    assert not (tmp_path / "new").exists()


def test_a_folder_that_may_not_be_written(source: str, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    ran = cpr("download", source, tmp_path / "locked/here", "--json", preexec=give_up_reading_everything)
    assert ran.status == 1
    assert ran.error["type"] == "OutputError"
    assert "Permission denied" in ran.error["message"]


def test_no_permission_to_read(gs_place: Place, publish: Publish, tmp_path: Path) -> None:
    done = publish(gs_place)
    refusing = damaging_proxy(gs_place.port, b"HTTP/1.1 200 OK", b"HTTP/1.1 403 OK", times=100)
    with refusing as proxy, pytest.raises(StorageError, match="may not do this in gs://") as caught:
        package.download(done.uri, tmp_path / "here", endpoint=f"http://127.0.0.1:{proxy.port}")
    assert "objectViewer" in caught.value.remedy
    assert not (tmp_path / "here").exists()


def test_a_full_disk(publish: Publish, tmp_path: Path) -> None:
    """A limit on the size of files stops a file in its middle, as a full disk does; it binds root as well."""
    content = random.Random(7).randbytes(3_000_000)
    source = publish(str(tmp_path / "published"), files={"large.bin": content}).uri
    limit = (1_000_000, 1_000_000)
    ran = cpr("download", source, tmp_path / "here", preexec=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    assert ran.status == 1
    assert "large.bin cannot be written: File too large" in ran.err
    assert "what has arrived is kept" in ran.err
    assert not (tmp_path / "here/manifest.json").exists()
    came: Counter[str] = Counter()
    package.download(source, tmp_path / "here", progress=lambda path, count: came.update({path: count})).verify()
    assert came["model/large.bin"] == 2_000_000


def test_interrupted_and_run_again(s3_place: Place, publish: Publish, tmp_path: Path) -> None:
    content = random.Random(8).randbytes(6_000_000)
    done = publish(s3_place, files={"large.bin": content})
    part = part_of(tmp_path / "here", done, "model/large.bin")
    proxy = CuttingProxy(s3_place.port, cuts=0, after=0, pause=0.05)
    command = [sys.executable, "-m", "cpr", "download", done.uri, str(tmp_path / "here")]
    command += ["--endpoint", f"http://127.0.0.1:{proxy.port}"]
    try:
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
            while process.poll() is None and not (part.exists() and part.stat().st_size >= 1 << 20):
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
    finally:
        proxy.close()
    assert process.returncode == 130, err
    assert "run it again to go on" in err
    kept = part.stat().st_size
    assert hashlib.sha256(part.read_bytes()).digest() == hashlib.sha256(content[:kept]).digest()
    came: Counter[str] = Counter()
    package.download(done.uri, tmp_path / "here", progress=lambda path, count: came.update({path: count})).verify()
    assert came["model/large.bin"] == len(content) - kept < len(content)


def test_the_bar_on_a_terminal(publish: Publish, tmp_path: Path) -> None:
    done = publish(str(tmp_path / "published"))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "cpr", "download", done.uri, str(tmp_path / "here")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, stdin=subprocess.DEVNULL) as process:
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 4096):
                shown += block
        except OSError:  # how a terminal says that the other side is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    assert b"100%" in shown
    assert b"\n" not in shown
    assert shown.endswith(b"\r\x1b[K")
