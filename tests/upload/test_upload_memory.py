"""How much memory an upload takes, of one huge file and of many that are nearly too large to be sent whole."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from support.uploads import write_record
from upload.conftest import MakeValidated, validated

from cpr.bundle import Bundle, ValidatedBundle
from cpr.manifest import FileEntry

SIZE, WHOLE, MANY = 600 << 20, 8 << 20, 16
ZEROS = "987523e7780392e283b404990c4e84e580bc75c451138b0c86c4f81c296eeebe"
"""SHA-256 of so many zeros."""
MOST_KB = 200_000_000 // 1024

PROGRAM = """
import sys
from pathlib import Path
from cpr.bundle import Bundle
from cpr.steps.upload import upload
from cpr.steps.validate import stored_validation

done = upload(stored_validation(Bundle.open(sys.argv[1])), "gs://bench/routines")
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(done.bytes_sent, peak.split()[1])
"""


def large(bundle: ValidatedBundle) -> ValidatedBundle:
    """The bundle with files of zeros that take no room on the disk."""
    entries = [FileEntry("model/huge.bin", SIZE, ZEROS)]
    for number in range(MANY):  # they differ in their ends, or the store would be asked to copy one
        content = bytes(WHOLE - 1) + bytes([number])
        entries.append(FileEntry(f"model/{number:02}.bin", WHOLE, hashlib.sha256(content).hexdigest()))
    for number, entry in enumerate(entries):
        with open(bundle.bundle.path(entry.path), "wb") as file:
            file.truncate(entry.size)
            if number:
                file.seek(entry.size - 1)
                file.write(bytes([number - 1]))
    manifest = bundle.bundle.manifest
    files = tuple(sorted((*manifest.files, *entries), key=lambda entry: entry.path))
    manifest = dataclasses.replace(manifest, files=files)
    (bundle.bundle.root / "manifest.json").write_text(manifest.to_json())
    return write_record(validated(Bundle.open(bundle.bundle.root)))


def test_an_upload_takes_little_memory(make: MakeValidated, repository: Path) -> None:
    bundle = large(make())
    server = subprocess.Popen(
        [sys.executable, repository / "benchmarks/upload/sink.py", "0"], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    with server, server.stdout:
        try:
            environment = {**os.environ, "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{server.stdout.readline().strip()}"}
            command = [sys.executable, "-c", PROGRAM, bundle.bundle.root]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        finally:
            server.kill()
    assert done.returncode == 0, done.stderr
    sent, peak = map(int, done.stdout.split())
    assert sent > SIZE + MANY * WHOLE
    assert peak < MOST_KB
