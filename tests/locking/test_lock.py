"""Locking through the real uv: against the real index once, and against one on loopback for what goes wrong."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.index import Index

from cpr.errors import CprError, IndexUnreachable, MissingExtra, NoSolution, NoWheel, RequirementsError
from cpr.locking import Lock, Package, lock
from cpr.locking.refusals import refusal, wheelless

OLD = {"python": "3.7", "platform": "x86_64-manylinux2014"}


def test_the_real_index_for_an_older_python(tmp_path: Path) -> None:
    locked = lock(["attrs>=20", "markupsafe"], **OLD)
    assert locked.versions["attrs"] == "24.2.0"  # the last that takes 3.7
    assert "importlib-metadata" in locked.versions  # which attrs needs there, and not on this Python
    files = {package.name: package for package in locked.packages}
    assert "cp37" in files["markupsafe"].file and "x86_64" in files["markupsafe"].file
    assert locked.size == sum(package.size or 0 for package in locked.packages) > 60_000
    (tmp_path / "locked.txt").write_text(locked.to_text())
    # pip takes it, for that Python, and checks every hash
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:"]
    aim = ["--python-version", "3.7", "--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_17_x86_64"]
    done = subprocess.run(
        [*command, *aim, "--dest", str(tmp_path / "wheels"), "--requirement", str(tmp_path / "locked.txt")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "wheels").iterdir()} == {package.file for package in locked.packages}


def test_what_is_needed_in_turn_is_locked_too(index: Index) -> None:
    index.wheel("outer", requires=("inner>=2", "other; python_version < '3.0'"))
    index.wheel("inner", "2.1")
    index.wheel("inner", "1.0")
    locked = lock(["outer"], **OLD)
    assert locked.versions == {"inner": "2.1", "outer": "1.0"}
    assert all(package.size == len(index.files[package.file]) for package in locked.packages)
    assert lock([], **OLD).packages == ()


def test_the_last_patch_release_is_meant(index: Index) -> None:
    index.wheel("late", requires=("later; python_full_version >= '3.7.1'",))
    index.wheel("later")
    assert set(lock(["late"], **OLD).versions) == {"late", "later"}


def test_every_package_without_a_wheel_is_named(index: Index) -> None:
    index.wheel("outer", requires=("inner", "fine"))
    index.wheel("inner", tag="cp38-cp38-manylinux2014_x86_64")
    index.wheel("mine", tag="py3-none-macosx_11_0_arm64")
    index.source("sourced")
    index.wheel("fine")
    with pytest.raises(NoWheel) as caught:
        lock(["outer", "sourced", "mine", "fine"], **OLD)
    assert sorted(caught.value.packages) == ["inner", "mine", "sourced"]
    assert sorted(caught.value.absent) == ["inner", "mine"]
    assert all(name in caught.value.message for name in caught.value.packages)


@pytest.mark.parametrize(
    ("requirements", "says"),
    [(["six==99"], "six==99"), (["absent"], "absent"), (["outer", "six==1"], "outer"), (["six>2"], "six>2")],
)
def test_what_cannot_be_resolved_names_the_requirement(index: Index, requirements: list[str], says: str) -> None:
    index.wheel("six", "1")
    index.wheel("six", "2")
    index.wheel("outer", requires=("six>=2",))
    with pytest.raises(NoSolution) as caught:
        lock(requirements, **OLD)
    assert says in caught.value.message and "3.7" in caught.value.message and caught.value.remedy


def test_an_index_that_is_down(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    port = index.url.rpartition(":")[2].partition("/")[0]
    index.stop()
    monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://someone:secret@127.0.0.1:{port}/simple")
    with pytest.raises(IndexUnreachable) as caught:
        lock(["six"], **OLD)
    assert f"127.0.0.1:{port}" in caught.value.message
    assert "secret" not in caught.value.message and "UV_DEFAULT_INDEX" in caught.value.remedy


@pytest.mark.parametrize("status", [403, 500, 503])
def test_an_index_that_refuses(index: Index, status: int) -> None:
    index.wheel("six")
    index.status = status
    with pytest.raises(RequirementsError) as caught:
        lock(["six"], **OLD)
    assert str(status) in caught.value.message or "six" in caught.value.message


@pytest.mark.parametrize(
    "text", ["six==", "-e .", "git+https://example.com/x", "six @ file:///tmp/six.whl", "six @ git+https://x/y"]
)
def test_requirements_that_no_index_has(index: Index, text: str) -> None:
    with pytest.raises(RequirementsError) as caught:
        lock([text], **OLD)
    assert text in caught.value.message
    assert index.asked == []


def test_an_address_of_its_own(index: Index) -> None:
    index.wheel("near")
    url = f"{index.url.removesuffix('/simple')}/files/near-1.0-py3-none-any.whl"
    (package,) = lock([f"near @ {url}"], **OLD).packages
    assert (package.version, package.url, package.file) == ("1.0", url, "near-1.0-py3-none-any.whl")
    assert package.to_text().startswith(f"near @ {url} \\\n    --hash=sha256:")


def test_without_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtra) as caught:
        lock(["six"], **OLD)
    assert caught.value.remedy == "pip install 'cpr-kit[lock]'"


def test_settings_that_name_no_index_have_no_say(index: Index, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    index.wheel("six", "1")
    index.wheel("six", "2")
    settings = tmp_path / "uv" / "uv.toml"
    settings.parent.mkdir()
    settings.write_text('resolution = "lowest"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("UV_RESOLUTION", "lowest")
    monkeypatch.setenv("UV_CONSTRAINT", str(settings))
    assert lock(["six"], **OLD).versions == {"six": "2"}


def test_pips_index_where_uv_has_none(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.wheel("only_here")
    monkeypatch.delenv("UV_DEFAULT_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    assert lock(["only-here"], **OLD).versions == {"only-here": "1.0"}


# --- values ------------------------------------------------------------------------------------------------------------------

PACKAGE = Package("six", "1.17.0", "six-1.17.0-py2.py3-none-any.whl", 11050, "ab" * 32)
LOCK = Lock(("six",), "3.7", "x86_64-manylinux2014", (PACKAGE,))


def test_a_lock_comes_back_from_json() -> None:
    own = dataclasses.replace(PACKAGE, size=None, url="https://example.com/six.whl")
    for made in (LOCK, Lock((), "3.7", None, ()), dataclasses.replace(LOCK, packages=(own,))):
        assert Lock.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_the_digest_is_of_what_is_installed() -> None:
    assert dataclasses.replace(LOCK, requirements=("six>=1",), platform=None).digest == LOCK.digest
    for other in (dataclasses.replace(LOCK, python="3.8"), dataclasses.replace(LOCK, packages=())):
        assert other.digest != LOCK.digest


@pytest.mark.parametrize(
    "change",
    [{"name": "six --index-url=x"}, {"version": "1\n2"}, {"sha256": "ab"}, {"size": -1}, {"size": True}, {"url": "a b"}],
)
def test_a_damaged_lock_is_refused(change: dict[str, object]) -> None:
    document = LOCK.to_json()
    document["packages"][0] |= change
    with pytest.raises(ValueError, match="damaged"):
        Lock.from_json(document)


KEYS = st.sampled_from(["name", "version", "packages", "size"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab1 \n", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["requirements", "python", "platform", "packages"]), JSON))
def test_anything_at_all_is_a_lock_or_refused(document: dict[str, object]) -> None:
    try:
        assert isinstance(Lock.from_json(document), Lock)
    except ValueError:
        pass


@given(st.text("Becau se has no uble whlsith:\n`=1", max_size=80))
def test_whatever_uv_says_becomes_an_error(text: str) -> None:
    error = refusal(text, "Python 3.7")
    assert isinstance(error, CprError) and error.message and error.remedy
    wheelless(text)
