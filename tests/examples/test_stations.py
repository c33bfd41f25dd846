"""The golden examples at every station: what differs is told with its station, place and size, and the rest is as expected."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.routines import write_routine

from cpr import runtime
from cpr.bundle import Bundle, ValidatedBundle
from cpr.cli import main
from cpr.errors import PredictorError
from cpr.report import Report
from cpr.steps.build import build
from cpr.steps.examples import record
from cpr.steps.serving import running
from cpr.steps.upload import upload

PREDICTOR = """\
import itertools
import pathlib
import random
import threading

NUMBERS = itertools.count()


class Scale:
    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        return [self.one(value) for value in instances]

    def one(self, value):
        if value == "thread":
            return 1.0 if threading.current_thread() is threading.main_thread() else 1.5
        if value == "file":
            return (pathlib.Path(__file__).parent / "table.txt").read_text()
        if value == "random":
            return {"score": random.random()}
        if value == "hash":
            return [float(hash("a text"))]
        if value == "state":
            return next(NUMBERS)
        return value * 3
"""

LINES = (
    '{"instances": [1, 2.5], "expect": {"predictions": [3, 7.5]}}',
    '{"instances": ["thread"]}',
    '{"instances": ["file"], "expect": {"predictions": ["text"]}}',
    '{"instances": [2], "expect": {"predictions": [6.5]}}',
    '{"instances": [0.1], "expect": {"predictions": [0.3]}}',
)


@pytest.fixture(scope="module")
def routine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {"examples.jsonl": "\n".join(LINES) + "\n", "table.txt": "text"}
    return write_routine(tmp_path_factory.mktemp("stations") / "routine", predictor=PREDICTOR, files=files)


@pytest.fixture(scope="module")
def bundle(routine: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return build(routine, tmp_path_factory.mktemp("bundle"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    status = main(["examples", *arguments, "--json", "--timeout", "60"])
    return status, json.loads(capsys.readouterr().out)


def told(station: dict[str, Any]) -> dict[int, str]:
    return {each["line"]: each["difference"] for each in station["differences"]}


WRONG = "[0]: 6, expected 6.5 (off by 0.5)"


def test_every_station_of_a_routine(routine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document = run(capsys, str(routine))
    assert (status, document["schema"], document["ok"]) == (1, "cpr.examples/1", False)
    source, isolated, http = document["stations"]
    assert [each["station"] for each in document["stations"]] == ["source", "isolated", "http"]
    assert told(source) == {4: WRONG}
    assert set(told(isolated)) == {3, 4} and told(isolated)[4] == WRONG
    assert "no answer: FileNotFoundError" in told(isolated)[3], "the file does not travel"
    assert set(told(http)) == {2, 3, 4} and "no answer: The server answered" in told(http)[3]
    assert told(http)[2] == "[0]: 1.5, expected 1.0 (off by 0.5); the answer at the station source counts as expected"
    for station in document["stations"]:
        figures = station["latency"]
        assert figures["cold_start"] > figures["p50"] >= 0 and figures["calls"] >= 3
    assert not list(routine.rglob("__pycache__"))


def test_a_bundle_that_was_published(routine: Path, bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proof = ValidatedBundle(bundle, Report(bundle.manifest.digest, "ai-platform", "mls1-c1-m2", (), {}, {}))
    uri = upload(proof, tmp_path.as_uri()).uri
    (tmp_path / "routine").mkdir()
    shutil.copytree(routine, tmp_path / "routine", dirs_exist_ok=True)
    (tmp_path / "routine" / "examples.jsonl").write_text('{"instances": [1], "expect": {"predictions": [2.999]}}\n')
    status, document = run(capsys, str(tmp_path / "routine"), "--uri", uri, "--at", "bucket")
    ((station),) = document["stations"]
    assert (status, station["station"]) == (1, "bucket")
    assert told(station) == {1: "[0]: 3, expected 2.999 (off by 0.001)"}
    status, document = run(capsys, uri, "--at", "isolated")
    assert status == 2 and "the station bucket" in document["error"]["remedy"]


def test_a_server_that_runs(routine: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    with runtime.load(bundle) as loaded, running(loaded) as url:
        status = main(["examples", str(routine), "--at", "http", "--url", url])
    out = capsys.readouterr().out.splitlines()
    assert status == 1 and out[1].split()[:4] == ["http", "3", "of", "5"]
    assert f"http: examples.jsonl:4: {WRONG}" in out and out[-1].startswith("1 of 5 have no expectation")
    status = main(["examples", str(routine), "--at", "http", "--url", url])
    assert status == 1 and "Nothing listens" in capsys.readouterr().out


def test_a_routine_that_does_not_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    routine = write_routine(tmp_path / "routine", predictor="import os\n\nos.environ['NOT_THERE']\n")
    status, document = run(capsys, str(routine), "--at", "source")
    (station,) = document["stations"]
    assert (status, station["problem"]) == (1, "import raised KeyError: 'NOT_THERE'")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--at", "htpp"], "no station 'htpp'"),
        (["--at", "bucket"], "has no station bucket"),
        (["--record", "--at", "http"], "--at has no meaning with --record"),
    ],
)
def test_wrong_usage(arguments: list[str], says: str, routine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, document = run(capsys, str(routine), *arguments)
    assert status == 2 and says in document["error"]["message"]


# Recording


def test_record(routine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(routine, tmp_path / "routine", ignore=shutil.ignore_patterns("dist"))
    path = tmp_path / "routine" / "examples.jsonl"
    path.write_text(
        '{"k": 1, "instances": [4]}\n\n{"instances": [2],  "expect": {"rtol": 0, "predictions": [7]}}\r\n' + LINES[4]
    )
    assert main(["examples", str(tmp_path / "routine"), "--record", "-q"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "examples.jsonl:1: written",
        "examples.jsonl:3: changed: [0]: 6, expected 7 (off by 1)",
        "1 written, 1 changed, 1 as they were",
    ]
    assert path.read_bytes().decode() == (
        '{"k": 1, "instances": [4], "expect": {"predictions": [12]}}\n\n'
        '{"instances": [2],  "expect": {"rtol": 0, "predictions": [6]}}\r\n' + LINES[4]
    )
    assert not (tmp_path / "routine" / "dist").exists()


@pytest.mark.parametrize(
    ("instance", "says"),
    [
        ("random", "line 2: The same request is answered differently: first 0."),
        ("state", "line 2: The same request is answered differently: first "),
        ("hash", "line 2: A second process answers differently, at [0][0]: "),
        ("file", "line 2: The example has no answer to record: FileNotFoundError"),
    ],
)
def test_what_cannot_be_recorded(instance: str, says: str, bundle: Bundle, tmp_path: Path) -> None:
    """Named where it is; nothing is written."""
    path = tmp_path / "examples.jsonl"
    text = '{"instances": [1]}\n' + json.dumps({"instances": [instance]}) + "\n"
    path.write_text(text)
    with pytest.raises(PredictorError) as caught:
        record(bundle, path, 60, lambda _: None)
    assert f"line {str(caught.value.where).rpartition(':')[2]}: {caught.value.message}".startswith(says)
    assert "nothing was recorded" in caught.value.remedy
    assert path.read_text() == text and [each.name for each in tmp_path.iterdir()] == ["examples.jsonl"]


def test_a_bundle_is_not_recorded_into(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    status, document = run(capsys, str(bundle.root), "--record")
    assert status == 2 and "does not change" in document["error"]["message"]
