"""Routine folders that tests write: small, with no TensorFlow, and complete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

CONFIG = "name: tiny\nversion: 1.2.0\npredictor: predictor.Scale\n"

PREDICTOR = """\
import json
import os


class Scale:
    def __init__(self, factor):
        self.factor = factor

    @classmethod
    def from_path(cls, model_dir):
        with open(os.path.join(model_dir, "factor.json")) as file:
            return cls(json.load(file))

    def predict(self, instances, **kwargs):
        return [value * self.factor for value in instances]
"""

EXAMPLE = {"instances": [1, 2.5], "expect": {"predictions": [3, 7.5]}}


def write_routine(
    folder: Path, config: str = CONFIG, predictor: str = PREDICTOR, files: Mapping[str, str | bytes] | None = None
) -> Path:
    """Write a routine that multiplies by three; ``files`` maps further paths to contents, and replaces those written first."""
    contents: dict[str, str | bytes] = {
        "routine.yaml": config,
        "predictor.py": predictor,
        "model/factor.json": "3",
        "examples.jsonl": json.dumps(EXAMPLE) + "\n",
        **(files or {}),
    }
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder
