"""``cpr shrink``: make a SavedModel smaller."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cpr.cli.chatter import without_chatter
from cpr.cli.console import Console, Outcome, size_text
from cpr.cli.names import printable
from cpr.errors import OutputError, UsageError
from cpr.steps.shrink import Shrunk, shrink

WEIGHTS = ("float16", "int8")

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]i?)?B?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write a SavedModel without what no request needs: training functions, optimizer slots, variables that are stored\n"
        "twice, unused assets, unreachable nodes. Its signatures stay, and their answers. With --weights its weights become\n"
        "smaller and its answers a little different: they are compared on your rows, and nothing is written where they are\n"
        "too far off.\n"
        "Exit status 1: the answers do not hold, the model does not fit the limit, or it cannot be rewritten."
    )
    parser.epilog = (
        "examples:\n"
        "  cpr shrink model smaller\n"
        "  cpr shrink model smaller --weights int8 --data rows.npz\n"
        "  cpr shrink model smaller --limit 500MB --data rows.npz --svg smaller.svg"
    )
    parser.add_argument("source", metavar="SRC", help="the folder that holds saved_model.pb")
    parser.add_argument("destination", metavar="DST", help="the folder to write, which is not there yet")
    parser.add_argument("--weights", choices=WEIGHTS, metavar="TYPE", help=f"store the weights as {' or '.join(WEIGHTS)}")
    parser.add_argument("--no-fold", action="store_true", help="keep batch norms, and the answers to the last bit")
    parser.add_argument("--int64-to-int32", action="store_true", help="store variables of int64 as int32 where all values fit")
    parser.add_argument("--limit", type=_size, metavar="SIZE", help="take as many steps as it needs to fit, such as 500MB")
    parser.add_argument("--examples", metavar="FILE", help="compare on requests that the SavedModel itself takes, one a line")
    parser.add_argument("--data", metavar="FILE", help="compare on arrays: .npy, or .npz with an array for each input")
    parser.add_argument("--max-difference", type=float, metavar="X", help="no number may be further off than this")
    parser.add_argument(
        "--min-agreement",
        type=float,
        default=0.99,
        metavar="PART",
        help="of the rows, so many must have the same largest score (default: 0.99)",
    )
    parser.add_argument("--svg", metavar="FILE", help="draw the figures before and after")
    parser.add_argument("--no-measure", action="store_true", help="do not measure memory, load time and latency")
    parser.add_argument("--overwrite", action="store_true", help="replace a folder that is there")


def run(args: argparse.Namespace, console: Console) -> Outcome:
    with without_chatter():
        done = shrink(
            args.source,
            args.destination,
            weights=args.weights,
            int64_to_int32=args.int64_to_int32,
            fold=not args.no_fold,
            limit=args.limit,
            examples=args.examples,
            data=args.data,
            max_difference=args.max_difference,
            min_agreement=args.min_agreement,
            measure=not args.no_measure,
            overwrite=args.overwrite,
            progress=console.note,
        )
    if args.svg is not None:
        _draw(done, Path(args.svg))
    return Outcome(_document(done), "\n".join(_text(done)))


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"--limit {text!r} is no size.", "Write it as 500MB, 1.5GB, or a number of bytes.", "--limit")
    return int(float(found[1]) * _UNITS[(found[2] or "").lower()])


def _document(done: Shrunk) -> dict[str, Any]:
    costs = None if done.costs is None else dict(zip(("before", "after"), (each._asdict() for each in done.costs), strict=True))
    return {
        "path": str(done.destination),
        "before": done.before,
        "after": done.after,
        "saved": _saved(done),
        "steps": [{"name": step.name, "bytes": step.bytes} for step in done.steps],
        "accuracy": [each.to_json() for each in done.accuracy],
        "not_compared": dict(done.not_compared),
        "loads": done.loads,
        "left_out": list(done.left_out),
        "kept": dict(done.kept),
        "costs": costs,
    }


def _saved(done: Shrunk) -> float:
    return round(1 - done.after / done.before, 4)


def _text(done: Shrunk) -> Iterator[str]:
    yield f"{done.destination}: {size_text(done.before)} -> {size_text(done.after)} ({_saved(done):.1%} less)"
    yield ""
    width = max(len(step.name) for step in done.steps)
    yield f"  {'as it is':<{width}}  {size_text(done.before):>9}"
    yield from (f"  {step.name:<{width}}  {size_text(step.bytes):>9}" for step in done.steps)
    if done.left_out:
        count = len(done.left_out)
        yield f"  {count} tensor{'' if count == 1 else 's'} of the checkpoint left out, such as {printable(done.left_out[0])}"
    yield from (f"  as it was: {printable(key)}, because {printable(reason)}" for key, reason in done.kept.items())
    yield ""
    if not done.loads:
        yield "  This TensorFlow cannot load the model itself, for what no request needs; `before` is what is left of it."
    for each in done.accuracy:
        where = "made-up rows" if each.made_up else "rows"
        parts = [f"{each.rows} {where}"]
        if each.agreement is not None:
            parts.append(f"{each.agreement:.2%} agree")
        if each.maximum is not None:
            parts.append(f"off by at most {each.maximum:.3g}, {each.mean:.3g} on average")
        yield f"  {printable(each.signature)}, {printable(each.output)}: {'; '.join(parts)}"
    yield from (f"  {printable(name)} is not compared: {printable(why)}" for name, why in done.not_compared.items())
    if done.costs is not None:
        yield ""
        yield f"  {'':<24}{'before':>10}{'after':>10}"
        yield from (f"  {name:<24}{one:>10.3f}{two:>10.3f}" for name, one, two, _ in _figures(done))


def _figures(done: Shrunk) -> Iterator[tuple[str, float, float, str]]:
    assert done.costs is not None
    one, two = done.costs
    yield "load, s", one.load, two.load, "s"
    yield "first call, s", one.first, two.first, "s"
    yield "later calls, ms", one.call, two.call, "ms"
    if one.peak_load is not None and two.peak_load is not None:
        yield "memory to load, MiB", one.peak_load, two.peak_load, "MiB"
    if one.peak_first is not None and two.peak_first is not None:
        yield "memory to answer, MiB", one.peak_first, two.peak_first, "MiB"


def _draw(done: Shrunk, path: Path) -> None:
    from cpr.shrinking.chart import Pair, chart

    pairs = [Pair("size", done.before / 1e6, done.after / 1e6, "MB")]
    if done.costs is not None:
        pairs += [Pair(name.rpartition(",")[0], one, two, unit) for name, one, two, unit in _figures(done)]
    beside = path.with_name(f".{path.name}.new")
    try:
        beside.write_text(chart(f"{done.source.name}: {_saved(done):.1%} smaller", pairs), encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise OutputError(
            f"The picture cannot be written: {error.strerror}.", "The model is; name another file.", str(path)
        ) from None
