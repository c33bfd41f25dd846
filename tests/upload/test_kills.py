"""Publishers killed at any moment: what is published is whole, and another run ends what was begun.

Two kills for each way of sending; ``make soak`` sets ``CPR_SOAK`` to their number.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from pathlib import Path

import pytest
from support.buckets import Place
from support.faults import Rule, act, cut, fault_proxy
from support.uploads import PART, PUBLISH, journals, published, write_record
from upload.conftest import MakeValidated

from cpr.bundle import ValidatedBundle
from cpr.steps.upload import upload

KILLS = int(os.environ.get("CPR_SOAK", "2"))
SMALL = {f"{number}.bin": bytes([number]) * 20_000 for number in range(5)}
OVERHEAD = 100_000
"""Bytes of claims, records and what wraps content, in two runs."""


@pytest.fixture
def bundle(make: MakeValidated, noise: bytes) -> ValidatedBundle:
    return write_record(make(files={"large.bin": noise, **SMALL}))


@pytest.mark.parametrize("seed", range(KILLS))
def test_what_was_killed_is_ended_by_another_run(seed: int, way: Place, bundle: ValidatedBundle, tmp_path: Path) -> None:
    draw = random.Random(f"{seed} {way.kind}")
    if way.kind == "folder":
        process = started(bundle, way.uri)
        time.sleep(draw.random() * 0.05)
        process.kill()
        ended(process)
        assert published(way.uri) in (None, bundle.bundle.manifest)
        assert upload(bundle, way.uri).digest == bundle.bundle.manifest.digest
    else:
        killed_on_the_wire(draw, way, bundle)
    assert published(way.uri) == bundle.bundle.manifest
    assert journals(tmp_path) == []


def killed_on_the_wire(draw: random.Random, way: Place, bundle: ValidatedBundle) -> None:
    """At one of the requests that an upload takes, of whose body some has reached the server."""
    process: subprocess.Popen[str] | None = None

    def kill() -> None:
        assert process is not None
        process.kill()

    # What the server got whole it ends before the next run begins: else that might not find it yet.
    where = draw.choice([{}, {"path": "partNumber=|upload_id="}])
    which = {"first": draw.randrange(1, 5 if where else 22), **where}
    rules: list[Rule] = [act(kill, **which)]
    if draw.random() < 0.7:
        rules.append(cut(draw.randrange(70_000 if where else 100), **which))
    with fault_proxy(way.port, *rules) as proxy:
        process = started(bundle, way.uri, STORAGE_EMULATOR_HOST=proxy.endpoint, AWS_ENDPOINT_URL=proxy.endpoint)
        ended(process)
        assert process.returncode == -9 or not proxy.hits[0]
        proxy.settle()
        assert published(way.uri) in (None, bundle.bundle.manifest)
        proxy.relent()
        assert upload(bundle, way.uri, endpoint=proxy.endpoint).digest == bundle.bundle.manifest.digest
        size = sum(entry.size for entry in bundle.bundle.manifest.all_files)
        twice = proxy.sent("PUT|POST") - size
        assert twice <= 2 * PART + sum(map(len, SMALL.values())) + OVERHEAD


def started(bundle: ValidatedBundle, uri: str, **environment: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*PUBLISH, str(bundle.bundle.root), uri],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def ended(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, -9), errors
