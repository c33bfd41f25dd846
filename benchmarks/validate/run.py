"""Times `cpr validate` against importing TensorFlow, and its static half against hashing: README.md beside this file."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
LAUNCH = HERE.parent / "inspect" / "launch.py"
ROUNDS = 7

MODEL = """
import sys, numpy, tensorflow as tf
module = tf.Module()
module.table = tf.Variable(numpy.random.default_rng(1).random((450_000_000 // 4,), dtype=numpy.float32))
module.look = tf.function(lambda keys: tf.gather(module.table, keys), input_signature=[tf.TensorSpec([None], tf.int64, "keys")])
tf.saved_model.save(module, sys.argv[1], signatures=module.look)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="cpr-bench-") as folder:
        iris = built(REPOSITORY / "sample_models" / "iris", Path(folder) / "iris")
        commands: dict[str, Sequence[str | Path]] = {
            "import tensorflow": [sys.executable, "-I", "-c", "import tensorflow"],
            "import tensorflow, watched": [sys.executable, "-I", HERE / "watched.py"],
            "cpr validate": [sys.executable, "-m", "cpr", "validate", iris],
        }
        print(f"The iris sample:\n\n{table(measured(commands, rounds))}\n", flush=True)
        large = built(large_routine(Path(folder)), Path(folder) / "large")
        commands = {
            "hash it once": [sys.executable, "-I", HERE / "static.py", "--hash", large],
            "static checks": [sys.executable, "-I", HERE / "static.py", large],
        }
        print(f"A bundle of 450 MB:\n\n{table(measured(commands, rounds))}")


def built(routine: Path, place: Path) -> Path:
    subprocess.run([sys.executable, "-m", "cpr", "build", routine, "-o", place], check=True, capture_output=True)
    (bundle,) = place.iterdir()
    return bundle


def large_routine(folder: Path) -> Path:
    """The iris sample with weights of 450 MB."""
    routine = folder / "routine"
    shutil.copytree(REPOSITORY / "sample_models" / "iris", routine, ignore=shutil.ignore_patterns("dist", "saved_model"))
    subprocess.run([sys.executable, "-c", MODEL, routine / "model" / "saved_model"], check=True, capture_output=True)
    return routine


def measured(commands: Mapping[str, Sequence[str | Path]], rounds: int) -> dict[str, tuple[float, float]]:
    """Medians of wall seconds and of those of the processor, the commands in turn, after one round that does not count."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    for number in range(rounds + 1):
        for name, command in commands.items():
            launch = [sys.executable, "-I", "-S", LAUNCH, *command]
            done = subprocess.run(launch, check=True, capture_output=True, text=True, env=environment)
            seconds, processor, _, status = done.stdout.split()
            if status != "0":
                raise SystemExit(f"{name} ended with status {status}:\n{done.stderr}")
            if number:
                found[name].append((float(seconds), float(processor)))
    return {
        name: (statistics.median(wall for wall, _ in pairs), statistics.median(own for _, own in pairs))
        for name, pairs in found.items()
    }


def table(figures: Mapping[str, tuple[float, float]]) -> str:
    """As Markdown, with the ratios to the first row."""
    wall, own = next(iter(figures.values()))
    rows = [f"| {name} | {a:.2f} | {a / wall:.2f} | {b:.2f} | {b / own:.2f} |" for name, (a, b) in figures.items()]
    return "\n".join(["| what | seconds | ratio | of the processor | ratio |", "| --- | --- | --- | --- | --- |", *rows])


if __name__ == "__main__":
    main()
