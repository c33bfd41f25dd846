"""Scaffold: a template becomes a routine folder."""

from __future__ import annotations

import re
from pathlib import Path

from cpr import resources
from cpr.folders import write_folder
from cpr.project import PROJECT_NAME, name_of, require_new


def scaffold(folder: Path | str, template: str = "saved-model") -> Path:
    """Copy the starter routine ``template`` to ``folder``, named after it.

    ``UsageError`` for an unknown template, ``ProjectError`` where the folder is not new or its name cannot be a routine's.
    """
    final = Path(folder)
    files = resources.template_files(template)
    name = name_of(final)
    require_new(final)
    config = re.sub(r"(?m)^name:.*$", f"name: {name}", files[PROJECT_NAME].decode("utf-8"), count=1)
    write_folder(final, {**files, PROJECT_NAME: config.encode("utf-8")})
    return final
