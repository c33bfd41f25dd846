"""Publish a checked bundle: each file compared with what the store reports, the manifest last, nothing published replaced."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cpr.bundle import Bundle, PublishedBundle, ValidatedBundle
from cpr.errors import BundleError, ChecksumError, StorageError, VersionExists
from cpr.manifest import MANIFEST_NAME, VALIDATION_NAME, Manifest, ai_platform_version
from cpr.storage import Storage, Stored, fingerprint, holds, open_storage
from cpr.storage.claim import CLAIM_NAME, Claim
from cpr.storage.earlier import earlier_content
from cpr.storage.journal import Journal
from cpr.storage.others import other_content
from cpr.storage.published import find_manifest
from cpr.storage.publisher import publisher
from cpr.storage.sending import Item, Progress, Sender, damaged

_RESERVED = frozenset({MANIFEST_NAME, VALIDATION_NAME, CLAIM_NAME})
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload(PublishedBundle):
    """A bundle that was published, and what that took.

    ``uploaded``, ``skipped`` and ``copied`` count files, the manifest and the validation record among them: those sent, those
    there already with the right checksum, those copied from another version inside the store. ``bytes_sent`` were sent by this
    run, ``bytes_resumed`` by an earlier one that was interrupted in the middle of a file.
    """

    uploaded: int
    skipped: int
    copied: int
    bytes_sent: int
    bytes_resumed: int = 0

    @property
    def digest(self) -> str:
        return self.manifest.digest


def upload(
    validated: ValidatedBundle,
    uri: str,
    *,
    endpoint: str | None = None,
    verify: bool = False,
    progress: Progress | None = None,
) -> Upload:
    """Publish a bundle at ``<uri>/<name>/<version>/``.

    The same content may be published again: then nothing is sent. What an interrupted run has sent, or another version
    holds, is not sent again. With ``verify``, every object is read back and hashed before the manifest is written.

    ``BundleError`` where a file is not what the manifest lists; ``VersionExists`` where the place holds other content, or
    another version that AI Platform would spell alike; ``ChecksumError`` where the store twice did not hold what was sent; else
    ``StorageError``. Nothing is published then.
    """
    _check_record(validated)
    storage, prefix = open_storage(uri, endpoint=endpoint)
    manifest = validated.bundle.manifest
    home = f"{prefix}{manifest.name}/"
    base = f"{home}{manifest.version}/"
    done = _published(storage, base, validated)
    journal = Journal.beside(validated.bundle.root, storage.uri(base), manifest.content)
    claim = Claim(storage, base, manifest.content, publisher(), manifest.digest)
    try:
        done = done or _publish(storage, home, validated, claim, journal, verify, progress or _silent)
    except BaseException:
        journal.close()
        if claim.contended and (done := _published(storage, base, validated)):  # who was in the way has published meanwhile
            return done
        raise
    journal.close(finished=True)
    return done


def _publish(
    storage: Storage,
    home: str,
    validated: ValidatedBundle,
    claim: Claim,
    journal: Journal,
    verify: bool,
    progress: Progress,
) -> Upload:
    manifest = validated.bundle.manifest
    base = f"{home}{manifest.version}/"
    with ThreadPoolExecutor(4) as aside:  # what does not depend on each other is asked at the same time
        versions_asked = aside.submit(storage.folders, home)
        with claim:
            published_asked = aside.submit(_published, storage, base, validated)  # by somebody who held the claim until now
            objects_asked = aside.submit(_objects, storage, base)
            versions = [version for version in versions_asked.result() if version != manifest.version]
            earlier_asked = aside.submit(earlier_content, storage, home, versions)
            done = published_asked.result()
            if done is not None:
                return done
            _refuse_collision(storage, home, manifest, versions)
            objects = objects_asked.result()
            present = _present(storage, base, validated.bundle, claim, objects, journal)
            claim.dirty = True
            sender = Sender(storage, base, journal, progress, present, earlier_asked.result())
            items = _items(validated)
            try:
                sender.send_all(items)
                if verify:
                    sender.verify_all(items)
            except BundleError:  # an altered bundle leaves no trace where there was nothing before
                if not objects:
                    sender.undo({item.path: item.size for item in items})
                    claim.dirty = False
                raise
            stands = claim.stands()
            done = None if stands and storage.creates_once else _published(storage, base, validated)  # by a fellow
            if done is not None:
                return done
            if not stands:
                raise claim.disturbed()
            commit = _commit(storage, base, validated)
            claim.published = True
            progress(MANIFEST_NAME, commit)
    tally = sender.tally
    return Upload(
        storage.uri(base.rstrip("/")),
        manifest,
        validated.report,
        uploaded=len(tally.uploaded) + 1,
        skipped=len(tally.skipped),
        copied=len(tally.copied),
        bytes_sent=tally.bytes_sent + commit,
        bytes_resumed=tally.bytes_resumed,
    )


def _silent(name: str, count: int) -> None:
    pass


def _check_record(validated: ValidatedBundle) -> None:
    bundle, report = validated.bundle, validated.report
    if report.digest != bundle.manifest.digest or not report.ok:
        raise BundleError(
            "The validation record is about other content." if report.ok else "The validation found errors in the bundle.",
            f"Run `cpr validate {bundle.root}`.",
            str(bundle.root),
        )


def _items(validated: ValidatedBundle) -> list[Item]:
    """The bundle's files and the validation record; the manifest comes last, by itself."""
    bundle = validated.bundle
    files = [Item(entry.path, bundle.path(entry.path), entry.size, entry.sha256) for entry in bundle.manifest.all_files]
    record = validated.report.to_text().encode()
    return [*files, Item(VALIDATION_NAME, record, len(record), hashlib.sha256(record).hexdigest())]


def _published(storage: Storage, base: str, validated: ValidatedBundle) -> Upload | None:
    """The result where this content is published already; ``VersionExists`` where other content is. One request."""
    manifest = validated.bundle.manifest
    found = find_manifest(storage, base)
    if found is None:
        return None
    uri = storage.uri(base.rstrip("/"))
    if found.digest != manifest.digest:
        raise other_content(storage, base, found, manifest)
    return Upload(uri, found, validated.report, uploaded=0, skipped=len(found.all_files) + 2, copied=0, bytes_sent=0)


def _refuse_collision(storage: Storage, home: str, manifest: Manifest, versions: list[str]) -> None:
    """AI Platform spells ``1.0.1`` and ``1.0+1`` alike; a version that it could not tell from another is refused."""
    spelling = ai_platform_version(manifest.version)
    for other in versions:
        alike = ai_platform_version(other) == spelling
        if alike and storage.stat(f"{home}{other}/{MANIFEST_NAME}") is not None:
            raise VersionExists(
                f"AI Platform would call version {manifest.version} {spelling}, as it does the published version {other}.",
                "Choose a version that differs from it in a letter or digit.",
                storage.uri(home + other),
            )


def _objects(storage: Storage, base: str) -> dict[str, Stored]:
    """What lies there, by its path; the claim is no part of it."""
    return {name[len(base) :]: stored for name, stored in storage.objects(base) if name != base + CLAIM_NAME}


def _present(
    storage: Storage, base: str, bundle: Bundle, claim: Claim, objects: Mapping[str, Stored], journal: Journal
) -> Mapping[str, Stored]:
    """What an upload that did not end has left here, less what this one does not need; a stranger's files stop us."""
    wanted = {entry.path for entry in bundle.manifest.all_files} | _RESERVED
    wanted |= {session.id[len(base) :] for session in journal.sessions.values()}  # a folder's sessions are files in it
    strangers = sorted(objects.keys() - wanted)
    if strangers and not claim.dirty:
        raise StorageError(
            f"{storage.uri(base.rstrip('/'))} holds files that are no part of this version: {', '.join(strangers[:_SHOWN])}"
            + ("." if len(strangers) <= _SHOWN else f" and {len(strangers) - _SHOWN} more."),
            "Choose another destination, or remove them.",
            storage.uri(base.rstrip("/")),
        )
    for name in strangers:
        storage.delete(base + name)
    return {path: stored for path, stored in objects.items() if path in wanted}


def _commit(storage: Storage, base: str, validated: ValidatedBundle) -> int:
    """Write the manifest unless one is there; from then on the version is published. The bytes that it has."""
    manifest = validated.bundle.manifest
    name, content = base + MANIFEST_NAME, manifest.to_json().encode()
    expected = fingerprint(content, storage.hasher())
    for _ in range(2):
        try:
            stored = storage.write(name, content, expected, create_only=True, publisher=publisher())
        except ChecksumError:
            continue
        if stored is not None and storage.creates_once and holds(storage, name, stored, expected):
            return len(content)
        if stored is None or holds(storage, name, stored, expected):
            break
        storage.delete(name)
    else:
        raise damaged(storage, name)
    # Read it back: we may have lost to somebody else, and some stores ignore the condition on the write.
    if _published(storage, base, validated) is None:
        raise StorageError(
            f"{storage.uri(name)} was written and is gone.", "Check who else works on this bucket, and run it again.", name
        )
    return len(content)
