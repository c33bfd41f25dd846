"""Bundles to write configs for, none with TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.buckets import gs_place, gs_port  # noqa: F401 - fixtures
from support.routines import CONFIG, write_routine

from cpr.bundle import Bundle
from cpr.steps.build import build

MakeBundle = Callable[..., Bundle]

# Everything in it means something to a shell, to YAML, to JSON or to a Dockerfile.
HOSTILE = """it's a "$(touch pwned)" `touch pwned` ; # & | < > \\ ${HOME} @name@ : - {x}"""
HOSTILE_URI = 'gs://my-bucket/it\'s a "$(touch pwned)" `touch pwned`;&|<>\\${HOME} @name@: - {x}'


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> MakeBundle:
    """``make_bundle(extra)``: the bundle of a tiny routine, with more lines in its routine.yaml. Not to be changed."""
    cache: dict[str, Bundle] = {}

    def make(extra: str = "", config: str = CONFIG) -> Bundle:
        if config + extra not in cache:
            folder: Path = tmp_path_factory.mktemp("bundle")
            cache[config + extra] = build(write_routine(folder / "tiny", config + extra), folder / "out")
        return cache[config + extra]

    return make
