"""Subjects for checks, made by hand: no files, no rehearsal, only what a check looks at."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from cpr.bundle import Bundle
from cpr.checks import CATALOGUE, Fault, Subject
from cpr.checks.source import parse_all
from cpr.errors import CprError
from cpr.examples import Example, Expectation
from cpr.isolation import Answer, Phase, Run, Shape
from cpr.machines import read_target
from cpr.manifest import ClassRef, FileEntry, Manifest
from cpr.report import Finding
from cpr.saved_model.survey import FoundModel

PREDICTOR = """\
class Scale:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return instances
"""


def entry(path: str, size: int = 1) -> FileEntry:
    return FileEntry(path, size, hashlib.sha256(path.encode()).hexdigest())


def subject(
    *,
    model: dict[str, int] | None = None,
    sources: dict[str, str] | None = None,
    target: str = "ai-platform",
    machine_type: str | None = None,
    run: Run | None = None,
    examples: tuple[Example, ...] = (),
    runtime_problem: CprError | None = None,
    examples_problem: CprError | None = None,
    models: tuple[FoundModel, ...] = (),
    **declared: Any,
) -> Subject:
    """A healthy routine, but for what is given: ``model`` maps names below the model directory to sizes in bytes."""
    aim = read_target(target)
    machine = aim.machine(machine_type)
    files = [entry("model/" + name, size) for name, size in ({"factor.json": 1} if model is None else model).items()]
    manifest = Manifest(
        **{
            "name": "tiny",
            "version": "1.0",
            "predictor": ClassRef("predictor", "Scale"),
            "files": tuple(sorted([*files, entry("packages/tiny-1.0.tar.gz")])),
            **declared,
        }
    )
    contents = {path: text.encode() for path, text in ({"predictor.py": PREDICTOR} if sources is None else sources).items()}
    runtime = aim.runtime(manifest.runtime_version) if machine.variant == "routine" and runtime_problem is None else None
    return Subject(
        Bundle(Path("bundle"), manifest),
        aim,
        machine,
        runtime,
        contents,
        examples,
        runtime_problem,
        examples_problem,
        run,
        parse_all(contents),
        models,
    )


def run(**recorded: Any) -> Run:
    """A rehearsal that went well, but for what is given."""
    return Run(
        **{
            "grade": "process",
            "network": "namespace",
            "seconds": 1.0,
            "timeout": 300.0,
            "phases": (Phase("import", 0.1, 20.0), Phase("from_path", 0.1, 30.0)),
            "shape": Shape(True, True, True, 2, True, "predict(self, instances, **kwargs)", ("predictor.Scale", "object")),
            "complete": True,
            "status": 0,
            "environment": {"python": "3.7.16", "packages": {}},
            **recorded,
        }
    )


def answer(**given: Any) -> Answer:
    fields = {"line": 1, "seconds": 0.01, "instances": 1, "type": "list", "rows": 1, "problem": None, "place": "", "what": ""}
    return Answer(**{**fields, "bytes": 20, "answer": None, **given})


def example(line: int = 1, expect: list[Any] | None = None) -> Example:
    return Example(line, {"instances": [1]}, None if expect is None else Expectation(expect))


def faults(check: str, looked_at: Subject) -> list[Fault]:
    """What one check finds, where it applies."""
    (found,) = (item for item in CATALOGUE if item.id == check)
    return list(found.look(looked_at)) if found.applies(looked_at) else []


def findings(check: str, looked_at: Subject) -> list[Finding]:
    """The same with what the check itself adds."""
    (found,) = (item for item in CATALOGUE if item.id == check)
    return list(found.findings(looked_at)) if found.applies(looked_at) else []
