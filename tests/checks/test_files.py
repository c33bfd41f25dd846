"""CPR721 to CPR724: links, names, sizes and leftovers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.checking import PREDICTOR, findings, subject
from support.routines import write_routine

from cpr.bundle import Bundle
from cpr.checks import CATALOGUE
from cpr.errors import BundleError
from cpr.machines import read_target
from cpr.report import Finding, Severity
from cpr.steps.build import build
from cpr.steps.validate import _subject


def looked(bundle: Bundle, check: str) -> list[Finding]:
    (found,) = (item for item in CATALOGUE if item.id == check)
    target = read_target("ai-platform")
    return list(found.findings(_subject(bundle, target, target.machine())))


def test_links_in_a_bundle(tmp_path: Path) -> None:
    bundle = build(write_routine(tmp_path / "routine", files={"model/deep/more.json": "1"}))
    assert looked(bundle, "CPR721") == []
    place = bundle.path("model/factor.json")
    place.rename(tmp_path / "elsewhere.json")
    place.symlink_to(tmp_path / "elsewhere.json")
    bundle.verify()  # the content is what the manifest says
    (finding,) = looked(bundle, "CPR721")
    assert finding.where == "model/factor.json" and "leaves the bundle" in finding.message
    place.unlink()
    place.write_text("3")
    bundle.path("model/deep").rename(bundle.root / "moved")
    bundle.path("model/deep").symlink_to(bundle.root / "moved")
    (finding,) = looked(bundle, "CPR721")
    assert finding.where == "model/deep" and "stays inside" in finding.message


def test_a_linked_folder_that_the_manifest_does_not_list(tmp_path: Path) -> None:
    bundle = build(write_routine(tmp_path / "routine"))
    (tmp_path / "data").mkdir()
    (bundle.model_dir / "data").symlink_to(tmp_path / "data")
    assert [finding.where for finding in looked(bundle, "CPR721")] == ["model/data"]
    with pytest.raises(BundleError, match="does not list model/data"):
        bundle.verify()


def test_a_pipe_in_a_bundle_is_not_waited_for(tmp_path: Path) -> None:
    bundle = build(write_routine(tmp_path / "routine"))
    bundle.path("model/factor.json").unlink()
    os.mkfifo(bundle.path("model/factor.json"))
    assert ["pipe" in finding.message for finding in looked(bundle, "CPR721")] == [True]
    with pytest.raises(BundleError, match="not a regular file"):
        bundle.verify()


@pytest.mark.parametrize(
    ("name", "severity", "says"),
    [
        ("weights[1].bin", Severity.WARNING, "pattern"),
        ("what?.txt", Severity.WARNING, "pattern"),
        ("part#2", Severity.WARNING, "version"),
        ("é" * 128, Severity.WARNING, "255 bytes"),
        ("e\u0301t\u00e9.txt", Severity.NOTE, "accents"),
        ("aux.json", Severity.NOTE, "reserves"),
        ("NUL", Severity.NOTE, "reserves"),
        ("a|b", Severity.NOTE, "Windows"),
        ("folder./a", Severity.NOTE, "Windows"),
        ("a ", Severity.NOTE, "Windows"),
        ("/".join(["folder"] * 30), Severity.NOTE, "260"),
    ],
)
def test_names(name: str, severity: Severity, says: str) -> None:
    (finding,) = findings("CPR722", subject(model={name: 1}))
    assert finding.severity is severity and says in finding.message


@pytest.mark.parametrize(
    "name", ["factor.json", "é.txt", "aux_data.json", "console", "a#b", "no.1/x-y_z+1.bin", "a" * 190, "日本語"]
)
def test_names_that_are_fine(name: str) -> None:
    assert findings("CPR722", subject(model={name: 1})) == []


def test_names_that_are_one_elsewhere() -> None:
    (finding,) = findings("CPR722", subject(model={"Model.txt": 1, "model.txt": 1}))
    assert "one name" in finding.message and finding.severity is Severity.WARNING
    assert len(findings("CPR722", subject(model={"Data/a": 1, "data/b": 1}))) == 1
    assert findings("CPR722", subject(model={"data/a": 1, "data/b": 1, "a": 1})) == []
    sources = {"predictor.py": PREDICTOR, "pkg/Words.txt": "", "pkg/words.txt": ""}
    assert len(findings("CPR722", subject(sources=sources))) == 1


@pytest.mark.parametrize("over", [False, True])
def test_object_names(over: bool) -> None:
    prefix = len("tiny/1.0/model/")
    folders = "/".join(["f" * 99] * 10) + "/"
    name = folders + "x" * (1024 - prefix - len(folders) + over)
    errors = [finding for finding in findings("CPR722", subject(model={name: 1})) if finding.severity is Severity.ERROR]
    assert [finding.check for finding in errors] == ["CPR722"] * over


@pytest.mark.parametrize("over", [False, True])
def test_a_file_of_more_than_half(over: bool) -> None:
    found = findings("CPR723", subject(model={"weights.bin": 250_000_000 + over}))
    assert [finding.severity for finding in found] == [Severity.NOTE] * over


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("train.ipynb", "Notebooks"),
        ("train/data.csv", "Data sets"),
        ("a.tfrecord.gz", "Data sets"),
        ("old.tar.gz", "Archives"),
        ("checkpoint", "Training checkpoints"),
        ("model.ckpt-100.data-00000-of-00001", "Training checkpoints"),
        ("logs/events.out.tfevents.1", "Logs for TensorBoard"),
        (".git/config", "Version control"),
        ("venv/lib/python3.7/site-packages/a.py", "An environment"),
        ("__pycache__/a.pyc", "Caches of Python"),
    ],
)
def test_leftovers(name: str, kind: str) -> None:
    (finding,) = findings("CPR724", subject(model={name: 10}))
    assert finding.message == f"{kind}: one file with 10 bytes." and finding.severity is Severity.NOTE
    (finding,) = findings("CPR724", subject(model={name: 60_000_000, "b.json": 1}))
    assert finding.severity is Severity.WARNING


def test_what_is_needed_is_no_leftover() -> None:
    named = PREDICTOR + "\nWORDS = 'words.csv'\nCHECKPOINT = os.path.join(model_dir, 'model.ckpt')\n"
    model = {"words.csv": 9, "saved/variables/variables.index": 9, "weights.npz": 9, "factor.json": 9, "vocab.txt": 9}
    assert findings("CPR724", subject(model=model, sources={"predictor.py": named})) == []
    assert len(findings("CPR724", subject(model={"other.parquet": 9}, sources={"predictor.py": named}))) == 1
