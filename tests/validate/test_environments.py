"""The grades ``venv`` and ``runtime``: environments that are made, kept, shared and found again."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.command import cpr
from support.index import wheel
from support.routines import CONFIG, write_routine

from cpr.errors import IndexUnreachable, NoWheel, OutputError, RequirementsError, TargetError
from cpr.isolation import making
from cpr.isolation.making import Made, environment
from cpr.isolation.pythons import Python, find_python, this_python
from cpr.locking import Lock, Package
from cpr.locking import kept as kept_locks
from cpr.locking.kept import kept_lock

NOWHERE = "http://127.0.0.1:9/simple"

ASKS = """\
import sys
import {module}


class Scale:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return [{answer} for _ in instances]
"""


def silent(text: str) -> None:
    pass


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cpr"


@pytest.fixture
def other() -> Python:
    """A Python that is not the one that runs the tests, or a skip with the reason."""
    for version in ("3.7", "3.12", "3.10", "3.13", "3.11"):
        if version != f"{sys.version_info.major}.{sys.version_info.minor}":
            try:
                return find_python(version)
            except TargetError:
                continue
    pytest.skip("no second Python on this machine: install one with pyenv or uv")


def asking(folder: Path, module: str, answer: str, config: str, expect: object) -> Path:
    example = json.dumps({"instances": [1], "expect": {"predictions": [expect]}})
    return write_routine(
        folder / "routine",
        config=CONFIG + config,
        predictor=ASKS.format(module=module, answer=answer),
        files={"examples.jsonl": example + "\n"},
    )


def mine(folder: Path, version: str = "1.0", name: str = "mine") -> Lock:
    """A lock of one hand-made wheel that lies in a folder."""
    import hashlib

    content = wheel(name, version, "py3-none-any")
    path = folder / f"{name}-{version}-py3-none-any.whl"
    path.write_bytes(content)
    package = Package(name, version, path.name, len(content), hashlib.sha256(content).hexdigest(), path.as_uri())
    return Lock((name,), "3", None, (package,))


def said(made: Made, code: str) -> str:
    done = subprocess.run([made.python, "-I", "-c", code], capture_output=True, text=True, check=True, cwd="/")
    return done.stdout.strip()


# --- the verb ----------------------------------------------------------------------------------------------------------------


def test_a_fresh_environment_has_the_requirements_and_no_more(tmp_path: Path, cache: Path) -> None:
    answer = "[attr.__version__, sys.prefix != sys.base_prefix, any(name in sys.modules for name in ('cpr', 'numpy'))]"
    folder = asking(tmp_path, "attr", answer, "requirements: ['attrs==21.4.0']\n", ["21.4.0", True, False])
    first = cpr("validate", folder, "--isolation", "venv", "--target", "vertex-ai", "--json")
    assert first.document["ok"], first.out
    assert first.document["measured"]["isolation"] == "venv"
    assert "kept in " in first.err and str(cache / "environments") in first.err
    # once kept, it needs no network
    again = cpr("validate", folder, "--isolation", "venv", "--target", "vertex-ai", env={"UV_OFFLINE": "1"})
    assert again.status == 0 and "kept in" not in again.err and "isolation venv" in again.out
    record = json.loads(next(folder.glob("dist/*/validation.json")).read_text())
    assert record["environment"]["packages"] == {"attrs": "21.4.0"}


def test_what_is_installed_here_is_not_seen_there(tmp_path: Path) -> None:
    folder = asking(tmp_path, "yaml", "yaml.__name__", "requirements: ['attrs==21.4.0']\n", "yaml")
    assert cpr("validate", folder).status == 0
    ran = cpr("validate", folder, "--isolation", "venv", "--json")
    assert {finding["check"] for finding in ran.document["findings"] if finding["severity"] == "error"} == {"CPR502"}


def test_the_declared_python_where_it_is_found(tmp_path: Path, other: Python) -> None:
    short = ".".join(other.version.split(".")[:2])
    folder = asking(
        tmp_path, "sys", "'%d.%d' % sys.version_info[:2]", f"python: {short}\nrequirements: ['six==1.16.0']\n", short
    )
    ran = cpr("validate", folder, "--isolation", "venv", "--target", "vertex-ai", "--json")
    assert ran.document["ok"], ran.out
    assert not [finding for finding in ran.document["findings"] if finding["check"] == "CPR541"]


def test_a_declared_python_that_is_not_here(tmp_path: Path) -> None:
    folder = asking(tmp_path, "sys", "1", "python: 3.99\n", 1)
    ran = cpr("validate", folder, "--isolation", "venv", "--target", "vertex-ai", "--json")
    assert ran.document["ok"], ran.out
    assert "There is no Python 3.99" in ran.err
    assert "runs Python 3.99" in next(each["message"] for each in ran.document["findings"] if each["check"] == "CPR541")
    strict = cpr("validate", folder, "--isolation", "runtime", "--target", "vertex-ai", "--json")
    assert (strict.status, strict.error["type"]) == (1, "TargetError")
    assert "pyenv install 3.99" in strict.error["remedy"] and "the path (python3.99)" in strict.error["message"]


def test_without_an_index_and_without_an_environment(tmp_path: Path) -> None:
    folder = asking(tmp_path, "six", "1", "requirements: ['six==1.16.0']\n", 1)
    env = {"UV_DEFAULT_INDEX": NOWHERE, "UV_HTTP_RETRIES": "0", "UV_CACHE_DIR": str(tmp_path / "uv")}
    ran = cpr("validate", folder, "--isolation", "venv", "--json", env=env)
    assert (ran.status, ran.error["type"]) == (1, "IndexUnreachable")


@pytest.mark.parametrize(("grade", "near"), [("runtme", "runtime"), ("vnev", "venv")])
def test_a_grade_that_is_not_there(tiny: Path, grade: str, near: str) -> None:
    ran = cpr("validate", tiny, "--isolation", grade, "--json")
    assert (ran.status, ran.error["type"], near in ran.error["remedy"]) == (2, "UsageError", True)


# --- making and keeping ------------------------------------------------------------------------------------------------------


def test_it_is_made_once_and_found_again(tmp_path: Path, cache: Path) -> None:
    told: list[str] = []
    lock = mine(tmp_path)
    first = environment(this_python(), lock, told.append)
    assert said(first, "import mine; print(mine.VERSION)") == "1.0"
    assert environment(this_python(), lock, told.append) == first and len(told) == 1
    assert environment(this_python(), mine(tmp_path, "2.0"), silent).folder != first.folder
    assert {path.name for path in (cache / "environments").iterdir() if not path.name.startswith(".")} >= {first.folder.name}
    assert not [path for path in (cache / "environments").iterdir() if path.is_dir() and path.name.startswith(".")]


@pytest.mark.parametrize("damage", ["marker", "interpreter"])
def test_what_is_not_whole_is_made_anew(tmp_path: Path, damage: str) -> None:
    lock = mine(tmp_path)
    first = environment(this_python(), lock, silent)
    (first.folder / making._WHOLE if damage == "marker" else Path(first.python)).unlink()
    assert said(environment(this_python(), lock, silent), "import mine; print(mine.VERSION)") == "1.0"


def test_two_at_once_make_one(tmp_path: Path) -> None:
    lock, told, made = mine(tmp_path), [], []
    threads = [threading.Thread(target=lambda: made.append(environment(this_python(), lock, told.append))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 3 and len({each.folder for each in made}) == 1 and len(told) == 1


def test_of_two_that_could_not_wait_the_first_stays(tmp_path: Path) -> None:
    first = environment(this_python(), mine(tmp_path), silent)
    second = first.folder.with_name(".beside")
    shutil.copytree(first.folder, second, symlinks=True)
    stamp = (first.folder / making._WHOLE).stat().st_ino
    making._put(second, first.folder)
    assert (first.folder / making._WHOLE).stat().st_ino == stamp


def test_another_file_under_the_hash_is_refused(tmp_path: Path, cache: Path) -> None:
    lock = mine(tmp_path)
    (tmp_path / lock.packages[0].file).write_bytes(wheel("mine", "1.0", "py3-none-any", ("evil",)))
    with pytest.raises(RequirementsError) as caught:
        environment(this_python(), lock, silent)
    assert "ash" in caught.value.message  # "Hash mismatch"
    assert not [path for path in (cache / "environments").iterdir() if path.is_dir()]


def test_a_package_without_a_wheel_is_built_where_it_is_named() -> None:
    here = this_python()
    with pytest.raises(NoWheel):
        kept_lock(["gast==0.2.2"], python=here.version, interpreter=here.path)
    locked = kept_lock(["gast==0.2.2"], python=here.version, interpreter=here.path, sources=["gast"])
    assert locked.packages[0].is_source
    assert said(environment(here, locked, silent), "import gast; print(gast.__name__)") == "gast"


def test_one_shows_through_behind_another(tmp_path: Path) -> None:
    below = environment(this_python(), mine(tmp_path, "1.0"), silent)
    beside = mine(tmp_path, "1.0", "beside")
    over = environment(this_python(), beside, silent, below)
    assert said(over, "import mine, beside; print(mine.VERSION)") == "1.0"
    assert over.versions == {"mine": "1.0", "beside": "1.0"}
    hides = environment(this_python(), mine(tmp_path, "2.0"), silent, below)
    assert said(hides, "import mine; print(mine.VERSION)") == "2.0" and hides.versions == {"mine": "2.0"}


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="cache folder cannot be made"):
        environment(this_python(), Lock((), "3", None, ()), silent)


def test_a_lock_is_asked_for_once_a_week(index, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    here = this_python()

    def ask() -> dict[str, str]:
        return kept_lock(["six"], python=here.version, interpreter=here.path).versions

    index.wheel("six", "1")
    assert ask() == {"six": "1"}
    index.wheel("six", "2")
    assert ask() == {"six": "1"}
    monkeypatch.setattr(kept_locks, "FRESH_SECONDS", 0.0)
    monkeypatch.setenv("UV_CACHE_DIR", str(cache / "uv"))  # uv remembers as well, for ten minutes
    assert ask() == {"six": "2"}
    index.stop()
    monkeypatch.setenv("UV_CACHE_DIR", str(cache / "uv2"))
    assert ask() == {"six": "2"}
    (place,) = (cache / "locks").iterdir()
    for damaged in ("", "[]", '{"made": 1}', place.read_text().replace('"sha256": "', '"sha256": "x')):
        place.write_text(damaged)
        with pytest.raises(IndexUnreachable):
            ask()


# --- finding a Python --------------------------------------------------------------------------------------------------------


def test_this_python_is_found_first() -> None:
    here = this_python()
    assert find_python(here.version) == find_python(".".join(here.version.split(".")[:2])) == here


def test_what_cannot_be_rehearsed_at_all() -> None:
    with pytest.raises(TargetError, match=r"needs Python 3\.7 or newer; the target runs 3\.5"):
        find_python("3.5")


def test_another_python_is_found_by_pyenv_or_on_the_path(
    other: Python, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    short = ".".join(other.version.split(".")[:2])
    versions = tmp_path / "pyenv" / "versions" / other.version / "bin"
    versions.mkdir(parents=True)
    (versions / f"python{short}").symlink_to(other.path)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert find_python(short) == dataclasses.replace(other, path=str(versions / f"python{short}"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "no pyenv"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'nothing'}{os.pathsep}{versions}")
    assert find_python(short).path == str(versions / f"python{short}")


def test_a_program_that_only_has_the_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "python3.98"
    fake.write_text("#!/bin/sh\necho 3.98.0; echo pypy; echo /x\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "none"))
    with pytest.raises(TargetError) as caught:
        find_python("3.98")
    assert all(place in caught.value.message for place in ("pyenv", "uv", "the path (python3.98)", "the one that runs cpr"))
