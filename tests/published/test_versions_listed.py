"""What is published where, in order."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from published.conftest import Publish, Shelf
from support.buckets import Place
from support.command import cpr

import cpr as package
from cpr.errors import StorageError
from cpr.steps.delete import delete


def test_versions_in_order_with_what_they_are(place: Place, shelf: Shelf, publish: Publish) -> None:
    begun = time.time()
    done = {version: publish(place, version) for version in ("1.10.0", "1.9.0", "2.0rc1")}
    shelf.put("notes/read.txt", b"not a routine")
    shelf.put("tiny/1.11.0/model/factor.json", b"3")
    shelf.put("tiny/1.12.0/uploading.json", json.dumps({"digest": "d", "token": "t", "started": 1}).encode())
    shelf.put("tiny/1.13.0/manifest.json", b"{}")
    shelf.put("tiny/1.14.0/measurements.csv", b"1,2")
    found = package.list_versions(place.uri)
    assert [(each.version, each.state) for each in found] == [
        ("1.9.0", "published"),
        ("1.10.0", "published"),
        ("1.13.0", "altered"),
        ("2.0rc1", "published"),
    ]
    first, manifest = found[0], done["1.9.0"].manifest
    assert (first.name, first.uri, first.digest) == ("tiny", done["1.9.0"].uri, manifest.digest)
    assert first.files == len(manifest.all_files)
    assert first.bytes == sum(entry.size for entry in manifest.all_files)
    assert (first.target, first.machine_type) == ("ai-platform", "mls1-c1-m2")
    assert begun - 2 < first.published < time.time() + 2
    assert "manifest cannot be read" in found[2].problem
    # The same from the routine's own folder, and from a version's.
    assert package.list_versions(f"{place.uri}/tiny") == found
    assert package.list_versions(first.uri) == (first,)
    assert package.list_versions(f"{place.uri}/notes") == ()
    more = package.list_versions(place.uri, unfinished=True)
    assert set(more) > set(found)
    assert [(each.version, each.files, each.bytes) for each in more if each.state == "unfinished"] == [
        ("1.11.0", 1, 1),
        ("1.12.0", 0, 0),
    ]


@pytest.mark.parametrize("place", ["folder", "gs"], indirect=True)
def test_nothing_published_says_what_is_below(place: Place, publish: Publish) -> None:
    publish(place, "1.9")
    publish(place, "1.10")
    with pytest.raises(StorageError, match="Nothing is published") as caught:
        delete(f"{place.uri}/tiny")
    assert caught.value.remedy == f"Name a version: {place.uri}/tiny/1.10."
    with pytest.raises(StorageError, match="Nothing is published") as caught:
        package.verify(place.uri)
    assert "Below it are tiny" in caught.value.remedy
    with pytest.raises(StorageError, match="Nothing is published"):
        package.verify(f"{place.uri}/other")


def test_the_command(publish: Publish, tmp_path: Path) -> None:
    place = str(tmp_path / "published")
    done = publish(place)
    (tmp_path / "published/tiny/1.3.0/model").mkdir(parents=True)
    (tmp_path / "published/tiny/1.3.0/model/a").write_bytes(b"123")
    head, row = cpr("list", place).out.splitlines()
    assert head.split()[:4] == ["NAME", "VERSION", "SIZE", "FILES"]
    assert row.split()[:2] == ["tiny", "1.2.0"]
    assert done.digest[:19] in row
    ran = cpr("list", place, "--all", "--json")
    assert (ran.status, ran.document["schema"], ran.document["uri"]) == (0, "cpr.list/1", place)
    first, second = ran.document["versions"]
    assert (first["digest"], first["target"], first["published"][-1]) == (done.digest, "ai-platform", "Z")
    assert (second["version"], second["state"], second["bytes"], second["digest"]) == ("1.3.0", "unfinished", 3, None)
    nothing = cpr("list", tmp_path / "elsewhere")
    assert (nothing.status, "Nothing is published" in nothing.out) == (0, True)
