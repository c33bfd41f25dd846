"""What serving does not need goes, and every answer stays the same to the last bit."""

import shutil
import sys
from pathlib import Path

import pytest

import cpr
from cpr.errors import ModelError

pytest.importorskip("tensorflow")

import asked_plainly
import shrinkable_models

SAMPLES = ("add_two/model", "digits_png/model", "docstrings/model", "iris/model")
EXPORTS = ("builder", "estimator", "keras2", "keras3", "module", "simple_save")
PLACES = [*SAMPLES, *(f"add_two/exports/{name}" for name in EXPORTS)]


def shrunk(source, place, **options):
    """Without measuring, which takes two processes with TensorFlow."""
    return cpr.shrink(source, place, measure=False, **options)


def saved_model(folder):
    return next(Path(folder).rglob("saved_model.pb")).parent


def names(place):
    found = cpr.inspect(place).models[0].variables
    return {each.name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE") for each in found if not each.name.startswith("_CHECKPOINT")}


def functions(place):
    return cpr.inspect(place).models[0].meta_graphs[0].functions


@pytest.mark.parametrize("sample", PLACES)
def test_a_sample_answers_the_same_by_both_loaders(repository, tmp_path, sample):
    source = repository / "sample_models" / sample
    done = shrunk(source, tmp_path / "smaller")
    assert done.after < done.before
    folder = saved_model(source)
    if sample == "digits_png/model":  # takes pictures, and refuses what is made up here
        assert cpr.inspect(tmp_path / "smaller").ok
        return
    assert asked_plainly.largest_difference(asked_plainly.by_objects(folder), asked_plainly.by_objects(done.destination)) == 0
    assert asked_plainly.largest_difference(asked_plainly.by_objects(folder), asked_plainly.by_session(done.destination)) == 0


@pytest.mark.parametrize("name", shrinkable_models.WRITERS)
def test_a_model_answers_the_same_by_both_loaders(made, tmp_path, name):
    source = made(name)
    before = asked_plainly.by_objects(source)
    done = shrunk(source, tmp_path / "smaller", fold=False)
    assert asked_plainly.largest_difference(before, asked_plainly.by_objects(done.destination)) == 0
    assert asked_plainly.largest_difference(before, asked_plainly.by_session(done.destination)) == 0
    assert not [found for found in cpr.inspect(done.destination).findings if found.severity.value == "error"]
    again = shrunk(done.destination, tmp_path / "again", fold=False)
    assert again.left_out == () and again.after < done.after + 200  # names that are taken


def test_slots_and_copies_go(made, tmp_path):
    done = shrunk(made("text"), tmp_path / "smaller")
    assert done.after < done.before * 0.51
    left = names(done.destination)
    assert not [name for name in left if "optimizer" in name or "_all_variables" in name]
    assert left < names(done.source)


def test_training_functions_and_what_they_alone_use_go(made, tmp_path):
    done = shrunk(made("branches"), tmp_path / "smaller")
    assert names(done.destination) == {"first", "second", "small", "large", "huge"}
    assert not [name for name in functions(done.destination) if "train" in name and "traced" not in name]
    assert [name for name in functions(done.source) if "__inference_train" in name]


def test_assets_that_nothing_reads_go_and_warmup_requests_stay(made, tmp_path):
    source = shutil.copytree(made("tables"), tmp_path / "model")
    (source / "assets.extra").mkdir()
    (source / "assets.extra" / "notes").write_text("for the server")
    (source / "events.out.tfevents.1").write_bytes(b"of the training")
    done = shrunk(source, tmp_path / "smaller")
    files = {path for path, _ in cpr.inspect(done.destination).files}
    assert [path for path in files if path.startswith("assets/")] == ["assets/tables.used"]
    assert "assets.extra/notes" in files and "events.out.tfevents.1" not in files


def test_initial_values_and_slots_of_tensorflow_1_go(made, tmp_path):
    done = shrunk(made("references"), tmp_path / "smaller")
    assert names(done.destination) == {"vectors", "weights", "bias", "parts"}
    assert "RandomStandardNormal" not in cpr.inspect(done.destination).models[0].meta_graphs[0].ops


def test_a_model_that_python_objects_kept_from_loading_loads(tmp_path):
    """Keras 2's optimizer with slots: what fails to load in Keras 3 is left out."""
    from support import saved_models

    source = Path(saved_models.__file__).parent / "old_optimizer" / "saved_model"
    done = shrunk(source, tmp_path / "smaller")
    asked_plainly.by_objects(done.destination)


def test_several_graphs_share_their_variables(tmp_path):
    from support import saved_models

    saved_models.tensorflow1_text(str(tmp_path / "model"))
    done = shrunk(tmp_path / "model", tmp_path / "smaller")
    for tags in (("serve",), ("gpu", "serve")):
        before, after = (asked_plainly.by_session(place, tags) for place in (tmp_path / "model", done.destination))
        assert asked_plainly.largest_difference(before, after) == 0


@pytest.mark.parametrize(("name", "left"), [("picture", 6), ("normed", 2)])
def test_batch_norms_are_folded_into_the_kernels_before_them(made, tmp_path, name, left):
    """Those of Keras 3, made of small operations, and the fused ones of TensorFlow 1 and Keras 2."""
    source = made(name)
    done = shrunk(source, tmp_path / "smaller")
    before = asked_plainly.by_objects(source)
    for after in (asked_plainly.by_objects(done.destination), asked_plainly.by_session(done.destination)):
        assert asked_plainly.largest_difference(before, after) < 1e-5
    ops = cpr.inspect(done.destination).models[0].meta_graphs[0].ops
    assert not {"FusedBatchNormV3", "Rsqrt"} & set(ops)
    assert len(names(done.destination)) == left


def test_a_model_without_a_signature_is_refused(tmp_path):
    from support import saved_models

    saved_models.without_signature(str(tmp_path / "model"))
    with pytest.raises(ModelError, match="no signature"):
        shrunk(tmp_path / "model", tmp_path / "smaller")
    assert not (tmp_path / "smaller").exists()


def test_a_call_prints_nothing(repository, tmp_path, capsys):
    shrunk(repository / "sample_models/iris/model", tmp_path / "smaller")
    assert capsys.readouterr().out == ""
    assert sys.stdout.writable()
