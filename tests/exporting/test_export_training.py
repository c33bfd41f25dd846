"""Training folders: the newest or the best checkpoint, and nothing else of the folder."""

import shutil

import numpy as np
import pytest
from support.export_sources import ROWS, answers

import cpr
from cpr.errors import ModelError, UsageError

pytestmark = pytest.mark.xdist_group("tensorflow")

ENDS = {"outputs": {"scores": "net/scores"}, "constants": {"net/keep": 1.0}}


def test_the_newest_checkpoint_of_a_folder(trained, tmp_path):
    source = trained["resource"]
    exported = cpr.export(source.folder, tmp_path / "model", **ENDS)
    assert exported.notes[0] == "checkpoint: model.ckpt-2 (the last of 2, as the training noted)"
    np.testing.assert_allclose(answers(tmp_path / "model", "serving_default", {"x": ROWS})["scores"], source.scores, 1e-6)
    left = {path.name for path in (tmp_path / "model").rglob("*") if path.is_file()}
    assert left == {"saved_model.pb", "variables.index", "variables.data-00000-of-00001"}


def test_a_checkpoint_by_name_has_other_weights(trained, tmp_path):
    source = trained["resource"]
    exported = cpr.export(source.folder, tmp_path / "model", checkpoint="model.ckpt-1", **ENDS)
    assert exported.notes[0] == "checkpoint: model.ckpt-1 (as asked)"
    found = answers(tmp_path / "model", "serving_default", {"x": ROWS})["scores"]
    assert not np.allclose(found, source.scores, 1e-3)
    with pytest.raises(UsageError, match=r"there are: newest, model\.ckpt-1, model\.ckpt-2"):
        cpr.export(source.folder, tmp_path / "other", checkpoint="model.ckpt-7", **ENDS)


@pytest.mark.parametrize(("metric", "chosen"), [("loss", "model.ckpt-1"), ("accuracy", "model.ckpt-2")])
def test_the_best_by_the_event_files(metric, chosen, trained, tmp_path):
    import tensorflow as tf

    folder = shutil.copytree(trained["resource"].folder, tmp_path / "run")
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.summary.FileWriter(str(folder / "eval")) as writer:
        for step, loss, accuracy in ((1, 0.5, 0.7), (2, 0.6, 0.8)):
            values = [v1.Summary.Value(tag=tag, simple_value=value) for tag, value in (("loss", loss), ("accuracy", accuracy))]
            writer.add_summary(v1.Summary(value=values), step)
    exported = cpr.export(folder, tmp_path / "model", checkpoint=f"best:{metric}", **ENDS)
    assert exported.notes[0].startswith(f"checkpoint: {chosen} ({metric} 0.")
    with pytest.raises(UsageError) as caught:
        cpr.export(folder, tmp_path / "other", checkpoint="best:bleu", **ENDS)
    assert "are accuracy, loss" in caught.value.remedy


def test_the_best_of_keras_files_by_their_names(classifier, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("model.01-0.90.keras", "model.02-0.30.keras", "model.10-0.40.keras"):
        classifier.save(run / name)
    chosen = [
        cpr.export(run, tmp_path / "model", checkpoint=asked, overwrite=True).notes[0] for asked in (None, "best:val_loss")
    ]
    assert chosen[0] == "checkpoint: model.10-0.40.keras (the newest of 3)"
    assert chosen[1] == "checkpoint: model.02-0.30.keras (val_loss 0.3 is the lowest of 3, by the files' names)"


def test_a_checkpoint_of_objects_needs_the_code(tmp_path):
    import tensorflow as tf

    tf.train.Checkpoint(v=tf.Variable(1.0)).save(str(tmp_path / "run" / "ckpt"))
    with pytest.raises(ModelError) as caught:
        cpr.export(tmp_path / "run", tmp_path / "model")
    assert "cpr.export(model, DST)" in caught.value.remedy
