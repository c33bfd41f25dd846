"""Models whose attributions are known, written once."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a SavedModel in each sub-folder."""
    from support import explained_models

    folder = tmp_path_factory.mktemp("explained")
    explained_models.write_all(folder)
    return folder
