"""What the probe is told to do: where the routine is, what to replay, and how much beyond that."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpr.examples import Example


@dataclass(frozen=True, slots=True)
class Extent:
    """How far a rehearsal goes beyond replaying the examples.

    ``trials``: try the class further; ``calls``: time so many calls, for ``seconds`` at most, which needs the trials;
    ``keep_all``: keep every answer, also of an example without an expectation.
    """

    trials: bool = True
    calls: int = 0
    seconds: float = 0.0
    keep_all: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a routine is: the folder that its modules are imported from, its model directory, its class (``module.Class``);
    ``decode_b64`` as the manifest's model names have it."""

    site: Path
    model_dir: Path
    predictor: str
    decode_b64: bool


def write_job(
    work: Path, scene: Scene, examples: Sequence[Example], extent: Extent, deadline: float, further: Mapping[str, Any]
) -> Path:
    """Write the probe's job and requests into ``work``; ``further`` are the keys that its environment decides."""
    _write_requests(examples, work / "requests", extent.keep_all)
    job = {
        "site": str(scene.site),
        "model_dir": str(scene.model_dir),
        "predictor": scene.predictor,
        "decode_b64": scene.decode_b64,
        "requests": str(work / "requests"),
        "results": str(work / "results"),
        "started": time.monotonic(),
        "deadline": deadline,
        "behaviour": extent.trials,
        "samples": extent.calls,
        "sample_seconds": extent.seconds,
        **further,
    }
    path = work / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return path


def _write_requests(examples: Sequence[Example], path: Path, keep_all: bool) -> None:
    with open(path, "w", encoding="ascii") as file:
        for example in examples:
            expect = example.expect
            row = {"line": example.line, "request": example.request, "expect": keep_all or expect is not None}
            if expect is not None:
                row |= {"rtol": expect.rtol, "atol": expect.atol}
            file.write(json.dumps(row) + "\n")
