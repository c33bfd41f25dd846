"""The SavedModels that TensorFlow writes for tests, once in a session."""

import pytest


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """The folder whose sub-folders are model directories, each with one SavedModel in its sub-folder ``saved_model``."""
    from support import saved_models

    folder = tmp_path_factory.mktemp("models")
    saved_models.write_all(folder)
    return folder
