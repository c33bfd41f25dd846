"""What is told twice on purpose, for a quick start or because the interface travels alone, and must stay the same."""

from cpr import manifest, project
from cpr.interface import _signature, graph_file, locate
from cpr.saved_model import reader, survey
from cpr.saved_model.findings import place, weights


def test_the_names_of_files_and_folders() -> None:
    assert place.MANIFEST_NAME == manifest.MANIFEST_NAME
    assert place.PROJECT_NAME == project.PROJECT_NAME
    assert survey._MODEL_DIR == manifest.MODEL_DIR
    assert set(locate.GRAPH_NAMES) == {reader.PB_NAME, reader.PBTXT_NAME}


def test_what_the_interface_knows_of_models() -> None:
    assert graph_file._LFS_MARK == weights._LFS_MARK
    assert _signature.HOOKS == (reader._INIT_OP, reader._TRAIN_OP)
