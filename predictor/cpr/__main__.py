"""``python -m cpr``."""

from cpr.cli import run

run()
