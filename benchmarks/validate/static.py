"""The static half of `cpr validate` on a bundle, or with ``--hash`` the least that it can take: every file hashed once."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path


def main() -> None:
    *options, folder = sys.argv[1:]
    if options:
        hashed(Path(folder))
    else:
        checked(Path(folder))


def hashed(folder: Path) -> None:
    buffer = memoryview(bytearray(1 << 20))
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            sha256 = hashlib.sha256()
            with open(path, "rb", buffering=0) as file:
                while count := file.readinto(buffer):
                    sha256.update(buffer[:count])


def checked(folder: Path) -> None:
    from cpr import checks
    from cpr.bundle import Bundle
    from cpr.machines import read_target
    from cpr.steps.validate import _subject

    bundle = Bundle.open(folder)
    bundle.verify()
    target = read_target("ai-platform")
    checks.inspect(_subject(bundle, target, target.machine(None)))


if __name__ == "__main__":
    main()
