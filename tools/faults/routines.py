"""The healthy routines that faults are planted into; each passes without an error or a warning, or there is no table."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[2] / "sample_models"

PREDICTOR = '''\
"""Score texts: each word has a place in the vocabulary, and the mean of the places is scaled."""
import json
import os

from textual import tokens


class Scorer:
    def __init__(self, places, scaler):
        self.places = places
        self.mean = scaler["mean"]
        self.scale = scaler["scale"]

    @classmethod
    def from_path(cls, model_dir):
        with open(os.path.join(model_dir, "vocabulary.txt"), "rb") as file:
            words = file.read().decode("utf-8").rstrip("\\n").split("\\n")
        with open(os.path.join(model_dir, "scaler.json"), encoding="utf-8") as file:
            scaler = json.load(file)
        return cls({word: place for place, word in enumerate(words, start=1)}, scaler)

    def predict(self, instances, **kwargs):
        return [self.score(text) for text in instances]

    def score(self, text):
        row = [self.places.get(token, 0) for token in tokens(text)]
        average = sum(row) / max(1, len(row))
        return {"score": (average - self.mean) / self.scale, "known": len([place for place in row if place])}
'''

TEXTUAL = "def tokens(text):\n    return text.lower().split()\n"

WORDS = ("red", "green", "blue", "fox", "café", "house")
MEAN, SCALE = 1.25, 0.5
REQUESTS = (["red fox", "Green"], ["blue"], ["", "nothing known"], ["café house red", "fox", "fox fox"], ["house"])


def score(text: str) -> dict[str, float]:
    """What the routine answers."""
    row = [WORDS.index(word) + 1 if word in WORDS else 0 for word in text.lower().split()]
    return {"score": (sum(row) / max(1, len(row)) - MEAN) / SCALE, "known": sum(1 for place in row if place)}


def texts(folder: Path) -> None:
    """A vocabulary and a scaler, read by Python alone."""
    files = {
        "routine.yaml": "name: texts\nversion: 1.0.0\npredictor: predictor.Scorer\n",
        "predictor.py": PREDICTOR,
        "textual.py": TEXTUAL,
        "model/vocabulary.txt": "\n".join(WORDS) + "\n",
        "model/scaler.json": json.dumps({"mean": MEAN, "scale": SCALE}) + "\n",
        "examples.jsonl": _examples(),
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode("utf-8"))


def _examples() -> str:
    rows = ({"instances": request, "expect": {"predictions": [score(text) for text in request]}} for request in REQUESTS)
    return "".join(json.dumps(row) + "\n" for row in rows)


PICKLED = '''\
"""Scale numbers with a preprocessor that the training pickled."""
import os
import pickle

import steps


class Scaled:
    def __init__(self, step):
        self.step = step

    @classmethod
    def from_path(cls, model_dir):
        with open(os.path.join(model_dir, "step.pkl"), "rb") as file:
            return cls(pickle.load(file))

    def predict(self, instances, **kwargs):
        return [self.step(value) for value in instances]
'''

STEPS = """\
class Scaler:
    def __init__(self, mean, scale):
        self.mean = mean
        self.scale = scale

    def __call__(self, value):
        return (value - self.mean) / self.scale
"""


def step(mean: bytes = b"2.0", scale: bytes = b"4.0", name: bytes = b"steps\nScaler") -> bytes:
    """A pickle of protocol 0 that makes a ``Scaler``: written by hand, so that nothing need be importable here."""
    return b"c" + name + b"\n(F" + mean + b"\nF" + scale + b"\ntR."


def pickled(folder: Path) -> None:
    """A preprocessor from a pickle, whose class travels in the package."""
    (folder / "model").mkdir(parents=True)
    (folder / "routine.yaml").write_text("name: scaled\nversion: 1.0.0\npredictor: predictor.Scaled\n")
    (folder / "predictor.py").write_text(PICKLED)
    (folder / "steps.py").write_text(STEPS)
    (folder / "model" / "step.pkl").write_bytes(step())
    rows = [{"instances": row, "expect": {"predictions": [(x - 2) / 4 for x in row]}} for row in ([4.0, 2.0], [6.0])]
    (folder / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def iris(folder: Path) -> None:
    """The sample of that name: a SavedModel behind a scaler."""
    _sample("iris", folder)


def add_two(folder: Path) -> None:
    """The sample of that name: a SavedModel and nothing beside it."""
    _sample("add_two", folder)


def _sample(name: str, folder: Path) -> None:
    shutil.copytree(SAMPLES / name, folder, ignore=shutil.ignore_patterns("dist", "__pycache__"))


ROUTINES = {make.__name__: make for make in (texts, pickled, iris, add_two)}
