"""``cpr demo``: the whole flow on the iris sample, with a folder for a bucket and a server of its own."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cpr import client, resources, runtime
from cpr.bundle import Bundle, PublishedBundle, ValidatedBundle
from cpr.cli.chatter import without_chatter
from cpr.cli.console import Console, Outcome, size_text
from cpr.errors import MissingExtra
from cpr.examples import compare, read_examples
from cpr.folders import write_folder
from cpr.manifest import EXAMPLES_NAME
from cpr.project import require_new
from cpr.steps import serving
from cpr.steps.build import build
from cpr.steps.targets import at_uri, deploy_config, write_config
from cpr.steps.upload import upload
from cpr.steps.validate import validate
from cpr.storage import fetch_bundle

SAMPLE = "iris"
BUCKET_URI = "gs://my-bucket/routines"
"""Where the configs say that the bundle is. The demo uploads to a folder instead, and deploys nothing."""

DEPLOYMENTS = (("ai-platform", "mls1-c1-m2"), ("ai-platform", "n1-standard-2"), ("vertex-ai", "n1-standard-2"))


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show the whole flow on a sample: a trained SavedModel with preprocessing in Python is built, validated, uploaded,\n"
        "configured for deployment, and served; the same request is answered in process and over HTTP.\n"
        "Nothing leaves this machine. Needs the extras tensorflow and serve."
    )
    parser.epilog = "example:\n  cpr demo -o demo_files"
    parser.add_argument("-o", "--output", metavar="DIR", help="where to leave what it makes (default: a new temporary folder)")


@dataclass
class _Tale:
    """The steps so far. Each is told when it is done, so that a person sees the demo move."""

    console: Console
    steps: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[Callable[..., None]]:
        """A step that ends by telling what it made: lines for a person, values for the document."""
        start = time.monotonic()
        told: list[str] = []
        values: dict[str, Any] = {}

        def tell(*lines: str, **made: Any) -> None:
            told.extend(lines)
            values.update(made)

        self._line(f"{len(self.steps) + 1}. {title}")
        yield tell
        seconds = time.monotonic() - start
        self.steps.append({"step": name, "seconds": round(seconds, 2), **values})
        for line in told:
            self._line(f"   {line}")
        self._line(f"   ({seconds:.1f} s)\n")

    def _line(self, text: str) -> None:
        if not self.console.json:
            self.console.line(text)


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    _require_extras()
    if arguments.output is not None:
        place = Path(arguments.output)
        require_new(place)
        return _tell(_Tale(console), place)
    place = Path(tempfile.mkdtemp(prefix="cpr-demo-"))
    try:
        return _tell(_Tale(console), place)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)  # nobody was told of it
        raise


def _tell(tale: _Tale, place: Path) -> Outcome:
    bundle = _build(tale, place)
    validated = _validate(tale, bundle)
    published = _upload(tale, validated, place)
    _configure(tale, validated, place)
    same = _predict(tale, published, place)
    end = f"All of it is in {place}\nYour own: cpr new my_routine" if same else "The two answers differ: please report this."
    return Outcome({"output": str(place), "steps": tale.steps}, end, ok=same)


def _require_extras() -> None:
    from importlib.util import find_spec

    for module, extra in (("tensorflow", "tensorflow"), ("uvicorn", "serve")):
        if find_spec(module) is None:
            raise MissingExtra(extra, "The demo")


def _build(tale: _Tale, place: Path) -> Bundle:
    with tale.step("build", "Build: a routine folder becomes a bundle (cpr build)") as tell:
        routine = place / SAMPLE
        write_folder(routine, resources.sample_files(SAMPLE))
        bundle = build(routine)
        files = bundle.manifest.all_files
        tell(
            f"routine  {routine}",
            f"bundle   {bundle.root}",
            f"         {len(files)} files, {size_text(sum(entry.size for entry in files))}, {bundle.manifest.digest[:19]}…",
            routine=str(routine),
            bundle=str(bundle.root),
            digest=bundle.manifest.digest,
        )
    return bundle


def _validate(tale: _Tale, bundle: Bundle) -> ValidatedBundle:
    target, machine = DEPLOYMENTS[0]
    with tale.step(
        "validate", f"Validate: every check, and a run in a fresh process, for {target} {machine} (cpr validate)"
    ) as tell:
        validated = validate(bundle, target, machine)
        measured = validated.report.measured
        peak, memory = measured["peak_mib"], measured["memory_mib"]
        tell(f"{measured['examples']} golden examples replayed, all as expected", peak_mib=peak, memory_mib=memory)
        if peak is not None:
            share = round(peak / memory * 40)
            tell(f"memory   [{'#' * share}{'.' * (40 - share)}] {peak:,.0f} of {memory:,} MiB")
        for finding in validated.report.findings:
            tell(f"{finding.severity.value:<8} {finding.check} {finding.message}")
        tell(f"proof    {bundle.root / 'validation.json'}", findings=[item.to_json() for item in validated.report.findings])
    return validated


def _upload(tale: _Tale, validated: ValidatedBundle, place: Path) -> PublishedBundle:
    with tale.step("upload", "Upload: to a folder that stands in for a bucket (cpr upload)") as tell:
        done = upload(validated, (place / "bucket").resolve().as_uri())
        tell(
            f"at       {done.uri}",
            f"         {done.uploaded} files, {size_text(done.bytes_sent)}, each compared after it was sent",
        )
        tell(uri=done.uri, uploaded=done.uploaded, bytes_sent=done.bytes_sent)
    return done


def _configure(tale: _Tale, validated: ValidatedBundle, place: Path) -> None:
    title = f"Deploy configs: as for {BUCKET_URI} (cpr deploy-config)"
    with tale.step("deploy-config", title) as tell:
        published = at_uri(validated.bundle, BUCKET_URI)
        folders = []
        for target, machine in DEPLOYMENTS:
            folder = place / "deploy" / f"{target}-{machine}"
            files = write_config(deploy_config(published, target, machine, source=validated.bundle), folder)
            tell(f"{target:<12} {machine:<14} {folder} ({len(files)} files)")
            folders.append(str(folder))
        tell(folders=folders)


def _predict(tale: _Tale, published: PublishedBundle, place: Path) -> bool:
    """The bundle as it comes back from the bucket answers the same in process and over HTTP."""
    with tale.step("predict", "Predict: the bundle from the bucket, in process and over HTTP (cpr predict, cpr serve)") as tell:
        fetched = fetch_bundle(published.uri, place / "fetched")
        body = dict(read_examples(fetched.path(EXAMPLES_NAME))[0].request)
        with without_chatter():
            routine = runtime.load(fetched)
        with routine:
            here = routine.predict(body)
            with serving.running(routine) as url:
                there = client.predict(url, body)
        same = compare(here, there, 0, 0) is None
        for name, value in (("request   ", body), ("in process", here), ("over HTTP ", there)):
            tell(f"{name} {json.dumps(value)}")
        tell("equal" if same else "DIFFERENT")
        tell(request=body, in_process=here, over_http=there, url=url, equal=same)
    return same
