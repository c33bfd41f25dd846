"""Scaffold: a template becomes a routine folder."""

from __future__ import annotations

from pathlib import Path

from cpr import resources
from cpr.folders import write_folder
from cpr.project import PROJECT_NAME, name_of, require_new

_PLACEHOLDER = b"my_routine"
"""What the templates call themselves, in routine.yaml and in the commands of their README."""


def scaffold(folder: Path | str, template: str = "saved-model") -> Path:
    """Copy the starter routine ``template`` to ``folder``, named after it.

    ``UsageError`` for an unknown template, ``ProjectError`` where the folder is not new or its name cannot be a routine's.
    """
    final = Path(folder)
    files = resources.template_files(template)
    name = name_of(final)
    require_new(final)
    named = {path: files[path].replace(_PLACEHOLDER, name.encode()) for path in (PROJECT_NAME, "README.md")}
    write_folder(final, {**files, **named})
    return final
