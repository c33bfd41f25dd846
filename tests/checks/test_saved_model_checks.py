"""CPR6xx: SavedModels that TensorFlow would refuse, found without it, and named by the file at fault."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.checking import faults, run, subject
from support.command import cpr
from support.routines import write_routine

from cpr.report import Severity
from cpr.saved_model.survey import survey

SAMPLE = Path(__file__).resolve().parents[2] / "sample_models" / "iris" / "model"

NEWER = """\
saved_model_schema_version: 1
meta_graphs {
  meta_info_def { tags: "serve" tensorflow_version: "2.21.0" }
  graph_def { library { function { signature { name: "save" } node_def { name: "x" op: "DisableCopyOnRead" } } } }
}
"""


def model(folder: Path, damage: Callable[[Path], object] = lambda _: None) -> Path:
    """A copy of the sample's model directory, with damage done to its SavedModel."""
    shutil.copytree(SAMPLE, folder, dirs_exist_ok=True)
    damage(folder / "saved_model")
    return folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def pbtxt(folder: Path, text: str) -> None:
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "saved_model.pbtxt").write_text(text)


WEIGHTS = "variables/variables.data-00000-of-00001"


@pytest.mark.parametrize(
    ("check", "damage", "where"),
    [
        ("CPR603", lambda folder: cut(folder / "saved_model.pb"), "model/saved_model/saved_model.pb"),
        (
            "CPR604",
            lambda folder: (folder / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
            f"model/saved_model/{WEIGHTS}",
        ),
        ("CPR605", lambda folder: (folder / WEIGHTS).unlink(), f"model/saved_model/{WEIGHTS}"),
        ("CPR606", lambda folder: cut(folder / WEIGHTS), f"model/saved_model/{WEIGHTS}"),
        ("CPR607", lambda folder: cut(folder / "variables/variables.index"), "model/saved_model/variables/variables.index"),
        ("CPR608", lambda folder: pbtxt(folder, NEWER.replace('"serve"', '"train"')), "model/saved_model"),
        ("CPR609", lambda folder: pbtxt(folder, NEWER), "model/saved_model"),
        (
            "CPR610",
            lambda folder: pbtxt(
                folder, NEWER.replace("graph_def {", 'asset_file_def { filename: "words.txt" }\n  graph_def {')
            ),
            "model/saved_model/assets/words.txt",
        ),
        ("CPR621", lambda folder: pbtxt(folder, NEWER), "model/saved_model"),
    ],
)
def test_each_damage_is_found_by_its_check(tmp_path: Path, check: str, damage: Callable[[Path], object], where: str) -> None:
    whole = survey(model(tmp_path / "whole")).models
    assert faults(check, subject(run=run(), models=whole)) == []
    broken = survey(model(tmp_path / "broken", damage)).models
    (fault,) = faults(check, subject(run=run(), models=broken))
    assert fault.where == where


def test_a_newer_operation_matters_only_to_an_older_runtime(tmp_path: Path) -> None:
    models = survey(model(tmp_path / "m", lambda folder: pbtxt(folder, NEWER))).models
    (fault,) = faults("CPR621", subject(models=models, runtime_version="2.9"))
    assert "TensorFlow 2.9 does not have DisableCopyOnRead (came with 2.10)" in fault.message
    assert faults("CPR621", subject(models=models, runtime_version="2.10")) == []
    assert faults("CPR621", subject(models=models, target="vertex-ai")) == [], "a container brings the TensorFlow of the proof"


def test_validate_names_the_missing_weights(tmp_path: Path) -> None:
    folder = write_routine(tmp_path / "r")
    model(folder / "model", lambda saved: (saved / WEIGHTS).unlink())
    ran = cpr("validate", folder, "--json")
    assert ran.status == 1
    errors = [finding for finding in ran.document["findings"] if finding["severity"] == Severity.ERROR.value]
    assert [(error["check"], error["where"]) for error in errors] == [("CPR605", f"model/saved_model/{WEIGHTS}")]
    assert json.loads((folder / "dist/tiny-1.2.0/validation.json").read_text())["ok"] is False
