"""A published bundle is compared with its manifest where it lies."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from published.conftest import Publish, Shelf
from support.buckets import Place
from support.command import cpr

import cpr as package
from cpr.errors import BundleError
from cpr.storage import receive

FILES = {"a.bin": b"a" * 1000, "b.bin": b"b" * 1000, "c.bin": random.Random(3).randbytes(300_000), "empty": b""}


def faults(uri: str, quick: bool = False) -> list[tuple[str, str]]:
    return [(fault.kind, fault.path) for fault in package.verify(uri, quick=quick).faults]


def test_what_is_missing_altered_or_foreign(
    place: Place, shelf: Shelf, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "PIECE", 40_000)
    monkeypatch.setattr(receive, "LARGE", 100_000)
    done, read = publish(place, files=FILES), Counter[str]()
    found = package.verify(done.uri, progress=lambda path, count: read.update({path: count}))
    assert found.ok
    assert read == {entry.path: entry.size for entry in done.manifest.all_files}
    assert found.bytes == sum(read.values())

    content = bytearray(FILES["c.bin"])
    content[200_000] ^= 1
    shelf.put("tiny/1.2.0/model/c.bin", bytes(content))
    shelf.put("tiny/1.2.0/model/b.bin", b"b" * 999)
    shelf.put("tiny/1.2.0/model/more.txt", b"not ours")
    shelf.put("tiny/1.2.0/validation.json", b"{}")
    shelf.delete("tiny/1.2.0/model/a.bin")
    sized = [("missing", "model/a.bin"), ("altered", "model/b.bin"), ("foreign", "model/more.txt")]
    assert faults(done.uri, quick=True) == [*sized, ("altered", "validation.json")]
    assert faults(done.uri) == [*sized[:2], ("altered", "model/c.bin"), sized[2], ("altered", "validation.json")]


@pytest.mark.parametrize("place", ["folder"], indirect=True)
def test_an_altered_manifest_proves_nothing(place: Place, shelf: Shelf, publish: Publish) -> None:
    done = publish(place)
    shelf.put("tiny/1.2.0/manifest.json", done.manifest.to_json().replace("Scale", "Skale").encode())
    with pytest.raises(BundleError, match="altered"):
        package.verify(done.uri)


def test_the_command(publish: Publish, tmp_path: Path) -> None:
    done = publish(str(tmp_path / "published"))
    ran = cpr("verify", done.uri, "--json")
    assert (ran.status, ran.document["schema"], ran.document["ok"], ran.document["findings"]) == (0, "cpr.verify/1", True, [])
    assert "[3/3]" in ran.err
    (tmp_path / "published/tiny/1.2.0/model/factor.json").write_text("4")
    assert cpr("verify", done.uri, "--quick").status == 0
    newest = cpr("verify", tmp_path / "published/tiny")
    assert newest.status == 1
    assert newest.out.startswith("altered  model/factor.json: ")
    assert newest.out.splitlines()[-1].startswith(f"not ok, 1 found: {done.uri}")
    assert f"newest version there is 1.2.0: {done.uri}" in newest.err
    (finding,) = cpr("verify", done.uri, "--json").document["findings"]
    assert (finding["kind"], finding["path"]) == ("altered", "model/factor.json")
