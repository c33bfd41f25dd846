"""Delete a published version: its own files and nothing else, the manifest first.

Once the manifest is gone, nothing is published there any more. Until all is done a copy of it stays beside the files, so that a
second run knows which are the version's own; the place is held as for an upload meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from cpr.errors import BundleError, StorageError, VersionExists
from cpr.manifest import MANIFEST_NAME, MAX_RECORD_BYTES, VALIDATION_NAME, Manifest
from cpr.storage import Storage, fingerprint, open_storage, read
from cpr.storage.claim import CLAIM_NAME, DELETING, Claim
from cpr.storage.receive import Progress
from cpr.storage.versions import DELETING_NAME, never_published, nothing_at


@dataclass(frozen=True, slots=True)
class Deletion:
    """What goes, or has gone: ``files`` maps paths to sizes in bytes; ``left`` are the files there that are not the version's.

    ``name`` and ``version`` are ``None`` for an upload that never ended.
    """

    uri: str
    name: str | None
    version: str | None
    files: Mapping[str, int]
    left: tuple[str, ...]

    @property
    def bytes(self) -> int:
        return sum(self.files.values())


def plan_deletion(uri: str, *, endpoint: str | None = None) -> Deletion:
    """What :func:`delete` would delete at ``uri``. ``StorageError`` where nothing is there that it may."""
    return _plan(*open_storage(uri, endpoint=endpoint))


def delete(uri: str, *, endpoint: str | None = None, progress: Progress | None = None) -> Deletion:
    """Delete the version published at ``uri``, or the upload there that never ended. There is no way back.

    Of a published version go the manifest, what it lists and the validation record; of an upload that never ended all that lies
    there. Run again after an interruption, it ends the work. ``progress`` is called with each file that is gone and its size.
    ``VersionExists`` while an upload to that place runs; ``StorageError`` where nothing is there or the store refuses.
    """
    storage, prefix = open_storage(uri, endpoint=endpoint)
    _plan(storage, prefix)  # where it fails, nothing is written
    try:
        with Claim(storage, prefix, DELETING) as claim:
            plan = _plan(storage, prefix)
            claim.dirty = True
            if MANIFEST_NAME in plan.files:
                _keep_manifest(storage, prefix)
                if not claim.stands():
                    raise claim.disturbed()
                _delete(storage, prefix, {MANIFEST_NAME: plan.files[MANIFEST_NAME]}, progress)
            _delete(storage, prefix, {path: size for path, size in plan.files.items() if path != MANIFEST_NAME}, progress)
            storage.delete(prefix + DELETING_NAME)
    except VersionExists as error:
        raise VersionExists(
            f"An upload to {storage.uri(prefix.rstrip('/'))} is running, or was killed within the last hour.",
            f"Let it end. If it was killed, wait that hour, or delete {storage.uri(prefix + CLAIM_NAME)} and run this again.",
            error.where,
        ) from None
    return plan


def _plan(storage: Storage, prefix: str) -> Deletion:
    uri = storage.uri(prefix.rstrip("/"))
    manifest = _manifest(storage, prefix, MANIFEST_NAME) or _manifest(storage, prefix, DELETING_NAME)
    if manifest is None and not never_published(uri, (), claimed=True):
        raise nothing_at(storage, prefix)  # and nothing is listed: it may be a whole bucket
    there = {name[len(prefix) :]: size for name, size in storage.sizes(prefix)}
    claimed = there.pop(CLAIM_NAME, None) is not None
    there.pop(DELETING_NAME, None)
    if manifest is None:
        if not never_published(uri, there, claimed):
            raise nothing_at(storage, prefix)
        return Deletion(uri, None, None, there, ())
    own = {MANIFEST_NAME, VALIDATION_NAME, *(entry.path for entry in manifest.all_files)}
    files = {path: size for path, size in there.items() if path in own}
    return Deletion(uri, manifest.name, manifest.version, files, tuple(sorted(there.keys() - own)))


def _manifest(storage: Storage, prefix: str, name: str) -> Manifest | None:
    text = read(storage, prefix + name, MAX_RECORD_BYTES)
    if text is None:
        return None
    place = storage.uri(prefix + name)
    try:
        return Manifest.from_json(text, place)
    except BundleError as error:
        raise BundleError(
            f"{error.message} So it is not known which files are the version's own.",
            "Look at what lies there, and remove it with the store's own tool.",
            place,
        ) from None


def _keep_manifest(storage: Storage, prefix: str) -> None:
    text = read(storage, prefix + MANIFEST_NAME, MAX_RECORD_BYTES)
    if text is None:
        raise StorageError("Another deletion came in between.", "Run it again.", storage.uri(prefix + MANIFEST_NAME))
    storage.write(prefix + DELETING_NAME, text, fingerprint(text, storage.hasher()))


def _delete(storage: Storage, prefix: str, files: Mapping[str, int], progress: Progress | None) -> None:
    with ThreadPoolExecutor(storage.parallel) as pool:
        gone = {pool.submit(storage.delete, prefix + path): path for path in files}
        try:
            for done in as_completed(gone):
                done.result()
                if progress is not None:
                    progress(gone[done], files[gone[done]])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
