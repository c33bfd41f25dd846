"""An Estimator and its serving input function: live, or made anew from its folder in a process of its own TensorFlow.

Estimators left TensorFlow with release 2.16. What they export is a SavedModel, which then is edited and proved as any other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cpr.errors import ModelError, PredictorError, UsageError
from cpr.exporting import estimator_child, saved_models, training
from cpr.exporting._tensorflow import quiet
from cpr.exporting.wanted import Made, Wanted
from cpr.interface._failures import cause

_TIMEOUT = 3600.0  # seconds; it trains nothing, and imports an old TensorFlow
_OLDER = "Name a Python with TensorFlow 2.15 or older, best that of the training: --python PATH."


@dataclass(frozen=True, slots=True)
class EstimatorFolder:
    """A ``model_dir``, and who makes its Estimator and serving input: ``file.py:function`` or ``module:function``.

    The first is called with the folder, the second is the serving input function itself. ``python`` runs them.
    """

    model_dir: Path
    estimator: str
    serving_input: str
    python: str | None = None


def from_estimator(estimator: Any, folder: Path, wanted: Wanted) -> Made:
    """From a live Estimator, at the end of its training. ``wanted.function`` is its serving input function."""
    if wanted.function is None:
        raise UsageError(
            "An Estimator needs a serving input function.",
            'Give one: cpr.export(estimator, DST, serving_input=cpr.raw_serving_input({"x": ("float32", [3])})).',
            "serving_input",
        )
    rest = replace(wanted, function=None, checkpoint=None)
    with quiet() as tf, tempfile.TemporaryDirectory(prefix="cpr-estimator-") as name:
        place = Path(name)
        try:
            made = estimator.export_saved_model(str(place / "export"), wanted.function, checkpoint_path=wanted.checkpoint)
        except Exception as error:  # the author's own functions
            raise ModelError(
                f"The Estimator cannot be exported: {cause(error)}", "Correct it, or its serving input function."
            ) from error
        source = Path(made.decode() if isinstance(made, bytes) else made)
        asked = estimator_child.ask(tf, estimator, str(source), wanted.checkpoint, place)
        return _proved(saved_models.copy(source, folder, rest), place, asked, ())


def from_folder(source: EstimatorFolder, folder: Path, wanted: Wanted) -> Made:
    """From its folder, in a process of ``source.python``; there it is asked as well, where its features are its inputs."""
    for option, reference in (("--estimator", source.estimator), ("--serving-input", source.serving_input)):
        if ":" not in reference:
            raise UsageError(f"{option} {reference} has not the form FILE.py:FUNCTION.", "Name the function.", option)
    chosen = training.choose(source.model_dir, wanted.checkpoint)
    rest = replace(wanted, function=None, checkpoint=None)
    with tempfile.TemporaryDirectory(prefix="cpr-estimator-") as name:
        place = Path(name)
        answer = _run(source, chosen.path, place)
        notes = (f"checkpoint: {chosen.path.name} ({chosen.why})", f"exported by TensorFlow {answer['tensorflow']}")
        return _proved(saved_models.copy(Path(answer["path"]), folder, rest), place, answer["asked"], notes)


def _proved(made: Made, place: Path, asked: list[str], notes: tuple[str, ...]) -> Made:
    """What was copied, with the answers that the Estimator itself gave: the arrays in ``place``."""
    trials = {key: _arrays(place / f"{number}.npz") for number, key in enumerate(asked)}

    def run(signature: str, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
        return trials[signature][1]

    requests = {key: inputs for key, (inputs, _) in trials.items()}
    why = "" if trials else "the Estimator takes other features than its serving input"
    return Made((*notes, *made.notes), run if trials else None, why, requests)


def _run(source: EstimatorFolder, checkpoint: Path, place: Path) -> dict[str, Any]:
    """Let the child export; gives its answer. ``PredictorError`` with the traceback where the author's code fails."""
    _travelling(place)
    request = {
        "model_dir": str(source.model_dir.resolve()),
        "estimator": source.estimator,
        "serving_input": source.serving_input,
        "checkpoint": str(checkpoint.resolve()),
        "directory": str(Path.cwd()),
    }
    (place / "request.json").write_text(json.dumps(request), encoding="utf-8")
    python = source.python or sys.executable
    child = Path(__file__).with_name("estimator_child.py")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF2_", "KERAS_", "TF_USE_"))}
    environment = {**kept, "PYTHONPATH": str(place / "cpr-part"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, "-W", "ignore", str(child), str(place / "request.json")]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"{python} cannot run: {error}.", _OLDER, "--python") from None
    answered = place / "answer.json"
    if not answered.is_file():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ModelError(f"{python} ended without an answer: {last}", _OLDER, "--python")
    return _checked(json.loads(answered.read_text(encoding="utf-8")), source, python)


def _checked(answer: dict[str, Any], source: EstimatorFolder, python: str) -> dict[str, Any]:
    error = answer.get("error")
    if error is None:
        return answer
    if error == "no estimator":
        raise ModelError(f"Estimators need TensorFlow 2.15 or older; {python} has {answer['tensorflow']}.", _OLDER, "--python")
    if error == "no estimator here":
        raise UsageError(
            f"{source.estimator} makes a {answer['kind']}, not an Estimator.", "Return the Estimator.", "--estimator"
        )
    trace = str(answer["traceback"])
    if "cpr.errors.MissingExtra" in trace:
        raise ModelError(f"{python} has no TensorFlow.", _OLDER, "--python")
    raise PredictorError(
        f"The Estimator cannot be exported: {trace.strip().splitlines()[-1]}",
        f"Correct {source.estimator} or {source.serving_input}.",
        source.estimator,
        trace,
    )


def _travelling(place: Path) -> None:
    """The part of cpr that runs on old Pythons, for the child and for the author's code: all else here is of this Python."""
    from importlib import resources

    package, part = resources.files("cpr"), place / "cpr-part" / "cpr"
    (part / "interface").mkdir(parents=True)
    for name in ("__init__.py", "errors.py"):
        (part / name).write_bytes(package.joinpath(name).read_bytes())
    for file in package.joinpath("interface").iterdir():
        if file.name.endswith(".py"):
            (part / "interface" / file.name).write_bytes(file.read_bytes())


def _arrays(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and outputs by name."""
    import numpy as np

    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    plain = {name: array.astype(object) if array.dtype.kind == "S" else array for name, array in arrays.items()}
    inputs = {name[2:]: array for name, array in plain.items() if name.startswith("i_")}
    return inputs, {name[2:]: array for name, array in plain.items() if name.startswith("o_")}
