"""Bundles to upload: built once for each content, copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.routines import CONFIG, write_routine

from cpr.bundle import Bundle, ValidatedBundle
from cpr.report import Report
from cpr.steps.build import build

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
