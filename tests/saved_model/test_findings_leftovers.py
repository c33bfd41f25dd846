"""CPR631 to CPR634: bytes that serving never reads."""

import shutil

import pytest
from support.surveyed import checks, found, ranked

from cpr.saved_model.survey import survey

MIB = 1 << 20


@pytest.fixture
def folder(models, tmp_path):
    return shutil.copytree(models / "vocabulary", tmp_path / "model")


def put(folder, sizes):
    for name, size in sizes.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(bytes(size))


def test_event_files(folder):
    assert checks(folder) == []
    put(folder, {"train/events.out.tfevents.1600000000.host": 700})
    (finding,) = found(folder, "CPR631")
    assert (finding.severity.value, finding.where) == ("note", "train/events.out.tfevents.1600000000.host")
    put(folder, {"eval/events.out.tfevents.1600000001.host": MIB})
    (finding,) = found(folder, "CPR631")
    assert finding.severity.value == "warning"
    assert f"{MIB + 700:,} bytes" in finding.message


CHECKPOINT = {
    "checkpoint": 60,
    "graph.pbtxt": 10,
    "model.ckpt-7.data-00000-of-00001": MIB,
    "model.ckpt-7.index": 100,
    "model.ckpt-7.meta": 30,
}


def test_checkpoints(folder):
    put(folder, CHECKPOINT)
    (finding,) = found(folder, "CPR632")
    assert (finding.severity.value, finding.where) == ("warning", "checkpoint")
    assert f"{MIB + 200:,} bytes" in finding.message


def test_files_that_only_have_such_names(folder):
    put(folder, {"checkpoint": 9, "words.index": 9, "graph.pbtxt": 9, "data.meta": 9})
    assert ranked(folder, "CPR632") == []


def test_keras_files_are_no_more_than_a_note(folder):
    put(folder, {"weights.h5": 2 * MIB})
    (finding,) = found(folder, "CPR632")
    assert (finding.severity.value, finding.where) == ("note", "weights.h5")


def test_the_files_of_the_model_itself_are_no_leftovers(folder):
    put(folder, {"assets/net.h5": 9, "assets/events.out.tfevents.1": 9, "assets.extra/model.h5": 9})
    assert ranked(folder, "CPR631", "CPR632") == []


def test_files_beside_the_model_in_a_model_directory(models, tmp_path):
    """All of a routine's model directory is uploaded; of any other folder nobody knows."""
    shutil.copytree(models / "vocabulary", tmp_path / "routine" / "model" / "net")
    put(tmp_path / "routine" / "model", {"events.out.tfevents.1": 9})
    assert ranked(tmp_path / "routine" / "model", "CPR631") == []
    (tmp_path / "routine" / "routine.yaml").write_text("name: x\n")
    assert ranked(tmp_path / "routine" / "model", "CPR631") == [("note", "events.out.tfevents.1")]


def test_files_beside_the_model_in_a_bundle(models, tmp_path):
    shutil.copytree(models / "vocabulary", tmp_path / "model" / "net")
    put(tmp_path, {"manifest.json": 2, "model/events.out.tfevents.1": 9, "events.out.tfevents.2": 9})
    assert ranked(tmp_path, "CPR631") == [("note", "model/events.out.tfevents.1")]


def test_files_beside_several_models_belong_to_the_one_that_holds_them(models, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(models / "vocabulary", tmp_path / name)
    put(tmp_path, {"b/events.out.tfevents.1": 9, "events.out.tfevents.2": 9})
    assert ranked(tmp_path, "CPR631") == [("note", "b/events.out.tfevents.1")]


def test_the_optimizer_s_state(faulty):
    folder, _ = faulty
    (finding,) = found(folder / "sound_saved_keras", "CPR633")
    assert (finding.severity.value, finding.where) == ("note", "variables/variables.index")
    # Adam keeps two values for each of the 4 x 3 + 3 + 3 x 2 + 2 weights, all float32.
    assert int(finding.message.partition(" ")[0].replace(",", "")) >= 2 * 23 * 4
    assert ranked(folder / "sound_keras", "CPR633") == []


def test_the_remedy_for_an_optimizer_in_a_graph_of_tensorflow_1(faulty):
    folder, _ = faulty
    (objects,) = found(folder / "sound_saved_keras", "CPR633")
    (graph,) = found(folder / "trained_here", "CPR633")
    assert "Model.export" in objects.remedy
    assert "Model.export" not in graph.remedy
    assert "restore the checkpoint" in graph.remedy


def test_variables_that_are_stored_twice(faulty, models):
    folder, _ = faulty
    (finding,) = found(folder / "sound_keras", "CPR634")
    assert (finding.severity.value, finding.where) == ("note", "variables/variables.index")
    assert "_all_variables/" in finding.message
    assert ranked(models / "module", "CPR634") == []


def test_a_mebibyte_stored_twice_is_a_warning(faulty):
    folder, _ = faulty
    (finding,) = found(folder / "twice", "CPR634")
    assert finding.severity.value == "warning"
    assert f"{600 * 500 * 4:,} bytes" in finding.message
    assert "tf.saved_model.save" in finding.remedy
    assert ranked(folder / "once", "CPR634") == []
    kept, wasted = (survey(folder / name).models[0].index.shard_sizes[0][1] for name in ("once", "twice"))
    assert wasted > kept + 600 * 500 * 4 - 9000, "the remedy helps"
