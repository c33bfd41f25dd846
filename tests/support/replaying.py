"""The routines of this repository, and their examples answered in another Python process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from cpr.examples import compare, read_examples
from cpr.project import read_routine
from support.old_tensorflow import clean_environment

REPOSITORY = Path(__file__).resolve().parents[2]
_SCRIPT = Path(__file__).with_name("answers.py")


def routines() -> list[Path]:
    """The folder of every sample model and every template."""
    return sorted(
        path.parent for parent in ("sample_models", "templates") for path in (REPOSITORY / parent).glob("*/routine.yaml")
    )


def case(folder: Path, requests: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A routine folder and requests to it (its own examples where none are given), as ``answers.py`` takes them."""
    routine = read_routine(folder)
    if requests is None:
        requests = [example.request for example in read_examples(folder / "examples.jsonl")]
    return {
        "folder": str(folder),
        "predictor": str(routine.predictor),
        "model_dir": str(folder / "model"),
        "requests": requests,
    }


def answers(cases: list[dict[str, Any]], python: str = sys.executable, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """``{"versions": …, "answers": …}`` of ``answers.py`` run by ``python`` with ``path`` before its module search path."""
    work = json.dumps({"path": list(path), "cases": cases})
    command = [python, "-B", str(_SCRIPT)]
    done = subprocess.run(command, input=work, capture_output=True, text=True, timeout=300, env=clean_environment())
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def differences(folder: Path, got: list[dict[str, Any]]) -> list[str]:
    """Where the answers ``got`` differ from what the routine's examples expect."""
    examples = read_examples(folder / "examples.jsonl")
    assert len(examples) == len(got)
    found = []
    for example, answer in zip(examples, got, strict=True):
        expect = example.expect
        assert expect is not None
        if "error" in answer:
            found.append(f"line {example.line}: {answer['error']}: {answer['message']}")
        elif difference := compare(expect.predictions, answer["predictions"], expect.rtol, expect.atol):
            found.append(f"line {example.line}: {difference}")
    return found
