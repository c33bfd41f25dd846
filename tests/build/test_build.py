"""`cpr build`: what a routine folder becomes, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from support.command import cpr, give_up_reading_everything
from support.routines import CONFIG, PREDICTOR, write_routine

from cpr.bundle import Bundle
from cpr.errors import BuildError, BundleError, ProjectError
from cpr.manifest import Manifest
from cpr.steps.build import build


def members(bundle: Bundle) -> dict[str, bytes]:
    with tarfile.open(bundle.path(bundle.manifest.sdist)) as tar:
        return {name.partition("/")[2]: tar.extractfile(name).read() for name in tar.getnames()}


def test_the_bundle_on_disk(tiny: Path) -> None:
    bundle = build(tiny)
    assert bundle.root == tiny / "dist" / "tiny-1.2.0"
    found = sorted(path.relative_to(bundle.root).as_posix() for path in bundle.root.rglob("*") if path.is_file())
    assert found == ["examples.jsonl", "manifest.json", "model/factor.json", "packages/tiny-1.2.0.tar.gz"]
    assert Bundle.open(bundle.root).manifest == bundle.manifest
    for entry in bundle.manifest.files:
        content = (bundle.root / entry.path).read_bytes()
        assert (entry.size, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert sorted(members(bundle)) == ["PKG-INFO", "predictor.py", "setup.py"]
    assert sorted(path.name for path in (tiny / "dist").iterdir()) == ["tiny-1.2.0"], "nothing else is left beside it"


def test_the_document(tiny: Path) -> None:
    document = cpr("build", tiny, "--json", "--version", "2.0.dev7").document
    assert document["schema"] == "cpr.build/1"
    assert list(document) == ["schema", "bundle", "name", "version", "digest", "files"]
    assert (document["name"], document["version"]) == ("tiny", "2.0.dev7")
    assert document["digest"] == Bundle.open(document["bundle"]).manifest.digest


BUILDER = (
    "import os, sys; os.umask(int(sys.argv[3], 8)); import cpr; print(cpr.build(sys.argv[1], sys.argv[2]).manifest.digest)"
)


def test_digests_are_equal_whatever_the_machine_looks_like(tmp_path: Path) -> None:
    files = {"helper.py": "A = 'ü'\n", "extra/data.json": "{}", "extra/__init__.py": "import cpr\n"}
    predictor = "import helper\nimport extra\n" + PREDICTOR
    digests, archives = set(), set()
    for number, (umask, zone, locale, time) in enumerate(
        [("022", "UTC", "C", 1), ("077", "Asia/Tokyo", "de_DE.UTF-8", 10**9), ("000", "America/Lima", "C.UTF-8", 2 * 10**9)]
    ):
        folder = write_routine(tmp_path / f"place {number}" / "ä", CONFIG, predictor, files)
        home = tmp_path / f"home{number}"
        home.mkdir()
        (home / ".pydistutils.cfg").write_text("[sdist]\nformats=zip\n")
        for path in folder.rglob("*"):
            os.utime(path, (time, time))
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TZ": zone, "LC_ALL": locale, "LANG": locale}
        command = [sys.executable, "-c", BUILDER, str(folder), str(tmp_path / f"out{number}"), umask]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=home, check=True)
        digests.add(done.stdout)
        archives.add((tmp_path / f"out{number}" / "tiny-1.2.0" / "packages" / "tiny-1.2.0.tar.gz").read_bytes())
    assert len(digests) == 1
    assert len(archives) == 1


def test_the_sdist_does_not_tell_the_setuptools_that_made_it(tiny: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    install = [sys.executable, "-m", "pip", "install", "-q", "--target", str(old), "setuptools==68.0.0"]
    if subprocess.run(install, capture_output=True).returncode:
        pytest.skip("no package index can be reached to get another setuptools from")
    script = "import sys, cpr; print(cpr.build(sys.argv[1], sys.argv[2]).manifest.digest)"
    environment = {**os.environ, "PYTHONPATH": str(old)}
    command = [sys.executable, "-c", script, str(tiny), str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == build(tiny).manifest.digest


def test_the_digest_covers_what_was_brought_and_declared(tiny: Path) -> None:
    before = build(tiny).manifest.digest
    os.utime(tiny / "predictor.py", (1, 1))
    (tiny / "notes.txt").write_text("not part of it")
    assert build(tiny).manifest.digest == before
    seen = {before}
    for path, content in [
        ("model/factor.json", "4"),
        ("predictor.py", PREDICTOR + "\n"),
        ("examples.jsonl", ""),
        ("routine.yaml", CONFIG + "labels: {a: b}\n"),
        ("routine.yaml", CONFIG + "runtime_version: 2.8\n"),
    ]:
        (tiny / path).write_text(content)
        seen.add(build(tiny).manifest.digest)
    assert len(seen) == 6


def test_modules_are_found_by_following_imports(tmp_path: Path) -> None:
    folder = write_routine(
        tmp_path / "r",
        predictor="from steps.scale import f\nimport tokens\nimport json\n" + PREDICTOR,
        files={
            "steps/__init__.py": "",
            "steps/scale.py": "from . import inner\nimport late\ndef f(): pass\n",
            "steps/inner.py": "",
            "steps/data/words.txt": "a b",
            "tokens.py": "",
            "late.py": "",
            "train.py": "import sklearn",
            "test_predictor.py": "import predictor",
        },
    )
    found = sorted(members(build(folder)))
    assert found == [
        "PKG-INFO",
        "late.py",
        "predictor.py",
        "setup.py",
        "steps/__init__.py",
        "steps/data/words.txt",
        "steps/inner.py",
        "steps/scale.py",
        "tokens.py",
    ]


def test_data_beside_a_package_without_an_init(tmp_path: Path) -> None:
    files = {"space/words.txt": "a", "space/inner/__init__.py": "", "space/inner/deep/list.txt": "b"}
    bundle = build(write_routine(tmp_path / "r", predictor="import space.inner\n" + PREDICTOR, files=files))
    assert set(files) <= set(members(bundle))


def test_named_modules_travel_and_no_others(tmp_path: Path) -> None:
    folder = write_routine(
        tmp_path / "r",
        CONFIG + "modules: [predictor, plugin]\n",
        "import tokens\n" + PREDICTOR,
        {"plugin.py": "", "tokens.py": ""},
    )
    assert sorted(members(build(folder))) == ["PKG-INFO", "plugin.py", "predictor.py", "setup.py"]


def test_a_routine_that_imports_cpr_carries_its_part(tmp_path: Path) -> None:
    folder = write_routine(
        tmp_path / "r", predictor="import cpr\n" + PREDICTOR.replace("class Scale", "class Scale(cpr.Predictor)")
    )
    bundle = build(folder)
    (own,) = bundle.manifest.tool.files
    assert own.path.startswith("packages/cpr_kit-")
    assert bundle.manifest.packages == (own.path, "packages/tiny-1.2.0.tar.gz")
    without = Manifest.from_json(bundle.manifest.to_json())
    assert without.digest == bundle.manifest.digest
    assert own.path not in [entry.path for entry in bundle.manifest.files], "the tool's own part is not the author's"


def test_pip_installs_the_sdist_as_the_service_does(tmp_path: Path) -> None:
    folder = write_routine(
        tmp_path / "r",
        CONFIG + "requirements: [tensorflow>=2.9, numpy, Pillow]\n",
        "import words\nimport cpr\n" + PREDICTOR,
        {"words/__init__.py": "", "words/list.txt": "a"},
    )
    bundle = build(folder)
    target = tmp_path / "target"
    for package in bundle.manifest.packages:
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
        subprocess.run([*command, "--target", str(target), str(bundle.path(package))], check=True, capture_output=True)
    assert {"predictor.py", "words", "cpr"} <= {path.name for path in target.iterdir()}
    assert (target / "words" / "list.txt").read_text() == "a"
    metadata = next(target.glob("tiny-*.dist-info")).joinpath("METADATA").read_text()
    assert "Requires-Dist: Pillow" in metadata
    assert "tensorflow" not in metadata, "pip --target would install it a second time"


def test_what_does_not_travel(tmp_path: Path) -> None:
    folder = write_routine(
        tmp_path / "r",
        CONFIG + "exclude: ['*.tmp', 'model/logs/', '!keep.tmp']\n",
        files={
            "model/a.tmp": "",
            "model/keep.tmp": "",
            "model/logs/events": "",
            "model/__pycache__/x.pyc": "",
            "model/.git/config": "",
            "model/env/pyvenv.cfg": "",
            "model/env/lib": "",
            "model/.DS_Store": "",
        },
    )
    (folder / "model/linked").symlink_to("../dist")
    found = [entry.path for entry in build(folder).manifest.model_files]
    again = [entry.path for entry in build(folder).manifest.model_files]
    assert found == again == ["model/factor.json", "model/keep.tmp"]


def test_routine_yaml_reaches_the_model_directory(tmp_path: Path) -> None:
    folder = write_routine(tmp_path / "r", CONFIG + "tags: [serve, gpu]\nsignature: raw\n")
    assert json.loads((build(folder).model_dir / "cpr_routine.json").read_text()) == {
        "signature": "raw",
        "tags": ["serve", "gpu"],
    }


def test_a_link_inside_the_folder_is_followed(tiny: Path) -> None:
    (tiny / "shared.json").write_text("{}")
    (tiny / "model" / "linked.json").symlink_to("../shared.json")
    bundle = build(tiny)
    assert (bundle.model_dir / "linked.json").read_text() == "{}"
    assert not (bundle.model_dir / "linked.json").is_symlink()


def break_link(folder: Path) -> None:
    (folder / "model" / "passwd").symlink_to("/etc/passwd")


def break_loop(folder: Path) -> None:
    (folder / "model" / "up").symlink_to("..")


def break_dangling(folder: Path) -> None:
    (folder / "model" / "gone").symlink_to("nothing")


def break_pipe(folder: Path) -> None:
    os.mkfifo(folder / "model" / "pipe")


def break_name(folder: Path) -> None:
    (folder / "model" / "a\x1b[31mb").write_text("")


def break_empty(folder: Path) -> None:
    (folder / "model" / "factor.json").unlink()


def break_module(folder: Path) -> None:
    (folder / "predictor.py").rename(folder / "predicter.py")


def break_examples(folder: Path) -> None:
    (folder / "examples.jsonl").write_text('{"instances": [1]}\n{"instances"\n')


def break_record(folder: Path) -> None:
    (folder / "model" / "cpr_routine.json").write_text("{}")


@pytest.mark.parametrize(
    ("break_it", "message", "remedy"),
    [
        (break_link, "leads out of the routine folder", "exclude"),
        (break_loop, "back to a folder above", "exclude"),
        (break_dangling, "No such file", "exclude"),
        (break_pipe, "not a regular file", "exclude"),
        (break_name, "does not print", "Rename"),
        (break_empty, "holds no files", "Put the model"),
        (break_module, "no module 'predictor'", "'predicter'"),
        (break_examples, "not JSON", "one request a line"),
        (break_record, "cpr's own name", "routine.yaml"),
    ],
)
def test_what_cannot_become_a_bundle(tiny: Path, break_it, message: str, remedy: str) -> None:
    break_it(tiny)
    with pytest.raises((ProjectError, BuildError), match=message) as caught:
        build(tiny)
    assert remedy in caught.value.remedy
    assert not (tiny / "dist").exists() or not list((tiny / "dist").iterdir())
    ran = cpr("build", tiny)
    assert ran.status == 1
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 2
    assert "\x1b" not in ran.err


def test_a_device_behind_a_link(tiny: Path) -> None:
    (tiny / "model" / "memory").symlink_to("/proc/self/mem")
    assert "leads out" in cpr("build", tiny).err


@pytest.mark.skipif(sys.platform != "linux", reason="takes root's power over permissions away as Linux does")
@pytest.mark.parametrize("path", ["model/factor.json", "predictor.py", "routine.yaml", "examples.jsonl"])
def test_an_unreadable_file(tiny: Path, path: str) -> None:
    (tiny / path).chmod(0)
    ran = cpr("build", tiny, preexec=give_up_reading_everything)
    assert ran.status == 1
    assert path.rpartition("/")[2] in ran.err
    assert "cannot be read: Permission denied" in ran.err
    assert not (tiny / "dist").exists() or list((tiny / "dist").iterdir()) == []


def test_an_output_that_cannot_be_written(tiny: Path) -> None:
    (tiny / "file").write_text("")
    for output in (tiny / "file", Path("/proc/nowhere")):
        ran = cpr("build", tiny, "-o", output)
        assert ran.status == 1
        assert "cannot be written" in ran.err
        assert "fix:" in ran.err


def test_a_full_disk_leaves_nothing(tiny: Path) -> None:
    (tiny / "model" / "weights").write_bytes(bytes(3_000_000))
    script = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, -1)); from cpr.cli import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", script, "build", str(tiny)],
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr
    assert list((tiny / "dist").iterdir()) == []


def test_a_second_build_replaces_the_first_whole(tiny: Path) -> None:
    first = build(tiny)
    (first.root / "validation.json").write_text("{}")
    (tiny / "model" / "factor.json").write_text("5")
    second = build(tiny)
    assert first.root == second.root
    assert first.manifest.digest != second.manifest.digest
    assert not (second.root / "validation.json").exists(), "it spoke of another bundle"


def test_something_else_at_the_output_is_left_alone(tiny: Path) -> None:
    precious = tiny / "dist" / "tiny-1.2.0" / "precious"
    precious.parent.mkdir(parents=True)
    precious.write_text("keep")
    assert "is no bundle" in cpr("build", tiny).err
    assert precious.read_text() == "keep"


def test_a_file_that_the_manifest_does_not_list(tiny: Path) -> None:
    bundle = build(tiny)
    (bundle.model_dir / "model.pkl").write_bytes(b"")
    with pytest.raises(BundleError, match=r"does not list model/model\.pkl"):
        bundle.verify()
    ran = cpr("validate", bundle.root)
    assert (ran.status, "does not list" in ran.err) == (1, True)


@pytest.mark.parametrize("path", ["model/factor.json", "packages/tiny-1.2.0.tar.gz", "examples.jsonl"])
def test_an_altered_bundle_is_found(tiny: Path, path: str) -> None:
    bundle = build(tiny)
    bundle.verify()
    content = bytearray(bundle.path(path).read_bytes())
    content[0] ^= 1
    bundle.path(path).write_bytes(content)
    with pytest.raises(BundleError, match="altered"):
        bundle.verify()
    bundle.path(path).unlink()
    with pytest.raises(BundleError, match="No such file"):
        bundle.verify()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"tiny"', '"other"', "altered: its digest"),
        ('"format": 1', '"format": 2', "reads up to 1"),
        ('"format": 1', '"format": true', "cannot be read"),
        ("model/factor.json", "../../etc/passwd", "leaves the bundle"),
        ("model/factor.json", "model/\\ud800", "cannot be printed"),
        ('"version": "1.2.0"', '"version": "1/../2"', "not allowed"),
        ('"version": "1.2.0"', '"version": ".."', "not allowed"),
        ('"python": null', '"python": "3.11\\nRUN evil"', "is no version"),
        ('"tensorflow": null', '"tensorflow": "2.9\\n--index-url=http://evil.example/"', "is no version"),
        ('"runtime_version": null', '"runtime_version": "newest"', "is no version"),
        ('"requirements": []', '"requirements": ["???"]', "cannot be read"),
        ('"requirements": []', '"requirements": ["six\\n--index-url=http://evil.example/"]', "cannot be printed"),
        ("{", "", "cannot be read"),
        ('"files": [', '"file": [', "no key 'files'"),
    ],
)
def test_a_manifest_is_not_trusted(tiny: Path, old: str, new: str, message: str) -> None:
    bundle = build(tiny)
    path = bundle.root / "manifest.json"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(BundleError, match=message):
        Bundle.open(bundle.root)


INTERRUPTED = """
import os, signal, time
import cpr.steps.build as step
copy = step._copy
def interrupted(*arguments):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)
    return copy(*arguments)
step._copy = interrupted
from cpr.cli import run
run()
"""


def test_ctrl_c_leaves_nothing(tiny: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, "build", str(tiny)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=9)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")
    assert list((tiny / "dist").iterdir()) == []
