"""What goes wrong on the way: no bucket, no access, no space, no server, damage. Each ends in an error with a remedy."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from support.buckets import Place, free_port, new_bucket, s3_environment
from support.proxy import damaging_proxy
from upload.conftest import MakeValidated

from cpr.bundle import Bundle, ValidatedBundle
from cpr.errors import ChecksumError, MissingExtra, StorageError, VersionExists
from cpr.manifest import FileEntry, Tool
from cpr.steps.upload import upload
from cpr.storage import fetch_bundle, open_storage, read_published
from cpr.storage.claim import CLAIM_NAME

# Long enough to pass a proxy in one piece, and found nowhere else.
MARK, HARM = b"<<the block that is damaged>>", b"<<the block that IS damaged>>"
CONTENT = {"marked.bin": b"x" * 5000 + MARK + b"y" * 5000}


def manifests(place: Place) -> list[str]:
    storage, prefix = open_storage(place.uri)
    return [name for name in storage.list(prefix) if name.endswith("manifest.json")]


@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_missing_bucket(kind: str, make: MakeValidated, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    request.getfixturevalue(f"{kind}_place")
    uri = f"{kind}://no-such-bucket-here/routines"
    for act in (lambda: upload(make(), uri), lambda: read_published(uri), lambda: fetch_bundle(uri, tmp_path / "f")):
        with pytest.raises(StorageError, match=f"bucket {kind}://no-such-bucket-here does not exist") as caught:
            act()
        assert f"{kind}://no-such-bucket-here`" in caught.value.remedy


@pytest.mark.parametrize("kind", ["gs", "s3"])
@pytest.mark.parametrize("by_option", [True, False])
def test_nothing_listens(
    kind: str, by_option: bool, make: MakeValidated, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    s3_environment(monkeypatch, port)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    if by_option:
        monkeypatch.delenv("STORAGE_EMULATOR_HOST")
        monkeypatch.delenv("AWS_ENDPOINT_URL")
    begun = time.monotonic()
    with pytest.raises(StorageError, match=rf"127\.0\.0\.1:{port}.* cannot be reached"):
        upload(make(), f"{kind}://some-bucket", endpoint=url if by_option else None)
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_endpoint_option_reaches_the_server(kind: str, make: MakeValidated, request: pytest.FixtureRequest) -> None:
    place: Place = request.getfixturevalue(f"{kind}_place")
    monkeypatch = request.getfixturevalue("monkeypatch")
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    endpoint = f"http://127.0.0.1:{place.port}"
    done = upload(make(), place.uri, endpoint=endpoint)
    assert read_published(done.uri, endpoint=endpoint).manifest.digest == done.digest


def test_no_credentials_s3(make: MakeValidated, s3_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageError, match="credentials") as caught:
        upload(make(), s3_place.uri)
    assert "AWS_ACCESS_KEY_ID" in caught.value.remedy


def test_no_credentials_gs(make: MakeValidated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(StorageError, match="credentials") as caught:
        upload(make(), "gs://some-bucket")
    assert "gcloud auth application-default login" in caught.value.remedy


@pytest.mark.parametrize("kind", ["folder", "file"])
@pytest.mark.parametrize("where", ["below a file", "no folders can be made"])
def test_folder_that_cannot_be_written(kind: str, where: str, make: MakeValidated, tmp_path: Path) -> None:
    # Neither depends on permissions, which do not stop root.
    if where == "below a file":
        (tmp_path / "file").write_text("")
        target = tmp_path / "file"
    else:
        target = Path("/proc/cpr-test")
    with pytest.raises(StorageError, match="cannot be used") as caught:
        upload(make(), f"file://{target}" if kind == "file" else str(target))
    assert caught.value.remedy
    assert str(target) in (caught.value.where or "")


def test_full_disk(make: MakeValidated, tmp_path: Path) -> None:
    """A limit on the size of files stops a copy in its middle, as a full disk does; it binds root as well."""
    bundle = make(files={"large.bin": bytes(3_000_000)})
    (bundle.bundle.root / "validation.json").write_text(json.dumps(bundle.report.to_json()))
    program = (
        "import json, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "from cpr.errors import StorageError\n"
        "from cpr.bundle import Bundle, ValidatedBundle\nfrom cpr.report import Report\n"
        "from cpr.steps.upload import upload\n"
        "bundle = Bundle.open(sys.argv[1])\n"
        "report = Report.from_json(json.loads((bundle.root / 'validation.json').read_text()))\n"
        "try:\n"
        "    upload(ValidatedBundle(bundle, report), sys.argv[2])\n"
        "except StorageError as error:\n"
        "    print(error.message, '|', error.remedy)\n"
    )
    target = tmp_path / "published"
    command = [sys.executable, "-c", program, str(bundle.bundle.root), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "large.bin cannot be used" in done.stdout
    assert done.stdout.startswith(str(target)), "the source is not what is full"
    assert "limit" in done.stdout
    left = {path.name for path in target.rglob("*") if path.is_file()}
    assert "manifest.json" not in left
    assert "large.bin" not in left
    assert not any(name.endswith(".part") for name in left)
    # With room again, the same command ends well, and what was there is kept.
    assert upload(bundle, str(target)).skipped > 0


@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_damage_on_the_way_is_repaired_by_a_second_try(
    kind: str, make: MakeValidated, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_place")
    bundle = make(files=CONTENT)
    with damaging_proxy(place.port, MARK, HARM, times=1) as proxy:
        done = upload(bundle, place.uri, endpoint=f"http://127.0.0.1:{proxy.port}")
    assert proxy.damaged == 1
    fetch_bundle(done.uri, tmp_path / "fetched").verify()


@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_lasting_damage_publishes_nothing(kind: str, make: MakeValidated, request: pytest.FixtureRequest) -> None:
    place: Place = request.getfixturevalue(f"{kind}_place")
    bundle = make(files=CONTENT)
    with damaging_proxy(place.port, MARK, HARM, times=100) as proxy, pytest.raises(ChecksumError, match=r"marked\.bin"):
        upload(bundle, place.uri, endpoint=f"http://127.0.0.1:{proxy.port}")
    assert proxy.damaged >= 2
    assert manifests(place) == []
    storage, prefix = open_storage(place.uri)
    assert f"{prefix}tiny/1.2.0/model/marked.bin" not in set(storage.list(prefix))
    assert upload(bundle, place.uri).uploaded > 0


@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_damage_of_a_download_is_repaired_or_found(
    kind: str, make: MakeValidated, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_place")
    done = upload(make(files=CONTENT), place.uri)
    with damaging_proxy(place.port, MARK, HARM, times=1) as proxy:
        fetch_bundle(done.uri, tmp_path / "fetched", endpoint=f"http://127.0.0.1:{proxy.port}").verify()
    assert proxy.damaged == 1
    with damaging_proxy(place.port, MARK, HARM, times=100) as proxy, pytest.raises(ChecksumError, match=r"marked\.bin"):
        fetch_bundle(done.uri, tmp_path / "again", endpoint=f"http://127.0.0.1:{proxy.port}")
    assert not (tmp_path / "again" / "manifest.json").exists()
    assert not [path for path in (tmp_path / "again").rglob("*") if path.name == "marked.bin"]


def test_a_file_changed_during_the_upload(s3_place: Place, make: MakeValidated) -> None:
    """Progress is reported while other files still wait: the last one is altered at the first report."""
    from cpr.errors import BundleError

    bundle = make(files={f"{number:02}.bin": bytes([number]) * 20_000 for number in range(60)})
    changed = bundle.bundle.path("model/59.bin")

    def alter(name: str, count: int) -> None:
        with open(changed, "r+b") as file:
            file.write(b"!" * 20_000)

    with pytest.raises(BundleError, match=r"altered: model/59\.bin"):
        upload(bundle, s3_place.uri, progress=alter)
    assert manifests(s3_place) == []


def test_other_content_under_way_is_left_alone(place: Place, make: MakeValidated) -> None:
    storage, prefix = open_storage(place.uri)
    from cpr.storage import fingerprint

    claim = json.dumps({"digest": "sha256:0", "token": "another", "started": time.time() - 60}).encode()
    name = f"{prefix}tiny/1.2.0/{CLAIM_NAME}"
    storage.write(name, claim, fingerprint(claim, storage.hasher()))
    with pytest.raises(VersionExists, match="being uploaded") as caught:
        upload(make(), place.uri)
    assert storage.uri(name) in caught.value.remedy
    assert list(storage.list(prefix)) == [name]


def test_the_same_content_of_another_release_is_other_content(place: Place, make: MakeValidated) -> None:
    """The tool's own part is no part of the digest, but it is a file that two publishers would overwrite."""
    ours = make()
    tool = Tool("9.9", (FileEntry("packages/cpr_kit-9.9.tar.gz", 1, hashlib.sha256(b"x").hexdigest()),))
    manifest = dataclasses.replace(ours.bundle.manifest, tool=tool)
    ours.bundle.path("packages/cpr_kit-9.9.tar.gz").write_bytes(b"x")
    theirs = ValidatedBundle(Bundle(ours.bundle.root, manifest), ours.report)
    assert manifest.digest == ours.bundle.manifest.digest

    def meanwhile(name: str, count: int) -> None:
        with pytest.raises(VersionExists, match="being uploaded"):
            upload(ours, place.uri)

    upload(theirs, place.uri, progress=lambda name, count: None if name == "manifest.json" else meanwhile(name, count))
    assert upload(ours, place.uri).uploaded == 0


def test_progress_that_raises_stops_the_upload(place: Place, make: MakeValidated) -> None:
    def stop(name: str, count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upload(make(), place.uri, progress=stop)
    assert manifests(place) == []
    assert upload(make(factor="4"), place.uri).uploaded  # the claim was given up


@pytest.mark.parametrize(("scheme", "package", "extra"), [("gs", "google", "gcs"), ("s3", "botocore", "s3")])
def test_missing_extra_names_itself(scheme: str, package: str, extra: str, tmp_path: Path) -> None:
    """In a fresh interpreter where the client library cannot be found."""
    program = (
        "import sys\n"
        "class Nothing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] == {package!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Nothing())\n"
        "from cpr.errors import MissingExtra\n"
        "from cpr.storage import open_storage\n"
        "try:\n"
        f"    open_storage('{scheme}://some-bucket')\n"
        "except MissingExtra as error:\n"
        "    print(error.remedy)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert f"cpr-kit[{extra}]" in done.stdout, done.stderr
    assert issubclass(MissingExtra, Exception)


def test_buckets_are_apart(gs_place: Place, make: MakeValidated) -> None:
    upload(make(), gs_place.uri)
    other = f"gs://{new_bucket('gs', gs_place.port)}"
    assert upload(make(factor="4"), other).uri == f"{other}/tiny/1.2.0"


def test_a_store_that_ignores_the_condition(s3_place: Place, make: MakeValidated) -> None:
    """GCS may do so behind its S3 door: nothing is replaced all the same, because we look before and after."""
    with damaging_proxy(s3_place.port, b"If-None-Match", b"Xf-None-Match", times=100) as proxy:
        endpoint = f"http://127.0.0.1:{proxy.port}"
        done = upload(make(), s3_place.uri, endpoint=endpoint)
        assert proxy.damaged == 2  # the claim and the manifest
        with pytest.raises(VersionExists):
            upload(make(factor="4"), s3_place.uri, endpoint=endpoint)
        assert upload(make(), s3_place.uri, endpoint=endpoint).uploaded == 0
    assert read_published(done.uri).manifest.digest == done.digest


@pytest.mark.parametrize("kind", ["gs", "s3"])
@pytest.mark.parametrize(
    ("status", "message", "remedy"),
    [
        ("401", "credentials", "gcloud auth application-default login|AWS_ACCESS_KEY_ID"),
        ("403", "may not do this in", "objectUser|s3:PutObject"),
        ("503", "answered with an error", "Run it again"),
    ],
)
def test_answers_with_an_error_status(
    kind: str, status: str, message: str, remedy: str, make: MakeValidated, request: pytest.FixtureRequest, impatient: None
) -> None:
    """The proxy changes the status line of every good answer to a listing or an upload."""
    place: Place = request.getfixturevalue(f"{kind}_place")
    bad = f"HTTP/1.1 {status} OK".encode()
    begun = time.monotonic()
    with (
        damaging_proxy(place.port, b"HTTP/1.1 200 OK", bad, times=1000) as proxy,
        pytest.raises(StorageError, match=message) as caught,
    ):
        upload(make(), place.uri, endpoint=f"http://127.0.0.1:{proxy.port}")
    assert proxy.damaged
    assert re.search(remedy, caught.value.remedy)
    assert time.monotonic() - begun < 30
    assert manifests(place) == []


def test_keys_that_s3_does_not_know(s3_place: Place, make: MakeValidated) -> None:
    """moto checks keys and policies once it is told to."""
    switch = f"http://127.0.0.1:{s3_place.port}/moto-api/reset-auth"

    def allow(requests: bytes) -> None:
        with urllib.request.urlopen(urllib.request.Request(switch, requests, {"Content-Type": "text/plain"}), timeout=10):
            pass

    allow(b"0")
    try:
        with pytest.raises(StorageError, match="refused the credentials") as caught:
            upload(make(), s3_place.uri)
    finally:
        allow(b"inf")
    assert "AWS_ACCESS_KEY_ID" in caught.value.remedy
    assert upload(make(), s3_place.uri).uploaded
