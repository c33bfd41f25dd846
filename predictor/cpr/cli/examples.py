"""``cpr examples``."""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from cpr.bundle import Bundle
from cpr.cli.bundles import add_endpoint, open_bundle
from cpr.cli.console import Console, Outcome
from cpr.cli.names import printable
from cpr.cli.validate import seconds
from cpr.errors import ProjectError, UsageError
from cpr.examples import Example, read_examples
from cpr.isolation import TIMEOUT_SECONDS
from cpr.manifest import EXAMPLES_NAME, MANIFEST_NAME
from cpr.project import Routine, is_project, read_routine
from cpr.recording import Change
from cpr.resources import suggestion
from cpr.steps.examples import STATIONS, Compared, Place, record, replay
from cpr.storage import is_uri


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Replay the golden examples at every station: in the source tree, in a process that the bundle is installed for, as\n"
        "it comes back from a bucket, and over HTTP; or write down what they are answered as their expectations.\n"
        "Exit status 1 when an answer differs from its expectation, or from the first station's where it has none."
    )
    parser.epilog = (
        "examples:\n  cpr examples my_routine\n  cpr examples my_routine --record\n"
        "  cpr examples my_routine --at source,http\n  cpr examples my_routine --uri gs://my-bucket/routines/my_routine/1.0.0"
    )
    parser.add_argument("place", metavar="BUNDLE_OR_PROJECT_OR_URI", help="a routine folder, a bundle, or a published bundle")
    parser.add_argument(
        "--at", metavar="STATIONS", help=f"of {', '.join(STATIONS)}, with commas between (default: all that there are)"
    )
    parser.add_argument("--uri", metavar="URI", help="where the bundle is published: its own station is bucket")
    parser.add_argument("--url", metavar="URL", help="a server that runs, for http (default: one is started)")
    parser.add_argument("--record", action="store_true", help="write the answers into the routine folder's examples")
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=TIMEOUT_SECONDS,
        metavar="SECONDS",
        help=f"for each station (default: {TIMEOUT_SECONDS:g})",
    )
    add_endpoint(parser)


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    if arguments.record:
        return _record(arguments, console)
    names = _names(arguments.at)
    place = _place(arguments, names, console)
    missing = [name for name in names or () if name not in place.stations]
    if missing:
        raise UsageError(f"{arguments.place} has no station {missing[0]}.", _needs(missing[0]), "--at")
    examples, where = _examples(place)
    done = replay(place, examples, names or place.stations, arguments.timeout, console.note)
    ok = all(each.ok for each in done)
    document = {"ok": ok, "examples": len(examples), "stations": [each.to_json() for each in done]}
    return Outcome(document, "\n".join(_table(done, examples, where)), ok)


def _names(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in STATIONS:
            raise UsageError(f"There is no station {name!r}.", suggestion(name, STATIONS, "The stations are"), "--at")
    return names


def _needs(station: str) -> str:
    return {
        "source": "Name a routine folder.",
        "isolated": "Name a routine folder or a bundle; that of a URI is the station bucket.",
        "bucket": "Say where the bundle is published with --uri URI.",
    }.get(station, "Name a routine folder, a bundle, or a server's --url.")


def _place(arguments: argparse.Namespace, names: Sequence[str] | None, console: Console) -> Place:
    def wanted(*stations: str) -> bool:
        return names is None or any(name in stations for name in names)

    uri, path = arguments.uri, Path(arguments.place)
    if is_uri(arguments.place):
        if uri is not None:
            raise UsageError("--uri is for a folder's published bundle, and a URI is named already.", "Leave it out.", "--uri")
        return Place(fetched=open_bundle(arguments.place, console, arguments.endpoint), url=arguments.url)
    project = is_project(path) and not (path / MANIFEST_NAME).is_file()
    routine = read_routine(path) if project else None
    served = wanted("http") and arguments.url is None and uri is None
    bundle = open_bundle(arguments.place, console) if wanted("isolated") or served or not project else None
    fetched = open_bundle(uri, console, arguments.endpoint) if uri is not None and wanted("bucket", "http") else None
    return Place(routine, bundle, fetched, arguments.url)


def _examples(place: Place) -> tuple[tuple[Example, ...], str]:
    """The examples, and the name of their file: of the routine folder first, which is where they are written."""
    bundle: Bundle | None = place.bundle or place.fetched
    path = place.routine.examples if place.routine is not None else None
    if place.routine is None and bundle is not None and bundle.manifest.has_examples:
        path = bundle.path(EXAMPLES_NAME)
    examples = read_examples(path) if path is not None else ()
    if path is None or not examples:
        raise ProjectError("There are no examples.", _HOW_TO_WRITE, EXAMPLES_NAME if path is None else str(path))
    return examples, path.name


_HOW_TO_WRITE = 'Write examples.jsonl, one request a line: {"instances": [...]}.'


def _table(done: Sequence[Compared], examples: Sequence[Example], where: str) -> Iterator[str]:
    yield f"{'station':<10} {'as expected':>12} {'p50 ms':>9} {'p99 ms':>9} {'cold start s':>13}"
    for each in done:
        figures = each.replay.latency.to_json()
        right = len(each.replay.replies) - len(each.differences)
        times = [f"{figures[name]:,.2f}" if name in figures else "-" for name in ("p50", "p99")]
        cold = f"{figures['cold_start'] / 1000:,.2f}" if "cold_start" in figures else "-"
        yield f"{each.replay.station:<10} {f'{right} of {len(examples)}':>12} {times[0]:>9} {times[1]:>9} {cold:>13}"
    for each in done:
        if each.replay.problem:
            yield f"{each.replay.station}: came to no example: {printable(each.replay.problem)}"
        for line, difference in each.differences:
            yield f"{each.replay.station}: {printable(f'{where}:{line}: {difference}')}"
    bare = sum(example.expect is None for example in examples)
    if bare:
        yield f"{bare} of {len(examples)} have no expectation; `cpr examples --record` writes them."


# Recording


def _record(arguments: argparse.Namespace, console: Console) -> Outcome:
    for option in ("at", "uri", "url"):
        if getattr(arguments, option) is not None:
            raise UsageError(f"--{option} has no meaning with --record.", "Leave it out.", f"--{option}")
    routine = _recordable(arguments.place)
    if routine.examples is None:
        raise ProjectError("There are no examples.", _HOW_TO_WRITE, str(routine.root))
    from cpr.steps.build import build

    with tempfile.TemporaryDirectory(prefix="cpr-", ignore_cleanup_errors=True) as folder:
        # Not into dist/: the bundle with the old expectations is of no use afterwards.
        changes = record(build(routine.root, folder), routine.examples, arguments.timeout, console.note)
    document = {"examples": str(routine.examples), "changes": [change.to_json() for change in changes]}
    return Outcome(document, "\n".join(_changes(changes, routine.examples.name)))


def _recordable(place: str) -> Routine:
    if is_uri(place) or (Path(place) / MANIFEST_NAME).is_file():
        raise UsageError("A bundle does not change once it is built.", "Name the routine folder, and build it again.", place)
    return read_routine(place)


def _changes(changes: Sequence[Change], name: str) -> Iterator[str]:
    for change in changes:
        if change.kind != "kept":
            yield f"{name}:{change.line}: {change.kind}{f': {printable(change.difference)}' if change.difference else ''}"
    counts = Counter(change.kind for change in changes)
    yield f"{counts['written']} written, {counts['changed']} changed, {counts['kept']} as they were"
