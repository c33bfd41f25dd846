"""Times `cpr inspect` against TensorFlow's inspector and against the least that Python can take: README.md beside this file."""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
ROUNDS = 9

BARE = "bare Python: read and count ops"
OURS = "cpr inspect --json"
PEER = "saved_model_cli show --all"


@dataclass(frozen=True)
class Figures:
    """Medians of whole processes: wall seconds, those of the processor, and peak memory in MiB."""

    seconds: float
    processor: float
    mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cpr-benchmarks"
    parser.add_argument("--cache", type=Path, default=default, help="where the models are kept (1.1 GB; default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, HERE / "models.py", args.cache], check=True)
    with tempfile.TemporaryDirectory(prefix="cpr-bench-") as folder:
        python = installed(Path(folder))
        models = {
            "add_two": REPOSITORY / "sample_models" / "add_two" / "exports" / "keras3",
            "ResNet50": args.cache / "resnet50",
            "embedding": args.cache / "embedding",
        }
        for name, model in models.items():
            print(f"{name}: {described(model)}\n\n{inspected(python, model, args.rounds)}\n", flush=True)
        print(f"The weights of the embedding, verified:\n\n{verified(python, models['embedding'], args.rounds)}")


def installed(place: Path) -> Path:
    """The interpreter of a new environment in which this repository is installed for good, as users have it."""
    source = place / "source"
    shutil.copytree(REPOSITORY, source, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__"))
    venv.create(place / "venv", with_pip=True)
    python = place / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", source], check=True)
    return python


def described(model: Path) -> str:
    files = [path for path in model.rglob("*") if path.is_file()]
    graph = (model / "saved_model.pb").stat().st_size
    rest = sum(path.stat().st_size for path in files if ".data-" in path.name)
    return f"{graph / 1e6:.2f} MB of graph, {rest / 1e6:,.1f} MB of weights."


def inspected(python: Path, model: Path, rounds: int) -> str:
    commands: dict[str, Sequence[str | Path]] = {
        "bare Python: nothing": [python, "-c", "pass"],
        BARE: [python, HERE / "floor.py", model],
        OURS: [python, "-m", "cpr", "inspect", "--json", model],
        PEER: [Path(sys.executable).parent / "saved_model_cli", "show", "--all", "--dir", model],
    }
    return table(measured(commands, rounds))


def verified(python: Path, model: Path, rounds: int) -> str:
    (shard,) = model.glob("variables/*.data-*")
    size = shard.stat().st_size
    read = "import sys; b = bytearray(1 << 18); f = open(sys.argv[1], 'rb', 0)\nwhile f.readinto(b): pass"
    commands: dict[str, Sequence[str | Path]] = {
        "bare Python: nothing": [python, "-c", "pass"],
        "bare Python: read the weights": [python, "-c", read, shard],
        OURS: [python, "-m", "cpr", "inspect", "--json", model],
        f"{OURS} --verify": [python, "-m", "cpr", "inspect", "--json", "--verify", model],
    }
    figures = measured(commands, rounds)
    nothing, reading, without, with_it = (figure.seconds for figure in figures.values())
    rates = [f"{size / 1e6 / (after - before):,.0f} MB/s" for before, after in ((nothing, reading), (without, with_it))]
    return f"{table(figures, 'bare Python: read the weights')}\n\nReading alone: {rates[0]}. Verifying: {rates[1]}."


def measured(commands: Mapping[str, Sequence[str | Path]], rounds: int) -> dict[str, Figures]:
    """Medians of ``rounds``, the commands in turn, after one round that does not count."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    for number in range(rounds + 1):
        for name, command in commands.items():
            launch = [sys.executable, "-I", "-S", HERE / "launch.py", *command]
            done = subprocess.run(launch, check=True, capture_output=True, text=True, env=environment)
            seconds, processor, kib, status = done.stdout.split()
            if status != "0":
                raise SystemExit(f"{name} ended with status {status}:\n{done.stderr}")
            if number:
                found[name].append((float(seconds), float(processor), int(kib) / 1024))
    return {name: Figures(*(statistics.median(column) for column in zip(*pairs, strict=True))) for name, pairs in found.items()}


def table(figures: Mapping[str, Figures], base: str = BARE) -> str:
    """As Markdown, with the ratio of each time to that of ``base``."""
    floor = figures[base].seconds
    rows = [
        f"| {name} | {figure.seconds:.3f} | {figure.seconds / floor:.1f} | {figure.processor:.3f} | {figure.mib:.0f} |"
        for name, figure in figures.items()
    ]
    return "\n".join(
        ["| what | seconds (median) | ratio | of the processor | peak MiB |", "| --- | --- | --- | --- | --- |", *rows]
    )


if __name__ == "__main__":
    main()
