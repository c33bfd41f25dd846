"""The grade ``runtime`` for real: AI Platform's Python and TensorFlow, installed once and kept in the user's cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.command import Ran, cpr

from cpr.errors import TargetError
from cpr.isolation.pythons import find_python

pytestmark = pytest.mark.xdist_group("tensorflow")


def rehearsed(folder: Path, *options: str) -> Ran:
    """With the cache of the tests' other old TensorFlows: it takes a minute and 1.5 GB once; a skip where it cannot be had."""
    try:
        find_python("3.7")
    except TargetError as error:
        pytest.skip(error.message)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cpr-tests"
    env = {"XDG_CACHE_HOME": str(cache)}
    ran = cpr("validate", folder, "--isolation", "runtime", "--json", *options, env=env, timeout=900)
    if ran.status == 1 and ran.document["schema"] == "cpr.error/1" and ran.error["type"] == "IndexUnreachable":
        pytest.skip(ran.error["message"])
    return ran


def test_a_sample_on_the_runtimes_own_python_and_tensorflow(repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "iris"
    shutil.copytree(repository / "sample_models" / "iris", folder, ignore=shutil.ignore_patterns("dist"))
    config = folder / "routine.yaml"
    config.write_text(config.read_text().replace("[tensorflow, numpy]", "[tensorflow, numpy, attrs==20.3.0]"))
    source = folder / "predictor.py"
    source.write_text("import attr\n\nassert attr.__version__ == '20.3.0'\n" + source.read_text())
    ran = rehearsed(folder)
    document = ran.document
    assert document["ok"], ran.out
    assert document["measured"]["isolation"] == "runtime" and document["measured"]["examples"] == 6
    found = {finding["check"] for finding in document["findings"]}
    assert not found & {"CPR541", "CPR542"}, document["findings"]  # it was proved, and on what is declared
    assert "CPR541" in {finding["check"] for finding in cpr("validate", folder, "--json").document["findings"]}


def test_a_model_that_the_runtimes_tensorflow_cannot_load(repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "newer"
    shutil.copytree(repository / "tests" / "broken" / "saved_model_newer", folder, ignore=shutil.ignore_patterns("dist"))
    source = (folder / "predictor.py").read_text()
    (place,) = (folder / "model").rglob("saved_model.pb*")
    load = f"tensorflow.saved_model.load(model_dir + '/{place.parent.relative_to(folder / 'model').as_posix()}')"
    source = "import tensorflow\n\n\n" + source.replace("return cls()", f"{load}\n        return cls()")
    (folder / "predictor.py").write_text(source)
    ran = rehearsed(folder)
    errors = {finding["check"]: finding["message"] for finding in ran.document["findings"] if finding["severity"] == "error"}
    assert set(errors) == {"CPR621", "CPR503"}  # the check that only reads foresees what really happens
    assert all("DisableCopyOnRead" in message for message in errors.values()), errors


def test_a_runtime_without_a_python_that_is_to_be_had(tiny: Path) -> None:
    with open(tiny / "routine.yaml", "a") as file:
        file.write("runtime_version: '1.14'\n")
    ran = cpr("validate", tiny, "--isolation", "runtime", "--json")
    assert (ran.status, ran.error["type"]) == (1, "TargetError")
    assert "the target runs 3.5" in ran.error["message"]
