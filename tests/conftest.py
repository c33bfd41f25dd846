"""Fixtures that every test folder may use."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.routines import write_routine

pytest_plugins = ["support.buckets", "support.index", "support.models"]

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout these tests stand in."""
    return REPOSITORY


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A complete routine folder with no TensorFlow: it multiplies by three."""
    return write_routine(tmp_path / "tiny")
