"""Build: a routine folder becomes a bundle."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cpr
from cpr.bundle import Bundle
from cpr.copying import copy_hashed
from cpr.errors import BuildError, ProjectError
from cpr.examples import read_examples
from cpr.folders import filled
from cpr.interface.locate import ROUTINE_FILE
from cpr.manifest import EXAMPLES_NAME, MANIFEST_NAME, MODEL_DIR, PACKAGES_DIR, VALIDATION_NAME, FileEntry, Manifest, Tool
from cpr.project import Routine, parse_version, read_routine
from cpr.sdist import SdistBuild
from cpr.selection import Selection
from cpr.sources import Sources, collect

OUTPUT_NAME = "dist"


def build(project: Path | str, output: Path | str | None = None, version: str | None = None) -> Bundle:
    """Build the routine folder ``project`` into ``output/<name>-<version>/`` (default: ``project/dist/``).

    ``version`` replaces the one in routine.yaml. A bundle that is already there is replaced, whole, at the end; anything else
    there is left alone. ``ProjectError`` or ``BuildError`` where the folder cannot become a bundle; no part of it is then left.
    """
    with SdistBuild() as sdist:
        routine = read_routine(project)
        if version is not None:
            routine = dataclasses.replace(routine, version=_override(version))
        output = Path(output) if output is not None else routine.root / OUTPUT_NAME
        place = _place(output, f"{routine.name}-{routine.version}")
        sources = collect(routine, output)
        sdist.begin(routine, sources)
        if routine.examples:
            read_examples(routine.examples)
        with filled(place) as folder:
            manifest = _fill(folder, routine, output, sources, sdist)
            _keep_validation(place, folder)
    return Bundle(place, manifest)


def _fill(folder: Path, routine: Routine, output: Path, sources: Sources, sdist: SdistBuild) -> Manifest:
    files = list(_copy_model(routine, output, folder))
    if routine.examples:
        files.append(_copy(routine.examples, folder, EXAMPLES_NAME))
    tool = _own_part(sources, folder)
    name, content = sdist.result()
    files.append(_write(content, folder, f"{PACKAGES_DIR}/{name}"))
    manifest = _manifest(routine, files, tool)
    (folder / MANIFEST_NAME).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def _keep_validation(old: Path, new: Path) -> None:
    """The same bundle, built again, is still proved."""
    with suppress(OSError):
        if (old / MANIFEST_NAME).read_bytes() == (new / MANIFEST_NAME).read_bytes():
            shutil.copyfile(old / VALIDATION_NAME, new / VALIDATION_NAME)


def _override(version: str) -> str:
    try:
        return parse_version(version)
    except ValueError as error:
        raise ProjectError(f"The version is wrong: {error}.", "Give another with --version.") from None


def _manifest(routine: Routine, files: list[FileEntry], tool: Tool) -> Manifest:
    return Manifest(
        name=routine.name,
        version=routine.version,
        predictor=routine.predictor,
        files=tuple(sorted(files)),
        requirements=routine.requirements,
        python=routine.python,
        tensorflow=routine.tensorflow,
        runtime_version=routine.runtime_version,
        saved_model=routine.saved_model,
        tags=routine.tags,
        signature=routine.signature,
        labels=routine.labels,
        description=routine.description,
        suppress=routine.suppress,
        tool=tool,
    )


def _own_part(sources: Sources, folder: Path) -> Tool:
    if not sources.uses_cpr:
        return Tool(cpr.__version__)
    from cpr import kit  # takes a while to load; by now setuptools is under way

    name, content = kit.author_sdist()
    return Tool(cpr.__version__, (_write(content, folder, f"{PACKAGES_DIR}/{name}"),))


def _place(output: Path, name: str) -> Path:
    final = output / name
    if final.exists() and not (final / MANIFEST_NAME).is_file():
        raise BuildError(f"{final} is there and is no bundle.", "Move it away, or name another folder with -o.", str(final))
    return final


def _copy_model(routine: Routine, output: Path, folder: Path) -> Iterator[FileEntry]:
    count = 0
    for path in Selection(routine, output).walk(routine.model_dir):
        relative = path.relative_to(routine.model_dir).as_posix()
        if relative == ROUTINE_FILE:
            raise BuildError(
                f"{ROUTINE_FILE} is cpr's own name in the model directory.",
                "Rename the file; to choose model, tags or signature, set them in routine.yaml.",
                str(path),
            )
        yield _copy(path, folder, f"{MODEL_DIR}/{relative}")
        count += 1
    if not count:
        raise ProjectError(
            f"The model directory {routine.model_dir.name} holds no files that travel.",
            "Put the model and its artifacts there; look at `exclude` in routine.yaml.",
            str(routine.model_dir),
        )
    chosen = {"saved_model": routine.saved_model, "tags": routine.tags, "signature": routine.signature}
    record = {key: value for key, value in chosen.items() if value is not None}
    if record:
        yield _write(json.dumps(record, sort_keys=True).encode(), folder, f"{MODEL_DIR}/{ROUTINE_FILE}")


def _copy(source: Path, folder: Path, name: str) -> FileEntry:
    return FileEntry(name, *copy_hashed(source, folder / name))


def _write(content: bytes, folder: Path, name: str) -> FileEntry:
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return FileEntry(name, len(content), hashlib.sha256(content).hexdigest())
