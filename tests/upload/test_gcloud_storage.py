"""What was uploaded, read by Google's own command: listed whole, and downloaded byte for byte."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.buckets import Place
from support.gcloud import GCLOUD, storage_environment
from upload.conftest import MakeValidated

from cpr.steps.upload import upload


@pytest.mark.skipif(GCLOUD is None, reason="gcloud is not installed")
def test_gcloud_lists_and_downloads_a_published_bundle(make: MakeValidated, gs_place: Place, tmp_path: Path) -> None:
    # More than a page of names, and one file that travels in several requests.
    files = {
        "empty": b"",
        "ä b/c": b"x",
        "large.bin": os.urandom(9 << 20),
        **{f"many/{number}": b"%d" % number for number in range(9)},
    }
    published = upload(make(files=files), gs_place.uri)
    expected = {f"model/{name}": content for name, content in files.items()}

    def gcloud(*arguments: str) -> str:
        command = [str(GCLOUD), "storage", *arguments]
        environment = storage_environment(tmp_path / "gcloud", gs_place.port)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (folder := tmp_path / "fetched").mkdir()
    lines = gcloud("ls", "-r", published.uri).splitlines()
    gcloud("cp", "-r", published.uri, str(folder))
    root = folder / published.uri.rstrip("/").rpartition("/")[2]
    fetched = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    names = {line for line in lines if line and not line.endswith((":", "/"))}
    assert names == {f"{published.uri.rstrip('/')}/{name}" for name in fetched}
    assert expected.items() <= fetched.items()
    assert "manifest.json" in fetched
