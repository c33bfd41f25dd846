"""What does not type-check: the types make the order of the steps visible."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("mypy")


def mypy(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "mypy", *map(str, arguments)], capture_output=True, text=True, cwd=cwd)


def test_the_package_is_typed_strictly(repository: Path) -> None:
    done = mypy(cwd=repository)
    assert done.returncode == 0, done.stdout


CODE = """\
import cpr

bundle = cpr.build("r")
cpr.upload(cpr.validate(bundle), "gs://b")
cpr.upload(bundle, "gs://b")
cpr.deploy_config(bundle, "vertex-ai")
reveal_type(cpr.load(bundle))
"""


def test_an_unchecked_bundle_cannot_be_uploaded_nor_an_unpublished_one_deployed(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(CODE)
    done = mypy("--config-file", repository / "pyproject.toml", tmp_path / "user.py", cwd=repository)
    assert 'user.py:5: error: Argument 1 to "upload" has incompatible type "Bundle"; expected "ValidatedBundle"' in done.stdout
    assert 'user.py:6: error: Argument 1 to "deploy_config" has incompatible type "Bundle"' in done.stdout
    assert 'user.py:7: note: Revealed type is "cpr.runtime.LoadedRoutine"' in done.stdout
    assert "user.py:4" not in done.stdout
