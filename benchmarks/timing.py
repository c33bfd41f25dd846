"""Times commands as whole processes, in turn, so that a drift of the machine's speed touches all of them alike."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Command = Callable[[], object] | Sequence[str | Path]


def medians(commands: Mapping[str, Command], rounds: int, prepare: Callable[[], object] = lambda: None) -> dict[str, float]:
    """Median wall seconds of each command over ``rounds``, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            prepare()
            start = time.perf_counter()
            if callable(command):
                command()
            else:
                subprocess.run([str(word) for word in command], check=True, capture_output=True)
            if number:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def table(figures: Mapping[str, float], base: str) -> str:
    """The figures as a Markdown table, with the ratio of each to ``base``."""
    rows = [f"| {name} | {value:.3f} | {value / figures[base]:.2f} |" for name, value in figures.items()]
    return "\n".join(["| what | seconds (median) | ratio |", "| --- | --- | --- |", *rows])
