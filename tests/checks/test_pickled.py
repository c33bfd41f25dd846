"""CPR701 to CPR708: pickles and tables, on bundles that hold what the real libraries wrote."""

from __future__ import annotations

import collections
import gzip
import importlib.metadata
import os
import pickle
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import joblib
import numpy as np
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.checking import PREDICTOR
from support.routines import write_routine

from cpr.checks import CATALOGUE
from cpr.machines import read_target
from cpr.report import Finding, Severity
from cpr.steps.build import build
from cpr.steps.validate import _subject

LOADS = "import pickle\n" + PREDICTOR
ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE
CHECKS = ("CPR701", "CPR702", "CPR703", "CPR704", "CPR705", "CPR707", "CPR708")
CONFIG = "name: tiny\nversion: 1.0\npredictor: predictor.Scale\n"


def looked(
    folder: Path, files: Mapping[str, str | bytes], *, machine: str = "mls1-c1-m2", config: str = "", source: str = LOADS
) -> list[Finding]:
    shutil.rmtree(folder / "routine", ignore_errors=True)
    routine = write_routine(folder / "routine", CONFIG + config, source, {"predictor.py": source, **files})
    target = read_target("ai-platform")
    subject = _subject(build(routine), target, target.machine(machine))
    return [
        finding for check in CATALOGUE if check.id in CHECKS and check.applies(subject) for finding in check.findings(subject)
    ]


def told(found: list[Finding]) -> list[tuple[str, Severity]]:
    return [(finding.check, finding.severity) for finding in found]


def pickled(module: str, name: str = "Words") -> bytes:
    """The pickle of an object of a class that is not here, as pickle writes it with protocol 2."""
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"q\x00)\x81q\x01."


WHOLE = pickle.dumps({"red": 1}, 4)


def test_cut(tmp_path: Path) -> None:
    assert told(looked(tmp_path, {"model/a.pkl": WHOLE[:-3]})) == [("CPR701", ERROR)]
    assert told(looked(tmp_path, {"model/a.pkl": WHOLE[:-3]}, source=PREDICTOR)) == [("CPR701", WARNING)]  # nothing loads it
    assert told(looked(tmp_path, {"model/a.pkl": "version https://git-lfs.github.com/spec/v1\n"})) == [("CPR701", WARNING)]
    assert told(looked(tmp_path, {"model/a.pkl": gzip.compress(WHOLE * 9)[:-20]})) != []
    assert looked(tmp_path, {"model/a.pkl": WHOLE}) == []


def test_more_than_is_looked_at(tmp_path: Path) -> None:
    assert told(looked(tmp_path, {"model/a.pkl": pickle.dumps(list(range(700_000)), 4)})) == [("CPR701", NOTE)]


@pytest.mark.parametrize(
    ("config", "protocol", "bad"),
    [
        ("", 4, False),
        ("", 5, True),
        ("runtime_version: '1.14'\npython: '2.7'\n", 2, False),
        ("runtime_version: '1.14'\npython: '2.7'\n", 3, True),
        ("runtime_version: '1.14'\n", 4, False),
        ("runtime_version: '1.14'\n", 5, True),
    ],
)
def test_protocols(tmp_path: Path, config: str, protocol: int, bad: bool) -> None:
    files = {"model/a.pkl": pickle.dumps({"red": 1}, protocol)}
    assert told(looked(tmp_path, files, config=config)) == [("CPR702", ERROR)] * bad
    assert told(looked(tmp_path, files, config=config, source=PREDICTOR)) == [("CPR702", WARNING)] * bad


def test_a_protocol_in_a_container(tmp_path: Path) -> None:
    files = {"model/a.pkl": pickle.dumps({"red": 1}, 5)}
    assert looked(tmp_path, files, machine="n1-standard-2") == []
    assert looked(tmp_path, files, machine="n1-standard-2", config="python: '3.8'\n") == []
    assert told(looked(tmp_path, files, machine="n1-standard-2", config="python: '3.7'\n")) == [("CPR702", ERROR)]


def test_joblib_named_as_a_pickle(tmp_path: Path) -> None:
    joblib.dump({"a": np.ones(3)}, tmp_path / "a", protocol=4)
    data = (tmp_path / "a").read_bytes()
    assert told(looked(tmp_path, {"model/model.pkl": data})) == [("CPR703", WARNING)]
    assert looked(tmp_path, {"model/model.pkl": data}, source="import joblib\n" + PREDICTOR) == []
    assert looked(tmp_path, {"model/model.joblib": data}) == []
    assert looked(tmp_path, {"model/model.joblib": WHOLE}) == []  # joblib.load reads it
    packed = gzip.compress(WHOLE)
    assert told(looked(tmp_path, {"model/a.pkl": packed})) == [("CPR703", WARNING)]
    assert looked(tmp_path, {"model/a.pkl": packed}, source="import gzip\n" + LOADS) == []


def test_names_of_main(tmp_path: Path) -> None:
    files = {"model/a.pkl": pickled("__main__")}
    assert told(looked(tmp_path, files)) == [("CPR704", ERROR)]
    assert told(looked(tmp_path, files, source=PREDICTOR)) == [("CPR704", WARNING)]
    patched = LOADS + "\nimport __main__\n__main__.Words = Scale\n"
    assert told(looked(tmp_path, files, source=patched)) == [("CPR704", WARNING)]
    main = LOADS + "\nif __name__ == '__main__':\n    pass\n"
    assert told(looked(tmp_path, files, source=main)) == [("CPR704", ERROR)]


@pytest.mark.parametrize(
    ("module", "config", "expected"),
    [
        ("nowhere_at_all.parts", "", ERROR),
        ("nowhere_at_all.parts", "requirements: [nowhere-at-all]\n", None),
        ("jsonschema.validators", "requirements: [jsonschema]\n", None),
        ("referencing", "requirements: [jsonschema]\n", None),  # which jsonschema requires
        ("referencing", "requirements: [not-installed-here]\n", WARNING),  # who knows what that brings
        ("PIL.Image", "requirements: [Pillow>=5]\n", None),
        ("sklearn.pipeline", "", None),  # preinstalled
        ("predictor", "", WARNING),  # which does not define the name
        ("predictor.more", "", ERROR),
        ("posixpath", "", None),
    ],
)
def test_modules(tmp_path: Path, module: str, config: str, expected: Severity | None) -> None:
    found = looked(tmp_path, {"model/a.pkl": pickled(module)}, config=config)
    assert told([each for each in found if each.check == "CPR704"]) == ([("CPR704", expected)] if expected else [])


def test_a_library_that_a_container_has_not(tmp_path: Path) -> None:
    files = {"model/a.pkl": pickled("sklearn.pipeline")}
    assert told(looked(tmp_path, files, machine="n1-standard-2")) == [("CPR704", ERROR)]
    assert looked(tmp_path, files, machine="n1-standard-2", config="requirements: [scikit-learn==1.0]\n") == []


PACKAGE = {"words/__init__.py": "from .inner import *\n", "words/inner.py": "class Words:\n    pass\n"}


@pytest.mark.parametrize("module", ["words", "words.inner", "predictor"])
def test_a_class_of_ones_own(tmp_path: Path, module: str) -> None:
    source = LOADS + "\nimport words\nfrom words.inner import Words\n"
    assert looked(tmp_path, {**PACKAGE, "model/a.pkl": pickled(module)}, source=source) == []


def fitted() -> Any:
    inputs = np.random.default_rng(1).random((20, 3))
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(inputs, inputs[:, 0] > 0.5)


def test_scikit_learn(tmp_path: Path) -> None:
    files = {"model/a.pkl": pickle.dumps(fitted(), 4)}
    version = sklearn.__version__
    container = {"machine": "n1-standard-2"}
    assert looked(tmp_path, files, config=f"requirements: [scikit-learn=={version}]\n", **container) == []
    loose = looked(tmp_path, files, config="requirements: [scikit-learn]\n", **container)
    assert told(loose) == [("CPR705", NOTE)] and version in loose[0].remedy
    other = looked(tmp_path, files, config="requirements: [scikit-learn==0.21.3]\n", **container)
    assert {severity for check, severity in told(other) if check == "CPR705"} == {WARNING}
    assert any("_logistic" in finding.message for finding in other)
    runtime = looked(tmp_path, files)
    assert any("needs Python" in finding.message for finding in runtime)
    joblib.dump(fitted(), tmp_path / "b", compress=3, protocol=4)
    files = {"model/b.joblib": (tmp_path / "b").read_bytes()}
    assert looked(tmp_path, files, config=f"requirements: [scikit-learn=={version}]\n", **container) == []


def test_moved_modules(tmp_path: Path) -> None:
    old = {"model/a.pkl": pickled("sklearn.svm.classes", "SVC")}
    assert looked(tmp_path, old, config="runtime_version: '1.15'\n") == []
    new = {"model/a.pkl": pickled("sklearn.svm._classes", "SVC")}
    assert told(looked(tmp_path, new, config="runtime_version: '1.15'\n")) == [("CPR705", WARNING)]
    container = {"machine": "n1-standard-2", "config": "requirements: [scikit-learn==1.2]\n"}
    assert told(looked(tmp_path, old, **container)) == [("CPR705", WARNING)]
    assert told(looked(tmp_path, {"model/a.pkl": pickled("sklearn.externals.joblib.x")}, **container)) == [("CPR705", WARNING)]


@pytest.mark.skipif(np.__version__ < "2", reason="older NumPy writes the older name")
def test_newer_numpy(tmp_path: Path) -> None:
    files = {"model/a.pkl": pickle.dumps(np.float64(1), 4)}
    assert told(looked(tmp_path, files)) == [("CPR705", ERROR)]
    assert told(looked(tmp_path, files, source=PREDICTOR)) == [("CPR705", WARNING)]
    assert {check for check, _ in told(looked(tmp_path, files, machine="n1-standard-2"))} == {"CPR704"}  # the image has none
    assert looked(tmp_path, files, machine="n1-standard-2", config="requirements: [numpy>=2]\n") == []
    assert told(looked(tmp_path, files, machine="n1-standard-2", config="requirements: [numpy==1.24]\n")) == [
        ("CPR705", WARNING)
    ]


class Calls:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.made = function, arguments

    def __reduce__(self) -> Any:
        return self.made


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "harm",
    [
        Calls(os.system, "true"),
        Calls(subprocess.Popen, ["true"]),
        Calls(eval, "1"),
        Calls(exec, "1"),
        Calls(__import__, "os"),
        Calls(__import__("shutil").rmtree, "/nowhere"),
    ],
    ids=lambda harm: harm.made[0].__name__,
)
def test_harm(tmp_path: Path, harm: Any, protocol: int) -> None:
    files = {"model/a.pkl": pickle.dumps({"words": [harm]}, protocol)}
    assert ("CPR707", ERROR) in told(looked(tmp_path, files, source=PREDICTOR))


def test_harm_in_a_compressed_file(tmp_path: Path) -> None:
    joblib.dump([np.ones(3), Calls(os.system, "true"), np.ones(3)], tmp_path / "a", compress=("xz", 1), protocol=4)
    assert ("CPR707", ERROR) in told(looked(tmp_path, {"model/a.dat": (tmp_path / "a").read_bytes()}))


def test_less_than_harm(tmp_path: Path) -> None:
    named = {"model/a.pkl": pickle.dumps(os.system, 4)}
    assert told(looked(tmp_path, named)) == [("CPR707", WARNING)]
    chain = b"cbuiltins\ngetattr\ncos\npath\nS'join'\n\x86RS'a'\n\x85R."
    assert ("CPR707", WARNING) in told(looked(tmp_path, {"model/a.pkl": chain}))
    chain = b"cbuiltins\ngetattr\ncsubprocess\nPopen\nS'__init__'\n\x86RS'a'\n\x85R."
    assert ("CPR707", ERROR) in told(looked(tmp_path, {"model/a.pkl": chain}))


HARMLESS = {
    "containers": [collections.OrderedDict(a=1), collections.defaultdict(list), collections.Counter("ab"), {1}, frozenset({2})],
    "paths and dates": [Path("a"), __import__("datetime").datetime(2020, 1, 1), __import__("decimal").Decimal("1.5")],
    "methods": ["abc".upper, dict.fromkeys, [1].append],
    "functions": [len, os.path.join, __import__("functools").partial(int, base=2), __import__("operator").itemgetter(1)],
    "errors": [ValueError("x"), OSError(2, "x")],
    "patterns": [__import__("re").compile("a+")],
    "slices": [slice(1, 2), range(3), complex(1, 2), bytearray(b"a"), Ellipsis, NotImplemented],
    "uuid": [__import__("uuid").uuid4(), __import__("fractions").Fraction(1, 2), __import__("random").Random(1)],
}


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("kind", HARMLESS)
def test_no_harm(tmp_path: Path, kind: str, protocol: int) -> None:
    assert looked(tmp_path, {"model/a.pkl": pickle.dumps(HARMLESS[kind], protocol)}) == []


def test_arrays_do_no_harm(tmp_path: Path) -> None:
    config = f"requirements: [numpy=={importlib.metadata.version('numpy')}]\n"
    value = [np.ones((2, 3)), np.float32(1), np.random.default_rng(1), np.array(["a", None], object), np.dtype("M8[s]")]
    files = {"model/a.pkl": pickle.dumps(value, 4)}
    assert looked(tmp_path, files, machine="n1-standard-2", config=config) == []


def test_tables(tmp_path: Path) -> None:
    def hdf5(**attributes: str) -> bytes:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file.create_dataset("weights", data=np.ones(1000))
            for key, value in attributes.items():
                file.attrs[key] = value
        return (tmp_path / "a.h5").read_bytes()

    assert told(looked(tmp_path, {"model/a.h5": hdf5(PYTABLES_FORMAT_VERSION="2.1")})) == [("CPR708", WARNING)]
    assert looked(tmp_path, {"model/a.h5": hdf5(keras_version="2.9.0", backend="tensorflow")}) == []
    assert told(looked(tmp_path, {"model/a.h5": hdf5()})) == [("CPR708", NOTE)]
    assert looked(tmp_path, {"model/a.h5": hdf5()}, source="import h5py\n" + PREDICTOR) == []
    assert looked(tmp_path, {"model/a.h5": "not read"}) == []
