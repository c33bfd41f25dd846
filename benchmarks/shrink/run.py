"""How much smaller models become, what that costs in accuracy, and what they cost to load and to call: see README.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("CPR_BENCHMARKS", "~/.cache/cpr-benchmarks")).expanduser() / "shrink"
OPTIONS = {"as they are": [], "float16": ["--weights", "float16"], "int8": ["--weights", "int8"], "limit": ["--limit", "500MB"]}


def main() -> None:
    subprocess.run([sys.executable, str(HERE / "models.py"), str(CACHE)], check=True)
    print("| model | weights | MB | smaller by | agree | off by | load s | first s | later ms | load MiB | answer MiB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for folder in sorted(path.parent for path in CACHE.glob("*/rows.npz")):
        for name, options in OPTIONS.items():
            if name == "limit" and not folder.name.startswith("embedding"):
                continue
            document, most = shrunk(folder, options)
            if not options:
                print(row(folder.name, "as it is", document, document["before"], document["costs"]["before"]))
            print(row(folder.name, name, document, document["after"], document["costs"]["after"]), flush=True)
            print(f"{folder.name}, {name}: shrinking took at most {most} MiB", file=sys.stderr, flush=True)


def shrunk(folder: Path, options: list[str]) -> tuple[dict[str, Any], int]:
    """What `cpr shrink --json` says, and the most MiB that one of its processes had, TensorFlow with it."""
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        command = [sys.executable, "-m", "cpr", "shrink", str(folder / "model"), f"{scratch}/smaller", "--json", "-q"]
        rows = ["--data", str(folder / "rows.npz"), "--min-agreement", "0"]
        with open(f"{scratch}/report", "w") as report:
            process = subprocess.Popen([*command, *rows, *options], stdout=report)
            _, status, usage = os.wait4(process.pid, 0)
        text = Path(f"{scratch}/report").read_text()
        if status:
            raise SystemExit(text)
        document: dict[str, Any] = json.loads(text)
    return document, usage.ru_maxrss // 1024


def row(name: str, weights: str, document: dict[str, Any], size: int, costs: dict[str, float]) -> str:
    first = document["accuracy"][0]
    changed = weights != "as it is"
    agree = f"{first['agreement']:.2%}" if changed and first["agreement"] is not None else ""
    figures = [f"{size / 1e6:.3f}", f"{1 - size / document['before']:.1%}" if changed else "", agree]
    figures += [f"{first['maximum']:.2g}" if changed else ""]
    figures += [f"{costs[key]:.2f}" for key in ("load", "first", "call")]
    figures += ["" if costs[key] is None else f"{costs[key]:.0f}" for key in ("peak_load", "peak_first")]
    return f"| {name} | {weights} | {' | '.join(figures)} |"


if __name__ == "__main__":
    main()
