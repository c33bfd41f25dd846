"""CPR621 to CPR625: what TensorFlow must have to load a model and to run it."""

import shutil
from pathlib import Path

import pytest
from support.surveyed import found, ranked

from cpr.saved_model.survey import survey

ROOT = Path(__file__).resolve().parents[2]
PLACE = "saved_model.pb"

GRAPH = """\
saved_model_schema_version: 1
meta_graphs {
  meta_info_def { tags: "serve" tensorflow_version: "2.21.0" }
  graph_def {
    node { name: "x" op: "Placeholder" }
    node { name: "y" op: "OPERATION" input: "x" }
    VERSIONS
    library { function { signature { name: "of_library" } node_def { name: "z" op: "Identity" } } }
  }
  signature_def {
    key: "serving_default"
    value {
      inputs { key: "x" value { name: "x:0" dtype: DT_FLOAT tensor_shape { dim { size: -1 } } } }
      outputs { key: "y" value { name: "y:0" dtype: DT_FLOAT tensor_shape { dim { size: -1 } } } }
      method_name: "tensorflow/serving/predict"
    }
  }
}
"""


@pytest.fixture
def made(tmp_path):
    def make(operation="Identity", versions=""):
        text = GRAPH.replace("OPERATION", operation).replace("VERSIONS", f"versions {{ {versions} }}")
        (tmp_path / "saved_model.pbtxt").write_text(text)
        return tmp_path

    return make


def test_an_operation_that_came_later(made):
    folder = made("DisableCopyOnRead")
    (finding,) = found(folder, "CPR621", tensorflow="2.9")
    assert (finding.severity.value, finding.where) == ("error", "saved_model.pbtxt")
    assert "TensorFlow 2.9 does not have DisableCopyOnRead (came with 2.10)" in finding.message
    assert "TensorFlow 2.10 or newer" in finding.remedy
    assert ranked(folder, "CPR621", tensorflow="2.10") == []
    assert ranked(folder, "CPR621") == [], "without a release in view every model is fine"


def test_an_operation_that_is_gone(made):
    folder = made("MapAndBatchDatasetV2")
    assert ranked(folder, "CPR621", tensorflow="1.12") == []
    (finding,) = found(folder, "CPR621", tensorflow="1.13")
    assert "MapAndBatchDatasetV2 (in 1.9 to 1.12 alone)" in finding.message
    assert "TensorFlow 1.9 to 1.12" in finding.remedy


def test_versions_that_a_release_refuses(made):
    own = 1087  # TF_GRAPH_DEF_VERSION of TensorFlow 2.9
    assert ranked(made(versions=f"producer: {own + 900}"), "CPR621", tensorflow="2.9") == [], "a newer producer may be fine"
    (finding,) = found(made(versions=f"producer: 2000 min_consumer: {own + 1}"), "CPR621", tensorflow="2.9")
    assert finding.severity.value == "error"
    assert f"whose version is {own}" in finding.message
    (finding,) = found(made(versions=f"producer: 2000 bad_consumers: {own}"), "CPR621", tensorflow="2.9")
    assert "misread" in finding.message
    assert ranked(made(versions=f"producer: 2000 min_consumer: {own}"), "CPR621", tensorflow="2.9") == []


def test_tensorflow_refuses_what_is_called_too_new(faulty):
    folder, says = faulty
    assert says["reference_for_newer"]["loads"] is not None
    assert ranked(folder / "reference_for_newer", "CPR621", tensorflow="2.21") == [("error", PLACE)]
    assert says["module_for_newer"]["loads"] is None, "only servers refuse it"
    assert ranked(folder / "module_for_newer", "CPR621", tensorflow="2.21") == [("warning", PLACE)]
    assert says["reference_by_newer"]["loads"] is None
    assert ranked(folder / "reference_by_newer", "CPR621", tensorflow="2.21") == []


def test_tensorflow_refuses_an_operation_that_nobody_registered(faulty):
    folder, says = faulty
    for name in ("module_custom", "reference_custom"):
        assert says[name]["loads"] is not None
        assert ranked(folder / name, "CPR622") == [("warning", PLACE)], "a library may register it"


def test_every_model_fits_the_release_that_wrote_it(faulty, models):
    """Ours by TensorFlow 1.15, 2.11 and newer ones, and those of these tests by the newest."""
    graphs = [graph for folder in ("sample_models", "templates") for graph in (ROOT / folder).rglob("saved_model.pb")]
    graphs += [folder / "saved_model.pb" for folder in (*models.iterdir(), *faulty[0].iterdir()) if "sound_" in folder.name]
    assert len(graphs) > 15
    for graph in graphs:
        (written,) = {made.tensorflow_version for made in survey(graph.parent).models[0].meta_graphs}
        assert ranked(graph.parent, "CPR621", "CPR622", "CPR623", tensorflow=written) == [], graph


def test_a_custom_operation_and_its_package(made):
    (finding,) = found(made("BucketizeWithInputBoundaries"), "CPR622")
    assert finding.severity.value == "warning"
    assert "tensorflow.contrib.boosted_trees does" in finding.message
    assert "Import tensorflow.contrib.boosted_trees" in finding.remedy
    (finding,) = found(made("MyVeryOwnOperation"), "CPR622")
    assert "No TensorFlow has MyVeryOwnOperation of its own." in finding.message
    assert ranked(made("of_library"), "CPR622") == [], "a function of the library is called by its name"
    assert ranked(made(), "CPR622") == []


def test_an_operation_without_a_kernel(made):
    (finding,) = found(made("CudnnRNNV3"), "CPR623")
    assert finding.severity.value == "warning"
    assert "cannot run it on a CPU" in finding.message
    assert ranked(made(), "CPR623") == []


def test_an_operation_that_reaches_outside(faulty):
    folder, _ = faulty
    assert ranked(folder / "reads_files", "CPR624") == [("warning", PLACE)]
    assert "reads any file" in found(folder / "reads_files", "CPR624")[0].message
    assert ranked(folder / "calls_python", "CPR624") == [("warning", PLACE)]
    assert ranked(folder / "sound_text", "CPR624") == [], "a table that is filled from an asset"


def test_an_operation_that_reaches_outside_and_that_nothing_runs_is_a_note(faulty):
    folder, _ = faulty
    assert ranked(folder / "writes_unused", "CPR624") == [("note", PLACE)]


def test_reference_variables(faulty):
    folder, _ = faulty
    assert ranked(folder / "references", "CPR625") == [("note", PLACE)]
    assert ranked(folder / "sound_keras", "CPR625") == []


def test_graphs_that_no_server_loads_need_nothing(faulty, tmp_path):
    """A second graph, for training, with an operation that no TensorFlow has."""
    folder, _ = faulty
    shutil.copytree(folder / "sound_default", tmp_path / "model")
    graph = tmp_path / "model" / "saved_model.pb"
    other = GRAPH.replace("OPERATION", "MyVeryOwnOperation").replace("VERSIONS", "").replace('"serve"', '"train"')
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "saved_model.pbtxt").write_text(other)
    assert ranked(tmp_path / "other", "CPR622") == [("warning", "saved_model.pbtxt")]
    from cpr.saved_model.pbtxt import to_wire

    graph.write_bytes(graph.read_bytes() + bytes(to_wire(other.encode())))
    assert ranked(tmp_path / "model", "CPR622") == []
