"""CPR721 to CPR724: what lies in a bundle, by its names, sizes and kinds, without opening it."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from cpr.checks.registry import Family, Fault, Subject
from cpr.content.needless import needless
from cpr.manifest import MODEL_DIR
from cpr.report import Severity

FAMILY = Family()


@FAMILY.check(
    "CPR721",
    "The bundle holds a link, or what is no regular file",
    severity=Severity.WARNING,
    cause="A bundle is copied, packed and uploaded file by file. A link shows here what lies elsewhere, and elsewhere nothing.",
    remedy="Put a copy of the file in its place: build the bundle anew with `cpr build`, which follows links inside the folder "
    "and refuses all others.",
    source="the design of the bundle: every file is listed with its size and hash",
)
def links(subject: Subject) -> Iterator[Fault]:
    root = subject.bundle.root
    if not (root / MODEL_DIR).is_dir():
        return
    seen = set()
    for entry in subject.bundle.manifest.all_files:
        parts = entry.path.split("/")
        for count in range(1, len(parts) + 1):
            path = "/".join(parts[:count])
            if path not in seen:
                seen.add(path)
                yield from _irregular(root, path, last=count == len(parts))
    for folder, names, _ in os.walk(root / MODEL_DIR):  # a linked folder holds files that no manifest lists
        for name in names:
            path = Path(folder, name).relative_to(root).as_posix()
            if path not in seen and Path(folder, name).is_symlink():
                seen.add(path)
                yield from _irregular(root, path, last=False)


def _irregular(root: Path, path: str, *, last: bool) -> Iterator[Fault]:
    place = root.joinpath(*path.split("/"))
    try:
        mode = place.lstat().st_mode
    except OSError:
        return  # the hashing tells what is missing
    if stat.S_ISLNK(mode):
        leaves = not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(root))
        where = "leaves the bundle" if leaves else "stays inside the bundle"
        yield Fault(path, f"It is a link to {place.readlink()}, which {where}.")
    elif last and not stat.S_ISREG(mode):
        yield Fault(path, "It is a pipe, a socket or a device.")


_RESERVED = re.compile(r"(?i)(?:con|prn|aux|nul|com[1-9¹²³]|lpt[1-9¹²³])(?:\..*)?")
_NOT_WINDOWS = set('*?"<>|')
_WILDCARDS = set("*?[]")
_OBJECT_BYTES = 1024
_COMPONENT_BYTES = 255
_WINDOWS_PATH = 200


@FAMILY.check(
    "CPR722",
    "A name breaks elsewhere",
    severity=Severity.WARNING,
    cause="Other systems have other rules for names: Windows and macOS take two names that differ in case for one, Windows "
    "reserves some, object stores take 1,024 bytes, and gcloud and gsutil read * ? [ ] and # as patterns and versions.",
    remedy="Rename the file: letters, digits, dots, hyphens and underscores are safe everywhere.",
    source="https://cloud.google.com/storage/docs/objects#naming; "
    "https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file",
)
def names(subject: Subject) -> Iterator[Fault]:
    manifest = subject.bundle.manifest
    paths = [*(entry.path for entry in manifest.files), *subject.sources]
    yield from _collisions(paths)
    for path in paths:
        told = _wrong_with(path)
        if told:
            yield Fault(path, told[0], severity=told[1])
    for entry in manifest.files:
        size = len(f"{manifest.name}/{manifest.version}/{entry.path}".encode("utf-8", "surrogatepass"))
        if size > _OBJECT_BYTES:
            message = f"In a bucket its name has {size:,} bytes; at most {_OBJECT_BYTES:,} are taken."
            yield Fault(entry.path, message, "Shorten the names of its folders.", Severity.ERROR)


def _collisions(paths: list[str]) -> Iterator[Fault]:
    """Two names that are one where case does not count, or accents may be written in two ways. Folders count too."""
    known: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            shown = "/".join(parts[:count])
            other = known.setdefault(unicodedata.normalize("NFC", shown).casefold(), shown)
            if other != shown:
                yield Fault(path, f"{shown} and {other} are one name on Windows and macOS.")
                break


def _wrong_with(path: str) -> tuple[str, Severity] | None:
    for part in path.split("/"):
        if set(part) & _WILDCARDS or re.search(r"#\d+$", part):
            return f"gcloud and gsutil read the name {part!r} as a pattern, or as a version of another.", Severity.WARNING
        if len(part.encode("utf-8", "surrogatepass")) > _COMPONENT_BYTES:
            return (
                f"The name {part[:20]!r}… has more than the {_COMPONENT_BYTES} bytes that most file systems take.",
                Severity.WARNING,
            )
        if part != unicodedata.normalize("NFC", part):
            return f"The name {part!r} has accents written apart from their letters, which other systems join.", Severity.NOTE
        if _RESERVED.fullmatch(part):
            return f"Windows reserves the name {part!r}.", Severity.NOTE
        if part != part.rstrip(". ") or set(part) & _NOT_WINDOWS:
            return f"Windows does not take the name {part!r}.", Severity.NOTE
    return (
        (f"Its path has {len(path)} characters; Windows takes 260 in all.", Severity.NOTE)
        if len(path) > _WINDOWS_PATH
        else None
    )


@FAMILY.check(
    "CPR723",
    "One file takes most of what the model may have",
    severity=Severity.NOTE,
    cause="The limit of the machine type is for the model directory as a whole, and one file takes more than half of it.",
    remedy="Leave it where it fits; where the next version may be larger, shrink the weights or choose a roomier machine type.",
    source="https://cloud.google.com/ai-platform/prediction/docs/machine-types-online-prediction",
)
def huge(subject: Subject) -> Iterator[Fault]:
    limit = subject.machine.max_model_bytes
    for entry in subject.bundle.manifest.model_files:
        if limit is not None and entry.size * 2 > limit:
            share = entry.size * 100 // limit
            message = f"It has {entry.size:,} bytes, {share} % of the {limit:,} that {subject.machine.name} takes."
            yield Fault(entry.path, message)


@FAMILY.check(
    "CPR724",
    "Files travel that prediction hardly needs",
    severity=Severity.NOTE,
    cause="Notebooks, data sets, archives, training checkpoints, caches and environments are copied to every node, and count "
    "against the limits on files and bytes.",
    remedy="Name them under `exclude` in routine.yaml, or move them out of the folder.",
    source="https://cloud.google.com/ai-platform/prediction/docs/custom-prediction-routines",
)
def leftovers(subject: Subject) -> Iterator[Fault]:
    files = [(entry.path, entry.size) for entry in subject.bundle.manifest.model_files]
    files += [(path, len(content)) for path, content in subject.sources.items()]
    text = b"\n".join(content for path, content in subject.sources.items() if path.endswith(".py"))
    limit = subject.machine.max_model_bytes
    for kind, paths in needless(files, [model.where for model in subject.models], text).items():
        size = sum(size for _, size in paths)
        much = limit is not None and size * 10 > limit
        count = f"{len(paths)} files" if len(paths) > 1 else "one file"
        yield Fault(paths[0][0], f"{kind}: {count} with {size:,} bytes.", severity=Severity.WARNING if much else None)
