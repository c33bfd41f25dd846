"""The SavedModels that TensorFlow writes for these tests, once in a session."""

import pytest


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """The folder whose sub-folders are model directories, each with one SavedModel."""
    import saved_models

    folder = tmp_path_factory.mktemp("models")
    saved_models.write_all(folder)
    return folder
