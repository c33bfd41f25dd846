"""Remove what an interrupted upload has left: its objects, and what the store keeps of files sent in parts."""

from __future__ import annotations

from cpr.bundle import Bundle
from cpr.manifest import VALIDATION_NAME
from cpr.storage import open_storage
from cpr.storage.claim import Claim
from cpr.storage.journal import Journal
from cpr.storage.parts_sending import abort_sessions
from cpr.storage.published import find_manifest
from cpr.storage.publisher import publisher


def abort(bundle: Bundle, uri: str, *, endpoint: str | None = None) -> int:
    """Remove what an interrupted upload of this bundle has left at ``uri``: the number of objects removed.

    What is published stays. ``VersionExists`` where other content is being uploaded there.
    """
    storage, prefix = open_storage(uri, endpoint=endpoint)
    manifest = bundle.manifest
    base = f"{prefix}{manifest.name}/{manifest.version}/"
    journal = Journal.beside(bundle.root, storage.uri(base), manifest.content)
    removed = 0
    if find_manifest(storage, base) is None:
        with Claim(storage, base, manifest.content, publisher(), manifest.digest) as claim:
            abort_sessions(storage, journal, {base + entry.path: entry.size for entry in manifest.all_files})
            known = {entry.path for entry in manifest.all_files} | {VALIDATION_NAME}
            for path in sorted(known & {name[len(base) :] for name in storage.list(base)}):
                storage.delete(base + path)
                removed += 1
            claim.dirty = False
    journal.close(finished=True)
    return removed
