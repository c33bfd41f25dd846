"""Times how soon the command line answers: see README.md beside this file."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from timing import medians, table  # noqa: E402

CPR = Path(sys.executable).parent / "cpr"


def main() -> None:
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "cpr --help": [CPR, "--help"],
        "cpr --version": [CPR, "--version"],
        "cpr build --help": [CPR, "build", "--help"],
        "cpr validate --help": [CPR, "validate", "--help"],
        "cpr inspect --json (iris)": [CPR, "inspect", "--json", HERE.parent.parent / "sample_models/iris/model/saved_model"],
    }
    print(table(medians(commands, 15), "python -c pass"))


if __name__ == "__main__":
    main()
