"""The rehearsal itself: what the child sees, what is measured, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from support.routines import CONFIG, write_routine

from cpr.examples import read_examples
from cpr.isolation import THIS_INTERPRETER, Run, rehearse
from cpr.isolation.record import read_run
from cpr.steps.build import build

HEAD = """\
import os


class Scale:
    @classmethod
    def from_path(cls, model_dir):
        {from_path}
        return cls()

    def predict(self, instances, **kwargs):
        {predict}
"""


def rehearsed(
    folder: Path,
    from_path: str = "pass",
    predict: str = "return instances",
    examples: str = '{"instances": [1]}',
    timeout: float = 60,
) -> Run:
    text = HEAD.replace("{from_path}", textwrap.indent(textwrap.dedent(from_path), " " * 8).strip())
    text = text.replace("{predict}", textwrap.indent(textwrap.dedent(predict), " " * 8).strip())
    bundle = build(write_routine(folder / "routine", predictor=text, files={"examples.jsonl": examples + "\n"}))
    return rehearse(bundle, read_examples(bundle.root / "examples.jsonl"), timeout=timeout)


def namespaces() -> bool:
    """Whether this kernel lets this user cut the network off."""
    probe = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x40000000) and ctypes.CDLL(None).unshare(0x50000000))"
    return sys.platform == "linux" and subprocess.run([sys.executable, "-c", probe]).returncode == 0


def test_the_child_is_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "sitecustomize.py").write_text("raise SystemExit('seen')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "outside"))
    monkeypatch.setenv("PIP_NO_SUCH_OPTION", "1")
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("SECRET", "token")
    monkeypatch.chdir(tmp_path)
    run = rehearsed(
        tmp_path,
        predict="""
        import sys
        return [sorted(os.environ), os.listdir("."), os.environ["HOME"], os.listdir(os.environ["HOME"]), sys.path[0], __file__]
        """,
        examples='{"instances": [1, 2, 3, 4, 5, 6], "expect": {"predictions": []}}',
    )
    answer = run.answers[0].answer
    assert answer is not None
    names, here, home, in_home, first, file = answer
    assert not {name for name in names if name.startswith(("PYTHON", "PIP_", "SECRET"))} - {"PIP_CONFIG_FILE"}
    assert here == in_home == []
    assert home != str(Path.home()) and not Path(home).exists()
    assert Path(file).parent == Path(first)
    assert not (tmp_path / "elsewhere").exists()


def test_service_keys_and_decoding(tmp_path: Path) -> None:
    predict = """
        kwargs["stats"]["seen"] = 1
        return [sorted(kwargs), kwargs["signature_name"], type(instances[0]).__name__, repr(instances[1])]
        """
    lines = [
        '{"instances": [{"b64": "AAE="}, {"a": [{"b64": "eA=="}]}, 1, 1], "top_k": 2, "expect": {"predictions": []}}',
        '{"instances": [{"b64": "AAE=", "c": 1}, 2, 1, 1], "signature_name": "s", "expect": {"predictions": []}}',
    ]
    run = rehearsed(tmp_path, predict=predict, examples="\n".join(lines))
    assert [answer.answer for answer in run.answers] == [
        [["signature_name", "stats", "top_k"], None, "bytes", "{'a': [b'x']}"],
        [["signature_name", "stats"], "s", "dict", "2"],
    ]


def test_no_decoding_beside_a_scikit_learn_model(tmp_path: Path) -> None:
    routine = write_routine(
        tmp_path / "routine",
        predictor=HEAD.format(from_path="pass", predict="return [type(value).__name__ for value in instances]"),
        files={
            "model/model.pkl": "1",
            "examples.jsonl": '{"instances": [{"b64": "AAE="}], "expect": {"predictions": ["dict"]}}\n',
        },
    )
    bundle = build(routine)
    run = rehearse(bundle, read_examples(bundle.root / "examples.jsonl"))
    assert run.answers[0].answer == ["dict"]


def test_loopback_works_and_nothing_else(tmp_path: Path) -> None:
    if not namespaces():
        pytest.skip("this kernel does not let this user make a network namespace")
    run = rehearsed(
        tmp_path,
        from_path="""
        import socket
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=5).close()
        """,
        predict="""
        import errno, socket
        try:
            socket.create_connection(("192.0.2.1", 80), timeout=5)
        except OSError as error:
            return [errno.errorcode[error.errno]]
        """,
        examples='{"instances": [1], "expect": {"predictions": []}}',
    )
    assert run.network == "namespace"
    assert run.answers[0].answer == ["ENETUNREACH"]
    assert run.calls == ("192.0.2.1",)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a phase is read from Linux's /proc")
def test_memory_of_each_phase_within_a_tenth(tmp_path: Path) -> None:
    """A predictor that holds 200 MiB, touches 300 MiB more for a moment in its first call, and 100 MiB in later ones."""
    run = rehearsed(
        tmp_path,
        from_path='cls.weights = b"\\1" * (200 << 20)',
        predict="""
        spike = b"\\1" * ((300 if instances == [1] else 100) << 20)
        return [len(spike)]
        """,
        examples='{"instances": [1]}\n{"instances": [2]}\n{"instances": [3]}',
    )
    peaks = {phase.name: phase.peak_mib or 0.0 for phase in run.phases}
    bare = peaks["import"]
    assert peaks["from_path"] - bare == pytest.approx(200, rel=0.1)
    assert peaks["first_predict"] - bare == pytest.approx(500, rel=0.1)
    assert peaks["steady_predict"] - bare == pytest.approx(300, rel=0.1)
    assert run.peak_mib == max(peaks.values())
    assert [phase.calls for phase in run.phases][-2:] == [1, 2]


def test_time_of_each_phase(tmp_path: Path) -> None:
    run = rehearsed(tmp_path, from_path="import time; time.sleep(0.3)")
    seconds = {phase.name: phase.seconds for phase in run.phases}
    assert 0.3 <= seconds["from_path"] < 3
    assert all(0 <= value < 3 for value in seconds.values())
    assert run.seconds > sum(seconds.values())


def test_output_cannot_harm_the_record(tmp_path: Path) -> None:
    run = rehearsed(
        tmp_path,
        from_path="""
        import sys
        for _ in range(20000):
            print('{"event": "done"}' * 20)
        os.write(1, b"the last words\\n")
        sys.stdout.close()
        os.closerange(0, 64)
        os.chdir("/")
        """,
        predict="return [value * 2 for value in instances]",
        examples='{"instances": [4], "expect": {"predictions": [8]}}',
    )
    assert run.complete and run.answers[0].answer == [8]
    assert len(run.output) <= 64 * 1024 and "the last words" in run.output


def test_the_end_of_time_takes_the_grandchildren_along(tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    run = rehearsed(
        tmp_path,
        from_path=f"""
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open({str(note)!r}, "w").write(str(child.pid))
        time.sleep(600)
        """,
        timeout=8,
    )
    assert run.timed_out and not run.complete and run.last_phase == "from_path"
    assert run.seconds < 30
    assert not alive(int(note.read_text()))


def test_what_is_left_running_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    run = rehearsed(
        tmp_path,
        from_path=f"""
        import subprocess, sys, threading
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        open({str(note)!r}, "w").write(str(child.pid))
        threading.Thread(target=threading.Event().wait).start()
        """,
    )
    assert run.complete and run.status == 0
    assert not alive(int(note.read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="what left the process group is found through Linux's /proc")
def test_what_left_the_process_group_is_ended(tmp_path: Path) -> None:
    note = tmp_path / "stray"
    run = rehearsed(
        tmp_path,
        from_path=f"""
        import time
        if os.fork() == 0:
            os.setsid()
            os.environ.clear()
            with open({str(note)!r}, "w") as file:
                file.write(str(os.getpid()))
            time.sleep(600)
        while not os.path.exists({str(note)!r}) or not os.path.getsize({str(note)!r}):
            time.sleep(0.01)
        """,
    )
    assert run.complete and run.seconds < 20
    assert not alive(int(note.read_text()))


def test_a_fork_that_comes_back_tells_nothing(tmp_path: Path) -> None:
    run = rehearsed(
        tmp_path,
        predict="""
        child = os.fork()
        if child == 0:
            raise SystemExit(3)
        os.waitpid(child, 0)
        return instances
        """,
    )
    assert run.complete and run.raised == () and [answer.problem for answer in run.answers] == [None]


@pytest.mark.parametrize(
    "change",
    [
        "import json; json.dumps = json.loads = None",
        "import builtins; builtins.open = None",
        "import time; time.monotonic = None",
        "os.open = os.write = os.close = os.getpid = None",
        "import sys; sys.stdout = object()",
    ],
)
def test_what_the_routine_replaces_is_not_what_writes_the_record(tmp_path: Path, change: str) -> None:
    run = rehearsed(tmp_path, from_path=change, examples='{"instances": [4], "expect": {"predictions": [4]}}')
    assert (run.complete, run.raised, run.status) == (True, (), 0)
    assert run.answers[0].answer == [4]


@pytest.mark.parametrize(
    ("predict", "what"),
    [
        ("class D(dict):\n    def items(self):\n        raise OSError('unread')\nreturn [D(a=1)]", "raises OSError: unread"),
        ("class L(list):\n    def __len__(self):\n        raise KeyboardInterrupt\nreturn L()", "raises KeyboardInterrupt"),
        ("x = []\nx.append(x)\nreturn x", "nested without end"),
    ],
)
def test_answers_that_resist_reading(tmp_path: Path, predict: str, what: str) -> None:
    run = rehearsed(tmp_path, predict=predict)
    (answer,) = run.answers
    assert run.complete and answer.problem == "json" and what in answer.what and len(answer.place) < 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("def __str__(self):\n        raise KeyboardInterrupt", "(its message cannot be read)"),
        ("@property\n    def remedy(self):\n        raise ValueError", "unlucky"),
        ("name = object()", "unlucky"),
    ],
)
def test_exceptions_that_resist_reading(tmp_path: Path, body: str, message: str) -> None:
    run = rehearsed(tmp_path, predict=f"class Odd(ImportError):\n    {body}\nraise Odd('unlucky')")
    (raised,) = run.raised
    assert run.complete and raised.type.endswith("Odd") and raised.message == message
    assert (raised.remedy, raised.module) == (None, None)


def alive(pid: int) -> bool:
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state in "ZX":
            return False
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    return True


def test_files_added_to_the_model_directory_stay_out_of_the_bundle(tmp_path: Path) -> None:
    run = rehearsed(
        tmp_path,
        from_path="""
        with open(os.path.join(model_dir, "cache.bin"), "w") as file:
            file.write("x")
        os.remove(os.path.join(model_dir, "factor.json"))
        """,
    )
    model = next((tmp_path / "routine" / "dist").glob("*/model"))
    assert run.complete and run.altered == ()
    assert [path.name for path in model.iterdir()] == ["factor.json"]


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    rehearsed(tmp_path, from_path='raise ValueError("no")')
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    "forged",
    [
        "[1, 2",
        "[1, 2]",
        '{"event": "phase", "name": "x"}',
        '{"event": "phase", "name": "x", "seconds": "soon", "peak_mib": 1, "calls": 0}',
        '{"event": "class", "bases": 3}',
        '{"event": "answer", "line": 1, "seconds": 1, "instances": 1, "type": "list", "problem": null, "answer": "["}',
    ],
)
def test_a_record_that_was_forged_ends_the_reading(tmp_path: Path, forged: str) -> None:
    record = tmp_path / "results"
    record.write_text(f'{{"event": "enter", "phase": "import", "line": null}}\n{forged}\n{{"event": "done", "calls": []}}\n')
    run, _ = read_run(record, THIS_INTERPRETER.grade)
    assert not run.complete and run.last_phase == "import"


def test_the_versions_that_ran(tmp_path: Path) -> None:
    routine = write_routine(
        tmp_path / "routine",
        config=CONFIG + "requirements: ['PyYAML>=6', not-a-package-of-anybody]\n",
    )
    bundle = build(routine)
    run = rehearse(bundle, ())
    import yaml

    assert run.environment["packages"] == {"pyyaml": yaml.__version__}
    assert run.environment["python"] == ".".join(map(str, sys.version_info[:3]))
    assert run.answers == () and run.complete
