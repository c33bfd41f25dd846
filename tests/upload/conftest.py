"""Bundles to upload: built once for each content, copied for each test."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.buckets import Place, new_bucket
from support.routines import CONFIG, write_routine
from support.uploads import PART

from cpr.bundle import Bundle, ValidatedBundle
from cpr.report import Report
from cpr.steps.build import build
from cpr.storage.gs import GoogleStorage
from cpr.storage.local import LocalStorage
from cpr.storage.s3 import S3Storage
from cpr.storage.service import Patience

MakeValidated = Callable[..., ValidatedBundle]


def validated(bundle: Bundle) -> ValidatedBundle:
    """What validation hands on for a bundle without findings."""
    report = Report(bundle.manifest.digest, "ai-platform", "mls1-c1-m2", (), {"peak_mib": 40}, {"python": "3.11"})
    return ValidatedBundle(bundle, report)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, tuple[tuple[str, bytes], ...]], Bundle]:
    cache: dict[object, Bundle] = {}

    def make(version: str, factor: str, files: tuple[tuple[str, bytes], ...]) -> Bundle:
        key = (version, factor, files)
        if key not in cache:
            folder = tmp_path_factory.mktemp("built")
            routine = write_routine(folder / "tiny", CONFIG.replace("1.2.0", version))
            (routine / "model/factor.json").write_text(factor)
            for name, content in files:
                path = routine / "model" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            cache[key] = build(routine, folder / "out")
        return cache[key]

    return make


@pytest.fixture
def make(built: Callable[[str, str, tuple[tuple[str, bytes], ...]], Bundle], tmp_path: Path) -> MakeValidated:
    """``make(version, factor, **model_files)``: a bundle of this test's own, with its validation record."""
    count = 0

    def copy(version: str = "1.2.0", factor: str = "3", files: dict[str, bytes] | None = None) -> ValidatedBundle:
        nonlocal count
        count += 1
        source = built(version, factor, tuple(sorted((files or {}).items())))
        root = tmp_path / f"bundle{count}"
        shutil.copytree(source.root, root)
        return validated(Bundle.open(root))

    return copy


@pytest.fixture(scope="session")
def noise() -> bytes:
    """Three parts and a bit, no two of them alike."""
    return random.Random(5).randbytes(3 * PART + 70_001)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is tried again soon, and for a moment only."""
    monkeypatch.setattr("cpr.storage.service.LOOPBACK", Patience(0.3, 0.3))
    monkeypatch.setattr("cpr.storage.service._FIRST_DELAY", 0.02)


@pytest.fixture(params=["gs parts", "gs session", "s3 parts", "folder"])
def way(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: None) -> Place:
    """Each way of sending a large file in turn: in parts of 5 MiB, two at a time, by processes of little patience."""
    for store in (GoogleStorage, S3Storage, LocalStorage):
        monkeypatch.setattr(store, "part_bytes", PART)
    monkeypatch.setattr("cpr.storage.sending._PARTS_AT_A_TIME", 2)
    if request.param == "folder":
        return Place("folder", str(tmp_path / "published"))
    if request.param == "gs session":
        port = request.getfixturevalue("gs_port_without_parts")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        return Place("session", f"gs://{new_bucket('gs', port)}/routines", port)
    found: Place = request.getfixturevalue(f"{request.param[:2]}_place")
    return found
