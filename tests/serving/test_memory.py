"""The allocator setting of the server, by what it is for: page faults of a request that works on large arrays."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

WORK = """
import io, resource, sys, threading
import numpy as np
from PIL import Image
from cpr.steps.serving import keep_large_blocks

if sys.argv[1] == "kept":
    keep_large_blocks()
picture = io.BytesIO()
Image.fromarray(np.random.default_rng(0).integers(0, 255, (224, 224, 3), dtype="u1")).save(picture, "JPEG")

def request():
    image = Image.open(io.BytesIO(picture.getvalue())).convert("RGB")
    return (np.asarray(image, dtype="f4") / 255).mean()

def work():
    for _ in range(20):
        request()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        request()
    print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 50)

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_large_blocks_are_not_fetched_anew_for_every_request() -> None:
    def faults(how: str) -> float:
        return float(subprocess.run([sys.executable, "-c", WORK, how], check=True, capture_output=True, text=True).stdout)

    assert faults("kept") < 50 < faults("as it is")
