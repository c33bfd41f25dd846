"""Which files travel: patterns as git reads them, links, odd names, and what cannot be packaged."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.routines import CONFIG, PREDICTOR, write_routine

from cpr.bundle import Bundle
from cpr.errors import BuildError, CprError, ProjectError
from cpr.manifest import ClassRef
from cpr.project import Routine
from cpr.selection import Selection
from cpr.steps.build import build

PATHS = ["a", "b/a", "b/c/a", "b/c/d.txt", "d.txt", "b/x y", "f#g", "!bang", "c/b/a", "c/b/e/f", "b/.h", ".h", "a.d/z"]
PATTERNS = [
    *("a", "b", "b/", "/a", "/b", "/b/*", "b/c", "b/c/", "*", "**", "*/", "**/", "/**", "a/**", "b/**", "**/a", "**/b/"),
    *("**/c/**", "b/*/a", "c/**/f", "*.txt", "?", "[a-c]", "[!a]", "[a-", ".*", "b**", "f#g", "#b", "\\#x", "\\!bang"),
    *("!a", "!b/", "!/b/", "!b/c", "!b/c/", "!b/c/d.txt", "!**/a", "!*/", "!*.txt", "!.h"),
]


def members(bundle: Bundle) -> set[str]:
    with tarfile.open(bundle.path(bundle.manifest.sdist)) as tar:
        return {name.partition("/")[2] for name in tar.getnames()} - {"PKG-INFO", "setup.py"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("git") is None:
        pytest.skip("git is not installed, and it is what the patterns are compared with")
    folder = tmp_path_factory.mktemp("tree").resolve()
    for path in PATHS:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("")
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=4))
def test_patterns_mean_what_they_mean_to_git(tree: Path, patterns: list[str]) -> None:
    (tree / ".git/info/exclude").write_text("".join(f"{pattern}\n" for pattern in patterns))
    command = ["git", "-C", tree, "ls-files", "-z", "--others", "--exclude-standard"]
    kept = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")) - {""}
    reference = ClassRef("predictor", "Scale")
    routine = Routine(tree, "tiny", "1", reference, tree / "model", None, exclude=tuple(patterns))
    select = Selection(routine, tree / "dist")
    ours = {path.relative_to(tree).as_posix() for place in tree.iterdir() for path in select.walk(place)}
    assert ours == kept


def test_a_pattern_that_git_would_not_read(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="git would not read"):
        build(write_routine(tmp_path / "r", CONFIG + "exclude: ['!']\n"))


def test_an_excluded_link_may_lead_anywhere(tmp_path: Path) -> None:
    folder = write_routine(tmp_path / "r", CONFIG + "exclude: [cache/, '*.link']\n")
    (folder / "model/cache").symlink_to("/etc")
    (folder / "model/one.link").symlink_to("/etc/passwd")
    assert [entry.path for entry in build(folder).manifest.model_files] == ["model/factor.json"]


def link_module(folder: Path) -> None:
    (folder / "predictor.py").rename(folder.parent / "elsewhere.py")
    (folder / "predictor.py").symlink_to("../elsewhere.py")


def link_package(folder: Path) -> None:
    (folder / "predictor.py").write_text("import pack\n" + PREDICTOR)
    (folder.parent / "elsewhere").mkdir()
    (folder.parent / "elsewhere/__init__.py").write_text("")
    (folder / "pack").symlink_to("../elsewhere")


def link_round(folder: Path) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        (folder / name).mkdir()
        (folder / name / "next").symlink_to(f"../{other}")
    (folder / "model/first").symlink_to("../one")


def link_itself(folder: Path) -> None:
    (folder / "model/self").symlink_to("self")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (link_module, "leads out of the routine folder"),
        (link_package, "leads out of the routine folder"),
        (link_round, "back to a folder above"),
        (link_itself, "cannot be read"),
    ],
)
def test_links_that_cannot_be_followed(tmp_path: Path, break_it, message: str) -> None:
    folder = write_routine(tmp_path / "r")
    break_it(folder)
    with pytest.raises(BuildError, match=message):
        build(folder)


def test_odd_names_travel_and_install(tmp_path: Path) -> None:
    files = {
        "pack/__init__.py": "",
        "pack/a[1].txt": "1",
        "pack/b*?.txt": "2",
        "pack/.hidden": "3",
        "pack/v1.0/old.py": "4",
        "pack/my-scripts/run.py": "5",
        "pack/naïve.py": "6",
        "dist/__init__.py": "",
        "dist/some.tar": "7",
    }
    bundle = build(
        write_routine(tmp_path / "r", predictor="import pack, dist\n" + PREDICTOR, files=files), tmp_path / "bundles"
    )
    assert members(bundle) == {*files, "predictor.py"}
    target = tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", target, bundle.path(bundle.manifest.sdist)], check=True, capture_output=True)
    assert {name: (target / name).read_text() for name in files} == files


def test_weights_inside_a_package_travel_once(tmp_path: Path) -> None:
    """The model directory may lie in a package, or be one: its modules go with the code, everything goes with the model."""
    for model_dir in ("pack/model", "pack"):
        folder = write_routine(
            tmp_path / model_dir.replace("/", "_"),
            CONFIG + f"model_dir: {model_dir}\n",
            "import pack\n" + PREDICTOR,
            {"pack/__init__.py": "", "pack/model/weights.bin": "w", "pack/model/code.py": ""},
        )
        bundle = build(folder)
        assert members(bundle) == {"pack/__init__.py", "pack/model/code.py", "predictor.py"}
        assert any(entry.path.endswith("weights.bin") for entry in bundle.manifest.model_files)


@pytest.mark.parametrize(
    ("config", "files", "message", "remedy"),
    [
        ("modules: [helper]\n", {"helper.py": ""}, "'predictor' does not travel", "`modules`"),
        ("exclude: [predictor.py]\n", {}, "'predictor' does not travel", "`exclude`"),
        ("", {"predictor.py": "import setup", "setup.py": ""}, "a setup.py of its own", "Rename"),
    ],
)
def test_modules_that_cannot_be_packaged(tmp_path: Path, config: str, files: dict[str, str], message: str, remedy: str) -> None:
    with pytest.raises(CprError, match=message) as caught:
        build(write_routine(tmp_path / "r", CONFIG + config, files=files))
    assert remedy in caught.value.remedy


def test_packages_too_large_for_a_source_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cpr.sdist.MAX_BYTES", 10_000)
    files = {"pack/__init__.py": "", "pack/weights.bin": bytes(10_001)}
    with pytest.raises(BuildError, match="source distribution holds fewer") as caught:
        build(write_routine(tmp_path / "r", predictor="import pack\n" + PREDICTOR, files=files))
    assert "model directory" in caught.value.remedy


@pytest.mark.parametrize("output", ["model", "model/out", "pack", "pack/out"])
def test_an_output_inside_what_is_packaged(tmp_path: Path, output: str) -> None:
    folder = write_routine(tmp_path / "r", predictor="import pack\n" + PREDICTOR, files={"pack/__init__.py": ""})
    with pytest.raises(BuildError, match="which is packaged"):
        build(folder, folder / output)
    assert not list(folder.rglob("manifest.json"))
