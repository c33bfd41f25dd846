"""``cpr new``."""

from __future__ import annotations

import argparse
import shlex
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from cpr import resources
from cpr.cli.console import Console, Outcome
from cpr.project import read_routine
from cpr.steps.adopt import adopt
from cpr.steps.scaffold import scaffold


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Start a routine: from a template that already works, or from an AI Platform or Vertex AI routine you have."
    )
    parser.epilog = (
        "examples:\n  cpr new my_routine\n  cpr new my_routine --template image\n  cpr new my_routine --from ../old_routine"
    )
    parser.add_argument("folder", metavar="DIR", help="the folder to make; its name becomes the routine's")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--template", metavar="T", default="saved-model", help=f"{', '.join(resources.template_names())} (default: saved-model)"
    )
    source.add_argument(
        "--from", dest="legacy", metavar="LEGACY_DIR", help="adopt this routine; its setup.py is read, never run"
    )


def run(arguments: argparse.Namespace, console: Console) -> Outcome:
    if arguments.legacy:
        project, notes = adopt(arguments.legacy, arguments.folder)
    else:
        project, notes = scaffold(arguments.folder, arguments.template), ()
    name = shlex.quote(str(project))
    steps = [*_missing(project), f"cpr validate {name}", f"cpr serve {name}"]
    lines = [str(project), *(f"  note: {note}" for note in notes)]
    lines += [f"  {'next:' if step is steps[0] else '     '} {step}" for step in steps]
    return Outcome({"project": str(project)}, "\n".join(lines))


def _missing(project: Path) -> list[str]:
    """The command that installs what the routine requires and is not installed here, where there is such."""
    missing = []
    for text in read_routine(project).requirements:
        try:
            metadata.distribution(Requirement(text).name)
        except metadata.PackageNotFoundError:
            missing.append(shlex.quote(text))
    return [f"pip install {' '.join(missing)}"] if missing else []
