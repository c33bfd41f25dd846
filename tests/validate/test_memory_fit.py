"""Memory, against predictors that use a known amount."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.command import cpr
from support.routines import CONFIG, write_routine

from cpr.examples import read_examples
from cpr.isolation import Run, rehearse
from cpr.report import Report
from cpr.steps.build import build
from cpr.steps.validate import examine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from Linux's /proc")

CLASS = """\
import threading
import time


def grow(mib, keep=[]):
    keep.append(b"\\1" * (mib << 20))


class Scale:
    @classmethod
    def from_path(cls, model_dir):
        {from_path}
        return cls()

    def predict(self, instances, **kwargs):
        {predict}
        return instances
"""


def written(folder: Path, from_path: str = "pass", predict: str = "pass", head: str = "", declared: str = "") -> Path:
    bodies = {
        name: textwrap.indent(textwrap.dedent(body), " " * 8).strip()
        for name, body in (("from_path", from_path), ("predict", predict))
    }
    return write_routine(
        folder / "routine",
        config=CONFIG + (f"requirements: [{declared}]\n" if declared else ""),
        predictor=head + CLASS.format(**bodies),
        files={"examples.jsonl": '{"instances": [1]}\n'},
    )


def rehearsed(folder: Path, *bodies: str, **more: str) -> tuple[Run, dict[str, float]]:
    bundle = build(written(folder, *bodies, **more))
    run = rehearse(bundle, read_examples(bundle.root / "examples.jsonl"))
    assert run.complete and not run.raised, run
    return run, {phase.name: phase.peak_mib or 0.0 for phase in run.phases}


@pytest.mark.parametrize("size", [200, 500, 1000])
@pytest.mark.parametrize(
    "allocation",
    [
        "cls.weights = bytearray({size} << 20)\nfor page in range(0, {size} << 20, 4096):\n    cls.weights[page] = 1",
        "grow({size})",
        "b'\\1' * ({size} << 20)",
        "thread = threading.Thread(target=grow, args=({size},))\nthread.start()\nthread.join()",
        "cls.weights = numpy.ones({size} << 17)",
    ],
    ids=["touched", "kept", "spike", "thread", "numpy"],
)
def test_what_from_path_uses_within_a_tenth(tmp_path: Path, size: int, allocation: str) -> None:
    numpy = {"head": "import numpy\n", "declared": "numpy"} if "numpy" in allocation else {}
    _, peaks = rehearsed(tmp_path, allocation.format(size=size), **numpy)
    assert peaks["from_path"] - peaks["import"] == pytest.approx(size, rel=0.1)


@pytest.mark.parametrize("size", [200, 500, 1000])
@pytest.mark.parametrize("allocation", ["grow({size}) if not kwargs.get('x') else None", "b'\\1' * ({size} << 20)"])
def test_what_predict_uses_within_a_tenth(tmp_path: Path, size: int, allocation: str) -> None:
    _, peaks = rehearsed(tmp_path, predict=allocation.format(size=size))
    assert peaks["first_predict"] - peaks["from_path"] == pytest.approx(size, rel=0.1)


def test_what_is_only_reserved_does_not_count(tmp_path: Path) -> None:
    _, peaks = rehearsed(tmp_path, "import mmap; cls.room = mmap.mmap(-1, 2000 << 20)")
    assert peaks["from_path"] - peaks["import"] < 20


@pytest.mark.parametrize("size", [200, 500])
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_processes_of_the_routine_count(tmp_path: Path, size: int, start: str) -> None:
    """Two of them, each with its own memory, beside 100 MiB that a forked one shares with the routine."""
    body = f"""
        import multiprocessing, subprocess, sys
        grow(100)
        code = "import time; x = b'1' * ({size} << 20); time.sleep(2)"
        def work():
            grow({size})
            time.sleep(2)
        if {start!r} == "fork":
            pool = [multiprocessing.get_context("fork").Process(target=work) for _ in range(2)]
            [process.start() for process in pool]
            [process.join() for process in pool]
        else:
            pool = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
            [process.wait() for process in pool]
    """
    run, peaks = rehearsed(tmp_path, body)
    assert run.children == 2
    assert run.together_mib - peaks["from_path"] == pytest.approx(2 * size, rel=0.1)


def test_two_processes_that_load_it_use_what_was_estimated(tmp_path: Path) -> None:
    """The truth: two processes that do what the routine does, and what the kernel says they have of all memory together."""
    run, _ = rehearsed(tmp_path, "import sklearn.linear_model; grow(150)", declared="scikit-learn")
    code = "import sklearn.linear_model, sys; x = b'1' * (150 << 20); print(flush=True); sys.stdin.read()"
    pair = [
        subprocess.Popen([sys.executable, "-I", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)
    ]
    try:
        for process in pair:
            assert process.stdout is not None and process.stdout.readline()
        maps = [Path(f"/proc/{process.pid}/smaps").read_text() for process in pair]
    finally:
        for process in pair:
            process.communicate()
    truth = (sum(_anonymous(text) for text in maps) + max(_rss(text) - _anonymous(text) for text in maps)) / 1024
    assert run.needed_mib(2) == pytest.approx(truth, rel=0.1)
    assert (run.needed_mib(2) or 0) < 2 * (run.peak_mib or 0)


def _rss(smaps: str) -> int:
    return sum(int(number) for number in re.findall(r"^Rss:\s+(\d+)", smaps, re.MULTILINE))


def _anonymous(smaps: str) -> int:
    return sum(int(number) for number in re.findall(r"^Anonymous:\s+(\d+)", smaps, re.MULTILINE))


@pytest.mark.parametrize(("over", "severity"), [(-8, "warning"), (8, "error")])
def test_just_under_and_just_over_the_machine(tmp_path: Path, over: int, severity: str) -> None:
    """2,048 MiB on the smallest machine: filled up to a little less, and a little more, than that."""
    body = f"""
        with open("/proc/self/statm") as file:
            had = int(file.read().split()[1]) >> 8
        grow(2048 + {over} - had)
    """
    report = examine(build(written(tmp_path, body)))
    found = [finding for finding in report.findings if finding.check == "CPR531"]
    assert [finding.severity.value for finding in found] == [severity]
    assert report.ok == (severity == "warning")


def test_workers_against_the_machine(tmp_path: Path) -> None:
    bundle = build(written(tmp_path, "grow(700)"))
    assert warned(examine(bundle, workers=2)) == []
    (message,) = warned(examine(bundle, workers=3))
    assert "3 processes need about 2,1" in message and "room for 2" in message
    report = examine(bundle, "vertex-ai", "n1-standard-2", workers=3)
    assert warned(report) == [] and report.measured["workers"] == 3
    assert report.measured["needed_mib"] == pytest.approx(3 * 700, rel=0.1)


def warned(report: Report) -> list[str]:
    assert report.ok
    return [finding.message for finding in report.findings if finding.check == "CPR532"]


def test_the_dearest_are_named(tmp_path: Path) -> None:
    routine = written(tmp_path, "grow(1900)", head="import sklearn.linear_model\n", declared="scikit-learn")
    (routine / "model" / "table.bin").write_bytes(b"1" * (3 << 20))
    report = examine(build(routine))
    (finding,) = (finding for finding in report.findings if finding.check == "CPR531")
    assert "importing scipy" in finding.message and "model/table.bin 3 MiB" in finding.message
    packages = {cost["package"]: cost for cost in report.measured["contributors"]["packages"]}
    assert {"numpy", "scipy", "sklearn"} <= set(packages)
    assert packages["scipy"]["mib"] > 5 and packages["scipy"]["seconds"] > 0.01 and packages["scipy"]["installed_mib"] > 30
    (phase,) = (phase for phase in report.measured["phases"] if phase["name"] == "import")
    (start,) = (phase for phase in report.measured["phases"] if phase["name"] == "interpreter")
    total = sum(cost["mib"] for cost in report.measured["contributors"]["packages"])
    assert total == pytest.approx(phase["peak_mib"] - start["peak_mib"], rel=0.25)
    assert sum(cost["seconds"] for cost in packages.values()) <= phase["seconds"]
    assert report.measured["contributors"]["model_files"][0] == {"path": "model/table.bin", "bytes": 3 << 20}


def test_workers_on_the_command_line(tmp_path: Path) -> None:
    ran = cpr("validate", written(tmp_path, "grow(700)"), "--workers", "3")
    assert ran.status == 0 and "warning CPR532 model: 3 processes need about 2,1" in ran.out
    assert "\n3 processes: about 2,1" in ran.out
    ran = cpr("validate", tmp_path / "routine", "--workers", "2", "--json")
    assert (ran.status, ran.document["measured"]["workers"]) == (0, 2)
