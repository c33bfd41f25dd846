"""What all findings have in common: TensorFlow is asked whether it loads what we call broken, and sound models stay quiet."""

import random
import shutil
from pathlib import Path

import pytest
from support.surveyed import checks

from cpr.checks import CATALOGUE
from cpr.report import Severity
from cpr.saved_model.kinds import KINDS
from cpr.saved_model.survey import survey

ROOT = Path(__file__).resolve().parents[2]

NO_REQUEST_SUCCEEDS = {"CPR644"}
"""Errors on models that TensorFlow does load."""

A_LIBRARY_MAY_HELP = {"module_custom", "reference_custom"}
"""Models that TensorFlow alone does not load, and that are no errors."""


def test_what_is_called_broken_is_what_tensorflow_does_not_load(tensorflow_says):
    assert len(tensorflow_says.broken) > 35
    for place, reason in tensorflow_says.broken.items():
        assert survey(tensorflow_says.folder / place).ok == (reason is None), f"{place}: {reason}"


def test_what_is_called_broken_among_faulty_models_is_what_tensorflow_does_not_load(faulty):
    folder, says = faulty
    assert sum(says[place]["loads"] is not None for place in says) > 8
    for place, said in says.items():
        found = survey(folder / place, verify=True, tensorflow="2.21").findings
        errors = {finding.check for finding in found if finding.severity is Severity.ERROR}
        if place not in A_LIBRARY_MAY_HELP:
            assert bool(errors - NO_REQUEST_SUCCEEDS) == (said["loads"] is not None), f"{place}: {said} {errors}"


@pytest.mark.parametrize(
    ("damage", "model", "check"),
    [
        ("graph_empty", "module", "CPR603"),
        ("graph_cut", "tf1_constant", "CPR603"),
        ("weights_pointer", "module", "CPR604"),
        ("index_missing", "module", "CPR605"),
        ("index_missing", "tf1_builder", "CPR605"),
        ("weights_missing", "vocabulary", "CPR605"),
        ("weights_cut", "module", "CPR606"),
        ("index_cut", "module", "CPR607"),
        ("index_altered", "tf1_builder", "CPR607"),
        ("assets_missing", "vocabulary", "CPR610"),
        ("assets_missing", "tf1_builder", "CPR610"),
    ],
)
def test_each_damage_has_its_own_finding(models, damage, model, check):
    here = checks(models / "broken" / damage / model)
    assert here.count(check) == 1
    assert set(here) - {check} <= set(checks(models / "broken" / "whole" / model))


@pytest.mark.parametrize(
    "name", ["keras", "module", "no_variables", "tf1_builder", "tf1_composite", "tf1_constant", "vocabulary"]
)
def test_an_ordinary_export_has_nothing_but_notes(models, name):
    unusual = {"module": {"CPR651"}, "tf1_constant": {"CPR651"}}  # these two take fixed rows
    found = [finding for finding in survey(models / name).findings if finding.severity is not Severity.NOTE]
    assert {finding.check for finding in found} == unusual.get(name, set())


def test_sound_models_have_nothing_but_notes(faulty):
    folder, says = faulty
    sound = [place for place in says if place.startswith("sound_") or place.endswith(("_base", "_same"))]
    assert len(sound) > 10
    for place in sound:
        loud = [finding for finding in survey(folder / place).findings if finding.severity is not Severity.NOTE]
        assert loud == [], place


def repository_models():
    for folder in ("sample_models", "templates"):
        for graph in sorted((ROOT / folder).rglob("saved_model.pb")):
            if "dist" not in graph.parts:
                yield graph.parent.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("place", list(repository_models()))
def test_the_models_of_this_repository_have_nothing_but_notes(place):
    assert [finding for finding in survey(ROOT / place).findings if finding.severity is not Severity.NOTE] == []


def test_findings_name_the_model_they_are_about(models, tmp_path):
    shutil.copytree(models / "vocabulary", tmp_path / "outer" / "good")
    shutil.copytree(models / "vocabulary", tmp_path / "outer" / "bad")
    (tmp_path / "outer" / "bad" / "variables" / "variables.index").unlink()
    (finding,) = survey(tmp_path / "outer").findings
    assert finding.where == "bad/variables/variables.index"


def test_links_to_files_count_as_the_files(models, tmp_path):
    folder = shutil.copytree(models / "vocabulary", tmp_path / "model")
    data = folder / "variables" / "variables.data-00000-of-00001"
    data.rename(tmp_path / "blob")
    data.symlink_to(tmp_path / "blob")
    assert survey(folder).findings == ()
    assert dict(survey(folder).files)["variables/variables.data-00000-of-00001"] == (tmp_path / "blob").stat().st_size
    (tmp_path / "blob").unlink()
    assert checks(folder) == ["CPR605"]


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.index", "fingerprint.pb"])
@pytest.mark.parametrize("name", ["estimator", "keras3"])
def test_damage_becomes_findings_and_nothing_else(tmp_path, name, file):
    """What the readers still take, the findings take as well."""
    folder = shutil.copytree(ROOT / "sample_models" / "add_two" / "exports" / name, tmp_path / "model")
    if not (folder / file).exists():
        return
    content, chance = (folder / file).read_bytes(), random.Random(11)
    for _ in range(150):
        altered = bytearray(content)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(altered))
            altered[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        (folder / file).write_bytes(altered)
        survey(folder, tensorflow="2.9")


def test_the_catalogue_has_every_kind_once_in_order_and_with_its_words():
    ids = [kind.id for kind in KINDS]
    assert ids == sorted(set(ids))
    registered = {check.id: check for check in CATALOGUE if check.id.startswith("CPR6")}
    assert list(registered) == ids
    for kind in KINDS:
        check = registered[kind.id]
        words = (kind.title, kind.severity, kind.cause, kind.remedy, kind.prevents, kind.source)
        assert words == (check.title, check.severity, check.cause, check.remedy, check.prevents, check.source)
