"""The manifest: the spine of a bundle. It names every file with size and SHA-256, and its digest names the bundle."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cpr.errors import BundleError

FORMAT = 1
"""The manifest format this release writes, and the newest that it reads."""

MAX_RECORD_BYTES = 16 * 1024 * 1024
"""What a manifest or a validation record may have: room for a hundred times the files that any target takes."""

MANIFEST_NAME = "manifest.json"
VALIDATION_NAME = "validation.json"
MODEL_DIR = "model"
PACKAGES_DIR = "packages"
EXAMPLES_NAME = "examples.jsonl"

# Both become folders in a bucket and parts of shell scripts: never trust the text.
_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.!+]*")
_PYTHON = re.compile(r"\d+\.\d+(\.\d+)?", re.ASCII)
_RUNTIME = re.compile(r"\d+\.\d+", re.ASCII)
_CLASS_REF = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClassRef:
    """``module.Class``; the module may be dotted. This is how the platform names a prediction class."""

    module: str
    name: str

    @classmethod
    def parse(cls, text: str) -> ClassRef:
        """Read ``module.Class``; a ``ValueError`` says what is wrong with the text."""
        if not _CLASS_REF.fullmatch(text):
            raise ValueError(f"{text!r} is not of the form module.Class")
        module, _, name = text.rpartition(".")
        return cls(module, name)

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class FileEntry:
    """One file: its path with forward slashes, relative to the bundle; its size in bytes; its SHA-256 in lower-case hex."""

    path: str
    size: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        return {"path": self.path, "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Suppression:
    """A finding that the author lets stand: its check, why, and where (a pattern as in a shell; ``*`` is anywhere)."""

    check: str
    reason: str
    where: str = "*"

    def to_json(self) -> dict[str, str]:
        return {"check": self.check, "reason": self.reason, "where": self.where}


@dataclass(frozen=True, slots=True)
class Tool:
    """What the tool itself laid into a bundle: its version, and its own package under ``packages/``. Not part of the digest."""

    version: str
    files: tuple[FileEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle holds and what its author declared.

    ``files`` is ordered by path and covers everything the author brought: the source distribution, the model, the examples.
    Versions are as declared, ``None`` where the author declared none.
    """

    name: str
    version: str
    predictor: ClassRef
    files: tuple[FileEntry, ...]
    requirements: tuple[str, ...] = ()
    python: str | None = None
    tensorflow: str | None = None
    runtime_version: str | None = None
    saved_model: str | None = None
    tags: tuple[str, ...] | None = None
    signature: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    description: str = ""
    suppress: tuple[Suppression, ...] = ()
    tool: Tool = field(default=Tool(""))

    @property
    def digest(self) -> str:
        """``sha256:`` and 64 hex digits over what the author brought and declared; the tool's own part is left out."""
        text = json.dumps(self._declared(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return "sha256:" + hashlib.sha256(text.encode("ascii")).hexdigest()

    @property
    def content(self) -> str:
        """64 hex digits over all that is published, the tool's part as well: with another release only that part differs."""
        return hashlib.sha256(self.to_json().encode("ascii")).hexdigest()

    @property
    def all_files(self) -> tuple[FileEntry, ...]:
        """Every file of the bundle but the manifest and the validation record, ordered by path."""
        return tuple(sorted(self.files + self.tool.files))

    @property
    def sdist(self) -> str:
        """Bundle path of the routine's source distribution."""
        return next(entry.path for entry in self.files if entry.path.startswith(PACKAGES_DIR + "/"))

    @property
    def packages(self) -> tuple[str, ...]:
        """Bundle paths of everything to install, the tool's own package first."""
        own = tuple(entry.path for entry in self.tool.files)
        return (*own, self.sdist)

    @property
    def model_files(self) -> tuple[FileEntry, ...]:
        """The files below ``model/``: what becomes the service's model directory."""
        return tuple(entry for entry in self.files if entry.path.startswith(MODEL_DIR + "/"))

    @property
    def model_names(self) -> tuple[str, ...]:
        """The paths of the model files inside the model directory."""
        return tuple(entry.path.removeprefix(MODEL_DIR + "/") for entry in self.model_files)

    @property
    def has_examples(self) -> bool:
        return any(entry.path == EXAMPLES_NAME for entry in self.files)

    def _declared(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "predictor": str(self.predictor),
            "files": [entry.to_json() for entry in self.files],
            "requirements": list(self.requirements),
            "python": self.python,
            "tensorflow": self.tensorflow,
            "runtime_version": self.runtime_version,
            "saved_model": self.saved_model,
            "tags": None if self.tags is None else list(self.tags),
            "signature": self.signature,
            "labels": dict(self.labels),
            "description": self.description,
            # Left out where there is none: bundles of older releases keep their digest.
            **({"suppress": [each.to_json() for each in self.suppress]} if self.suppress else {}),
        }

    def to_json(self) -> str:
        """The text of ``manifest.json``; ``from_json(to_json())`` is the same value."""
        document = {
            "digest": self.digest,
            **self._declared(),
            "tool": {"version": self.tool.version, "files": [entry.to_json() for entry in self.tool.files]},
        }
        return json.dumps(document, indent=2, ensure_ascii=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str = MANIFEST_NAME) -> Manifest:
        """Read ``manifest.json``. A ``BundleError`` says what is wrong with it, an altered digest included."""
        try:
            document = json.loads(text)
            if not isinstance(document, dict):
                raise ValueError("not an object")
            found = document["format"]
            if type(found) is int and found > FORMAT:
                raise BundleError(
                    f"The bundle has format {found}; this release reads up to {FORMAT}.",
                    "Upgrade cpr-kit, or build the bundle anew with this release.",
                    where,
                )
            manifest = _manifest(document)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            reason = f"no key {error}" if isinstance(error, KeyError) else str(error)
            raise BundleError(
                f"The manifest cannot be read: {reason}.", "Build the bundle anew with `cpr build`.", where
            ) from None
        if document.get("digest") != manifest.digest:
            raise BundleError(
                "The manifest was altered: its digest does not match what it lists.",
                "Build the bundle anew with `cpr build`, or fetch it again from where it was published.",
                where,
            )
        return manifest


def _manifest(document: Mapping[str, Any]) -> Manifest:
    if document["format"] != FORMAT or type(document["format"]) is not int:
        raise ValueError(f"format is {document['format']!r}")
    tool = typed(document["tool"], dict, "tool")
    tags = document["tags"]
    manifest = Manifest(
        name=typed(document["name"], str, "name"),
        version=typed(document["version"], str, "version"),
        predictor=ClassRef.parse(typed(document["predictor"], str, "predictor")),
        files=_entries(document["files"]),
        requirements=_strings(document["requirements"], "requirements"),
        python=_optional(document["python"], "python"),
        tensorflow=_optional(document["tensorflow"], "tensorflow"),
        runtime_version=_optional(document["runtime_version"], "runtime_version"),
        saved_model=_optional(document["saved_model"], "saved_model"),
        tags=None if tags is None else _strings(tags, "tags"),
        signature=_optional(document["signature"], "signature"),
        labels=tuple((key, typed(value, str, "labels")) for key, value in typed(document["labels"], dict, "labels").items()),
        description=typed(document["description"], str, "description"),
        suppress=_suppressions(document.get("suppress", [])),
        tool=Tool(typed(tool["version"], str, "tool.version"), _entries(tool["files"])),
    )
    _check_declared(manifest)
    if not any(entry.path.startswith(PACKAGES_DIR + "/") for entry in manifest.files):
        raise ValueError("no source distribution is listed")
    if len({entry.path for entry in manifest.all_files}) != len(manifest.all_files):
        raise ValueError("a file is listed twice")
    for entry in manifest.all_files:
        if entry.path != EXAMPLES_NAME and not entry.path.startswith((f"{MODEL_DIR}/", f"{PACKAGES_DIR}/")):
            raise ValueError(f"{entry.path} is at no place that a bundle has")
    if not _NAME.fullmatch(manifest.name) or not _VERSION.fullmatch(manifest.version):
        raise ValueError(f"name {manifest.name!r} or version {manifest.version!r} is not allowed")
    return manifest


def _check_declared(manifest: Manifest) -> None:
    """These become lines of a Dockerfile and of requirements.txt: never trust the text."""
    from packaging.requirements import Requirement  # takes a while to load, and few who read a manifest need it otherwise
    from packaging.version import Version

    for key, text, pattern in (
        ("python", manifest.python, _PYTHON),
        ("runtime_version", manifest.runtime_version, _RUNTIME),
        ("tensorflow", manifest.tensorflow, _VERSION),
    ):
        if text is not None and not pattern.fullmatch(text):
            raise ValueError(f"{key} {text!r} is no version")
    if manifest.tensorflow is not None:
        Version(manifest.tensorflow)
    for requirement in manifest.requirements:
        if not requirement.isprintable():
            raise ValueError(f"the requirement {requirement!r} cannot be printed")
        Requirement(requirement)


def typed(value: Any, kind: type, key: str) -> Any:
    """``value``, where it is exactly a ``kind``; a ``ValueError`` names ``key`` otherwise."""
    if type(value) is not kind:
        raise ValueError(f"{key} is not a {kind.__name__}")
    return value


def _optional(value: Any, key: str) -> str | None:
    return None if value is None else str(typed(value, str, key))


def _strings(value: Any, key: str) -> tuple[str, ...]:
    return tuple(typed(item, str, key) for item in typed(value, list, key))


def _suppressions(value: Any) -> tuple[Suppression, ...]:
    return tuple(
        Suppression(*(typed(item[key], str, f"suppress.{key}") for key in ("check", "reason", "where")))
        for item in typed(value, list, "suppress")
    )


def _entries(value: Any) -> tuple[FileEntry, ...]:
    entries = []
    for item in typed(value, list, "files"):
        path = typed(item["path"], str, "path")
        if not is_safe_path(path):
            raise ValueError(f"the path {path!r} leaves the bundle, or cannot be printed")
        size, sha256 = typed(item["size"], int, "size"), typed(item["sha256"], str, "sha256")
        if size < 0 or not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise ValueError(f"the entry of {path!r} has no size and SHA-256")
        entries.append(FileEntry(path, size, sha256))
    if entries != sorted(entries):
        raise ValueError("the files are not in order")
    return tuple(entries)


def is_safe_path(path: str) -> bool:
    """True for a relative path with forward slashes that stays inside the folder it is relative to, and can be printed."""
    parts = path.split("/")
    return path.isprintable() and not any(part in ("", ".", "..") for part in parts) and not set(path) & set("\\:")


def published_name(manifest: Manifest) -> str:
    """``<name>/<version>``: where a bundle lives below the destination it is uploaded to."""
    return f"{manifest.name}/{manifest.version}"


def ai_platform_version(version: str) -> str:
    """The AI Platform spelling of a version: ``v`` and everything but letters and digits turned to ``_``."""
    return "v" + re.sub(r"[^A-Za-z0-9]", "_", version)


def underscored(name: str) -> str:
    """The spelling of a name for AI Platform, which allows letters, digits and underscores."""
    return name.replace("-", "_")


def hyphenated(name: str) -> str:
    """The spelling of a name for DNS labels: Vertex AI endpoints, KServe, Cloud Run."""
    return name.replace("_", "-")
