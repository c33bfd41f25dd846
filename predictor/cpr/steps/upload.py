"""Publish a checked bundle: each file compared with what the store reports, the manifest last, nothing published replaced."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cpr.bundle import Bundle, PublishedBundle, ValidatedBundle
from cpr.errors import BundleError, ChecksumError, StorageError, VersionExists
from cpr.manifest import MANIFEST_NAME, VALIDATION_NAME, FileEntry, Manifest, ai_platform_version
from cpr.storage import Fingerprint, Storage, fingerprint, holds, open_storage
from cpr.storage.claim import CLAIM_NAME, Claim
from cpr.storage.fetch import find_manifest, read_version

Progress: TypeAlias = Callable[[str, int], None]
"""Called as each file is done, with its path in the bundle and the bytes sent for it (0: it was there already)."""

_RESERVED = frozenset({MANIFEST_NAME, VALIDATION_NAME, CLAIM_NAME})
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload(PublishedBundle):
    """A bundle that was published, and what that took.

    ``uploaded``, ``skipped`` and ``copied`` count files, the manifest and the validation record among them: those sent, those
    there already with the right checksum, those copied inside the store (this release copies none). ``bytes_sent`` is the size
    of the files sent.
    """

    uploaded: int
    skipped: int
    copied: int
    bytes_sent: int

    @property
    def digest(self) -> str:
        return self.manifest.digest


@dataclass(frozen=True, slots=True)
class _Item:
    """One object to publish: its path in the bundle, its content, and what the store must report about it."""

    path: str
    content: Path | bytes
    expected: Fingerprint


def upload(validated: ValidatedBundle, uri: str, *, endpoint: str | None = None, progress: Progress | None = None) -> Upload:
    """Publish a bundle at ``<uri>/<name>/<version>/``.

    The same content may be published again: then nothing is sent. ``BundleError`` where a file is not what the manifest lists
    (nothing is sent); ``VersionExists`` where the place holds other content, or another version that AI Platform would spell
    alike; ``ChecksumError`` where the store twice did not hold what was sent; else ``StorageError``.
    """
    storage, prefix = open_storage(uri, endpoint=endpoint)
    bundle, manifest = validated.bundle, validated.bundle.manifest
    home = f"{prefix}{manifest.name}/"
    base = f"{home}{manifest.version}/"
    files = _files(validated, storage)
    done = _published(storage, base, manifest)
    if done is not None:
        return done
    _refuse_collision(storage, home, manifest)
    # Not the bundle's own digest, which leaves out the tool's part: with another release that part differs, too.
    content = hashlib.sha256(manifest.to_json().encode()).hexdigest()
    with Claim(storage, base, content) as claim:
        done = _published(storage, base, manifest)  # by somebody who held the claim until now
        if done is not None:
            return done
        items = [*files, _record(VALIDATION_NAME, validated.report.to_text(), storage)]
        present = _present(storage, base, bundle, claim)
        claim.dirty = True
        sent = _send_all(storage, base, items, present, progress or _silent)
        done = _published(storage, base, manifest)  # by a fellow with the same content
        if done is not None:
            return done
        if not claim.stands():
            raise claim.disturbed()
        commit = _record(MANIFEST_NAME, manifest.to_json(), storage)
        _commit(storage, base, commit, manifest)
        if progress is not None:
            progress(MANIFEST_NAME, commit.expected.size)
    return Upload(
        storage.uri(base.rstrip("/")),
        manifest,
        validated.report,
        uploaded=len(sent) + 1,
        skipped=len(items) - len(sent),
        copied=0,
        bytes_sent=sum(sent) + commit.expected.size,
    )


def _silent(name: str, count: int) -> None:
    pass


def _files(validated: ValidatedBundle, storage: Storage) -> list[_Item]:
    """Hash every file before anything is sent, so that an altered bundle leaves no trace in the store."""
    bundle, report = validated.bundle, validated.report
    if report.digest != bundle.manifest.digest or not report.ok:
        raise BundleError(
            "The validation record is about other content." if report.ok else "The validation found errors in the bundle.",
            f"Run `cpr validate {bundle.root}`.",
            str(bundle.root),
        )
    entries = bundle.manifest.all_files
    for entry in entries:
        if entry.path in _RESERVED:
            raise BundleError(
                f"The manifest lists {entry.path} as a file of the routine; that name is the tool's own.",
                "Build the bundle anew with `cpr build`.",
                str(bundle.root),
            )
    with ThreadPoolExecutor(2) as pool:
        prints = pool.map(lambda entry: _checked(bundle, entry, storage), entries)
        return [_Item(entry.path, bundle.path(entry.path), found) for entry, found in zip(entries, prints, strict=True)]


def _checked(bundle: Bundle, entry: FileEntry, storage: Storage) -> Fingerprint:
    path = bundle.path(entry.path)
    try:
        found = fingerprint(path, storage.hasher())
    except OSError as error:
        raise BundleError(
            f"A file of the bundle cannot be read: {error.strerror}.", "Build the bundle anew with `cpr build`.", str(path)
        ) from None
    if (found.size, found.sha256) != (entry.size, entry.sha256):
        raise BundleError(
            f"The bundle was altered: {entry.path} has {found.size} bytes and SHA-256 {found.sha256[:12]}…, "
            f"its manifest says {entry.size} and {entry.sha256[:12]}….",
            "Build the bundle anew with `cpr build`.",
            str(path),
        )
    return found


def _record(path: str, text: str, storage: Storage) -> _Item:
    content = text.encode()
    return _Item(path, content, fingerprint(content, storage.hasher()))


def _published(storage: Storage, base: str, manifest: Manifest) -> Upload | None:
    """The result where this content is published already; ``VersionExists`` where other content is."""
    found = find_manifest(storage, base)
    if found is None:
        return None
    uri = storage.uri(base.rstrip("/"))
    if found.digest != manifest.digest:
        raise VersionExists(
            f"Version {found.version} is published already with other content: {_difference(found, manifest)}.",
            "Published versions never change: give the routine a new version, then build and upload that.",
            uri,
        )
    published = read_version(storage, base)
    count = len(found.all_files) + 1 + (published.report is not None)
    return Upload(uri, found, published.report, uploaded=0, skipped=count, copied=0, bytes_sent=0)


def _difference(there: Manifest, here: Manifest) -> str:
    """The first files that differ, or the keys of routine.yaml where the files are alike."""
    old, new = ({entry.path: entry for entry in manifest.files} for manifest in (there, here))
    paths = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
    if not paths:
        return "the files are the same, what routine.yaml declares is not"
    more = len(paths) - _SHOWN
    return ", ".join(paths[:_SHOWN]) + (f" and {more} more differ" if more > 0 else " differ" if len(paths) > 1 else " differs")


def _refuse_collision(storage: Storage, home: str, manifest: Manifest) -> None:
    """AI Platform spells ``1.0.1`` and ``1.0+1`` alike; a version that it could not tell from another is refused."""
    spelling = ai_platform_version(manifest.version)
    for other in storage.folders(home):
        alike = other != manifest.version and ai_platform_version(other) == spelling
        if alike and storage.stat(f"{home}{other}/{MANIFEST_NAME}") is not None:
            raise VersionExists(
                f"AI Platform would call version {manifest.version} {spelling}, as it does the published version {other}.",
                "Choose a version that differs from it in a letter or digit.",
                storage.uri(home + other),
            )


def _present(storage: Storage, base: str, bundle: Bundle, claim: Claim) -> frozenset[str]:
    """What an upload that did not end has left here, less what this one does not need; a stranger's files stop us."""
    present = {name[len(base) :] for name in storage.list(base)} - {CLAIM_NAME}
    wanted = {entry.path for entry in bundle.manifest.all_files} | _RESERVED
    strangers = sorted(present - wanted)
    if strangers and not claim.dirty:
        raise StorageError(
            f"{storage.uri(base.rstrip('/'))} holds files that are no part of this version: {', '.join(strangers[:_SHOWN])}"
            + ("." if len(strangers) <= _SHOWN else f" and {len(strangers) - _SHOWN} more."),
            "Choose another destination, or remove them.",
            storage.uri(base.rstrip("/")),
        )
    for name in strangers:
        storage.delete(base + name)
    return frozenset(present & wanted)


def _send_all(storage: Storage, base: str, items: list[_Item], present: frozenset[str], progress: Progress) -> list[int]:
    """Send what is not there yet, some at a time, and return the sizes of what was sent."""
    sent = []
    with ThreadPoolExecutor(storage.parallel) as pool:
        futures = {pool.submit(_send, storage, base, item, item.path in present): item for item in items}
        try:
            for future in as_completed(futures):
                size, item = future.result(), futures[future]
                progress(item.path, size or 0)
                if size is not None:
                    sent.append(size)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return sent


def _send(storage: Storage, base: str, item: _Item, present: bool) -> int | None:
    """The bytes sent; ``None`` where the store holds this content already."""
    name = base + item.path
    if present:
        stored = storage.stat(name)
        if stored is not None and holds(storage, name, stored, item.expected):
            return None
    for _ in range(2):
        try:
            stored = storage.write(name, item.content, item.expected)
        except ChecksumError:
            continue
        if stored is not None and holds(storage, name, stored, item.expected):
            return item.expected.size
        storage.delete(name)
    raise _damaged(storage, name, item)


def _damaged(storage: Storage, name: str, item: _Item) -> BundleError | ChecksumError:
    """Whose fault it is that the store twice did not hold what was hashed before."""
    if isinstance(item.content, Path):
        try:
            altered = fingerprint(item.content, storage.hasher()).sha256 != item.expected.sha256
        except OSError:
            altered = True
        if altered:
            return BundleError(f"The bundle was altered during the upload: {item.path}.", "Run it again.", str(item.content))
    return ChecksumError(
        f"{storage.uri(name)} is not what was sent, twice: its checksum or size differs.",
        "Nothing was published. Run it again; if that does not help, suspect the network, a proxy or the memory.",
        storage.uri(name),
    )


def _commit(storage: Storage, base: str, item: _Item, manifest: Manifest) -> None:
    """Write the manifest unless one is there; from then on the version is published."""
    name = base + item.path
    for _ in range(2):
        try:
            stored = storage.write(name, item.content, item.expected, create_only=True)
        except ChecksumError:
            continue
        if stored is None or holds(storage, name, stored, item.expected):
            break
        storage.delete(name)
    else:
        raise _damaged(storage, name, item)
    # Read it back in any case: we may have lost to somebody else, and some stores ignore the condition on the write.
    if _published(storage, base, manifest) is None:
        raise StorageError(
            f"{storage.uri(name)} was written and is gone.", "Check who else works on this bucket, and run it again.", name
        )
