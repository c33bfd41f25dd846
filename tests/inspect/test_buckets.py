"""``cpr inspect URI``: the same facts as from a folder, without a byte of weights. Emulators stand for the stores."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import pytest
from support.buckets import Place
from support.command import cpr
from support.proxy import damaging_proxy

import cpr as package
from cpr.errors import CprError, ModelError, StorageError, UsageError
from cpr.manifest import MANIFEST_NAME
from cpr.steps import inspect as step
from cpr.steps.build import build
from cpr.storage import fingerprint, open_storage

MODEL = "docstrings/model/saved_model"
WEIGHTS = "variables/variables.data-00000-of-00001"


@pytest.fixture(params=["gs", "s3"])
def bucket(request: pytest.FixtureRequest) -> Place:
    place: Place = request.getfixturevalue(f"{request.param}_place")
    return place


@pytest.fixture
def model(repository: Path) -> Path:
    """A SavedModel with 17 KB of graph and 271 KB of weights."""
    return repository / "sample_models" / MODEL


def put(uri: str, contents: Path | dict[str, bytes]) -> str:
    """Upload a folder, or contents by name, below a URI."""
    storage, prefix = open_storage(uri)
    if isinstance(contents, Path):
        files = [path for path in contents.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        contents = {path.relative_to(contents).as_posix(): path.read_bytes() for path in files}
    for name, content in contents.items():
        storage.write(prefix + name, content, fingerprint(content, storage.hasher()))
    return uri


def test_a_bucket_says_what_the_folder_says(bucket: Place, model: Path) -> None:
    uri = put(bucket.uri, model)
    here, there = cpr("inspect", model, "--json").document, cpr("inspect", uri, "--json").document
    assert here.pop("path") == str(model)
    assert there.pop("path") == uri
    assert here == there
    assert there["meta_graphs"][0]["variables"]


def test_no_weights_are_sent(bucket: Place, model: Path) -> None:
    uri = put(bucket.uri, model)
    with damaging_proxy(bucket.port, b"?", b"?", times=0) as proxy:
        found = package.inspect(uri, endpoint=f"http://127.0.0.1:{proxy.port}")
        needed = sum(path.stat().st_size for path in model.rglob("*") if path.is_file() and path.name != Path(WEIGHTS).name)
        assert found.models[0].variables
        assert found.total_bytes > 250_000
        assert needed < proxy.answered < needed + 20_000, "the graph and the index, their HTTP headers, and the listing"


def test_weights_larger_than_what_may_be_fetched(bucket: Place, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = put(bucket.uri, model)
    monkeypatch.setattr(step, "MOST_FETCHED", 30_000)
    assert package.inspect(uri).ok
    monkeypatch.setattr(step, "MOST_FETCHED", 10_000)
    with pytest.raises(ModelError, match=r"would have to be fetched; 10,000 are the most.*saved_model\.pb") as refused:
        package.inspect(uri)
    assert "cp -r" in refused.value.remedy or "s3 cp --recursive" in refused.value.remedy


def test_faults_are_found_from_sizes_and_small_files(bucket: Place, model: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + 64 * b"0" + b"\nsize 271396\n"
    files = {path.relative_to(model).as_posix(): path.read_bytes() for path in model.rglob("*") if path.is_file()}
    put(f"{bucket.uri}/pointer", {**files, WEIGHTS: pointer})
    put(f"{bucket.uri}/cut", {**files, WEIGHTS: files[WEIGHTS][:-1]})
    put(f"{bucket.uri}/missing", {name: content for name, content in files.items() if name != WEIGHTS})
    put(f"{bucket.uri}/graph", {**files, "saved_model.pb": files["saved_model.pb"][:-100]})
    expected = {"pointer": "CPR604", "cut": "CPR606", "missing": "CPR605", "graph": "CPR603"}
    for folder, check in expected.items():
        found = package.inspect(f"{bucket.uri}/{folder}")
        assert [finding.check for finding in found.findings if finding.severity.value == "error"] == [check], folder
    ran = cpr("inspect", bucket.uri, "--json")
    assert ran.status == 1
    assert {finding["where"].split("/")[0] for finding in ran.document["findings"] if finding["severity"] == "error"} == {
        *expected
    }
    assert [each["path"] for each in ran.document["models"]] == sorted(expected)


def test_the_address_of_the_graph_file_will_do(bucket: Place, model: Path) -> None:
    uri = put(bucket.uri, model)
    ran = cpr("inspect", f"{uri}/saved_model.pb", "--json")
    assert (ran.status, ran.document["path"]) == (0, uri)
    assert cpr("inspect", f"{uri}/", "--json").document["path"] == uri


def test_a_bundle_in_a_bucket(bucket: Place, repository: Path, tmp_path: Path) -> None:
    bundle = build(repository / "sample_models" / "iris", tmp_path / "bundle")
    uri = put(f"{bucket.uri}/iris", bundle.root)
    ran = cpr("inspect", uri, "--json")
    assert ran.status == 0
    assert ran.document["bundle"]["digest"] == bundle.manifest.digest
    assert [graph["path"] for graph in ran.document["meta_graphs"]] == ["model/saved_model"]
    put(uri, {MANIFEST_NAME: b"{}"})
    assert [finding["check"] for finding in cpr("inspect", uri, "--json").document["findings"]] == ["CPR611"]


def test_warm_up_requests_and_fingerprint_are_read(bucket: Place, repository: Path) -> None:
    uri = put(bucket.uri, repository / "sample_models" / "add_two" / "exports" / "module")
    assert cpr("inspect", uri, "--json").document["models"][0]["fingerprint"] is not None


def test_foreign_names_stay_outside(s3_place: Place, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose files' names lead out of the folder that small files are fetched into."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # one that no other process uses
    files = {path.relative_to(model).as_posix(): path.read_bytes() for path in model.rglob("*") if path.is_file()}
    put(s3_place.uri, files)
    for folder in ("../../evil", "/absolute", "a//b", "model/./c"):
        put(s3_place.uri, {f"{folder}/{name}": content for name, content in files.items()})
    put(s3_place.uri, {"variables/": b"", "": b""})
    found = package.inspect(s3_place.uri)
    assert dict(found.files) == {name: len(content) for name, content in files.items()}
    assert [each.where for each in found.models] == ["."]
    (finding,) = [finding for finding in found.findings if finding.check == "CPR616"]
    assert finding.message.startswith(f"{4 * len(files)} objects have names that no folder can hold")
    assert "'../../evil/saved_model.pb'" in finding.message
    assert list(tmp_path.iterdir()) == []


def test_only_foreign_names_are_a_finding_too(s3_place: Place, model: Path) -> None:
    put(s3_place.uri, {"/v1/saved_model.pb": b"x"})
    ran = cpr("inspect", s3_place.uri, "--json")
    assert {finding["check"] for finding in ran.document["findings"]} == {"CPR601", "CPR616"}
    assert ran.status == 1


def test_nothing_there(bucket: Place, model: Path) -> None:
    put(f"{bucket.uri}/price/7", {"saved_model.pb": b"x"})
    for wrong, remedy in {
        "pricee": f"Did you mean {bucket.uri}/price?",
        "prices/7": f"Did you mean {bucket.uri}/price?",
        "price/version-7": f"{bucket.uri}/price holds the folders 7.",
        "other": f"{bucket.uri} holds the folders price.",
        "other/deep/down": f"{bucket.uri} holds the folders price.",
    }.items():
        with pytest.raises(ModelError, match=f"There is nothing at {bucket.uri}/{wrong}") as missing:
            package.inspect(f"{bucket.uri}/{wrong}")
        assert missing.value.remedy == remedy
    with pytest.raises(ModelError, match="is an object, not"):
        package.inspect(f"{bucket.uri}/price/7/saved_model.pb/")
    scheme = bucket.uri.partition("://")[0]
    with pytest.raises(StorageError, match="does not exist"):
        package.inspect(f"{scheme}://no-such-bucket-here/model")


@pytest.mark.parametrize("kind", ["gs", "s3"])
def test_no_permission(kind: str, request: pytest.FixtureRequest) -> None:
    place: Place = request.getfixturevalue(f"{kind}_place")
    with damaging_proxy(place.port, b"HTTP/1.1 200 OK", b"HTTP/1.1 403 OK", times=100) as proxy:
        ran = cpr("inspect", place.uri, "--endpoint", f"http://127.0.0.1:{proxy.port}")
    assert ran.status == 1
    assert "may not do this" in ran.err
    assert "  fix: Ask for " in ran.err


def test_verify_is_refused_with_what_to_do(bucket: Place, model: Path) -> None:
    ran = cpr("inspect", put(bucket.uri, model), "--verify", "--json")
    assert (ran.status, ran.error["type"]) == (2, "UsageError")
    assert f" {bucket.uri} FOLDER`" in ran.error["remedy"]


def test_a_missing_extra_is_told(model: Path, tmp_path: Path) -> None:
    """A copy of botocore's package that cannot be imported stands in the way of the real one."""
    (tmp_path / "botocore.py").write_text("raise ModuleNotFoundError('No module named botocore', name='botocore')\n")
    ran = cpr("inspect", "s3://some-bucket/model", "--json", env={"PYTHONPATH": str(tmp_path)})
    assert (ran.status, ran.error["type"]) == (1, "MissingExtra")
    assert ran.error["remedy"] == "pip install 'cpr-kit[s3]'"


def test_many_models_are_looked_through_at_once() -> None:
    """A prefix with all versions of a model: what is fetched is found in one pass over the names."""
    names = ("saved_model.pb", "variables/variables.index", WEIGHTS, "assets/words.txt", "other/variables/variables.index")
    files = {f"model/{version}/{name}": 500 for version in range(5000) for name in names}
    began = time.process_time()
    wanted = step._needed(files, assets=False)
    assert time.process_time() - began < 2
    assert sum(name.endswith(("saved_model.pb", "variables.index")) for name in wanted) == 10_000
    assert "model/0/other/variables/variables.index" not in wanted
    assert len(wanted) <= 10_200
    assert set(step._needed(files, assets=True)) - set(wanted) <= {
        f"model/{version}/assets/words.txt" for version in range(5000)
    }


def test_text_for_a_bucket(bucket: Place, model: Path) -> None:
    uri = put(bucket.uri, model)
    ran = cpr("inspect", uri)
    assert ran.out.startswith(f"{uri}: SavedModel, ")
    assert "cpr predict" not in ran.out, "it is not run there"
    assert f"of {uri}" in ran.err, "what is fetched is told"
    assert not cpr("inspect", uri, "-q").err


@pytest.mark.parametrize("uri", ["gs://b/x?y", "ftp://host/model", "gs:/bucket/x"])
def test_addresses_that_are_none(uri: str) -> None:
    with pytest.raises(CprError):
        package.inspect(uri)


def test_a_bucket_and_a_folder_compared(bucket: Place, model: Path, tmp_path: Path) -> None:
    uri = put(bucket.uri, model)
    ran = cpr("inspect", uri, model, "--json")
    assert (ran.document["equal"], ran.document["a"], ran.document["b"]) == (True, uri, str(model))
    shutil.copytree(model, tmp_path / "other")
    (tmp_path / "other" / "saved_model.pb").rename(tmp_path / "other" / "saved_model.pb.bak")
    with pytest.raises(ModelError, match="no model to compare"):
        package.compare(uri, tmp_path / "other")


def test_assets_too_large_to_fetch_are_told(
    bucket: Place, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(model, tmp_path / "model")
    (tmp_path / "model" / "assets").mkdir()
    (tmp_path / "model" / "assets" / "small.txt").write_text("a\nb\n")
    (tmp_path / "model" / "assets" / "large.bin").write_bytes(bytes(5000))
    uri = put(bucket.uri, tmp_path / "model")
    assert package.compare(uri, tmp_path / "model").equal is True
    monkeypatch.setattr(step, "_MOST_ASSETS", 2000)
    compared = package.compare(uri, tmp_path / "model")
    assert (compared.equal, compared.differences) == (None, ())
    assert compared.unread == ("assets/large.bin: 5,000 bytes that were not read",)
    (tmp_path / "model" / "assets" / "small.txt").write_text("b\na\n")
    (difference,) = package.compare(uri, tmp_path / "model").differences
    assert (difference.kind, difference.where) == ("content", "assets/small.txt")


def test_an_endpoint_for_a_folder_is_wrong_usage(model: Path) -> None:
    with pytest.raises(UsageError, match="endpoint"):
        package.inspect(model, endpoint="http://127.0.0.1:1")


def test_an_unknown_release_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"TensorFlow 2\.99"):
        package.inspect("gs://bucket/model", tensorflow="2.99")
