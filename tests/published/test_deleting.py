"""A version goes, its manifest first, and nothing else with it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from published.conftest import Publish, Shelf
from support.buckets import Place
from support.command import cpr

import cpr as package
from cpr.errors import BundleError, StorageError, VersionExists
from cpr.steps.delete import plan_deletion
from cpr.storage import open_storage


def test_a_versions_own_files_go_the_manifest_first(place: Place, shelf: Shelf, publish: Publish) -> None:
    kept = publish(place, "1.1.0")
    others = shelf.names()
    done, gone = publish(place, files={f"{number}.bin": b"x" for number in range(9)}), []
    shelf.put("tiny/1.2.0/model/mine.txt", b"not the version's")
    planned = plan_deletion(done.uri)
    deleted = package.delete(done.uri, progress=lambda path, size: gone.append((path, size)))
    assert deleted == planned
    assert gone[0][0] == "manifest.json"
    assert {"validation.json", *(entry.path for entry in done.manifest.all_files)} == {path for path, _ in gone[1:]}
    assert dict(gone) == dict(deleted.files)
    assert deleted.left == ("model/mine.txt",)
    assert shelf.names() == others | {"tiny/1.2.0/model/mine.txt"}
    with pytest.raises(StorageError, match="Nothing is published"):
        package.delete(f"{place.uri}/tiny")
    assert package.verify(kept.uri).ok


def killed_at(uri: str, count: int) -> None:
    """A process that deletes, and is killed when so many files are gone."""
    program = (
        "import os, signal, sys\n"
        "import cpr\n"
        "left = [None] * int(sys.argv[2])\n"
        "def progress(path, size):\n"
        "    left.pop()\n"
        "    left or os.kill(os.getpid(), signal.SIGKILL)\n"
        "cpr.delete(sys.argv[1], progress=progress)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, uri, str(count)], timeout=60)
    assert killed.returncode == -signal.SIGKILL


@pytest.mark.parametrize("count", [1, 3])
def test_killed_and_run_again(count: int, publish: Publish, tmp_path: Path) -> None:
    place = Place("folder", str(tmp_path / "published"))
    shelf = Shelf(*open_storage(place.uri))
    done = publish(place, files={f"{number}.bin": b"x" for number in range(9)})
    shelf.put("tiny/1.2.0/model/mine.txt", b"not the version's")
    killed_at(done.uri, count)
    assert [each.state for each in package.list_versions(place.uri, unfinished=True)] == ["unfinished"]
    with pytest.raises(VersionExists, match="being deleted"):
        publish(place)
    ended = package.delete(done.uri)
    assert (ended.name, ended.version, ended.left) == ("tiny", "1.2.0", ("model/mine.txt",))
    assert shelf.names() == {"tiny/1.2.0/model/mine.txt"}


def claim(started: float) -> bytes:
    return json.dumps({"digest": "of other content", "token": "t", "started": started}).encode()


def test_an_upload_that_never_ended(place: Place, shelf: Shelf) -> None:
    shelf.put("tiny/1.2.0/uploading.json", claim(time.time() - 7200))
    shelf.put("tiny/1.2.0/model/a", b"abc")
    shelf.put("tiny/1.2.0/left behind", b"x")
    shelf.put("tiny/1.2.1/model/a", b"abc")
    deleted = package.delete(f"{place.uri}/tiny/1.2.0")
    assert (deleted.name, dict(deleted.files), deleted.left) == (None, {"model/a": 3, "left behind": 1}, ())
    assert shelf.names() == {"tiny/1.2.1/model/a"}
    # Without a claim it has to look like one.
    shelf.put("tiny/1.2.1/data.csv", b"1,2")
    with pytest.raises(StorageError, match="Nothing is published"):
        package.delete(f"{place.uri}/tiny/1.2.1")
    shelf.delete("tiny/1.2.1/data.csv")
    shelf.put("notes/model/a", b"abc")
    with pytest.raises(StorageError, match="Nothing is published"):
        package.delete(f"{place.uri}/notes")
    package.delete(f"{place.uri}/tiny/1.2.1")
    assert shelf.names() == {"notes/model/a"}


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_an_upload_that_runs_is_left_alone(place: Place, shelf: Shelf) -> None:
    shelf.put("tiny/1.2.0/uploading.json", claim(time.time()))
    shelf.put("tiny/1.2.0/model/a", b"abc")
    before = shelf.names()
    with pytest.raises(VersionExists, match=r"An upload .* is running") as caught:
        package.delete(f"{place.uri}/tiny/1.2.0")
    assert "uploading.json" in caught.value.remedy
    assert shelf.names() == before


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_an_altered_manifest_deletes_nothing(place: Place, shelf: Shelf, publish: Publish) -> None:
    done = publish(place)
    shelf.put("tiny/1.2.0/manifest.json", done.manifest.to_json().replace("model/", "../../").encode())
    before = shelf.names()
    with pytest.raises(BundleError, match="not known which files"):
        package.delete(done.uri)
    assert shelf.names() == before


def test_the_command(publish: Publish, tmp_path: Path) -> None:
    place = Place("folder", str(tmp_path / "published"))
    shelf = Shelf(*open_storage(place.uri))
    done = publish(place)
    before = shelf.names()
    asked = cpr("delete", done.uri, "--json")
    assert (asked.status, asked.error["type"]) == (2, "UsageError")
    assert asked.error["message"].startswith("This would delete tiny 1.2.0: 5 files, ")
    assert "--yes" in asked.error["remedy"]
    assert shelf.names() == before
    ran = cpr("delete", done.uri, "--yes", "--json")
    assert (ran.status, ran.document["schema"], ran.document["files"], ran.document["left"]) == (0, "cpr.delete/1", 5, [])
    assert shelf.names() == set()
    assert cpr("delete", done.uri, "--yes").status == 1
