"""TensorFlow's remarks stay off the terminal, and nothing else does."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import os, sys
from cpr.cli.chatter import without_chatter

try:
    with without_chatter():
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
        os.write(2, b"I0000 00:00:1795334059.761900   30439 port.cc:153] oneDNN custom operations are on.\\n")
        os.write(2, b"E0000 00:00:1795334065.730276   30439 cuda_platform.cc:52] failed call to cuInit\\n")
        os.write(2, b"2026-11-22 08:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN\\n")
        os.write(2, b"2026-11-22 09:25:22.173715: E external/local_xla/xla/stream_executor/cuda/cuda_dnn.cc:9261] no\\n")
        os.write(2, b"the author's own words\\n")
        print("I am fine", file=sys.stderr)
        raise ValueError
except ValueError:
    print("after", file=sys.stderr)
"""


DIES = """
import os, signal
from cpr.cli.chatter import without_chatter

with without_chatter():
    os.write(2, b"the author's last words\\n")
    import time
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_is_said_before_a_process_is_killed_is_not_lost() -> None:
    done = subprocess.run([sys.executable, "-c", DIES], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-9, "the author's last words\n")


def test_only_the_remarks_are_left_out() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stderr == "the author's own words\nI am fine\nafter\n"
