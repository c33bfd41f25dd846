"""A training folder: one of its checkpoints is exported, the newest or the best; everything else stays behind."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from cpr.errors import ModelError, UsageError
from cpr.exporting import graphs, keras_models
from cpr.exporting._tensorflow import checkpoint_state, scalars
from cpr.exporting.editing import unknown
from cpr.exporting.recognising import INDEX, META
from cpr.exporting.wanted import Made, Wanted, listed

NEWEST, BEST = "newest", "best:"
_KERAS = (".keras", ".h5", ".hdf5")
_LOWER = re.compile(r"loss|err|mse|mae|rmse|perplexity|deviation|distance", re.IGNORECASE)
_EVENTS = "events.out.tfevents."


class Choice(NamedTuple):
    """A checkpoint, and why it was this one, in words."""

    path: Path
    why: str


def from_folder(path: Path, folder: Path, wanted: Wanted) -> Made:
    """Export the checkpoint that ``wanted.checkpoint`` asks for: ``newest`` (the default), ``best:METRIC``, or a name.

    ``ModelError`` where there is none, ``UsageError`` where no metric of that name was written.
    """
    chosen = choose(path, wanted.checkpoint)
    rest = replace(wanted, checkpoint=None)
    make: Callable[[Path, Path, Wanted], Made] = (
        keras_models.from_file if chosen.path.suffix in _KERAS else graphs.from_checkpoint
    )
    made = make(chosen.path, folder, rest)
    return replace(made, notes=(f"checkpoint: {chosen.path.name} ({chosen.why})", *made.notes))


def _checkpoints(folder: Path) -> list[Path]:
    """TensorFlow's by their prefix, Keras's by their file, in the order in which they were written."""
    prefixes = [path.with_name(path.name.removesuffix(INDEX)) for path in folder.glob(f"*{INDEX}")]
    files = [path for path in folder.iterdir() if path.suffix in _KERAS and not path.name.endswith(".weights.h5")]
    return _ordered(prefixes or files)


def _ordered(paths: list[Path]) -> list[Path]:
    """By the numbers in their names, where all have as many; else by the time of the file."""
    numbers = {path: [int(number) for number in re.findall(r"\d+", path.name)] for path in paths}
    if len({len(each) for each in numbers.values()}) == 1 and all(numbers.values()):
        return sorted(paths, key=lambda path: (numbers[path], path.name))
    return sorted(paths, key=lambda path: (_time(path), path.name))


def _time(path: Path) -> float:
    file = path if path.is_file() else path.with_name(path.name + INDEX)
    return file.stat().st_mtime


def choose(folder: Path, asked: str | None) -> Choice:
    """The checkpoint of a folder that is ``asked`` for. Errors as those of ``from_folder``."""
    there = _checkpoints(folder)
    if not there:
        raise ModelError(f"There is no checkpoint in {folder}.", "Name the folder that the training wrote to.", str(folder))
    if asked is None or asked == NEWEST:
        return _newest(folder, there)
    if asked.startswith(BEST):
        return _best(folder, there, asked.removeprefix(BEST))
    name = Path(asked).name.removesuffix(INDEX).removesuffix(META)
    for path in there:
        if path.name == name:
            return Choice(path, "as asked")
    raise unknown("checkpoint", asked, [NEWEST, *(path.name for path in there)], "--checkpoint")


def _newest(folder: Path, there: list[Path]) -> Choice:
    """The one that the training itself notes as the last, else the last one."""
    noted = checkpoint_state(folder)
    for path in there:
        if noted is not None and path.name == Path(noted).name:
            return Choice(path, f"the last of {len(there)}, as the training noted")
    return Choice(there[-1], f"the newest of {len(there)}")


def _best(folder: Path, there: list[Path], metric: str) -> Choice:
    """By the metric's values in event files, where they are for the steps of the checkpoints; else by the files' names."""
    sign = 1 if _LOWER.search(metric) else -1
    word = "lowest" if sign == 1 else "highest"
    values, tags = scalars(sorted(folder.rglob(f"{_EVENTS}*")), metric)
    found = {path: values[step] for path in there if (step := _step(path)) in values}
    origin = "by the event files"
    if not found:
        found = {path: float(number[-1]) for path in there if (number := re.findall(r"\d+\.\d+", path.stem))}
        origin = "by the files' names"
    if not found:
        raise UsageError(
            f"Nothing says what {metric or 'the metric'} was at the checkpoints {listed(path.name for path in there)}.",
            f"In the event files are {listed(sorted(tags)[:12])}. Or name the checkpoint: --checkpoint {there[-1].name}.",
            "--checkpoint",
        )
    best = min(found, key=lambda path: sign * found[path])
    return Choice(best, f"{metric} {found[best]:.6g} is the {word} of {len(found)}, {origin}")


def _step(path: Path) -> int | None:
    numbers = re.findall(r"\d+", path.name)
    return int(numbers[-1] if path.suffix not in _KERAS else numbers[0]) if numbers else None
