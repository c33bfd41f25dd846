"""The frame that every verb runs in: help, usage, streams, exit statuses."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.command import cpr
from support.routines import CONFIG, write_routine

from cpr import __version__
from cpr.cli import VERBS
from cpr.cli.console import size_text
from cpr.cli.names import printable_lines


def test_help_names_every_verb() -> None:
    ran = cpr("--help")
    assert ran.status == 0
    for verb, summary in VERBS.items():
        assert verb in ran.out
        assert summary in ran.out


def test_no_verb_is_wrong_usage_and_shows_the_help() -> None:
    ran = cpr()
    assert ran.status == 2
    assert "verbs:" in ran.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    ran = cpr(verb, "--help")
    assert ran.status == 0, ran.err
    assert f"usage: cpr {verb}" in ran.out
    assert "example" in ran.out
    assert f"cpr {verb}" in ran.out.partition("example")[2]
    for option in ("--json", "--quiet", "--debug"):
        assert option in ran.out


@pytest.mark.parametrize(
    ("arguments", "message", "remedy"),
    [
        (["biuld"], "no verb 'biuld'", "cpr build"),
        (["zzz"], "no verb 'zzz'", "cpr --help"),
        (["build", "--nothing"], "nrecognized arguments: --nothing", "cpr build --help"),
        (["upload"], "required: BUNDLE, DEST_URI", "cpr upload --help"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, remedy: str) -> None:
    ran = cpr(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert message in ran.err
    assert f"fix: {'Did you mean' if remedy == 'cpr build' else 'See'} `{remedy}`" in ran.err
    document = cpr(*arguments, "--json")
    assert (document.status, document.err) == (2, "")
    assert message in document.error["message"]
    assert document.error["type"] == "UsageError"


def test_an_error_is_a_document_with_json(tmp_path: Path) -> None:
    ran = cpr("--json", "build", tmp_path / "nowhere")
    assert (ran.status, ran.err) == (1, "")
    assert list(ran.error) == ["type", "message", "remedy", "where"]
    assert ran.error["type"] == "ProjectError"
    assert ran.error["where"] == str(tmp_path / "nowhere")


def test_a_traceback_only_with_debug(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cpr", "build", "--debug", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "Traceback" in done.stderr
    assert "ProjectError" in done.stderr


def test_a_reader_that_leaves_is_no_error(tiny: Path) -> None:
    script = f"{sys.executable} -m cpr build {tiny} --json | head -c 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.split("{")[1].strip() in ("0", "1")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_standard_output_is_told(tiny: Path) -> None:
    for arguments in (["--help"], ["build", str(tiny)], ["build", str(tiny), "--json"], ["build", "nowhere", "--json"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([sys.executable, "-m", "cpr", *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1
        assert "No space left" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_error(tiny: Path, closed: str) -> None:
    done = subprocess.run(f"{sys.executable} -m cpr build {tiny} {closed}", shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_goes_to_a_closed_stream_goes_nowhere_else() -> None:
    done = subprocess.run(f"{sys.executable} -m cpr inspect nowhere 2>&-", shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")


def test_a_terminal_that_lacks_characters(tmp_path: Path) -> None:
    ran = cpr("build", tmp_path / "höhle", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert ran.status == 1
    assert "h\\xf6hle" in ran.err
    assert cpr("--json", "build", tmp_path / "höhle").error["where"].endswith("höhle")


def test_a_line_end_in_a_name_is_none_of_the_message(tmp_path: Path) -> None:
    for arguments in (("inspect", "no\nfix: me"), ("inspect", tmp_path / "a\nfile"), ("predict", "no\nthing", "--check")):
        (tmp_path / "a\nfile").touch()
        ran = cpr(*arguments)
        assert ran.status == 1
        assert len(ran.err.splitlines()) == 2, ran.err
        assert "\\n" in ran.err.splitlines()[0]


def test_the_place_is_told_unless_the_message_names_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert cpr("predict", tmp_path, "--instances", "a", cwd=tmp_path).err.startswith("error: a: The instances cannot be read")
    assert cpr("predict", tmp_path, "--instances", ".", cwd=tmp_path).err.startswith("error: .: The instances")
    assert cpr("build", "nowhere", cwd=tmp_path).err.startswith("error: There is no folder nowhere.")
    assert "no routine.yaml in this folder." in cpr("build", cwd=tmp_path).err


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["build", ""], "PROJECT"),
        (["build", ".", "-o", ""], "--output"),
        (["validate", ""], "BUNDLE_OR_PROJECT_OR_URI"),
        (["inspect", ""], "PATH_OR_URI"),
        (["inspect", ".", ""], "OTHER"),
        (["new", "x", "--from", ""], "--from"),
        (["demo", "-o", ""], "--output"),
    ],
)
def test_an_unset_variable_is_not_the_current_folder(tmp_path: Path, arguments: list[str], name: str) -> None:
    ran = cpr(*arguments, cwd=tmp_path)
    assert ran.status == 2
    assert ran.err.startswith(f"error: {name} is empty.")
    assert not list(tmp_path.iterdir())


def test_a_file_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for arguments in (["upload", "file", "bucket"], ["inspect", "file"], ["new", "file"], ["validate", "file"]):
        ran = cpr(*arguments, cwd=tmp_path)
        assert ran.status == 1
        assert "error: file is" in ran.err
        assert "permissions" not in ran.err


def test_a_routine_that_cannot_be_built_in_place_says_how(tiny: Path) -> None:
    (tiny / "dist").write_text("a file where the bundle would go")
    ran = cpr("validate", tiny)
    assert ran.status == 1
    assert f"cpr build {tiny} -o DIR" in ran.err


def test_a_folder_is_inspected_by_its_uri(tiny: Path) -> None:
    assert cpr("inspect", tiny.as_uri()).out.startswith(f"{tiny}: ")
    ran = cpr("inspect", "s3://bucket/x y", "--verify")
    assert ran.status == 2
    assert "`aws s3 cp --recursive 's3://bucket/x y' FOLDER`" in ran.err
    assert "Did you mean s3://b" in cpr("inspect", "s3:b").err


def test_the_examples_are_requests_of_which_one_is_sent(tiny: Path) -> None:
    line = (tiny / "examples.jsonl").read_text()
    assert cpr("predict", tiny, "--instances", tiny / "examples.jsonl", "--json").document["predictions"] == [3, 7.5]
    (tiny / "examples.jsonl").write_text(line * 2)
    ran = cpr("predict", tiny, "--instances", tiny / "examples.jsonl")
    assert ran.status == 1
    assert "examples.jsonl:1: The line is a whole request" in ran.err
    assert "head -n 1" in ran.err


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file_of_instances_is_told(tiny: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "empty.json").write_text(content)
    ran = cpr("predict", tiny, "--instances", tmp_path / "empty.json")
    assert (ran.status, ran.out) == (1, "")
    assert "empty.json: The file is empty." in ran.err


def test_a_bundle_that_is_built_again_stays_proved(tiny: Path) -> None:
    assert cpr("validate", tiny).status == 0
    record = tiny / "dist" / "tiny-1.2.0" / "validation.json"
    assert cpr("build", tiny).status == 0
    assert record.is_file()
    (tiny / "model" / "factor.json").write_text("4")
    assert cpr("build", tiny).status == 0
    assert not record.exists()


def test_what_a_terminal_would_act_on_is_written_out() -> None:
    assert printable_lines("a\x1b[31mb\r\nc") == "a\\x1b[31mb\\r\nc"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (450_000_000, "450.0 MB"), (2 * 10**12, "2000.0 GB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size_text(count) == text


def test_options_are_not_abbreviated() -> None:
    assert cpr("doctor", "--jso").status == 2


def test_the_version() -> None:
    assert cpr("--version").out == f"cpr {__version__}\n"
    assert cpr("--version", "--json").document == {"schema": "cpr.version/1", "version": __version__}


SLEEPER = """\
import time

class Sleeper:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        time.sleep(60)
"""


def test_a_stopped_job_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = write_routine(tmp_path / "r", CONFIG.replace("Scale", "Sleeper"), SLEEPER)
    (tmp_path / "tmp").mkdir()
    command = [sys.executable, "-m", "cpr", "validate", str(folder)]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "tmp").glob("*/results")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.endswith("Interrupted.\n")
    assert list((tmp_path / "tmp").iterdir()) == []


def test_from_another_directory(tiny: Path, tmp_path: Path) -> None:
    assert cpr("build", os.path.relpath(tiny, tmp_path), cwd=tmp_path).status == 0
    assert cpr("build", cwd=tiny).status == 0
