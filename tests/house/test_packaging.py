"""cpr's own wheel, and that nothing shadows what users write."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from cpr import kit


@pytest.fixture(scope="session")
def built(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files of the wheel that setuptools builds from what git tracks, without its metadata."""
    clean = tmp_path_factory.mktemp("clean")
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=repository, capture_output=True)
    if archive.returncode:
        pytest.skip("the checkout has no git history to take a clean copy from")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(clean, filter="data")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--skip-dependency-check", "-o", str(clean / "out")]
    subprocess.run([*command, str(clean)], check=True, capture_output=True)
    with zipfile.ZipFile(next((clean / "out").glob("*.whl"))) as wheel:
        return {name for name in wheel.namelist() if ".dist-info/" not in name}


def tracked(repository: Path, folder: str) -> set[str]:
    done = subprocess.run(
        ["git", "ls-tree", "-r", "-z", "--name-only", "HEAD", folder], cwd=repository, capture_output=True, text=True
    )
    return {name for name in done.stdout.split("\0") if name}


def test_the_wheel_holds_the_package_and_its_data(repository: Path, built: set[str]) -> None:
    expected = {name.removeprefix("predictor/") for name in tracked(repository, "predictor/")}
    for folder, package in (("deploy/", "cpr/_deploy/"), ("templates/", "cpr/_templates/")):
        expected |= {package + name.removeprefix(folder) for name in tracked(repository, folder)}
    expected |= {f"cpr/_samples/{name.removeprefix('sample_models/')}" for name in tracked(repository, "sample_models/iris/")}
    expected.add("cpr/_samples/__init__.py")
    assert built == expected


def test_the_rebuilt_wheel_is_the_built_one(built: set[str]) -> None:
    _, content = kit.wheel()
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        assert wheel.testzip() is None
        ours = {name for name in wheel.namelist() if ".dist-info/" not in name}
    samples = {name for name in built if name.startswith("cpr/_samples/")}
    assert ours == built - samples, "an image needs no samples; commit new files before running this test"


def test_the_rebuilt_wheel_installs_and_runs(tmp_path: Path) -> None:
    name, content = kit.wheel()
    (tmp_path / name).write_bytes(content)
    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*command, str(tmp_path / name)], check=True, capture_output=True)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import cpr, cpr.resources as r; print(cpr.__file__, r.target_names())"
    )
    done = subprocess.run([sys.executable, "-c", script, str(target)], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.startswith(str(target))
    assert "'ai-platform'" in done.stdout
    assert kit.wheel() == (name, content)


def test_a_users_predictor_is_never_shadowed(repository: Path) -> None:
    assert not (repository / "predictor" / "__init__.py").exists()
    done = subprocess.run([sys.executable, "-c", "import predictor"], capture_output=True, text=True, cwd="/")
    assert "ModuleNotFoundError" in done.stderr
