"""Where a bundle is taken, the URI of a published one is, and a routine's means its newest version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from published.conftest import Publish
from support.buckets import Place
from support.command import cpr

from cpr.errors import StorageError
from cpr.storage.published import open_source
from cpr.storage.versions import newest_first


def test_the_newest_is_that_of_pep_440() -> None:
    names = ["1.9", "1.10", "1.10.post1", "2.0rc1", "2.0.dev3", "notes", "1!0.1a1", "0.9+local"]
    assert newest_first(names) == ["1.10.post1", "1.10", "1.9", "0.9+local", "1!0.1a1", "2.0rc1", "2.0.dev3"]


@pytest.mark.parametrize("place", ["folder", "gs"], indirect=True)
def test_a_routine_means_its_newest_version(place: Place, publish: Publish) -> None:
    publish(place, "2.0rc1")
    assert open_source(f"{place.uri}/tiny").manifest.version == "2.0rc1", "there is nothing else"
    old = publish(place, "1.9")
    publish(place, "1.10")
    assert open_source(f"{place.uri}/tiny/").uri == f"{place.uri}/tiny/1.10"
    assert open_source(old.uri).manifest == old.manifest
    with pytest.raises(StorageError, match="Nothing is published"):
        open_source(place.uri)


def test_predict(s3_place: Place, publish: Publish, tmp_path: Path) -> None:
    publish(s3_place, "1.2.0", factor="3")
    newest = publish(s3_place, "1.3.0", factor="5").uri
    (tmp_path / "request.json").write_text('{"instances": [2]}')
    endpoint = ("--endpoint", f"http://127.0.0.1:{s3_place.port}")
    ran = cpr(
        "predict",
        f"{s3_place.uri}/tiny",
        "--instances",
        tmp_path / "request.json",
        *endpoint,
        env={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
    )
    assert (ran.status, json.loads(ran.out)) == (0, 10)
    assert f"The newest version there is 1.3.0: {newest}" in ran.err
    wrong = cpr("predict", tmp_path, "--instances", tmp_path / "request.json", *endpoint)
    assert (wrong.status, "--endpoint" in wrong.err) == (2, True)


def test_inspect_and_deploy_config(gs_place: Place, publish: Publish, tmp_path: Path) -> None:
    publish(gs_place, "1.9.0")
    newest = publish(gs_place, "1.10.0").uri
    inspected = cpr("inspect", f"{gs_place.uri}/tiny", "--json")
    assert inspected.document["path"] == newest
    assert inspected.document["bundle"]["version"] == "1.10.0"
    assert newest in inspected.err
    written = cpr("deploy-config", f"{gs_place.uri}/tiny", "--target", "ai-platform", "-o", tmp_path / "config")
    assert written.status == 0, written.err
    assert newest in written.err
    assert newest in (tmp_path / "config/version.yaml").read_text()


def test_inspect_of_a_folder_by_its_uri(publish: Publish, tmp_path: Path) -> None:
    done = publish(f"file://{tmp_path}/published")
    inspected = cpr("inspect", f"file://{tmp_path}/published/tiny", "--json")
    assert (inspected.document["path"], done.uri in inspected.err) == (f"{tmp_path}/published/tiny/1.2.0", True)


def test_validate_and_lock(publish: Publish, tmp_path: Path) -> None:
    uri = f"file://{tmp_path}/published/tiny"
    publish(f"file://{tmp_path}/published")
    validated = cpr("validate", uri, "--json")
    assert validated.status == 0, validated.out + validated.err
    assert validated.document["ok"] is True
    locked = cpr("lock", uri, "--json")
    assert locked.status == 0, locked.out + locked.err
    assert locked.document["packages"] == []
    for verb in ("validate", "lock"):
        wrong = cpr(verb, tmp_path, "--endpoint", "http://127.0.0.1:9")
        assert (wrong.status, "--endpoint is for a URI" in wrong.err) == (2, True)
