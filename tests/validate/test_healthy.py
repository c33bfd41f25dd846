"""No false alarms: routines that are odd and fine pass with no error."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from support.routines import write_routine

from cpr.checks import Subject, inspect
from cpr.machines import read_target
from cpr.report import Finding, Severity
from cpr.steps.build import build
from cpr.steps.validate import examine

NESTED = '''\
"""A package with a relative import, a data file and a pickled preprocessor of its own."""
import os
import pickle

from ..words import WORDS


class Counter:
    def __call__(self, text):
        return sum(word in WORDS for word in text.split())


class Model:
    @classmethod
    def from_path(cls, model_dir):
        model = cls.__new__(cls)
        with open(os.path.join(model_dir, "preprocessor.pkl"), "rb") as file:
            model.count = pickle.load(file)
        return model

    def predict(self, instances, *, top_k=1, **kwargs):
        return [self.count(text) * top_k for text in instances]
'''

WORDS = """\
import os

with open(os.path.join(os.path.dirname(__file__), "words.txt")) as file:
    WORDS = file.read().split()
"""

ODD = '''\
"""No **kwargs, but the keywords that the service adds; a class method as predict; guarded imports; threads; noise."""
import sys
import threading
import warnings

try:
    from zoneinfo import ZoneInfo
except ImportError:
    ZoneInfo = None

if sys.version_info >= (3, 9):
    from functools import cache
else:
    cache = None


class Odd:
    @staticmethod
    def from_path(model_dir):
        threading.Thread(target=threading.Event().wait, daemon=False).start()
        warnings.warn("a warning is no error")
        print("noise", file=sys.stderr)
        return Odd

    @classmethod
    def predict(cls, instances, *, stats=None, signature_name=None):
        with stats.time("work"):
            return [{"answer": None, "deep": [[value, True, 1e300]]} for value in instances]
'''


PICKLED = b"cwords_package.deep.model\nCounter\n)R."
"""``Counter()`` of the package, pickled where the package was importable."""


def problems(routine: Path, machine: str) -> list[str]:
    report = examine(build(routine), machine_type=machine)
    assert report.measured["examples"] == 1
    return [f"{finding.check} {finding.message}" for finding in report.findings if finding.severity is not Severity.NOTE]


@pytest.mark.parametrize("machine", ["mls1-c1-m2", "n1-standard-2"])
def test_a_package_with_a_pickled_preprocessor(tmp_path: Path, machine: str) -> None:
    files = {
        "routine.yaml": "name: words\nversion: 2.0.dev3\npredictor: words_package.deep.model.Model\nlabels: {team: search}\n",
        "words_package/__init__.py": "",
        "words_package/words.py": WORDS,
        "words_package/words.txt": "red green blue",
        "words_package/deep/__init__.py": "",
        "words_package/deep/model.py": NESTED,
        "model/preprocessor.pkl": PICKLED.decode(),
        "examples.jsonl": json.dumps({"instances": ["a red red fox", "x"], "top_k": 2, "expect": {"predictions": [4, 0]}}),
    }
    assert problems(write_routine(tmp_path / "routine", files=files), machine) == []


SAVED_MODEL = """\
saved_model_schema_version: 1
meta_graphs {
  meta_info_def { tags: "serve" tensorflow_version: "2.9.0" }
  signature_def { key: "serving_default" value { method_name: "tensorflow/serving/predict" } }
}
"""


def test_an_odd_class(tmp_path: Path) -> None:
    files = {
        "routine.yaml": "name: odd-one\nversion: 1.0+local.1\npredictor: predictor.Odd\n",
        "predictor.py": ODD,
        "model/model.h5": "not read",
        "model/one/saved_model.pbtxt": SAVED_MODEL,
        "model/two/saved_model.pbtxt": SAVED_MODEL,
        "examples.jsonl": '{"instances": [0.5, "x"]}',
    }
    assert problems(write_routine(tmp_path / "routine", files=files), "mls1-c4-m2") == []


PLAIN = """\
class Scale:
    def predict(self, instances, **kwargs):
        return instances

"""

META = """
class Meta(type):
    def from_path(cls, model_dir):
        return cls()

class Made(Scale, metaclass=Meta):
    pass
"""


@pytest.mark.parametrize(
    ("predictor", "files"),
    [
        (
            "Scale.Scale",  # a class in the place of its module of the same name
            {
                "Scale/__init__.py": "from .Scale import Scale\n",
                "Scale/Scale.py": PLAIN + "    from_path = classmethod(lambda c, d: c())\n",
            },
        ),
        ("predictor.Scale", {"predictor.py": PLAIN + "    def from_path(model_dir):\n        return Scale()\n"}),
        (
            "predictor.Made",
            {"predictor.py": PLAIN + META},
        ),
    ],
)
def test_a_from_path_of_another_kind(tmp_path: Path, predictor: str, files: dict[str, str]) -> None:
    config = f"name: tiny\nversion: 1.0\npredictor: {predictor}\n"
    example = {"examples.jsonl": '{"instances": [1], "expect": {"predictions": [1]}}'}
    assert problems(write_routine(tmp_path / "routine", config=config, files={**files, **example}), "mls1-c1-m2") == []


def test_no_instances_no_predictions(tmp_path: Path) -> None:
    files = {"examples.jsonl": '{"instances": [], "expect": {"predictions": []}}'}
    assert problems(write_routine(tmp_path / "routine", files=files), "mls1-c1-m2") == []


REPOSITORY = Path(__file__).resolve().parents[2]
HEALTHY = REPOSITORY / "tests" / "healthy"
SHOWN = [
    place.parent
    for folder in ("tests/healthy", "sample_models", "templates")
    for place in REPOSITORY.glob(f"{folder}/*/routine.yaml")
]
SHOWN.sort()

WARNED: dict[str, set[str]] = {}
"""Routines of which a warning is true, and its check: the list says why, and no other warning is let through."""


def loud(findings: tuple[Finding, ...]) -> set[tuple[str, str]]:
    return {(finding.check, finding.message) for finding in findings if finding.severity is not Severity.NOTE}


@pytest.mark.parametrize("routine", SHOWN, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_healthy_routine_is_called_healthy(routine: Path, tmp_path: Path, subjects: list[Subject]) -> None:
    """Run once, and looked at for both targets: no error, and no warning that is not named above."""
    project = tmp_path / routine.name
    shutil.copytree(routine, project, ignore=shutil.ignore_patterns("dist", "__pycache__"))
    report = examine(build(project))
    assert report.measured["examples"] > 0
    allowed = WARNED.get(routine.name, set())
    assert {row for row in loud(report.findings) if row[0] not in allowed} == set()
    vertex = read_target("vertex-ai")
    elsewhere = dataclasses.replace(subjects[-1], target=vertex, machine=vertex.default_machine, runtime=None)
    assert {row for row in loud(inspect(elsewhere)) if row[0] not in allowed} == set()
    assert all(finding.severity is not Severity.ERROR for finding in (*report.findings, *inspect(elsewhere)))


def test_there_are_many_of_them() -> None:
    assert len(list(HEALTHY.iterdir())) >= 12 and set(WARNED) <= {path.name for path in SHOWN}
