"""How a class behaves beyond its examples: each fault is found by its own check, with a counter-example."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.checking import subject

from cpr.checks import Subject, behaviour, examples, inspect, latency, prediction_class, rehearsal
from cpr.cli import main
from cpr.examples import read_examples
from cpr.isolation import Extent, Run, Scene, replay_in_place
from cpr.latency import ENOUGH
from cpr.latency import latency as latency_of
from cpr.report import Severity

CLASS = """\
class Scale:
    {fields}

    @classmethod
    def from_path(cls, model_dir):
        return cls()

    def predict(self, instances, **kwargs):
        {predict}
"""

LINES = ('{"instances": [1.5, 2.5, 4.5]}', '{"instances": [7.5, 1.25]}')


def tried(
    folder: Path,
    predict: str = "return [value * 3 for value in instances]",
    *,
    head: str = "",
    fields: str = "pass",
    examples: tuple[str, ...] = LINES,
    max_p99: float | None = None,
) -> Subject:
    """What the checks are given after such a class was run where it lies."""
    body = "\n        ".join(predict.strip("\n").splitlines())
    text = head + CLASS.replace("{fields}", fields).replace("{predict}", body)
    (folder / "predictor.py").write_text(text)
    (folder / "examples.jsonl").write_text("\n".join(examples) + "\n")
    requests = read_examples(folder / "examples.jsonl")
    scene = Scene(folder, folder, "predictor.Scale", decode_b64=False)
    extent = Extent() if max_p99 is None else Extent(calls=2 * ENOUGH, seconds=15)
    run = replay_in_place(scene, folder, requests, timeout=60, extent=extent)
    assert run.complete, run.output
    return replace(subject(run=run, examples=requests, sources={"predictor.py": text}), max_p99=max_p99)


def told(after: Subject, *also: str) -> list[tuple[str, str, str]]:
    """Severity, check and message of what is found that is no mere note."""
    modules = (examples, behaviour, latency, rehearsal, prediction_class)
    findings = inspect(after, [check for module in modules for check in module.FAMILY.checks])
    return [
        (finding.severity.value, finding.check, f"{finding.where}: {finding.message}")
        for finding in findings
        if finding.severity is not Severity.NOTE or finding.check in also
    ]


def run_of(after: Subject) -> Run:
    assert after.run is not None
    return after.run


# Batches


def test_one_prediction_alone_is_no_list(tmp_path: Path) -> None:
    predict = "results = [value * 3 for value in instances]\nreturn results if len(results) > 1 else results[0]"
    ((severity, check, message),) = told(tried(tmp_path, predict))
    assert (severity, check) == ("error", "CPR551")
    assert "the batch line 1 instances[0], predict returns float, not a list" in message


def test_a_batch_is_cut_off(tmp_path: Path) -> None:
    examples = ('{"instances": [1, 2]}', '{"instances": [4]}')
    ((severity, check, message),) = told(tried(tmp_path, "return [value * 3 for value in instances[:2]]", examples=examples))
    assert (severity, check) == ("error", "CPR551")
    assert "predict returns 2 predictions for 3 instances" in message


def test_where_nobody_sends_more_than_one_it_is_a_warning(tmp_path: Path) -> None:
    predict = "return [value * 3 for value in dict.fromkeys(instances)]"
    ((severity, check, message),) = told(tried(tmp_path, predict, examples=('{"instances": [2]}',)))
    assert (severity, check) == ("warning", "CPR551")
    assert "predict returns 1 predictions for 2 instances" in message


def test_a_batch_is_sorted(tmp_path: Path) -> None:
    examples = ('{"instances": [1.5, 2.5, 4.5]}', '{"instances": [0.25]}')
    ((severity, check, message),) = told(tried(tmp_path, "return sorted(instances)", examples=examples))
    assert (severity, check) == ("warning", "CPR551")
    assert "in another order" in message and "instances[0]" in message


def test_a_share_of_the_batch(tmp_path: Path) -> None:
    predict = "total = sum(instances)\nreturn [{'share': value / total} for value in instances]"
    ((severity, check, message),) = told(tried(tmp_path, predict))
    assert (severity, check) == ("warning", "CPR553")
    assert "line 1 instances[0] gives 0.17" in message and "in a batch of 3 and 1.0 alone (at .share)" in message


def test_a_batch_over_two_examples(tmp_path: Path) -> None:
    predict = "top = max(instances)\nreturn [{'near': value > top / 2} for value in instances]"
    examples = ('{"instances": [1]}', '{"instances": [9]}', '{"instances": [1], "top_k": 2}')
    ((severity, check, message),) = told(tried(tmp_path, predict, examples=examples))
    assert (severity, check) == ("warning", "CPR553")
    assert "line 1 instances[0] gives true alone and false in a batch with line 2 instances[0] (at .near)" in message


def test_rows_of_unequal_length_fail_together(tmp_path: Path) -> None:
    predict = "import numpy\nreturn numpy.array(instances, dtype=float).sum(axis=1).tolist()"
    examples = ('{"instances": [[1, 2]]}', '{"instances": [[1, 2, 3]]}')
    ((severity, check, message),) = told(tried(tmp_path, predict, examples=examples))
    assert (severity, check) == ("warning", "CPR553")
    assert "fail in the batch line 2 instances[0], line 1 instances[0]: ValueError" in message


def test_a_routine_may_refuse_a_batch(tmp_path: Path) -> None:
    head = "from cpr.errors import RequestError\n\n"
    predict = "if len(instances) != 2:\n    raise RequestError('Two, please.', 'Send two.')\nreturn instances"
    examples = ('{"instances": [1, 2]}', '{"instances": [3, 4]}')
    assert told(tried(tmp_path, predict, head=head, examples=examples)) == []


@pytest.mark.parametrize(("factor", "found"), [("1e-6", []), ("1e-3", ["CPR553"])])
def test_floats_of_a_batch_may_differ_by_rounding(factor: str, found: list[str], tmp_path: Path) -> None:
    predict = f"return [value * (1 + {factor} * len(instances)) for value in instances]"
    after = tried(tmp_path, predict)
    assert [check for _, check, _ in told(after)] == found


def test_the_tolerance_of_an_example(tmp_path: Path) -> None:
    predict = "return [value * (1 + 1e-3 * len(instances)) for value in instances]"
    examples = ('{"instances": [1.0, 2.0], "expect": {"predictions": [1.0, 2.0], "rtol": 0.01}}',)
    assert told(tried(tmp_path, predict, examples=examples)) == []


# State and chance


def test_a_count_of_the_calls(tmp_path: Path) -> None:
    predict = "self.seen += len(instances)\nreturn [value * self.seen for value in instances]"
    ((severity, check, message),) = told(tried(tmp_path, predict, fields="seen = 0"))
    assert (severity, check) == ("warning", "CPR554")
    assert "first " in message and "(at [0]); what changes between calls: seen" in message


def test_the_previous_request_shows_through(tmp_path: Path) -> None:
    head = "last = [0]\n\n\n"
    predict = "before, last[0] = last[0], len(instances)\nreturn [value + (before != len(instances)) for value in instances]"
    ((severity, check, message),) = told(tried(tmp_path, predict, head=head))
    assert (severity, check) == ("warning", "CPR554"), message


def test_a_state_that_one_example_shows(tmp_path: Path) -> None:
    predict = "self.most = max(self.most, *instances, 0)\nreturn [value / self.most for value in instances]"
    examples = ('{"instances": [2]}', '{"instances": [8]}')
    assert [check for _, check, _ in told(tried(tmp_path, predict, fields="most = 0", examples=examples))] == ["CPR554"]


@pytest.mark.parametrize(("source", "seeded"), [("random.random()", True), ("int.from_bytes(os.urandom(4), 'big')", False)])
def test_chance(source: str, seeded: bool, tmp_path: Path) -> None:
    after = tried(tmp_path, f"return [{source} for _ in instances]", head="import os\nimport random\n\n\n")
    ((severity, check, message),) = told(after)
    assert (severity, check) == ("warning", "CPR555")
    assert ("seeded before each call it is the same" in message) == seeded


def test_instances_changed_in_place(tmp_path: Path) -> None:
    predict = "return [value.pop('x') for value in instances]"
    ((severity, check, message),) = told(tried(tmp_path, predict, examples=('{"instances": [{"x": 1}]}',)))
    assert (severity, check) == ("warning", "CPR558")
    assert message.startswith("examples.jsonl:1: ")


# Threads


def test_a_request_kept_on_the_instance(tmp_path: Path) -> None:
    predict = "self.now = instances\ntime.sleep(0.001)\nreturn [value * 3 for value in self.now]"
    ((severity, check, message),) = told(tried(tmp_path, predict, head="import time\n\n\n"))
    assert (severity, check) == ("warning", "CPR556")
    assert "Called in 4 threads at once, it answers differently: first " in message


def test_a_connection_of_the_main_thread(tmp_path: Path) -> None:
    predict = "return [self.base.execute('select ? * 3', (value,)).fetchone()[0] for value in instances]"
    fields = "base = sqlite3.connect(':memory:')"
    after = tried(tmp_path, predict, head="import sqlite3\n\n\n", fields=fields)
    ((severity, check, message),) = told(after)
    assert (severity, check) == ("warning", "CPR556")
    assert "outside the main thread, it raises sqlite3.ProgrammingError" in message


def test_a_deadlock_is_left_behind(tmp_path: Path) -> None:
    head = "import threading\n\nlock = threading.Lock()\n\n\n"
    predict = "if threading.current_thread() is not threading.main_thread():\n    lock.acquire()\nreturn instances"
    start = time.monotonic()
    ((severity, check, message),) = told(tried(tmp_path, predict, head=head))
    assert (severity, check) == ("warning", "CPR556")
    assert "Called in 4 threads at once, it gave no answer within 3 seconds" in message
    assert time.monotonic() - start < 40


def test_a_crash_in_threads_is_no_error(tmp_path: Path) -> None:
    head = "import os\nimport threading\n\n\n"
    predict = "if threading.current_thread() is not threading.main_thread():\n    os.abort()\nreturn instances"
    ((severity, check, message),) = told(tried(tmp_path, predict, head=head))
    assert (severity, check) == ("warning", "CPR556")
    assert "Called in several threads, the process was killed by SIGABRT" in message


# Memory


def test_a_leak(tmp_path: Path) -> None:
    head = "kept = []\n\n\n"
    predict = "kept.append(bytearray(2_000_000))\nreturn instances"
    ((severity, check, message),) = told(tried(tmp_path, predict, head=head))
    assert (severity, check) == ("warning", "CPR559")
    assert "KiB each" in message


def test_a_cache_that_fills_is_no_leak(tmp_path: Path) -> None:
    head = "cache = {}\n\n\n"
    predict = "cache.setdefault(len(cache) % 8 if len(cache) < 8 else 0, bytearray(4_000_000))\nreturn instances"
    assert told(tried(tmp_path, predict, head=head)) == []


def test_garbage_in_circles_is_no_leak(tmp_path: Path) -> None:
    predict = "circle = [bytearray(300_000)]\ncircle.append(circle)\nreturn instances"
    assert "CPR559" not in [check for _, check, _ in told(tried(tmp_path, predict))]


# At import


@pytest.mark.parametrize(
    ("work", "says"),
    [
        ("LOG = open('predictions.log', 'w')", "opens predictions.log for writing"),
        ("import subprocess\nsubprocess.run(['true'])", "starts a process, true"),
        ("import threading\nthreading.Thread(target=lambda: threading.Event().wait(), daemon=True).start()", "starts a thread"),
        ("import socket\nSERVER = socket.create_server(('127.0.0.1', 0))", "listens on a socket"),
        ("import boto3\nS3 = boto3.client('s3', region_name='eu-west-1')", "makes a client (botocore.client.S3)"),
    ],
)
def test_work_at_import(work: str, says: str, tmp_path: Path) -> None:
    found = told(tried(tmp_path, head=f"{work}\n\n\n"))
    ((severity, _, message),) = [row for row in found if row[1] == "CPR560"]
    assert severity == "warning" and says in message
    assert message.startswith(f"predictor.py:{work.count(chr(10)) + 1}: "), message
    assert {row[1] for row in found} <= ({"CPR560", "CPR508"} if "boto3" in work else {"CPR560"})  # it may look for keys


def test_a_library_that_works_at_import_is_not_meant(tmp_path: Path) -> None:
    head = "import boto3\nimport multiprocessing\nimport numpy\n\nDATA = open(__file__).read()\n\n\n"
    assert told(tried(tmp_path, head=head)) == []


# Exceptions and errors for predictions


def test_an_error_for_a_prediction(tmp_path: Path) -> None:
    predict = "return [{'error': 'no'} if value == 2.5 else value for value in instances]"
    after = tried(tmp_path, predict)
    assert told(after, "CPR564") == [("note", "CPR564", "examples.jsonl:1: predictions[1] is the text of an error.")]


# What takes long


def test_a_slow_routine_gets_fewer_trials(tmp_path: Path) -> None:
    predict = "time.sleep(0.4)\nreturn instances"
    after = tried(tmp_path, predict, head="import time\n\n\n", examples=('{"instances": [1]}',))
    ((severity, check, message),) = told(after, "CPR563")
    assert (severity, check) == ("note", "CPR563")
    assert "Not tried, with calls of 0.4 s each: " in message and "threads" in message
    trials = run_of(after).trials
    assert "repeats" in trials.tried and "threads" in trials.to_json()["untried"] and trials.seconds < 2.5


def test_a_healthy_routine_is_tried_in_full(tmp_path: Path) -> None:
    after = tried(tmp_path)
    assert told(after) == []
    trials = run_of(after).trials
    assert trials.tried == ("repeats", "batches", "growth of memory", "threads") and trials.untried == ()
    assert trials.calls > 20 and trials.seconds < 5


# Latency


SLOW_PAIRS = "time.sleep(0.02 if len(instances) == 2 else 0)\nreturn instances"


def test_latency_is_measured(tmp_path: Path) -> None:
    figures = latency_of(run_of(tried(tmp_path, SLOW_PAIRS, head="import time\n\n\n"))).to_json()
    assert 0 <= figures["p50"] <= figures["p90"] <= figures["p99"] <= figures["max"]
    assert figures["max"] >= 20 and figures["max_line"] == 2
    parts = sum(figures[name] for name in ("interpreter", "import", "from_path", "first_predict"))
    assert figures["cold_start"] == pytest.approx(parts, abs=0.1)


def test_a_budget(tmp_path: Path) -> None:
    after = tried(tmp_path, SLOW_PAIRS, head="import time\n\n\n", max_p99=5)
    assert len(latency_of(run_of(after)).calls) >= 100
    ((severity, check, message),) = told(after)
    assert (severity, check) == ("error", "CPR561")
    assert message.startswith("examples.jsonl:2: p99 of ") and "the budget is 5 ms" in message
    assert told(replace(after, max_p99=10_000)) == []


def test_a_first_call_above_the_budget_is_a_warning(tmp_path: Path) -> None:
    predict = "if not self.warm:\n    time.sleep(0.6)\nself.warm = True\nreturn instances"
    after = tried(tmp_path, predict, head="import time\n\n\n", fields="warm = False", max_p99=500)
    ((severity, check, message),) = told(after)
    assert (severity, check) == ("warning", "CPR561") and "The first call of a process takes 6" in message


def test_too_few_calls_for_a_percentile(tmp_path: Path) -> None:
    """Without calls for a percentile there are the examples' own, and those of the search for a leak."""
    after = replace(tried(tmp_path, "time.sleep(0.03)\nreturn instances", head="import time\n\n\n"), max_p99=1000)
    ((severity, check, message),) = told(after)
    assert (severity, check) == ("warning", "CPR562") and "calls were timed; the slowest took 3" in message
    ((_, check, message), (severity, _, _)) = told(replace(after, max_p99=20))
    assert check == "CPR561" and message.startswith("examples.jsonl:") and "p50 of " in message
    assert severity == "warning", "the first call"


def test_a_budget_is_a_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(tmp_path), "--max-p99", "fast"]) == 2
    assert "no number of milliseconds" in capsys.readouterr().err
