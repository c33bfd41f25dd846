"""``cpr doctor``: what is installed, what is missing, and how to get it."""

from __future__ import annotations

import argparse

from cpr.cli.console import Console, Outcome
from cpr.doctor import Check, Status, examine


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show what is installed, what is missing and how to get it. Exit status 1: something that cpr itself needs is broken; "
        "missing optional parts are no error."
    )
    parser.epilog = "example:\n  cpr doctor\n  cpr doctor --json"


def run(args: argparse.Namespace, console: Console) -> Outcome:
    checks = examine()
    broken = sum(check.status is Status.BROKEN for check in checks)
    lines = [line for check in checks for line in _lines(check)]
    lines.append("")
    lines.append(f"{broken} broken: cpr does not work as it should." if broken else "cpr itself is fine.")
    return Outcome({"checks": [check.to_json() for check in checks]}, "\n".join(lines), ok=not broken)


def _lines(check: Check) -> list[str]:
    lines = [f"{check.status.value:<8} {check.name:<18} {check.detail}"]
    if check.remedy:
        lines.append(f"{'':<8} {'':<18} fix: {check.remedy}")
    return lines
