"""Times `cpr build`: see README.md beside this file."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from timing import medians, table  # noqa: E402

SAMPLE = HERE.parent.parent / "sample_models" / "iris"
WEIGHTS_MIB = 450
ROUNDS = 5

SETUP = "from setuptools import setup\nsetup(name='iris', version='1.0.0', py_modules=['predictor'])\n"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="cpr-bench-") as folder:
        place = Path(folder)
        small(place)
        large(place)


def small(place: Path) -> None:
    """The iris sample against an isolated build of the same sources."""
    routine, plain = place / "iris", place / "plain"
    shutil.copytree(SAMPLE, routine, ignore=shutil.ignore_patterns("dist"))
    plain.mkdir()
    (plain / "setup.py").write_text(SETUP)
    shutil.copy(SAMPLE / "predictor.py", plain)
    commands = {
        "cpr build": [Path(sys.executable).parent / "cpr", "build", routine, "-o", place / "out"],
        "python -m build --sdist (isolated)": [sys.executable, "-m", "build", "--sdist", "-o", place / "out", plain],
    }
    print("The iris sample:\n")
    print(table(medians(commands, ROUNDS), "python -m build --sdist (isolated)"))


def large(place: Path) -> None:
    """What weights add, against copying and hashing them once. They are random: like trained ones they do not compress."""
    routine, heavy = place / "iris", place / "heavy"
    shutil.copytree(routine, heavy)
    weights = heavy / "model" / "weights"
    with open(weights, "wb") as file:
        for _ in range(WEIGHTS_MIB):
            file.write(os.urandom(1 << 20))
    cpr = Path(sys.executable).parent / "cpr"
    commands = {
        "cpr build": [cpr, "build", routine, "-o", place / "out"],
        f"cpr build with {WEIGHTS_MIB} MiB": [cpr, "build", heavy, "-o", place / "out"],
        "copying and hashing them once": lambda: copy_and_hash(weights, place / "copy"),
        "gzip of them, level 1": ["sh", "-c", f"gzip -1 -c {weights} > {place / 'copy'}"],
    }

    def prepare() -> None:
        """What an earlier command wrote must neither slow the next one down nor lend it memory."""
        (place / "copy").unlink(missing_ok=True)
        shutil.rmtree(place / "out", ignore_errors=True)
        os.sync()
        bytearray(b"x") * (1 << 30)  # a virtual machine's memory is slow when it is touched for the first time

    figures = medians(commands, ROUNDS, prepare)
    subprocess.run([cpr, "build", heavy, "-o", place / "out"], check=True, capture_output=True)
    figures["added by the weights"] = figures[f"cpr build with {WEIGHTS_MIB} MiB"] - figures["cpr build"]
    bundle = place / "out" / "iris-1.0.0"
    total = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
    print(f"\nThe same with {WEIGHTS_MIB} MiB of weights; the bundle holds {total / 2**20:.1f} MiB:\n")
    print(table(figures, "copying and hashing them once"))


def copy_and_hash(source: Path, target: Path) -> None:
    sha256 = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    with open(source, "rb", buffering=0) as reader, open(target, "wb", buffering=0) as writer:
        while count := reader.readinto(buffer):
            sha256.update(buffer[:count])
            writer.write(buffer[:count])


if __name__ == "__main__":
    main()
